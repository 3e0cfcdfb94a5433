//! Calls that outlive a broken connection and a server that asks for patience, and get fewer when the server struggles. Every wait is bounded,
//! here and below.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_nfs::{Export, NfsError, Pending, Status, Timing};

use crate::pace::Pace;

/// Before each attempt at a new connection.
const DIAL_PAUSES: [u64; 5] = [0, 300, 1_000, 2_000, 4_000];
/// After each answer that says "not just now" (JUKEBOX), in milliseconds.
const JUKEBOX_PAUSES: [u64; 6] = [200, 500, 1_000, 2_000, 4_000, 8_000];
/// How often a call is sent again because the connection broke.
const RESENDS: usize = 2;
/// Calls in flight while the server is as fast as usual.
const IN_FLIGHT: usize = 64;
/// READs and WRITEs of up to so many bytes are all the same.
const SMALL: u32 = 64 << 10;
/// For so long after a server could not be reached, it is tried only once.
const LOST_FOR: Duration = Duration::from_secs(20);

/// An export, and when it was last found to be gone.
#[derive(Debug)]
pub(super) struct Link {
    export: Export,
    pace: Pace,
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
        export.set_in_flight(IN_FLIGHT);
        Self { export, pace: Pace::new(IN_FLIGHT), lost: Mutex::default() }
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
            let error = match sent.pending.and_then(|pending| pending.wait_timed(|timing| self.note(timing))) {
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

    /// What the server's latency says of how many calls it takes.
    fn note(&self, timing: Timing) {
        let Some(kind) = kind(timing) else { return };
        let most = self.pace.saw_one_of(kind, timing.beside, timing.took);
        if most != self.export.in_flight() {
            self.export.set_in_flight(most);
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

/// Calls that take about as long each time. Listings and COMMIT do not: they are as long as there is something to list or to commit.
fn kind(timing: Timing) -> Option<u32> {
    // READDIR, READDIRPLUS and what is behind: FSSTAT, FSINFO, PATHCONF, COMMIT.
    (timing.procedure < 16).then(|| timing.bytes.max(SMALL).ilog2() << 16 | timing.procedure)
}

#[cfg(test)]
#[path = "../../../nfs/tests/scripted/mod.rs"]
mod scripted;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use keepwell_nfs::{Identity, Options};

    use super::scripted::{Act, NFS, serve};
    use super::*;

    /// A link to a server that delays its answers to ACCESS by so many milliseconds.
    fn link(delay: &Arc<AtomicU64>) -> Link {
        let delay = Arc::clone(delay);
        let port = Some(serve(move |call| {
            if call.is(NFS, 4) {
                std::thread::sleep(Duration::from_millis(delay.load(Ordering::SeqCst)));
            }
            Act::Usual
        }));
        let identity = Identity { uid: 0, gid: 0, groups: Vec::new(), machine: "test".into() };
        Link::new(Export::connect("127.0.0.1", b"/x", &identity, Options { port, mount_port: port, ..Options::default() }).unwrap())
    }

    fn access(export: &Export) -> Result<Pending<u32>, NfsError> {
        export.begin_access(export.root(), 1)
    }

    #[test]
    fn a_server_that_gets_slower_gets_fewer_calls() {
        let delay = Arc::default();
        let link = link(&delay);
        let ask = |calls| (0..calls).for_each(|_| assert!(link.call(access).is_ok()));
        ask(70);
        assert_eq!(link.export().in_flight(), IN_FLIGHT);
        delay.store(30, Ordering::SeqCst);
        ask(34);
        assert_eq!(link.export().in_flight(), IN_FLIGHT / 2);
    }

    #[test]
    fn an_answer_that_waits_to_be_taken_is_not_a_slow_one() {
        let link = link(&Arc::default());
        (0..70).for_each(|_| assert!(link.call(access).is_ok()));
        let answered = || {
            let sent = link.send(access);
            while !sent.pending.as_ref().unwrap().is_ready() {
                std::thread::yield_now();
            }
            sent
        };
        let sent: Vec<_> = (0..70).map(|_| answered()).collect();
        std::thread::sleep(Duration::from_millis(30));
        sent.into_iter().for_each(|sent| assert!(link.settle(sent, access).is_ok()));
        assert_eq!(link.export().in_flight(), IN_FLIGHT);
    }

    #[test]
    fn kinds_tell_small_from_large_and_leave_out_what_has_no_usual_time() {
        let of = |procedure, bytes| kind(Timing { procedure, bytes, beside: 1, took: Duration::ZERO });
        assert!(of(6, 0) == of(6, 4096) && of(4, 0) != of(3, 0));
        assert!(of(6, 1 << 20) != of(7, 1 << 20) && of(6, 1 << 20) != of(6, 1));
        assert_eq!((of(17, 0), of(21, 0)), (None, None));
    }
}
