//! An NFS version 3 client for backup (RFC 1813, RFC 5531): names are the server's bytes, many calls are in flight on one connection.
//!
//! Owns ONC RPC over TCP, the port mapper, MOUNT, NFS and NFSACL. Synchronous: `begin_*` sends, [`Pending::wait`] waits, never without a
//! deadline. Never trusts a length, count or name of the server; never keeps state that a server would have to keep.

mod connection;
mod dial;
mod error;
mod export;
mod files;
#[doc(hidden)]
pub mod fuzz;
mod mount;
mod record;
mod rpc;
mod types;
mod wire;
mod xdr;

pub use connection::{Pending, Timing};
pub use error::{NfsError, Status};
pub use export::{Export, Facts, Identity, Options};
pub use types::{
    AccessEntry, AccessLists, Attributes, Creation, Device, Entry, FileType, Handle, Made, Page, ReadData, SetAttributes, SetTime, Space,
    Stability, Timestamp, Verifier, Written, access,
};
