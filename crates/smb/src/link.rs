//! A share in use: connection, session and tree in one, made again on demand. Owns reconnecting; never retries by itself.

use std::sync::Arc;

use crate::connection::{Exchange, Request};
use crate::{Credentials, Facts, Options, SmbError};

/// A share in use. Clones are the same link.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    state: Arc<()>,
}

impl Link {
    /// Connects, signs in, and connects to the share. One attempt.
    pub(crate) fn connect(host: &str, port: u16, share: &str, credentials: Credentials, options: Options) -> Result<Self, SmbError> {
        let _ = (host, port, share, credentials, options);
        Err(SmbError::Timeout)
    }

    /// Sends one request or a compound chain: the second and later are related to the first, so they use its file (FileId all ones).
    /// Blocks for credits, at most until the deadline.
    pub(crate) fn send(&self, chain: Vec<Request>) -> Result<Exchange, SmbError> {
        self.send_in(self.generation(), chain)
    }

    /// The same, but only on the connection of that generation: file ids of another mean nothing, or another file. `Lost` otherwise.
    pub(crate) fn send_in(&self, generation: u64, chain: Vec<Request>) -> Result<Exchange, SmbError> {
        let _ = (generation, chain);
        Err(SmbError::Timeout)
    }

    pub(crate) fn facts(&self) -> Facts {
        unreachable!()
    }

    /// Counts the connections made; what was opened under an earlier one is stale.
    pub(crate) fn generation(&self) -> u64 {
        0
    }

    /// A new connection, session and tree if `since` is still the generation; concurrent callers share one attempt. One attempt only.
    pub(crate) fn reconnect(&self, since: u64) -> Result<(), SmbError> {
        let _ = since;
        Err(SmbError::Timeout)
    }
}
