//! Bytes to typed structures and back, for everything Keepwell keeps on disk and paper (`docs/format.md`).
//!
//! Owns ids, the tree model and its encodings. Pure: never does I/O, never sees a key, never reads a clock.

pub mod codec;
mod error;
pub mod id;
pub mod key;
pub mod node;
pub mod port;

pub use error::FormatError;
pub use id::{BlobId, ContentHash, DiskId, Epoch, PackId, PackSeq, SnapshotId, VaultId};
pub use key::{Key, KeyError};
pub use node::{Content, Extent, Gap, GapReason, Kind, Node, Time};
