//! What two boxes say to each other (`docs/wire.md`): messages and their bytes, invitations, codes of places, and proofs that an object is there.
//!
//! Pure: no I/O, no clock, no randomness and no key but a token that is passed in. Every message is strict and bounded before anything is allocated.

pub mod challenge;
pub mod class;
pub mod invitation;
pub mod name;
pub mod pairing;
pub mod place;
pub mod receipt;
pub mod recover;
mod secret;
pub mod shorten;
pub mod slice;
pub mod snapshots;
pub mod survey;
mod typed;
pub mod uploads;

pub use class::Class;
pub use invitation::{Invitation, InvitationError, Token};
pub use name::KeyName;
pub use place::{PlaceCode, PlaceCodeError};
pub use receipt::Receipt;
pub use slice::{SLICE, SliceProof};
pub use survey::{Branch, Prefix};

/// What both ends offer and ask for as application protocol (RFC 7301).
pub const ALPN: &[u8] = b"keepwell/1";
/// Longest body that is no object, in bytes.
pub const MAX_BODY: usize = 1 << 20;
/// Longest object, in bytes: a pack (`docs/wire.md` 2).
pub const MAX_OBJECT: u64 = keepwell_format::MAX_PACK;
