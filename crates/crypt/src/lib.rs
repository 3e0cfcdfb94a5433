//! Keys and what is done with them: sealing, keyed hashes, signatures, passphrases and the recovery kit (`docs/format.md`, section 5).
//!
//! Owns every use of a cipher, hash or secret-sharing library. Never does I/O, never reads a clock, and knows no structure of ours but
//! its own: bytes come in, bytes go out. Randomness is passed in; only age draws its ephemeral keys from the operating system.

pub mod error;
pub mod hash;
pub mod kit;
pub mod kitfile;
pub mod passphrase;
pub mod recipient;
pub mod seal;
pub mod secret;
pub mod sign;
pub mod words;

pub use error::{Correction, CryptError};
pub use hash::{KeyedHash, ObjectHasher, gear_table, kdf, object_id};
pub use kit::{KitSeed, Share, combine, split};
pub use kitfile::KitFile;
pub use passphrase::{Argon2Cost, passphrase_key, unwrap_with_passphrase, wrap_with_passphrase};
pub use recipient::{kit_recipient, unwrap_with_seed, wrap_for_recipient};
pub use seal::{Aead, OVERHEAD, Sealer};
pub use secret::Secret;
pub use sign::{Signer, verify};
