//! Calls that outlive a broken connection and a server that asks for patience. Every wait is bounded, here and below.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_nfs::{Export, NfsError, Pending, Status};

/// Before each attempt at a new connection.
const DIAL_PAUSES: [u64; 5] = [0, 300, 1_000, 2_000, 4_000];
/// After each answer that says "not just now" (JUKEBOX), in milliseconds.
const JUKEBOX_PAUSES: [u64; 6] = [200, 500, 1_000, 2_000, 4_000, 8_000];
/// How often a call is sent again because the connection broke.
const RESENDS: usize = 2;
/// For so long after a server could not be reached, it is tried only once.
const LOST_FOR: Duration = Duration::from_secs(20);

/// An export, and when it was last found to be gone.
#[derive(Debug)]
pub(super) struct Link {
    export: Export,
    lost: Mutex<Option<Instant>>,
}

/// A call that is under way.
#[derive(Debug)]
pub(super) struct Sent<T> {
    pending: Result<Pending<T>, NfsError>,
    generation: u64,
}

impl<T> Sent<T> {
    /// Stands where a call was that has been settled.
    pub(super) fn spent() -> Self {
        Self { pending: Err(NfsError::Malformed("nothing where an answer should be")), generation: 0 }
    }
}

impl Link {
    pub(super) fn new(export: Export) -> Self {
        Self { export, lost: Mutex::default() }
    }

    pub(super) fn export(&self) -> &Export {
        &self.export
    }

    /// Sends a call and does not wait. What fails shows when it is settled.
    pub(super) fn send<T>(&self, begin: impl FnOnce(&Export) -> Result<Pending<T>, NfsError>) -> Sent<T> {
        let generation = self.export.generation();
        Sent { pending: begin(&self.export), generation }
    }

    /// Waits for a call's answer. `again` sends the same call, if need be.
    pub(super) fn settle<T>(&self, sent: Sent<T>, again: impl Fn(&Export) -> Result<Pending<T>, NfsError>) -> Result<T, NfsError> {
        self.settle_told(sent, again).map_err(|(error, _)| error)
    }

    /// Sends a call and waits for its answer.
    pub(super) fn call<T>(&self, begin: impl Fn(&Export) -> Result<Pending<T>, NfsError>) -> Result<T, NfsError> {
        self.settle(self.send(&begin), &begin)
    }

    /// Like [`Link::call`]; the error says whether the call was sent more than once, so that the first may have done its work.
    pub(super) fn call_told<T>(&self, begin: impl Fn(&Export) -> Result<Pending<T>, NfsError>) -> Result<T, (NfsError, bool)> {
        self.settle_told(self.send(&begin), &begin)
    }

    fn settle_told<T>(&self, mut sent: Sent<T>, again: impl Fn(&Export) -> Result<Pending<T>, NfsError>) -> Result<T, (NfsError, bool)> {
        let (mut resends, mut pauses) = (0, JUKEBOX_PAUSES.iter());
        loop {
            let error = match sent.pending.and_then(Pending::wait) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.is_gone() && resends < RESENDS {
                self.reconnect(sent.generation).map_err(|error| (error, true))?;
                resends += 1;
            } else if let (Some(Status::JUKEBOX), Some(pause)) = (error.status(), pauses.next()) {
                std::thread::sleep(Duration::from_millis(*pause));
            } else {
                return Err((error, resends > 0));
            }
            sent = self.send(&again);
        }
    }

    /// Whether the server was lost and is not back yet.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn reconnect(&self, since: u64) -> Result<(), NfsError> {
        let lost = || self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = lost().is_some_and(|when| when.elapsed() < LOST_FOR);
        let pauses = if recently { &DIAL_PAUSES[..1] } else { &DIAL_PAUSES[..] };
        let mut last = NfsError::Timeout;
        for pause in pauses {
            std::thread::sleep(Duration::from_millis(*pause));
            match self.export.reconnect(since) {
                Ok(()) => {
                    *lost() = None;
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        *lost() = Some(Instant::now());
        Err(last)
    }
}
