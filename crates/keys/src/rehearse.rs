//! One paper at a time: is it the right one, and does the kit open the newest key? Needs no key and no second paper.

use keepwell_crypt::{KitFile, object_id};
use keepwell_format::VaultId;
use keepwell_format::keys::{SlotKind, Slots};

use crate::KeysError;

/// A paper that is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// Its kit.
    pub set: u16,
    /// Which of the three.
    pub index: u8,
}

/// Checks one paper against the commitment that the slots keep of it.
pub fn rehearse(slots: &Slots, paper: &KitFile) -> Result<Rehearsed, KeysError> {
    let vault = slots.vault;
    if paper.vault != vault.0 {
        return Err(KeysError::OtherVault { kit: VaultId(paper.vault).to_string(), vault: vault.to_string() });
    }
    let (index, set, now) = (paper.share.index(), paper.set, slots.kit.set);
    if set != now {
        return Err(KeysError::WrongKey(format!(
            "kit paper {index} of set {set} is not valid for this vault: its papers now are set {now}; nothing was changed"
        )));
    }
    if slots.kit.commitments[usize::from(index - 1)] != paper.share.commitment(&vault.0) {
        return Err(KeysError::OtherPaper { index, set });
    }
    Ok(Rehearsed { set, index })
}

/// Tells one kit, with the vault key wrapped for it, from every other: who made it keeps this, and a rehearsal finds that all that the papers
/// hang on in the vault is still what was made. None if the slots have none for a kit.
pub fn slot_digest(slots: &Slots) -> Option<[u8; 32]> {
    let slot = slots.slots.iter().find(|slot| slot.kind == SlotKind::Kit)?;
    let mut bytes = slots.vault.0.to_vec();
    bytes.extend_from_slice(&slots.epoch.0.to_le_bytes());
    bytes.extend_from_slice(&slots.verify_key);
    bytes.extend_from_slice(&slots.kit.set.to_le_bytes());
    bytes.extend_from_slice(slots.kit.commitments.as_flattened());
    bytes.extend_from_slice(&(slots.kit.recipient.len() as u64).to_le_bytes());
    bytes.extend_from_slice(slots.kit.recipient.as_bytes());
    bytes.extend_from_slice(&slot.payload);
    Some(object_id(&bytes))
}
