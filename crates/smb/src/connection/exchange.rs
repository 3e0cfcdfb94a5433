//! Requests and the answers to them. Owns the wait for answers; never outlives a deadline.

use bytes::Bytes;

use crate::wire::Command;
use crate::{NtStatus, SmbError};

/// One request without its header. `body` begins with its StructureSize; offsets inside count from the header's start: 64 + position in
/// the body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) body: Vec<u8>,
    /// The larger of the payload sent and the answer expected, bytes: CreditCharge = 1 + (payload - 1) / 65536 (MS-SMB2 3.1.5.2).
    pub(crate) payload: u32,
}

/// One answer. `body` is a slice of the received message: from the end of its header to the start of the next in the compound.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: NtStatus,
    pub(crate) body: Bytes,
}

/// A chain of requests under way. Dropping it discards the answers.
#[derive(Debug)]
pub(crate) struct Exchange {}

impl Exchange {
    /// One answer per request, in order. Errors only where the connection is no longer usable: an NTSTATUS error is an answer.
    pub(crate) fn wait(self) -> Result<Vec<Answer>, SmbError> {
        Err(SmbError::Timeout)
    }

    /// Whether [`Exchange::wait`] would return at once.
    pub(crate) fn is_ready(&self) -> bool {
        true
    }

    /// Which connection carries this: see [`crate::link::Link::generation`].
    pub(crate) fn generation(&self) -> u64 {
        0
    }
}
