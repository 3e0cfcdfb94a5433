//! Lists the folders that a walk will come to, before it comes to them, in threads of its own. Owns their number and how much is held
//! ahead; a folder that the walk waits for goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use keepwell_format::{Gap, GapReason};
use keepwell_smb::FileTime;

use super::folder::{Folder, Task};
use super::rows::Held;
use super::session::Session;

/// Folders listed at the same time.
const THREADS: usize = 6;

/// Folders that are asked for and not yet begun.
const WAITING: usize = 16;

/// Bytes of listings beyond which nothing further is asked for ahead of its time.
const HELD: usize = 48 << 20;

/// Lists folders ahead of a walk. Ends its threads when dropped.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
}

/// A folder that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
struct Shared {
    session: Arc<Session>,
    as_of: Option<FileTime>,
    held: Held,
    state: Mutex<State>,
    asked: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Ticket, Task)>,
    done: HashMap<Ticket, Result<Folder, Gap>>,
    next: u64,
    threads: usize,
    closed: bool,
}

impl Ahead {
    pub(super) fn new(session: Arc<Session>, as_of: Option<FileTime>) -> Self {
        let shared = Shared { session, as_of, held: Held::default(), state: Mutex::default(), asked: Condvar::new(), done: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Whether a folder may be asked for now that is not needed yet.
    pub(super) fn has_room(&self) -> bool {
        self.shared.lock().waiting.len() < WAITING && self.shared.held.bytes() < HELD
    }

    /// Asks for a folder. Its ticket must be redeemed or the walk be over.
    pub(super) fn ask(&self, task: Task) -> Ticket {
        let mut state = self.shared.lock();
        let ticket = Ticket(state.next);
        state.next += 1;
        state.waiting.push_back((ticket, task));
        if state.threads < THREADS {
            let shared = Arc::clone(&self.shared);
            // Fewer threads than wished do as well; where there is none, the walk lists the folder itself.
            if std::thread::Builder::new().name("smb-list".into()).spawn(move || shared.work()).is_ok() {
                state.threads += 1;
            }
        }
        drop(state);
        self.shared.asked.notify_one();
        ticket
    }

    /// Waits for a folder; lists it itself if that has not begun.
    pub(super) fn take(&self, ticket: Ticket) -> Result<Folder, Gap> {
        let mut state = self.shared.lock();
        if let Some(at) = state.waiting.iter().position(|(waiting, _)| *waiting == ticket) {
            let task = state.waiting.remove(at).map(|(_, task)| task);
            drop(state);
            return task.map_or_else(|| Err(lost()), |task| self.shared.list(&task));
        }
        loop {
            if let Some(folder) = state.done.remove(&ticket) {
                return folder;
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.shared.asked.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.lock();
        while !state.closed {
            let Some((ticket, task)) = state.waiting.pop_front() else {
                state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            // Nobody waits for ever, not even if listing should panic.
            let mut answer = Answer { shared: self, ticket, folder: Some(Err(lost())) };
            answer.folder = Some(self.list(&task));
            drop(answer);
            state = self.lock();
        }
    }

    fn list(&self, task: &Task) -> Result<Folder, Gap> {
        self.session.pace.turn(|| Folder::list(&self.session, self.as_of, task, &self.held))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a folder over when it is dropped.
struct Answer<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    folder: Option<Result<Folder, Gap>>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            self.shared.lock().done.insert(self.ticket, folder);
        }
        self.shared.done.notify_all();
    }
}

fn lost() -> Gap {
    Gap { reason: GapReason::Listing, text: "it could not be listed".into() }
}
