//! The second site as a service (`docs/wire.md`): what a receiver answers, and how a source sends.
//!
//! Faces the network and holds no key but its own transport and receipt keys. What it keeps for others it can't read.

pub mod receiver;
pub mod sender;
mod spool;

pub use receiver::{Clock, Receiver};
pub use sender::{SendError, Sender, Sent, Store};
pub use spool::Spool;
