//! The second site without its network: what a receiver keeps for another box and for how long, what a source sends and in which order (`docs/wire.md`).
//!
//! Synchronous; knows no key but the public one of a tenant's manifests, no time of day, no randomness: moments and signatures are passed in. Invariants:
//!
//! 1. A snapshot for which a receipt was signed stays whole until its `kept until`, or that of an order (4), whatever the source sends afterwards.
//! 2. Time that keeping goes by only grows by time that really went by ([`Elapsed`]).
//! 3. Nothing is removed because something else needs its room: full means refused.
//! 4. A promise is shortened by an order that counts alone ([`Shortened`]): never at once, and never that of the newest snapshot.
//! 5. What a tenant sends is looked at as bytes with a hash and a header, never opened.

pub mod elapsed;
pub mod keeping;
mod numbers;
pub mod plan;
mod refused;
pub mod sampling;
mod set;
mod tenant;
mod timetable;

pub use elapsed::{Elapsed, Reading};
pub use keeping::{Keeping, Stamp};
pub use plan::{Backlog, Offer, Step};
pub use refused::Refused;
pub use set::SetRecord;
pub use tenant::{Moment, NoOrder, Ordered, Put, Shortened, Tenant, Terms, WAIT, kept, objects_for};
pub use timetable::Timetable;
