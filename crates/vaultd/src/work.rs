//! What is under way: runs and restores, how far they are, and how they are ended before their time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keepwell_duties::ShareId;
use keepwell_ingest::Canceller;
use keepwell_vault::{Progress, Step};

/// A server that has not answered by now counts as slow: the other shares wait no longer for its place.
const SILENT: Duration = Duration::from_secs(3);

/// Why something ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A person wanted it.
    Cancelled,
    /// The program ends.
    Stopping,
}

/// One run or restore.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The share of a run.
    pub(crate) share: Option<ShareId>,
    begun: Option<Instant>,
    reached: AtomicBool,
    items: AtomicU64,
    bytes: AtomicU64,
    end: Mutex<(Option<Ended>, Option<Canceller>)>,
    over: Condvar,
}

impl Work {
    /// A run of a share.
    pub(crate) fn of(share: ShareId) -> Self {
        Self { share: Some(share), begun: Some(Instant::now()), ..Self::default() }
    }

    /// Its server has answered.
    pub(crate) fn reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    fn is_silent(&self) -> bool {
        !self.reached.load(Ordering::Relaxed) && self.begun.is_some_and(|begun| begun.elapsed() > SILENT)
    }

    /// Tells how it can be cut; it is, at once, if it was ended before.
    pub(crate) fn can_be_cut_by(&self, canceller: Canceller) {
        let mut end = lock(&self.end);
        if let Some(ended) = end.0 {
            canceller.cancel(words(ended));
        }
        end.1 = Some(canceller);
    }

    /// Ends it.
    pub(crate) fn end(&self, why: Ended) {
        let mut end = lock(&self.end);
        end.0.get_or_insert(why);
        if let Some(canceller) = &end.1 {
            canceller.cancel(words(why));
        }
        self.over.notify_all();
    }

    /// What it was cut by is gone.
    pub(crate) fn forget_canceller(&self) {
        lock(&self.end).1 = None;
    }

    /// Waits so long, or until it is ended.
    pub(crate) fn rest(&self, at_most: Duration) -> Option<Ended> {
        let rested = self.over.wait_timeout_while(lock(&self.end), at_most, |end| end.0.is_none());
        rested.unwrap_or_else(PoisonError::into_inner).0.0
    }

    /// Another attempt at it begins, with so many bytes done.
    pub(crate) fn begin_again(&self, bytes: u64) {
        self.items.store(0, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether it was ended.
    pub(crate) fn ended(&self) -> Option<Ended> {
        lock(&self.end).0
    }

    /// Entries and bytes so far.
    pub(crate) fn done(&self) -> (u64, u64) {
        (self.items.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Progress for Work {
    fn begin(&self, _step: Step, _total_items: u64, _total_bytes: u64) {}

    fn advance(&self, items: u64, bytes: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn words(ended: Ended) -> &'static str {
    match ended {
        Ended::Cancelled => "it was cancelled",
        Ended::Stopping => "the box's program is ending",
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Run,
    Restore,
}

/// All that is under way.
#[derive(Debug, Default)]
pub(crate) struct Works {
    under_way: Mutex<BTreeMap<(Kind, u64), Arc<Work>>>,
    fewer: Condvar,
}

impl Works {
    pub(crate) fn add(&self, kind: Kind, id: u64, work: Arc<Work>) {
        lock(&self.under_way).insert((kind, id), work);
    }

    pub(crate) fn remove(&self, kind: Kind, id: u64) {
        lock(&self.under_way).remove(&(kind, id));
        self.fewer.notify_all();
    }

    pub(crate) fn get(&self, kind: Kind, id: u64) -> Option<Arc<Work>> {
        lock(&self.under_way).get(&(kind, id)).cloned()
    }

    /// Numbers of all of a kind.
    pub(crate) fn all(&self, kind: Kind) -> Vec<u64> {
        lock(&self.under_way).keys().filter(|(of, _)| *of == kind).map(|(_, id)| *id).collect()
    }

    /// The run of a share that is under way.
    pub(crate) fn run_of(&self, share: &ShareId) -> Option<u64> {
        lock(&self.under_way).iter().find(|(_, work)| work.share.as_ref() == Some(share)).map(|((_, id), _)| *id)
    }

    /// Shares that are being backed up, and whether their server has yet to answer, for longer than servers need.
    pub(crate) fn shares(&self) -> BTreeMap<ShareId, bool> {
        lock(&self.under_way).values().filter_map(|work| Some((work.share.clone()?, work.is_silent()))).collect()
    }

    /// Ends everything, and waits until it is over, but not for ever. Whether all is.
    pub(crate) fn stop(&self, patience: Duration) -> bool {
        let under_way = lock(&self.under_way);
        under_way.values().for_each(|work| work.end(Ended::Stopping));
        let waited = self.fewer.wait_timeout_while(under_way, patience, |under_way| !under_way.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
