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
    /// Entries that could not be given all they had, by all attempts.
    #[serde(default)]
    pub(super) warnings: u64,
    /// The id of the disk it writes to, another one each time that a disk is prepared.
    #[serde(default)]
    disk: Option<String>,
}

impl Course {
    pub(super) fn of(order: &Restore) -> Self {
        let order = Restore { password: None, ..order.clone() };
        Self { order, wants_password: false, opened: false, done: Base64::default(), kept: None, warnings: 0, disk: None }
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

    /// Notes the disk that it writes to. One that was prepared anew holds nothing of it: it begins again.
    pub(super) fn on_disk(&mut self, disk: &str, state: &mut RestoreState) {
        if self.disk.as_deref().is_some_and(|before| before != disk) {
            (self.opened, self.done, self.kept, self.warnings) = (false, Base64::default(), None, 0);
            add(state, &RestoreState::default(), &RestoreReport::default());
        }
        self.disk = Some(disk.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_was_prepared_anew_holds_nothing_that_is_settled() {
        let order = serde_json::json!({ "snapshot": "5a", "to": "usb:S1", "path": Base64::default() });
        let mut course = Course::of(&serde_json::from_value(order).unwrap());
        let done = Key::from_path(b"a/b").unwrap();
        let mut state = RestoreState { id: 7, files: 9, compared: 9, missing: 1, resumed: 2, ..RestoreState::default() };
        course.on_disk("first", &mut state);
        course.marked(&Resumed { done: done.clone(), kept: None });
        (course.opened, course.warnings) = (true, 3);
        let old = serde_json::to_value(&course).unwrap();
        course.on_disk("first", &mut state);
        assert_eq!((course.resumed().unwrap().done, course.warnings, state.files), (done, 3, 9));
        course.on_disk("second", &mut state);
        assert_eq!((course.resumed(), course.warnings), (None, 0));
        assert_eq!(state, RestoreState { id: 7, resumed: 2, ..RestoreState::default() });
        let mut old: Course = serde_json::from_value(old).unwrap();
        old.on_disk("second", &mut state);
        assert_eq!(old.resumed(), None);
    }
}
