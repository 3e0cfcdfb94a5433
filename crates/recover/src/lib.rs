//! A vault comes back from the box that kept it (`docs/wire.md` 8): with two papers of the kit, that box's address and the name of its key, and nothing else.
//!
//! Faces the network, and holds what two papers open for as long as it runs. Trusts the other end for nothing but being there: what does not hash to its id is not stored, what is not
//! signed by the vault's box is no snapshot, and key slots count only if the papers open them. Never asks for anything to be removed. Invariants:
//!
//! 1. A snapshot's manifest is in the pool only after every pack of it that the other box has.
//! 2. What is in the pool, or came of an object before a cut or a kill, is not asked for again.

mod error;
mod fetch;
#[cfg(test)]
mod fixture;
mod join;
mod locks;
mod notes;
mod order;
mod peer;
mod place;
mod recovery;
pub mod shorten;
mod tiers;

pub use error::RecoverError;
pub use join::Joined;
pub use notes::is_unfinished;
pub use peer::Patience;
pub use recovery::{Listener, Order, Papers, Recovered, recover};
