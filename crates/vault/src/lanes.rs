//! Worker threads for pure functions. A result is asked for by its ticket, so results are taken in the order the coordinator likes and a run
//! does the same whatever the threads do. With [`Workers::Inline`] there are no threads at all.

use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::env::Workers;

type Job<'env> = Box<dyn FnOnce() + Send + 'env>;

/// A set of workers that lives as long as a scope.
pub(crate) struct Lanes<'env> {
    jobs: Option<Sender<Job<'env>>>,
    pub(crate) width: usize,
}

/// A result that is, or will be.
pub(crate) enum Ticket<T> {
    Ready(T),
    Later(Receiver<T>),
}

impl<'env> Lanes<'env> {
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, 'env>, workers: Workers) -> Self {
        let Workers::Threads(count) = workers else {
            return Self { jobs: None, width: 1 };
        };
        let (sender, receiver) = unbounded::<Job<'env>>();
        for _ in 0..count.max(1) {
            let receiver = receiver.clone();
            scope.spawn(move || receiver.iter().for_each(|job| job()));
        }
        Self { jobs: Some(sender), width: count.max(1) }
    }

    pub(crate) fn is_inline(&self) -> bool {
        self.jobs.is_none()
    }

    /// Runs `work` on a worker, or at once.
    pub(crate) fn submit<T: Send + 'env>(&self, work: impl FnOnce() -> T + Send + 'env) -> Ticket<T> {
        let Some(jobs) = &self.jobs else {
            return Ticket::Ready(work());
        };
        let (sender, receiver) = bounded(1);
        let job: Job<'env> = Box::new(move || {
            // Nobody listens any more when the run was given up.
            let _ = sender.send(work());
        });
        jobs.send(job).expect("workers live as long as their lanes");
        Ticket::Later(receiver)
    }

    /// Starts `work` on a worker without waiting for it; it reports through channels of its own. Never called inline.
    pub(crate) fn spawn(&self, work: impl FnOnce() + Send + 'env) {
        self.jobs.as_ref().expect("inline lanes have no threads").send(Box::new(work)).expect("workers live as long as their lanes");
    }
}

impl<T> Ticket<T> {
    pub(crate) fn wait(self) -> T {
        match self {
            Self::Ready(value) => value,
            Self::Later(receiver) => receiver.recv().expect("a worker panicked"),
        }
    }
}
