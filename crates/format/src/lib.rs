//! Bytes to typed structures and back, for everything Keepwell keeps on disk and paper (`docs/format.md`).
//!
//! Owns ids, the tree model and its encodings. Pure: never does I/O, never sees a key, never reads a clock.

pub mod blob;
pub mod codec;
mod entry;
mod error;
pub mod extents;
pub mod id;
pub mod key;
pub mod keys;
pub mod manifest;
pub mod node;
pub mod pack;
pub mod page;
pub mod port;
pub mod samples;
mod seq;
mod table;
pub mod tombstone;

pub use blob::{BlobKind, Compression, FrameInfo, MAX_BLOB, WHOLE};
pub use error::FormatError;
pub use extents::{ExtentPage, ExtentRun, MAX_INLINE_EXTENTS};
pub use id::{BlobId, ContentHash, DiskId, Epoch, PackId, PackSeq, SnapshotId, VaultId};
pub use key::{Key, KeyError};
pub use manifest::{Manifest, ManifestBody, Outcome, SeqRanges, Statistics};
pub use node::{Content, Extent, Gap, GapReason, Kind, Node, Time};
pub use pack::{Directory, DirectoryEntry, MAX_PACK, PackContent, PackHeader, Trailer};
pub use page::{Child, InnerBuilder, LeafBuilder, Page};
pub use tombstone::{Gone, Tombstone, TombstoneBody};
