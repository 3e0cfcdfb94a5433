//! What is kept of a restore so that it can go on after the program, its neighbour or the server died: the order without its password, and the last mark. Sealed, as it names files.

use std::collections::HashSet;

use keepwell_api::Base64;
use keepwell_api::vault::{Conflict, Restore, RestoreState};
use keepwell_format::Key;
use keepwell_vault::{RestoreReport, Resumed, Vault, VaultError};
use serde::{Deserialize, Serialize};

use crate::error::VaultdError;
use crate::state::State;

/// One restore's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Course {
    /// Without its password.
    order: Restore,
    /// It goes on with a password alone, which is kept nowhere.
    pub(super) wants_password: bool,
    /// Its target was open once: what it holds may be this restore's.
    pub(super) opened: bool,
    done: Base64,
    /// Eight bytes each.
    kept: Option<Base64>,
}

impl Course {
    pub(super) fn of(order: &Restore) -> Self {
        let order = Restore { password: None, ..order.clone() };
        Self { order, wants_password: false, opened: false, done: Base64::default(), kept: None }
    }

    pub(super) fn path(&self) -> &[u8] {
        self.order.path.as_ref()
    }

    pub(super) fn conflict(&self) -> Conflict {
        self.order.conflict
    }

    /// Where to go on; none if nothing can have been written.
    pub(super) fn resumed(&self) -> Option<Resumed> {
        let eight = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
        let kept = self.kept.as_ref().map(|kept| kept.as_ref().chunks_exact(8).map(eight).collect::<HashSet<_>>());
        self.opened.then(|| Resumed { done: Key::from_path(self.done.as_ref()).unwrap_or_default(), kept })
    }

    pub(super) fn marked(&mut self, resumed: &Resumed) {
        self.done = Base64::from(resumed.done.to_path().to_vec());
        self.kept = resumed.kept.as_ref().map(|kept| kept.iter().flat_map(|tag| tag.to_le_bytes()).collect::<Vec<_>>().into());
    }

    /// Keeps it together with what is told of the restore.
    pub(super) fn keep(&self, vault: &Vault, state: &State, restore: &RestoreState) -> Result<(), VaultdError> {
        let json = zeroize::Zeroizing::new(serde_json::to_vec(self).expect("plain data becomes JSON"));
        Ok(state.keep_restore(restore, &Base64::from(vault.seal_note(&purpose(restore.id), &json)))?)
    }

    /// None for what does not go on: dry runs and tests.
    pub(super) fn find(vault: &Vault, state: &State, id: u64) -> Result<Option<Self>, VaultdError> {
        let Some(sealed) = state.restore_course(id)? else { return Ok(None) };
        let json = vault.open_note(&purpose(id), sealed.as_ref())?;
        let foreign = |_| VaultdError::Vault(VaultError::NoSnapshot("of a restore that another release began".into()));
        serde_json::from_slice(&json).map(Some).map_err(foreign)
    }
}

fn purpose(restore: u64) -> String {
    format!("restore {restore}")
}

/// Adds what an attempt did to what those before it had done.
pub(super) fn add(state: &mut RestoreState, before: &RestoreState, report: &RestoreReport) {
    state.files = before.files + report.files;
    state.written_bytes = before.written_bytes + report.written_bytes;
    state.compared = before.compared + report.compared;
    state.differing = before.differing + report.differing;
    state.missing = before.missing + report.missing.len() as u64;
    state.skipped = before.skipped + report.skipped;
}
