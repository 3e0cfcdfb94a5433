//! Connections between two boxes (`docs/wire.md` 1, 2): who is at the other end is the name of its key, and nothing else counts.
//!
//! Owns the handshake and the HTTP/2 around it. Knows no route and keeps no state: which names are known is the caller's.

mod client;
mod identity;
mod outgoing;
mod pace;
mod paced;
mod pin;
mod round_trip;
mod server;

pub use client::{Answered, Caller, LinkError};
pub use identity::{Identity, IdentityError};
pub use outgoing::Handed;
pub use paced::Pacer;
pub use server::{Limits, Stranger, serve};
