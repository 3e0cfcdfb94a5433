//! An index that remembers its earlier states: after a crash SQLite may come back absent, at any commit, or current.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwell_format::{BlobId, PackId, PackSeq};
use keepwell_vault::{Index, IndexedPack, Location, MemoryIndex, VaultError};

use crate::random::Random;

/// A shared index with its history.
#[derive(Clone, Default)]
pub(crate) struct JournaledIndex(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: MemoryIndex,
    before: Vec<MemoryIndex>,
}

impl JournaledIndex {
    pub(crate) fn share(&self) -> Arc<dyn Index> {
        Arc::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a crash leaves of it.
    pub(crate) fn after_crash(&self, random: &mut Random) -> MemoryIndex {
        let state = self.state();
        match random.below(3) {
            0 => MemoryIndex::default(),
            1 if !state.before.is_empty() => random.pick(&state.before).clone(),
            _ => state.now.clone(),
        }
    }

    fn commit(&self, change: impl FnOnce(&MemoryIndex) -> Result<(), VaultError>) -> Result<(), VaultError> {
        let mut state = self.state();
        let before = state.now.clone();
        state.before.push(before);
        change(&state.now)
    }
}

impl Index for JournaledIndex {
    fn packs(&self) -> Result<Vec<(PackId, PackSeq)>, VaultError> {
        self.state().now.packs()
    }

    fn add(&self, packs: &[IndexedPack]) -> Result<(), VaultError> {
        self.commit(|now| now.add(packs))
    }

    fn drop_packs(&self, packs: &[PackId]) -> Result<(), VaultError> {
        self.commit(|now| now.drop_packs(packs))
    }

    fn locate(&self, blob: &BlobId) -> Result<Vec<Location>, VaultError> {
        self.state().now.locate(blob)
    }

    fn content(&self, pack: &PackId) -> Result<Vec<Location>, VaultError> {
        self.state().now.content(pack)
    }

    fn totals(&self) -> Result<(u64, u64), VaultError> {
        self.state().now.totals()
    }
}
