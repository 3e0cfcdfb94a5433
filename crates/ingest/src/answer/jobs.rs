//! A queue of work for several threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::lock;

pub(super) struct Jobs<J> {
    state: Mutex<State<J>>,
    news: Condvar,
}

struct State<J> {
    waiting: VecDeque<J>,
    closed: bool,
}

impl<J> Jobs<J> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), closed: false }), news: Condvar::new() }
    }

    pub(super) fn push(&self, job: J) {
        lock(&self.state).waiting.push_back(job);
        self.news.notify_one();
    }

    /// Before all others: somebody waits for it.
    pub(super) fn push_first(&self, job: J) {
        lock(&self.state).waiting.push_front(job);
        self.news.notify_one();
    }

    /// Nothing more is done; what waits is let go.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.news.notify_all();
    }

    /// Does work until the queue is closed.
    pub(super) fn work(&self, mut each: impl FnMut(J)) {
        while let Some(job) = self.next() {
            each(job);
        }
    }

    fn next(&self) -> Option<J> {
        let state = lock(&self.state);
        let idle = |state: &mut State<J>| state.waiting.is_empty() && !state.closed;
        let mut state = self.news.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        if state.closed { None } else { state.waiting.pop_front() }
    }
}
