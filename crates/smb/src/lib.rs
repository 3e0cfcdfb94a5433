//! A client for SMB 2.1 to 3.1.1 shares, written for backup.
//!
//! Owns the protocol (MS-SMB2, MS-FSCC) from the socket up. Never speaks SMB1, never signs in as a guest, never uses a connection that
//! is neither encrypted nor signed, and knows nothing of snapshots, vaults or trees. Blocking: threads and deadlines, no runtime.

mod auth;
mod change;
mod connection;
mod crypto;
mod error;
mod facts;
mod fetch;
mod file;
#[doc(hidden)]
pub mod fuzz;
#[doc(hidden)]
pub mod fuzz_client;
mod handle;
mod link;
mod listing;
mod name;
mod open;
mod options;
mod pending;
mod rights;
mod session;
mod share;
mod smb1;
mod snapshots;
mod stat;
mod status;
mod step;
mod store;
mod time;
mod tree;
mod visit;
mod wire;

pub use auth::Credentials;
pub use error::SmbError;
pub use facts::{Cipher, Facts, Protection, Signing};
pub use fetch::Fetched;
pub use file::OpenFile;
pub use listing::Listing;
pub use name::{BadName, WidePath, check_name, wide, wtf8};
pub use open::{Disposition, Open, OpenKind};
pub use options::{Dialect, Options};
pub use pending::Pending;
pub use rights::{access, attribute, part, sharing};
pub use share::Share;
pub use stat::{Ability, Attribute, Basic, CloseInfo, DirEntry, FileInfo, Stat, StreamInfo, Volume, Want};
pub use status::NtStatus;
pub use store::{Store, Stored};
pub use time::FileTime;
