//! How far it is, as the screen is told: counted from what `keepwell-recover` says, and in the marks on the disks, so that vaultd knows when more can be read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use keepwell_api::recovery::{COMING, RecoveryPhase, RecoveryStatus, VaultLocks};
use keepwell_format::keys::{Keyring, Slots};
use keepwell_recover::{Joined, Listener};
use keepwell_vault::Snapshot;
use tokio::sync::oneshot;

/// What the caller of a beginning waits for.
pub(crate) type Opened = oneshot::Sender<Option<VaultLocks>>;

#[derive(Default)]
struct Inner {
    status: RecoveryStatus,
    /// Since when bytes come.
    since: Option<Instant>,
    opened: Option<Opened>,
    /// Where the disks are mounted.
    places: Vec<PathBuf>,
}

/// How far it is.
#[derive(Default)]
pub(crate) struct Told(Mutex<Inner>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Told {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> RecoveryStatus {
        let inner = self.inner();
        let seconds = inner.since.map_or(0, |since| since.elapsed().as_secs());
        RecoveryStatus { rate: inner.status.came.checked_div(seconds).filter(|rate| *rate > 0), ..inner.status.clone() }
    }

    /// Whether it may be begun; it is then.
    pub(crate) fn begin(&self, opened: Opened) -> bool {
        let mut inner = self.inner();
        if !matches!(inner.status.phase, RecoveryPhase::Idle | RecoveryPhase::Done) {
            return false;
        }
        *inner = Inner { opened: Some(opened), ..Inner::default() };
        inner.status.phase = RecoveryPhase::Asking;
        true
    }

    pub(crate) fn is(&self, phase: RecoveryPhase) -> bool {
        self.inner().status.phase == phase
    }

    pub(crate) fn goes_to(&self, phase: RecoveryPhase) {
        self.inner().status.phase = phase;
    }

    pub(crate) fn at(&self, places: Vec<PathBuf>) {
        self.inner().places = places;
    }

    pub(crate) fn ended(&self, failed: Option<String>, is_done: bool) {
        let mut inner = self.inner();
        inner.status.phase = if is_done { RecoveryPhase::Done } else { RecoveryPhase::Idle };
        inner.status.failed = failed;
        // Whoever still waits for the papers to be proven hears that it is over.
        inner.opened = None;
    }

    /// The vault can be read further than before.
    fn mark(&self) {
        let (places, whole) = {
            let inner = self.inner();
            (inner.places.clone(), inner.status.whole)
        };
        for place in places {
            // Not worth an end: it is noticed at the next one.
            if let Err(error) = rewrite(&place.join(COMING), whole) {
                tracing::warn!(%error, "what can be read by now could not be noted on a disk");
            }
        }
    }

    /// Nothing is to come any more: the box may have the vault.
    pub(crate) fn unmark(&self) -> Result<(), (PathBuf, io::Error)> {
        for place in self.inner().places.clone() {
            let path = place.join(COMING);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((path, error)),
                _ => File::open(&place).and_then(|folder| folder.sync_all()).map_err(|error| (place, error))?,
            }
        }
        Ok(())
    }
}

fn rewrite(path: &Path, whole: u64) -> io::Result<()> {
    let mut file = File::options().write(true).truncate(true).open(path)?;
    writeln!(file, "{whole}")
}

impl Listener for Told {
    fn joined(&self, joined: Joined) {
        self.inner().status.taken_back = joined == Joined::Back;
    }

    fn opened(&self, slots: &Slots, keyring: &Keyring) {
        let mut inner = self.inner();
        inner.status.phase = RecoveryPhase::Proven;
        if let Some(opened) = inner.opened.take() {
            let _ = opened.send(Some(VaultLocks { slots: slots.encode().into(), keyring: keyring.encode().into() }));
        }
    }

    fn planned(&self, snapshots: usize, _: usize, bytes: u64, first: u64) {
        let mut inner = self.inner();
        inner.since = Some(Instant::now());
        (inner.status.snapshots, inner.status.bytes, inner.status.first_bytes) = (snapshots as u64, bytes, first);
    }

    fn received(&self, bytes: u64) {
        self.inner().status.came += bytes;
    }

    fn whole(&self, _: &Snapshot, newest: bool, lost: usize) {
        {
            let status = &mut self.inner().status;
            status.whole += 1;
            status.newest += u64::from(newest);
            status.damaged += u64::from(lost > 0);
        }
        if newest {
            self.mark();
        }
    }
}
