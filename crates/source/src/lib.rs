//! Where trees come from and where restored ones go: local folders, SMB shares, NFS exports.
//!
//! Owns every way of reading and writing foreign trees behind the ports of `keepwell-format`. Never knows vaults, keys or chunks;
//! a source is never written to.

mod address;
mod as_of;
pub mod check;
mod error;
pub mod local;
pub mod nfs;
mod pace;
pub mod smb;
mod target;
pub mod url;

pub use address::Address;
pub use as_of::{AsOf, civil, utc};
pub use check::rights::{AccountRights, May, Verdict, rights};
pub use check::{CheckOptions, CheckProgress, CheckReport, check};
pub use error::{Cause, SourceError};
pub use local::{LocalSource, LocalTarget, Warnings, raise_open_files};
pub use nfs::{NfsSource, NfsTarget};
pub use smb::{SmbOptions, SmbSource, SmbTarget};
pub use target::{Opening, RestoreTarget};
pub use url::{NfsUrl, NfsVersion, SmbUrl};
