//! A client for SMB 2.1 to 3.1.1 shares, written for backup.
//!
//! Owns the protocol (MS-SMB2, MS-FSCC) from the socket up. Never speaks SMB1, never signs in as a guest, never uses a connection that
//! is neither encrypted nor signed, and knows nothing of snapshots, vaults or trees. Blocking: threads and deadlines, no runtime.

mod auth;
mod connection;
mod crypto;
mod error;
mod facts;
mod link;
mod name;
mod options;
mod status;
mod time;
mod wire;

pub use auth::Credentials;
pub use error::SmbError;
pub use facts::{Cipher, Facts, Protection, Signing};
pub use name::{BadName, WidePath, check_name, wide, wtf8};
pub use options::{Dialect, Options};
pub use status::NtStatus;
pub use time::FileTime;
