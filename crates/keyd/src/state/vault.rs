//! What is remembered of a vault (`vault-ID.json`): nothing of it is secret. The slots are a copy, to rehearse with; the pool's are what counts.

use keepwell_format::VaultId;
use serde::{Deserialize, Serialize};

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
    /// The newest slots object.
    pub slots: Hex,
    /// Its valid kit.
    pub kit: KitRecord,
    /// Numbers of kits that open nothing any more.
    pub invalid_sets: Vec<u16>,
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
}

impl VaultRecord {
    /// All records: what could be read, and what is wrong with the others.
    pub fn all(folder: &Folder) -> Result<(Vec<Self>, Vec<StateError>), StateError> {
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        for name in folder.names(BEGIN, END)? {
            match folder.read(&name) {
                Ok(record) => records.extend(record),
                Err(error) => damaged.push(error),
            }
        }
        Ok((records, damaged))
    }

    /// Stores this record in the place of an earlier one of the vault.
    pub fn store(&self, folder: &Folder, vault: VaultId) -> Result<(), StateError> {
        folder.write(&format!("{BEGIN}{vault}{END}"), self)
    }
}
