//! An open file on the server. Owns that it is closed, whatever happens; never used over another connection than the one it came by.

use crate::connection::{Answer, Exchange, Request};
use crate::link::Link;
use crate::wire::close;
use crate::wire::create::FileId;
use crate::{NtStatus, SmbError};

/// An open file. Closed without waiting for the answer when it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    link: Link,
    generation: u64,
    file: FileId,
    is_open: bool,
}

impl Handle {
    pub(crate) fn new(link: Link, generation: u64, file: FileId) -> Self {
        Self { link, generation, file, is_open: true }
    }

    pub(crate) fn file(&self) -> FileId {
        self.file
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether its connection is gone, and the file with it.
    pub(crate) fn is_stale(&self) -> bool {
        self.link.generation() != self.generation
    }

    /// Takes note that it has been closed.
    pub(crate) fn closed(&mut self) {
        self.is_open = false;
    }

    pub(crate) fn send(&self, request: Request) -> Result<Exchange, SmbError> {
        self.link.send_in(self.generation, vec![request])
    }

    /// One question and its answer.
    pub(crate) fn ask(&self, request: Request) -> Result<Answer, SmbError> {
        only(self.send(request)?.wait()?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_open && !self.is_stale() {
            // If it can't be sent the connection is gone, and the server closes the file itself.
            let _ = self.send(close::encode(self.file, false));
        }
    }
}

/// The answer to a chain of one.
pub(crate) fn only(answers: Vec<Answer>) -> Result<Answer, SmbError> {
    answers.into_iter().next().ok_or(SmbError::Malformed { what: "no answer" })
}

/// An answer that must be a success (MS-ERREF 2.3: severity 0).
pub(crate) fn succeeded(answer: Answer, during: &'static str) -> Result<Answer, SmbError> {
    if is_success(answer.status) { Ok(answer) } else { Err(SmbError::Status { status: answer.status, during }) }
}

pub(crate) fn is_success(status: NtStatus) -> bool {
    status.0 >> 30 == 0
}
