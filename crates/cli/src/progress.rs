//! How far a run is: one line redrawn on a terminal, JSON lines for programs, else nothing. Only ever writes to standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keepwell_vault::{Progress, Step};
use serde_json::{Value, json};

use crate::text;

/// Clears a line of the terminal and goes to its start.
pub(crate) const CLEAR: &str = "\r\x1b[K";

/// Shows progress until it is dropped.
pub(crate) struct Meter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    items: AtomicU64,
    bytes: AtomicU64,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    step: Option<Running>,
    over: bool,
}

#[derive(Clone, Copy)]
struct Running {
    step: Step,
    total_items: u64,
    total_bytes: u64,
    since: Instant,
}

/// Who looks on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A program: a line a second, and one at the end.
    Json,
    /// A person: one line, redrawn, gone at the end.
    Terminal,
}

/// A moment of a step.
struct Moment {
    running: Running,
    items: u64,
    bytes: u64,
    elapsed: Duration,
}

impl Meter {
    /// Starts to show progress: as JSON once a second, or on a terminal up to ten times, else not.
    pub(crate) fn start(json: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let terminal = io::stderr().is_terminal();
        let thread = (json || terminal).then(|| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.show(if json { Style::Json } else { Style::Terminal }))
        });
        Self { shared, thread }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It only prints: a panic in it has been told already.
            let _ = thread.join();
        }
    }
}

impl Progress for Meter {
    fn begin(&self, step: Step, total_items: u64, total_bytes: u64) {
        let mut state = self.shared.lock();
        self.shared.items.store(0, Ordering::Relaxed);
        self.shared.bytes.store(0, Ordering::Relaxed);
        state.step = Some(Running { step, total_items, total_bytes, since: Instant::now() });
    }

    fn advance(&self, items: u64, bytes: u64) {
        self.shared.items.fetch_add(items, Ordering::Relaxed);
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, style: Style) {
        let every = Duration::from_millis(if style == Style::Json { 1_000 } else { 100 });
        let mut state = self.lock();
        while !state.over {
            state = self.wake.wait_timeout(state, every).unwrap_or_else(PoisonError::into_inner).0;
            let line = match (state.step.map(|running| self.moment(running)), style) {
                (None, _) => continue,
                (Some(moment), Style::Json) => json_line(&moment),
                (Some(_), Style::Terminal) if state.over => CLEAR.to_owned(),
                (Some(moment), Style::Terminal) => redraw(&moment),
            };
            // Progress that can't be shown harms nothing.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    fn moment(&self, running: Running) -> Moment {
        let (items, bytes) = (self.items.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        Moment { running, items, bytes, elapsed: running.since.elapsed() }
    }
}

impl Moment {
    fn bytes_per_second(&self) -> u64 {
        (self.bytes as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }

    /// Where a total is known and a tenth of a second gives a rate.
    fn seconds_left(&self) -> Option<u64> {
        let share = match (self.running.total_bytes, self.running.total_items) {
            (0, 0) => return None,
            (0, total) => self.items as f64 / total as f64,
            (total, _) => self.bytes as f64 / total as f64,
        };
        let left = self.elapsed.as_secs_f64() * (1.0 / share.clamp(0.0, 1.0) - 1.0);
        (left.is_finite() && self.elapsed >= Duration::from_millis(100)).then_some(left as u64)
    }
}

fn redraw(moment: &Moment) -> String {
    let Running { step, total_items, total_bytes, .. } = moment.running;
    let of = |total: u64, text: String| if total > 0 { format!(" of {text}") } else { String::new() };
    let left = moment.seconds_left().map(|s| format!(", {}:{:02} left", s / 60, s % 60)).unwrap_or_default();
    format!(
        "{CLEAR}{}: {}{} {}, {}{}, {}/s{left}",
        words(step).1,
        moment.items,
        of(total_items, total_items.to_string()),
        words(step).2,
        text::size(moment.bytes),
        of(total_bytes, text::size(total_bytes)),
        text::size(moment.bytes_per_second()),
    )
}

fn json_line(moment: &Moment) -> String {
    let total = |n: u64| if n > 0 { json!(n) } else { Value::Null };
    let line = json!({
        "event": "progress",
        "step": words(moment.running.step).0,
        "items": moment.items,
        "total_items": total(moment.running.total_items),
        "bytes": moment.bytes,
        "total_bytes": total(moment.running.total_bytes),
        "elapsed_ms": moment.elapsed.as_millis() as u64,
        "bytes_per_second": moment.bytes_per_second(),
        "seconds_left": moment.seconds_left(),
    });
    format!("{line}\n")
}

/// Word in JSON, word for people, what is counted.
fn words(step: Step) -> (&'static str, &'static str, &'static str) {
    match step {
        Step::Backup => ("backup", "backing up", "entries"),
        Step::Restore => ("restore", "restoring", "entries"),
        Step::Scrub => ("scrub", "checking the disks", "objects"),
        Step::Catalogs => ("catalogs", "reading catalogs", "entries"),
        Step::Data => ("data", "reading every file", "files"),
        Step::Repair => ("repair", "repairing", "objects"),
        Step::Fetch => ("fetch", "fetching from the other box", "packs"),
        Step::Index => ("index", "rebuilding the index", "packs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(total_items: u64, total_bytes: u64) -> Moment {
        let running = Running { step: Step::Restore, total_items, total_bytes, since: Instant::now() };
        Moment { running, items: 3, bytes: 1 << 20, elapsed: Duration::from_secs(10) }
    }

    #[test]
    fn time_left_follows_bytes_then_items_and_needs_a_total() {
        assert_eq!(moment(0, 4 << 20).seconds_left(), Some(30));
        assert_eq!(moment(6, 0).seconds_left(), Some(10));
        assert_eq!(moment(0, 0).seconds_left(), None);
        assert_eq!(moment(6, 1).seconds_left(), Some(0));
    }

    #[test]
    fn a_line_for_people_and_one_for_programs() {
        assert_eq!(redraw(&moment(6, 4 << 20)), format!("{CLEAR}restoring: 3 of 6 entries, 1.0 MiB of 4.0 MiB, 102 KiB/s, 0:30 left"));
        let line: Value = serde_json::from_str(&json_line(&moment(0, 0))).unwrap();
        assert_eq!((&line["step"], &line["bytes"], &line["total_items"]), (&json!("restore"), &json!(1 << 20), &Value::Null));
    }
}
