//! Small files that will be opened soon: the one request that each takes is sent before anybody waits for it, so that answers come in a
//! stream and wake nobody. Holds what came until it is asked for; bounded in number and bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use keepwell_format::Key;
use keepwell_smb::{Fetched, Pending, SmbError};

use super::read::{UNIT, Wanted};
use super::session::Session;

/// Bytes that answers may hold that nobody has asked for yet.
const HELD: u64 = 8 << 20;

/// Files that are known to come. The others are fetched when they are opened.
const WAITING: usize = 1024;

#[derive(Default)]
pub(super) struct Expected {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Key, Wanted)>,
    under_way: HashMap<Key, UnderWay>,
    bytes: u64,
}

struct UnderWay {
    answer: Pending<Fetched>,
    limit: u32,
    sent: Instant,
    /// Requests in flight with it.
    beside: usize,
}

impl Expected {
    /// This file will be opened soon.
    pub(super) fn add(&self, session: &Session, key: &Key, wanted: Wanted) {
        let mut state = self.lock();
        if state.waiting.len() < WAITING {
            state.waiting.push_back((key.clone(), wanted));
            state.send(session);
        }
    }

    /// What came of a file that was expected; none if it was not, or if it has to be asked for again.
    pub(super) fn take(&self, session: &Session, key: &Key) -> Option<Result<Fetched, SmbError>> {
        let mut state = self.lock();
        let Some(UnderWay { answer, limit, sent, beside }) = state.under_way.remove(key) else {
            state.waiting.retain(|(waiting, _)| waiting != key);
            return None;
        };
        state.bytes -= u64::from(limit);
        state.send(session);
        drop(state);
        // What was there before anybody asked says nothing of the server's speed, and what a large answer takes is the network's affair.
        let late = !answer.is_ready() && u64::from(limit) <= UNIT;
        let fetched = answer.wait();
        if fetched.is_ok() {
            session.answered();
            if late {
                session.pace.saw(beside, sent.elapsed());
            }
        }
        Some(fetched).filter(|fetched| !fetched.as_ref().is_err_and(SmbError::is_gone))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends as many requests as may be in flight.
    fn send(&mut self, session: &Session) {
        while self.under_way.len() < session.pace.limit() && self.bytes < HELD {
            let Some((key, wanted)) = self.waiting.pop_front() else { return };
            let limit = wanted.limit(session);
            // What can't be sent is told to who opens the file.
            let Ok(answer) = session.share.begin_fetch(&wanted.path, limit, wanted.want, wanted.as_of) else { continue };
            self.bytes += u64::from(limit);
            // What has come and waits here burdens the server no more.
            let beside = 1 + self.under_way.values().filter(|other| !other.answer.is_ready()).count();
            self.under_way.insert(key, UnderWay { answer, limit, sent: Instant::now(), beside });
        }
    }
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}
