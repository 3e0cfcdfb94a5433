//! Small files and metadata in one round trip. Owns when a file has come whole; never reads more than the limit.

use bytes::Bytes;

use crate::visit::{Visit, Visited};
use crate::{CloseInfo, FileTime, Open, Pending, Share, SmbError, Stat, Want, WidePath};

/// A small file.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What it was when it was opened.
    pub stat: Stat,
    /// Its first bytes. Holds on to the message that brought them.
    pub data: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
    /// What it was when it was closed, if the server said: it differs from `stat.info` if the file changed meanwhile.
    pub after: Option<CloseInfo>,
}

impl Fetched {
    /// Whether size and times stayed as they were. None if the server did not say.
    #[must_use]
    pub fn held_still(&self) -> Option<bool> {
        let info = &self.stat.info;
        let after = self.after?;
        Some((after.size, after.written, after.changed) == (info.size, info.written, info.changed))
    }
}

impl Share {
    /// Looks at a file, folder or stream without its data. Sends all and does not wait.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_stat(&self, path: &WidePath, want: Want, as_of: Option<FileTime>) -> Result<Pending<Stat>, SmbError> {
        self.visit(path, Open::looking(want, as_of), 0).begin(|visited| visited.stat)
    }

    /// Fetches a file or stream with at most `limit` bytes of data, or as much as one read can bring. Sends all and does not wait.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_fetch(&self, path: &WidePath, limit: u32, want: Want, as_of: Option<FileTime>) -> Result<Pending<Fetched>, SmbError> {
        let limit = limit.min(self.max_read());
        self.visit(path, Open::reading(want, as_of), limit).begin(fetched)
    }

    fn visit(&self, path: &WidePath, open: Open, read: u32) -> Visit {
        Visit { share: self.clone(), path: path.clone(), open, read, keep: false }
    }
}

fn fetched(visited: Visited) -> Fetched {
    let whole = visited.data.len() as u64 == visited.stat.info.size;
    Fetched { stat: visited.stat, data: visited.data, whole, after: visited.after }
}
