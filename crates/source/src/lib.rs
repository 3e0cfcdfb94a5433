//! Where trees come from and where restored ones go: local folders, and for now SMB shares.
//!
//! Owns every way of reading and writing foreign trees behind the ports of `keepwell-format`. Never knows vaults, keys or chunks;
//! a source is never written to.

mod error;
pub mod local;
pub mod smb;

pub use error::SourceError;
pub use local::{LocalSource, LocalTarget, Warnings, raise_open_files};
pub use smb::{SmbSource, SmbUrl};
