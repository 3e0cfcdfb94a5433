//! The TPM: what keyd asks of it, on a thread of its own and never without a deadline.
//!
//! Owns sealing, opening, the key of the box's identity, and what each refusal means. Never decides when to seal, stores nothing, and sends no
//! secret in the clear: every session is salted with the storage key and encrypts parameters (TPM 2.0 Library, part 1, 21).

mod identity;
mod link;
mod refusal;
mod seal;
mod thread;

pub use identity::{IdentityBlob, SIGNATURE_LEN};
pub use refusal::TpmError;
pub use seal::{SealedBlob, Terms};
pub use thread::Tpm;

use serde::{Deserialize, Serialize};

use crate::hex::{Digest, Hex};

/// The PCRs that count here, SHA-256 bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcrs {
    /// 7: Secure Boot, its keys and who signed what was started.
    pub secure_boot: Digest,
    /// 11: the image, and how far its start has come.
    pub image: Digest,
    /// 12: command lines and add-ons from outside the image; zero if there were none.
    pub command_line: Digest,
    /// 13: system extensions; zero if there were none.
    pub extensions: Digest,
}

/// Who a TPM is: the Names (part 1, 16) of two keys that it makes from its seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmNames {
    /// Of the endorsement key: the same for the life of the TPM.
    pub ek: Hex,
    /// Of the storage root key: another one after the TPM was cleared.
    pub srk: Hex,
}
