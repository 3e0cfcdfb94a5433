//! What is remembered of a vault (`vault-ID.json`): nothing of it is secret. The slots are copies, to open and to rehearse with.

use keepwell_format::VaultId;
use keepwell_format::keys::Slots;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Folder, StateError};
use crate::hex::{Digest, Hex};

const BEGIN: &str = "vault-";
const END: &str = ".json";

/// One vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultRecord {
    /// Its id, hexadecimal.
    pub vault: String,
    /// Whose data it holds.
    pub owner: String,
    /// The newest slots object that the pool is known to have.
    #[serde(with = "slots_as_hex")]
    pub slots: Slots,
    /// The kit that opens the pool.
    pub kit: KitRecord,
    /// What the pool has to get, and is not known to have.
    #[serde(default)]
    pub newer: Option<Newer>,
    /// This box's slot (its payload) for a secret that is about to be sealed. It goes into the slots when that secret is seen to open.
    #[serde(default)]
    pub unsealed: Option<Hex>,
    /// The highest set number that was given to a kit here, printed or not.
    #[serde(default)]
    pub last_set: Option<u16>,
    /// The keyring of a vault that no pool is known to have: who asked for it and did not get the answer gets it again. It is sealed under the vault key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyring: Option<Hex>,
    /// Made here, and no kit of it was ever confirmed whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_kit: bool,
    /// Numbers of kits that open nothing any more.
    pub invalid_sets: Vec<u16>,
}

/// Slots that were given out, and are not known to have reached the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newer {
    /// The slots object.
    #[serde(with = "slots_as_hex")]
    pub slots: Slots,
    /// Their kit, if it is a new one. All its papers are confirmed.
    pub kit: Option<KitRecord>,
}

/// A kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KitRecord {
    /// Its number.
    pub set: u16,
    /// When it was made, or first seen here; Unix seconds.
    pub made_at: i64,
    /// What keyd itself wrapped for this kit (`keepwell_keys::slot_digest`): a slot that differs was put there by somebody else.
    pub wrapped: Digest,
    /// Its three papers.
    pub papers: [PaperRecord; 3],
}

/// A paper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperRecord {
    /// To whom it was given.
    pub keeper: String,
    /// When it was seen to exist on paper.
    pub confirmed_at: Option<i64>,
    /// When it was last rehearsed.
    pub rehearsed_at: Option<i64>,
    /// When a rehearsal of it failed, if none has succeeded since.
    #[serde(default)]
    pub failed_at: Option<i64>,
}

impl VaultRecord {
    /// All records: what could be read, and what is wrong with the others.
    pub fn all(folder: &Folder) -> Result<(Vec<Self>, Vec<StateError>), StateError> {
        let (mut records, mut broken) = (Vec::new(), Vec::new());
        for name in folder.names(BEGIN, END)? {
            match folder.read::<Self>(&name) {
                Ok(Some(record)) if file_name(record.slots.vault) == name => records.push(record),
                Ok(None) => {}
                Ok(Some(_)) => broken.push(StateError::Damaged { path: folder.path().join(name), source: None }),
                Err(error) => broken.push(error),
            }
        }
        Ok((records, broken))
    }

    /// Stores this record in the place of an earlier one of the vault. One that can't be read is put aside; one of a later release stays.
    pub fn store(&self, folder: &Folder) -> Result<(), StateError> {
        let name = file_name(self.slots.vault);
        match folder.read::<Self>(&name) {
            Err(newer @ StateError::Newer(_)) => return Err(newer),
            Err(_) => folder.set_aside(&name)?,
            Ok(_) => {}
        }
        folder.write(&name, self)
    }
}

fn file_name(vault: VaultId) -> String {
    format!("{BEGIN}{vault}{END}")
}

mod slots_as_hex {
    use super::*;

    pub(super) fn serialize<S: Serializer>(slots: &Slots, serializer: S) -> Result<S::Ok, S::Error> {
        Hex(slots.encode()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Slots, D::Error> {
        Slots::decode(&Hex::deserialize(deserializer)?.0).map_err(serde::de::Error::custom)
    }
}
