//! Requests and the answers to them. Owns the wait for answers; never outlives a deadline.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::Connection;
use crate::wire::Command;
use crate::wire::header::AnswerHeader;
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

impl Request {
    /// Credits it takes.
    pub(super) fn charge(&self) -> u16 {
        u16::try_from(self.payload.div_ceil(65_536).max(1)).unwrap_or(u16::MAX)
    }
}

/// One answer. `body` is a slice of the received message: from the end of its header to the start of the next in the compound.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: NtStatus,
    pub(crate) body: Bytes,
}

/// Where the answers to a chain are collected.
pub(super) struct Slot {
    state: Mutex<Collected>,
    complete: Condvar,
}

struct Collected {
    answers: Vec<Option<(AnswerHeader, Bytes)>>,
    missing: usize,
    failure: Option<SmbError>,
}

impl Slot {
    pub(super) fn new(answers: usize) -> Arc<Self> {
        let answers: Vec<_> = (0..answers).map(|_| None).collect();
        let state = Mutex::new(Collected { missing: answers.len(), answers, failure: None });
        Arc::new(Self { state, complete: Condvar::new() })
    }

    /// Puts an answer to where its request was; each place is filled once, which the ledger sees to.
    pub(super) fn put(&self, place: usize, header: AnswerHeader, body: Bytes) {
        let mut state = self.lock();
        if state.answers[place].replace((header, body)).is_none() {
            state.missing -= 1;
        }
        if state.missing == 0 {
            self.complete.notify_all();
        }
    }

    pub(super) fn fail(&self, failure: SmbError) {
        self.lock().failure.get_or_insert(failure);
        self.complete.notify_all();
    }

    fn is_complete(&self) -> bool {
        let state = self.lock();
        state.missing == 0 || state.failure.is_some()
    }

    /// None: not before the deadline.
    pub(super) fn take(&self, deadline: Instant) -> Option<Result<Vec<(AnswerHeader, Bytes)>, SmbError>> {
        let mut state = self.lock();
        loop {
            if state.missing == 0 {
                return Some(Ok(state.answers.drain(..).flatten().collect()));
            }
            if let Some(failure) = &state.failure {
                return Some(Err(failure.replica()));
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            state = self.complete.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chain of requests under way. Dropping it discards the answers.
pub(crate) struct Exchange {
    pub(super) slot: Arc<Slot>,
    pub(super) connection: Arc<Connection>,
    pub(super) deadline: Instant,
    pub(super) generation: u64,
}

impl Exchange {
    /// One answer per request, in order. Errors only where the connection is no longer usable: an NTSTATUS error is an answer.
    pub(crate) fn wait(self) -> Result<Vec<Answer>, SmbError> {
        let received = self.wait_with_headers()?;
        Ok(received.into_iter().map(|(header, body)| Answer { status: header.status, body }).collect())
    }

    /// The same, with all that the headers say.
    pub(crate) fn wait_with_headers(self) -> Result<Vec<(AnswerHeader, Bytes)>, SmbError> {
        self.slot.take(self.deadline).unwrap_or_else(|| {
            self.connection.end(SmbError::Timeout);
            // It may have been answered at the last moment.
            self.slot.take(self.deadline).unwrap_or(Err(SmbError::Timeout))
        })
    }

    /// Whether [`Exchange::wait`] would return at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.slot.is_complete() || Instant::now() >= self.deadline
    }

    /// Which connection carries this: see [`crate::link::Link::generation`].
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}
