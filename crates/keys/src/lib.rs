//! Key slots and the keyring (`docs/format.md`, 5): made, opened, wrapped again, rehearsed.
//!
//! Owns every step from something that opens a vault to the keys in its keyring, and the change of slots. Bytes in, bytes out: never does
//! I/O and never reads a clock; randomness is passed in. Where slots and keyring lie is for who calls.

mod change;
mod error;
mod make;
mod open;
mod rehearse;

pub use change::{NewKit, Wrapping, tpm_slot, with_tpm_slot, without_tpm_slot};
pub use error::KeysError;
pub use make::{NewKeys, NewVault};
pub use open::{open_keyring, open_kit, open_passphrase, open_tpm};
pub use rehearse::{Rehearsed, rehearse, slot_digest};
