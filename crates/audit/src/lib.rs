//! The ledger: what a box did, in records that are only ever added, each of which holds the hash of the one before (`docs/ledger.md`).
//!
//! Owns the record and its encoding, the files, and the verifier. Never changes or removes a record, takes no clock and no randomness of its own, and
//! depends on no other crate of ours, so that whoever checks a ledger elsewhere needs nothing else.

mod codec;
mod error;
mod event;
mod file;
mod folder;
mod hash;
mod ledger;
mod read;
mod record;
mod scan;
mod verify;

pub use error::{AuditError, InvalidRecord};
pub use event::Event;
pub use folder::file_name;
pub use hash::{Hash, Head};
pub use ledger::{FILE_MAX, Ledger, Opened};
pub use read::read;
pub use record::{Draft, RECORD_MAX, Record, Time, Value};
pub use scan::{Piece, Pieces, check_file};
pub use verify::{Fault, FaultKind, Verdict, verify};
