//! A passphrase as a key (Argon2id, RFC 9106 version 0x13) and key slot type 2 (`docs/format.md`, 5.2).
//!
//! Owns cost and limits. Never keeps a passphrase, never judges its strength.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::{CryptError, OVERHEAD, Sealer, Secret};

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB, at most 1 GiB.
    pub m_kib: u32,
    /// Passes over it, at most 16.
    pub t: u32,
    /// Lanes, at most 16.
    pub p: u32,
}

impl Argon2Cost {
    /// 64 MiB and three passes, the second choice of RFC 9106 section 4: opening a vault has to fit in a run's 256 MiB. One lane, because
    /// ours are computed one after the other, so more would only help who guesses.
    pub const DEFAULT: Argon2Cost = Argon2Cost { m_kib: 64 * 1024, t: 3, p: 1 };

    const MAX_M_KIB: u32 = 1024 * 1024;
    const MAX_T: u32 = 16;
    const MAX_P: u32 = 16;

    fn params(self) -> Result<Params, CryptError> {
        let Argon2Cost { m_kib, t, p } = self;
        let out_of_range = CryptError::CostOutOfRange { m_kib, t, p };
        if m_kib > Self::MAX_M_KIB || t > Self::MAX_T || p > Self::MAX_P {
            return Err(out_of_range);
        }
        Params::new(m_kib, t, p, Some(32)).map_err(|_| out_of_range)
    }
}

/// Argon2id of a passphrase. Takes as long and as much memory as `cost` says.
pub fn passphrase_key(passphrase: &[u8], salt: &[u8; 16], cost: Argon2Cost) -> Result<Secret, CryptError> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
    let mut key = Zeroizing::new([0; 32]);
    argon2.hash_password_into(passphrase, salt, &mut key[..]).map_err(|_| CryptError::CostOutOfRange {
        m_kib: cost.m_kib,
        t: cost.t,
        p: cost.p,
    })?;
    Ok(Secret::from_bytes(*key))
}

/// The sealed field of a passphrase slot: the vault key of an epoch under a passphrase.
pub fn wrap_with_passphrase(
    passphrase: &[u8],
    salt: &[u8; 16],
    cost: Argon2Cost,
    vault: &[u8; 16],
    epoch: u32,
    vault_key: &Secret,
) -> Result<Vec<u8>, CryptError> {
    Ok(sealer(passphrase, salt, cost)?.seal(&aad(vault, epoch), vault_key.expose()))
}

/// The vault key from the sealed field of a passphrase slot.
///
/// A slots object is checked by its id before it gets here, so what does not open is reported as [`CryptError::WrongKey`].
pub fn unwrap_with_passphrase(
    passphrase: &[u8],
    salt: &[u8; 16],
    cost: Argon2Cost,
    vault: &[u8; 16],
    epoch: u32,
    sealed: &[u8],
) -> Result<Secret, CryptError> {
    const DAMAGED: CryptError = CryptError::Damaged { what: "the passphrase slot" };
    if sealed.len() != 32 + OVERHEAD {
        return Err(DAMAGED);
    }
    let plain = sealer(passphrase, salt, cost)?.open(&aad(vault, epoch), sealed).map_err(|error| match error {
        CryptError::NotAuthentic => CryptError::WrongKey,
        other => other,
    })?;
    let plain = Zeroizing::new(plain);
    let key = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| DAMAGED)?;
    Ok(Secret::from_bytes(key))
}

fn sealer(passphrase: &[u8], salt: &[u8; 16], cost: Argon2Cost) -> Result<Sealer, CryptError> {
    Ok(Sealer::new(&passphrase_key(passphrase, salt, cost)?, "passphrase slot"))
}

fn aad(vault: &[u8; 16], epoch: u32) -> [u8; 20] {
    let mut aad = [0; 20];
    aad[..16].copy_from_slice(vault);
    aad[16..].copy_from_slice(&epoch.to_le_bytes());
    aad
}
