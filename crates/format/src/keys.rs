//! Key slots and keyrings (`docs/format.md` 5.2 and 5.4): their bytes only. Sealing and opening is for `keepwell-crypt`.
//!
//! What holds a secret zeroizes it and has neither `Debug` nor `Clone`.

mod ring;

pub use ring::{ChunkSizes, EpochKey, Keyring, KeyringBody};

use zeroize::Zeroizing;

use crate::codec::{Reader, Writer};
use crate::{Epoch, FormatError, VaultId};

const MAGIC: &[u8; 8] = b"KWSLOTS\0";
const SLOTS: &str = "key slots object";
const PASSPHRASE: &str = "passphrase slot";
const KIT: &str = "kit slot";
const TPM: &str = "TPM slot";
const FLAG_TEST: u8 = 1;
/// Longest recipient.
const MAX_RECIPIENT: usize = 1024;
/// Most memory that opening a passphrase slot may take: 1 GiB.
const MAX_M_KIB: u32 = 1 << 20;
const MAX_T: u32 = 16;
const MAX_P: u32 = 16;
/// A sealed vault key.
const SEALED_KEY_LEN: usize = 32 + 48;

/// The ways to the vault key, in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The vault.
    pub vault: VaultId,
    /// Epoch of the vault key.
    pub epoch: Epoch,
    /// Rises with every change within an epoch.
    pub revision: u32,
    /// Made for trying things out: grace times are short.
    pub test_vault: bool,
    /// Ed25519 key that checks manifests.
    pub verify_key: [u8; 32],
    /// What is public of the recovery kit.
    pub kit: KitPublic,
    /// Slots, any of which opens the vault.
    pub slots: Vec<Slot>,
}

/// What is public of a recovery kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitPublic {
    /// Number of the set of shares.
    pub set: u16,
    /// An age recipient, `age1...`.
    pub recipient: String,
    /// Commitments to the shares 1, 2 and 3.
    pub commitments: [[u8; 32]; 3],
}

/// How a slot is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotKind {
    /// By the seed of the recovery kit.
    Kit = 1,
    /// By a passphrase.
    Passphrase = 2,
    /// By one box, with what its TPM and its state have sealed.
    Tpm = 3,
    /// By an escrow agent (reserved).
    Escrow = 4,
}

/// One way to the vault key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// How it is opened.
    pub kind: SlotKind,
    /// By kind: an age file, a [`PassphraseSlot`], or a [`TpmSlot`].
    pub payload: Vec<u8>,
}

impl Slots {
    /// The object's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512);
        out.magic(MAGIC).raw(&self.vault.0).epoch(self.epoch).u32(self.revision);
        out.u8(if self.test_vault { FLAG_TEST } else { 0 }).raw(&self.verify_key);
        out.u16(self.kit.set).text(&self.kit.recipient).raw(self.kit.commitments.as_flattened());
        out.count(self.slots.len());
        for slot in &self.slots {
            out.u8(slot.kind as u8).bytes(&slot.payload);
        }
        out.into_bytes()
    }

    /// Parses an object; a slot's payload is checked when it is used.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(SLOTS, bytes);
        reader.magic(MAGIC)?;
        let (vault, epoch, revision, flags) = (reader.vault()?, reader.epoch()?, reader.u32()?, reader.u8()?);
        reader.check(flags & !FLAG_TEST == 0, "unknown flag")?;
        let (verify_key, kit) = (reader.array()?, read_kit(&mut reader)?);
        let count = reader.count(2)?;
        let slots = (0..count).map(|_| read_slot(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { vault, epoch, revision, test_vault: flags & FLAG_TEST != 0, verify_key, kit, slots })
    }
}

/// Payload of a slot of kind [`SlotKind::Passphrase`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassphraseSlot {
    /// Argon2id salt.
    pub salt: [u8; 16],
    /// Argon2id memory in KiB.
    pub m_kib: u32,
    /// Argon2id passes.
    pub t: u32,
    /// Argon2id lanes.
    pub p: u32,
    /// The sealed vault key.
    pub sealed: Vec<u8>,
}

impl PassphraseSlot {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(28 + SEALED_KEY_LEN);
        out.raw(&self.salt).u32(self.m_kib).u32(self.t).u32(self.p).raw(&self.sealed);
        out.into_bytes()
    }

    /// Parses a payload. Costs above the limits are refused, so that a forged slot can't eat the machine.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(PASSPHRASE, bytes);
        let (salt, m_kib, t, p) = (reader.array()?, reader.u32()?, reader.u32()?, reader.u32()?);
        reader.check((1..=MAX_T).contains(&t), "number of passes out of bounds")?;
        reader.check((1..=MAX_P).contains(&p), "number of lanes out of bounds")?;
        reader.check((8 * p..=MAX_M_KIB).contains(&m_kib), "memory out of bounds")?;
        let sealed = reader.take(SEALED_KEY_LEN)?.to_vec();
        reader.finish()?;
        Ok(Self { salt, m_kib, t, p, sealed })
    }
}

/// Payload of a slot of kind [`SlotKind::Tpm`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmSlot {
    /// The box that opens it.
    pub box_id: [u8; 16],
    /// The sealed vault key.
    pub sealed: Vec<u8>,
}

impl TpmSlot {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(16 + SEALED_KEY_LEN);
        out.raw(&self.box_id).raw(&self.sealed);
        out.into_bytes()
    }

    /// Parses a payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(TPM, bytes);
        let slot = Self { box_id: reader.array()?, sealed: reader.take(SEALED_KEY_LEN)?.to_vec() };
        reader.finish()?;
        Ok(slot)
    }
}

/// What the age file of a slot of kind [`SlotKind::Kit`] holds.
#[expect(missing_debug_implementations, reason = "holds the vault key")]
pub struct KitPayload {
    /// The vault.
    pub vault: VaultId,
    /// Epoch of the key.
    pub epoch: Epoch,
    /// The vault key.
    pub vault_key: Zeroizing<[u8; 32]>,
}

impl KitPayload {
    /// Length in bytes.
    pub const LEN: usize = 52;

    /// The payload's bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // The exact capacity: growing would leave a copy of the key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(Self::LEN));
        out.extend_from_slice(&self.vault.0);
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.extend_from_slice(&*self.vault_key);
        out
    }

    /// Parses exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(KIT, bytes);
        let payload = Self { vault: reader.vault()?, epoch: reader.epoch()?, vault_key: secret(&mut reader)? };
        reader.finish()?;
        Ok(payload)
    }
}

/// 32 secret bytes, copied straight to where they are wiped.
fn secret(reader: &mut Reader<'_>) -> Result<Zeroizing<[u8; 32]>, FormatError> {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(reader.take(32)?);
    Ok(key)
}

fn read_kit(reader: &mut Reader<'_>) -> Result<KitPublic, FormatError> {
    let (set, recipient) = (reader.u16()?, reader.text()?);
    let plain = recipient.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    reader.check(plain && recipient.starts_with("age1") && recipient.len() <= MAX_RECIPIENT, "no age recipient")?;
    Ok(KitPublic { set, recipient, commitments: [reader.array()?, reader.array()?, reader.array()?] })
}

fn read_slot(reader: &mut Reader<'_>) -> Result<Slot, FormatError> {
    let kind = match reader.u8()? {
        1 => SlotKind::Kit,
        2 => SlotKind::Passphrase,
        3 => SlotKind::Tpm,
        4 => SlotKind::Escrow,
        _ => return Err(reader.invalid("unknown kind of slot")),
    };
    Ok(Slot { kind, payload: reader.bytes()?.to_vec() })
}
