//! What a restore does about a connection that is lost under it: gets it back, does again what can be done again, and gives up the one file
//! whose content has gone. Never gives up the run while connections come back and take anything.

use keepwell_format::port::WriteError;
use keepwell_smb::{Open, Share, SmbError, Want, WidePath, access};

use super::session::REPEATS;
use super::target::{SmbTarget, is_none, refused};

const LOST: &str = "the connection to the server was lost while it was written, and came back: it is missing, or without all that belongs to it. \
                    Restore it again";

impl SmbTarget {
    /// Does it, and does it again when the connection was lost meanwhile and could be brought back. It must be safe to repeat; it is told
    /// whether that is the case.
    pub(super) fn again<T>(&self, what: impl Fn(bool) -> Result<T, WriteError>) -> Result<T, WriteError> {
        let repeats = self.session.deserves(REPEATS);
        for repeat in 0..repeats {
            let since = self.session.share.generation();
            match what(repeat > 0) {
                Err(failed) if failed.fatal && self.session.share.is_lost(since) => {
                    if !self.session.recover(since) {
                        return Err(failed);
                    }
                }
                other => return other,
            }
        }
        self.once(|| what(repeats > 0))
    }

    /// Does what can't be repeated. A connection that was lost meanwhile and could be brought back costs only this.
    pub(super) fn once<T>(&self, what: impl FnOnce() -> Result<T, WriteError>) -> Result<T, WriteError> {
        let since = self.session.share.generation();
        self.survive(since, what())
    }

    /// The same for what was begun over the connection of this generation.
    pub(super) fn survive<T>(&self, since: u64, done: Result<T, WriteError>) -> Result<T, WriteError> {
        match done {
            Err(failed) if failed.fatal && self.session.share.is_lost(since) => {
                self.session.unanswered(since);
                Err(if self.session.recover(since) { refused(LOST) } else { failed })
            }
            other => other,
        }
    }

    /// Deletes a file or stream, if it is there.
    pub(super) fn discard(&self, path: &WidePath) -> Result<(), SmbError> {
        match self.session.again(|share| delete(share, path)) {
            Err(error) if is_none(&error) => Ok(()),
            done => done,
        }
    }
}

fn delete(share: &Share, path: &WidePath) -> Result<(), SmbError> {
    let how = Open { access: access::DELETE, ..Open::looking(Want { reparse: true, ..Want::default() }, None) };
    let file = share.begin_open(path, &how)?.wait()?;
    file.delete_on_close()?;
    file.close().map(drop)
}
