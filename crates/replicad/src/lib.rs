//! The second site as a service (`docs/wire.md`): what a receiver answers, and how a source sends.
//!
//! Faces the network and holds no key but its own transport and receipt keys: neither what it keeps for others nor this box's own vault can it read. Takes orders from vaultd alone,
//! and asks no other program of the box for anything.

mod arriving;
pub mod courier;
mod ear;
mod ending;
pub mod error;
mod fetching;
mod flight;
pub mod house;
pub mod keep;
mod line;
mod meeting;
mod memory;
mod orders;
mod own;
pub mod pairing;
mod place;
pub mod receiver;
mod refusals;
pub mod sender;
pub mod service;
mod shelves;
mod spool;
pub mod store;
mod succession;
mod way;
pub mod world;

pub use memory::MemoryLimits;
pub use receiver::{Admission, Clock, NotNow, NotTaken, Receiver};
pub use sender::{Listener, Nobody, SendError, Sender, Sent, Store};
pub use spool::Spool;
