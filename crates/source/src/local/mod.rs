//! Folders of this machine as source and as target.
//!
//! Every path below a root is reached component by component from an open folder, without following symbolic links; a name is
//! never resolved as a path. The one exception is `/proc/self/fd/N`, because Linux has no xattr calls relative to a folder.

mod apply;
mod compare;
mod folders;
mod metadata;
mod placing;
mod read;
mod source;
mod target;
mod walk;
mod write;

pub use source::LocalSource;
pub use target::{LocalTarget, Warnings};

use keepwell_format::{Gap, GapReason};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's soft limit of open files to the hard one. Returns the limit that holds now; none if unlimited.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// The gap that an error of the system makes. Something that turns up as another kind of thing was replaced, so what was there is gone.
fn gap(errno: Errno, otherwise: GapReason) -> Gap {
    let reason = match errno {
        Errno::ACCESS | Errno::PERM => GapReason::Permission,
        Errno::NOENT | Errno::STALE | Errno::LOOP | Errno::NOTDIR | Errno::ISDIR => GapReason::Vanished,
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => GapReason::Locked,
        Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP => GapReason::Unsupported,
        _ => otherwise,
    };
    Gap { reason, text: std::io::Error::from(errno).to_string() }
}
