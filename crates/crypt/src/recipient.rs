//! The kit as an age X25519 recipient (age-encryption.org/v1), key slot type 1 (`docs/format.md`, 5.2).
//!
//! Owns wrapping for the kit without the kit at hand, and opening with its seed. The one place where random numbers are not passed in: age
//! draws its file key and ephemeral secret from the operating system. So two wraps of one payload differ.

use std::{io::Read, iter};

use age::{DecryptError, Decryptor, x25519};
use bech32::{Bech32, Hrp};
use zeroize::Zeroizing;

use crate::{CryptError, KitSeed};

/// The public recipient of a kit, `age1...`. Anything can be wrapped for it while the papers stay where they are.
pub fn kit_recipient(seed: &KitSeed) -> String {
    identity(seed).to_public().to_string()
}

/// An age file (binary) of the payload for one recipient.
pub fn wrap_for_recipient(recipient: &str, payload: &[u8]) -> Result<Vec<u8>, CryptError> {
    let recipient: x25519::Recipient = recipient.parse().map_err(|_| CryptError::BadRecipient)?;
    age::encrypt(&recipient, payload).map_err(CryptError::WrapFailed)
}

/// The payload of an age file made by [`wrap_for_recipient`], or by any age program.
pub fn unwrap_with_seed(seed: &KitSeed, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptError> {
    const DAMAGED: CryptError = CryptError::Damaged { what: "the recovery kit's key slot" };
    let identity = identity(seed);
    let decryptor = Decryptor::new_buffered(file).map_err(|_| DAMAGED)?;
    let mut reader = decryptor.decrypt(iter::once(&identity as _)).map_err(|error| match error {
        DecryptError::NoMatchingKeys => CryptError::WrongKey,
        _ => DAMAGED,
    })?;
    // With room for all of it the plaintext is never moved, so there is one copy to wipe.
    let mut payload = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut payload).map_err(|_| DAMAGED)?;
    Ok(payload)
}

fn identity(seed: &KitSeed) -> x25519::Identity {
    let text = Zeroizing::new(secret_key_text(seed));
    text.parse().expect("bech32 of 32 bytes under this prefix is an age identity")
}

/// The seed as `AGE-SECRET-KEY-1...`: what the standard `age` program takes to open the kit's slot without us.
pub fn secret_key_text(seed: &KitSeed) -> String {
    let prefix = Hrp::parse("age-secret-key-").expect("a valid prefix");
    bech32::encode_upper::<Bech32>(prefix, seed.expose()).expect("32 bytes fit in bech32")
}
