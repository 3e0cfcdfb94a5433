//! How much of what takes long goes on at a time. What would be one too many is refused at once, so that nothing that takes short waits behind it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::VaultdError;

/// Files and archives that are being sent. Each holds a few blobs in memory.
const DOWNLOADS: usize = 6;
/// Searches and comparisons: each uses all processors.
const SEARCHES: usize = 2;
/// Files that are being read in an emergency: beside those that somebody downloads who is signed in.
const EMERGENCY: usize = 8;
/// Those who follow what happens; a user's other connections (64 in all) stay free.
const FOLLOWERS: usize = 24;

/// Pages that ask for the words of a paper: keyd may be busy, and takes one at a time.
const QUESTIONS: usize = 4;
/// Servers that are asked what an account may do.
const CHECKS: usize = 4;

/// A place, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// Places that are free.
#[derive(Debug)]
pub(crate) struct Doors {
    downloads: Arc<Semaphore>,
    emergency: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    trials: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    papers: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

impl Default for Doors {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            downloads: places(DOWNLOADS),
            emergency: places(EMERGENCY),
            searches: places(SEARCHES),
            followers: places(FOLLOWERS),
            trials: places(1),
            checks: places(CHECKS),
            papers: places(1),
            questions: places(QUESTIONS),
        }
    }
}

impl Doors {
    pub(crate) fn download(&self) -> Result<Place, VaultdError> {
        take(&self.downloads, "files are being downloaded")
    }

    pub(crate) fn emergency(&self) -> Result<Place, VaultdError> {
        take(&self.emergency, "files are being read in this emergency")
    }

    pub(crate) fn search(&self) -> Result<Place, VaultdError> {
        take(&self.searches, "searches go on")
    }

    /// Test restores have one place on the box's own disk.
    pub(crate) fn trial(&self) -> Result<Place, VaultdError> {
        take(&self.trials, "test restores go on")
    }

    pub(crate) fn check(&self) -> Result<Place, VaultdError> {
        take(&self.checks, "shares are being looked at")
    }

    /// Papers are printed and confirmed one at a time.
    pub(crate) fn paper(&self) -> Result<Place, VaultdError> {
        take(&self.papers, "papers are being printed or confirmed")
    }

    pub(crate) fn question(&self) -> Result<Place, VaultdError> {
        take(&self.questions, "pages ask about papers")
    }

    pub(crate) fn follow(&self) -> Result<Place, VaultdError> {
        take(&self.followers, "programs follow what happens")
    }
}

fn take(places: &Arc<Semaphore>, what: &'static str) -> Result<Place, VaultdError> {
    Arc::clone(places).try_acquire_owned().map_err(|_| VaultdError::TooMany(what))
}
