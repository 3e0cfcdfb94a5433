//! NFS exports as source and as target.
//!
//! Version 3 (through `keepwell-nfs`) keeps names as bytes, owner, mode, times from 1970 to 2106, links, devices, and POSIX access lists where the
//! server has NFSACL. It knows no other extended attributes, no creation times and no map of holes. Must never follow a symbolic link: each name is
//! looked up in a folder's handle, and a link has no entries.

mod access_list;
mod apply;
mod compare;
mod gaps;
mod handles;
mod link;
mod listing;
mod node;
mod read;
mod rights;
mod source;
mod target;
mod tree;
mod v41;
mod walk;
mod write;

use keepwell_format::Gap;
use keepwell_format::port::{Walk, Walked};

pub use source::NfsSource;
pub use target::NfsTarget;

/// How long a call may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// A walk that ends with its first error.
fn until_error<'a, E>(mut step: impl FnMut() -> Option<Result<Walked, E>> + Send + 'a, gap: impl Fn(&E) -> Gap + Send + 'a) -> Walk<'a> {
    let mut over = false;
    Box::new(std::iter::from_fn(move || {
        let walked = if over { None } else { step() }?;
        over = walked.is_err();
        Some(walked.map_err(|error| gap(&error)))
    }))
}
