//! Where frames that come in wait for who asked for them. One inbox for each file, one slot for each request. Owns the check that the other end keeps
//! within what it was given leave to send.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use keepwell_format::Gap;
use keepwell_format::port::WriteError;

use crate::frame::Chunk;
use crate::message::Ended;
use crate::{IngestError, cost, lock};

/// What a channel is for.
#[derive(Clone)]
pub(super) enum Channel {
    Walk(std::sync::Arc<super::walk::Batches>),
    Read(std::sync::Arc<Inbox>),
    Request(std::sync::Arc<Slot>),
    Write(std::sync::Arc<Gate>),
}

/// A run of a file.
pub(super) enum Part {
    Data(Chunk),
    Hole(u64),
    End(Box<Result<Ended, Gap>>),
}

/// A file that is being sent.
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    news: Condvar,
}

struct InboxState {
    parts: VecDeque<Part>,
    /// What waits here, in costs.
    held: u64,
    /// What may still be sent, in costs.
    allowed: u64,
    /// Nobody reads it any more.
    dropped: bool,
    ended: bool,
    broken: bool,
}

impl Inbox {
    pub(super) fn new(allowed: u64) -> Self {
        let state = InboxState { parts: VecDeque::new(), held: 0, allowed, dropped: false, ended: false, broken: false };
        Self { state: Mutex::new(state), news: Condvar::new() }
    }

    /// Takes what came; gives back what nobody wants.
    pub(super) fn put(&self, part: Part) -> Result<Option<Part>, IngestError> {
        let mut state = lock(&self.state);
        let takes = match &part {
            Part::Data(chunk) => cost(chunk.used),
            Part::Hole(_) => cost(0),
            Part::End(_) => 0,
        };
        state.allowed = state.allowed.checked_sub(takes).ok_or(IngestError::Protocol("more of a file than was asked for"))?;
        state.ended |= takes == 0;
        if state.dropped {
            return Ok(Some(part));
        }
        state.held += takes;
        state.parts.push_back(part);
        drop(state);
        self.news.notify_one();
        Ok(None)
    }

    /// The next part; with `data`, only if it is data. Waits for it if `wait`. Whenever it looks, it asks `grant`, of what may still be sent and what waits
    /// here, how much more may be sent, and has `send` tell it.
    pub(super) fn take(&self, data: bool, wait: bool, mut grant: impl FnMut(u64, u64) -> u64, send: impl Fn(u64)) -> Option<Part> {
        let mut state = lock(&self.state);
        loop {
            if state.broken {
                return None;
            }
            let more = if state.ended { 0 } else { grant(state.allowed, state.held) };
            if more > 0 {
                state.allowed += more;
                drop(state);
                send(more);
                state = lock(&self.state);
                continue;
            }
            match state.parts.front() {
                Some(Part::Data(_)) => {}
                Some(_) if !data => {}
                None if wait => {
                    state = self.wait(state);
                    continue;
                }
                _ => return None,
            }
            let part = state.parts.pop_front();
            state.held -= match &part {
                Some(Part::Data(chunk)) => cost(chunk.used),
                Some(Part::Hole(_)) => cost(0),
                _ => 0,
            };
            return part;
        }
    }

    /// Nobody reads it any more. Answers whether the other end has to be told, and what was there.
    pub(super) fn drop_all(&self) -> (bool, VecDeque<Part>) {
        let mut state = lock(&self.state);
        state.dropped = true;
        state.held = 0;
        (!state.ended && !state.broken, std::mem::take(&mut state.parts))
    }

    pub(super) fn fail(&self) {
        lock(&self.state).broken = true;
        self.news.notify_all();
    }

    /// What waits here, in costs.
    pub(super) fn held(&self) -> u64 {
        lock(&self.state).held
    }

    fn wait<'s>(&self, state: MutexGuard<'s, InboxState>) -> MutexGuard<'s, InboxState> {
        // The thread that reads the connection has a deadline, and wakes all when it ends.
        self.news.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for its answer.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<SlotState>,
    news: Condvar,
}

#[derive(Default)]
struct SlotState {
    answer: Option<Vec<u8>>,
    broken: bool,
}

impl Slot {
    pub(super) fn put(&self, answer: Vec<u8>) {
        lock(&self.state).answer = Some(answer);
        self.news.notify_all();
    }

    pub(super) fn fail(&self) {
        lock(&self.state).broken = true;
        self.news.notify_all();
    }

    /// None if the line broke.
    pub(super) fn wait(&self) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        let mut state = self.news.wait_while(state, |s| s.answer.is_none() && !s.broken).unwrap_or_else(PoisonError::into_inner);
        state.answer.take()
    }
}

/// A file that is being written.
pub(super) struct Gate {
    state: Mutex<GateState>,
    news: Condvar,
    pub(super) slot: Slot,
}

struct GateState {
    /// What may still be sent, in costs.
    allowed: u64,
    window: u64,
    failed: Option<WriteError>,
    broken: bool,
}

impl Gate {
    pub(super) fn new(window: u64) -> Self {
        let state = GateState { allowed: window, window, failed: None, broken: false };
        Self { state: Mutex::new(state), news: Condvar::new(), slot: Slot::default() }
    }

    /// Waits until so much may be sent. None if the line broke.
    pub(super) fn pass(&self, wanted: u64) -> Option<Result<(), WriteError>> {
        let state = lock(&self.state);
        let closed = |s: &mut GateState| s.allowed < wanted && s.failed.is_none() && !s.broken;
        let mut state = self.news.wait_while(state, closed).unwrap_or_else(PoisonError::into_inner);
        match &state.failed {
            _ if state.broken => None,
            Some(error) => Some(Err(error.clone())),
            None => {
                state.allowed -= wanted;
                Some(Ok(()))
            }
        }
    }

    pub(super) fn credit(&self, more: u64) -> Result<(), IngestError> {
        let mut state = lock(&self.state);
        let allowed = state.allowed.checked_add(more).filter(|allowed| *allowed <= state.window);
        state.allowed = allowed.ok_or(IngestError::Protocol("leave to write more than was written"))?;
        drop(state);
        self.news.notify_all();
        Ok(())
    }

    pub(super) fn refuse(&self, error: WriteError) {
        lock(&self.state).failed = Some(error);
        self.news.notify_all();
    }

    pub(super) fn fail(&self) {
        lock(&self.state).broken = true;
        self.news.notify_all();
        self.slot.fail();
    }
}
