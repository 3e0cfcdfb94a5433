//! A restore to a share, from its beginning to its end: attempts with an account that may write, and what comes after one that failed. The account's password is held in
//! memory until the restore is over, and kept nowhere.

mod attempt;
mod course;
mod outward;
mod resume;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keepwell_api::Base64;
use keepwell_api::grants::Grant;
use keepwell_api::vault::{Outcome, Restore, RestoreState, Waits};
use keepwell_audit::{Event, Value};
use keepwell_format::Key;
use keepwell_ingest::IngestError;
use keepwell_vault::VaultError;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::reading;
use crate::run::{RunError, word};
use crate::scope;
use crate::work::{Ended, Kind, Work};
use attempt::Attempt;
use course::Course;
use keepwell_api::error::chain;
pub(crate) use outward::is_disk;
pub(crate) use resume::{give_up, resume, take_up};

/// Until the first try after a server was lost; then twice as long each time, up to the longest.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// A server that does not come back for so long ends the restore.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Begins it in a thread of its own, once the ledger has it.
pub(crate) fn start(appliance: &Arc<Appliance>, grant: &Grant, mut order: Restore) -> Result<u64, VaultdError> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let snapshot = scope::snapshot(appliance, grant, &vault, &order.snapshot)?;
    order.snapshot = snapshot.id.to_string();
    reading::of_a_share(&snapshot)?;
    scope::goes_home(appliance, grant, &snapshot, &order.to)?;
    outward::check(appliance, &order)?;
    let path = key(order.path.as_ref())?;
    // Until it is under way: nobody takes it for one that was cut.
    let _one_at_a_time = appliance.starting();
    let now = appliance.clock.believed();
    let state = appliance.state.begin_restore(RestoreState {
        snapshot: snapshot.id.to_string(),
        to: order.to.clone(),
        by: grant.user.clone(),
        started_at: now,
        dry_run: order.dry_run,
        ..RestoreState::default()
    })?;
    let fields = vec![
        ("restore".into(), Value::Number(state.id.cast_signed())),
        ("kind".into(), Value::Text("begun".into())),
        ("snapshot".into(), Value::Text(state.snapshot.clone())),
        reading::sealed(&vault, "path", order.path.as_ref()),
    ];
    if let Err(error) = appliance.record(&grant.user, Event::Restore, fields) {
        never_begun(appliance, state);
        return Err(error);
    }
    let mut course = Course::of(&order);
    course.wants_password = order.password.is_some();
    if !order.dry_run
        && let Err(error) = course.keep(&vault, &appliance.state, &state)
    {
        never_begun(appliance, state);
        return Err(error);
    }
    work_on(appliance, course, order.password, path, state)
}

/// In a thread of its own.
fn work_on(
    appliance: &Arc<Appliance>,
    course: Course,
    password: Option<Base64>,
    path: Key,
    state: RestoreState,
) -> Result<u64, VaultdError> {
    let work = Arc::new(Work::default());
    let (spare, under_way) = (state.clone(), Arc::clone(&work));
    let begun = Begun { appliance: Arc::clone(appliance), course, password, path, state, work };
    in_a_thread(appliance, "restore", spare, under_way, move || begun.go())
}

/// Works on it in a thread of its own; its number. Without a thread it has ended.
pub(crate) fn in_a_thread(
    appliance: &Appliance,
    kind: &str,
    restore: RestoreState,
    work: Arc<Work>,
    go: impl FnOnce() + Send + 'static,
) -> Result<u64, VaultdError> {
    let id = restore.id;
    appliance.works.add(Kind::Restore, id, work);
    if let Err(error) = std::thread::Builder::new().name(format!("{kind}-{id}")).spawn(go) {
        appliance.works.remove(Kind::Restore, id);
        never_begun(appliance, restore);
        return Err(VaultdError::Thread(error));
    }
    appliance.changed();
    Ok(id)
}

/// Ends what could not begin: nobody waits for it.
fn never_begun(appliance: &Appliance, mut restore: RestoreState) {
    restore.finished_at = Some(appliance.clock.believed());
    restore.outcome = Some(Outcome::Failed);
    restore.why = Some("it could not be begun; nothing was written".into());
    if let Err(error) = end(appliance, &restore) {
        tracing::error!(restore = restore.id, error = chain(&error), "the end of a restore could not be kept");
    }
}

/// A path as it comes in requests: names with `/` between them.
pub(crate) fn key(path: &[u8]) -> Result<Key, VaultdError> {
    Key::from_path(path).map_err(|_| VaultdError::Invalid("the path can't be the path of anything in a backup".into()))
}

pub(crate) fn end(appliance: &Appliance, restore: &RestoreState) -> Result<(), VaultdError> {
    appliance.state.end_restore(restore)?;
    let number = |count: u64| Value::Number(i64::try_from(count).unwrap_or(i64::MAX));
    let fields = vec![
        ("restore".into(), number(restore.id)),
        ("kind".into(), Value::Text("ended".into())),
        ("outcome".into(), Value::Text(restore.outcome.map_or("none", word).into())),
        ("files".into(), number(restore.files)),
        ("written-bytes".into(), number(restore.written_bytes)),
        ("missing".into(), number(restore.missing)),
        ("differing".into(), number(restore.differing)),
    ];
    appliance.record(&restore.by, Event::Restore, fields)
}

/// The disk of a restore that is over can be taken out, unless another restore to it is not over.
fn see_off(appliance: &Appliance, over: &RestoreState) {
    let other = |one: &RestoreState| one.id != over.id && one.to == over.to;
    let seen_off = match appliance.state.restores(true, u32::MAX) {
        _ if over.dry_run => return,
        Ok(open) if open.iter().any(other) => return,
        Ok(_) => outward::see_off(appliance, &over.to),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = seen_off {
        tracing::error!(restore = over.id, error = chain(&error), "the disk of a restore is still mounted");
    }
}

/// A restore under way. Goes on by itself when the server, or the program that speaks to it, comes back within [`PATIENCE`].
struct Begun {
    appliance: Arc<Appliance>,
    course: Course,
    /// In memory alone.
    password: Option<Base64>,
    path: Key,
    state: RestoreState,
    work: Arc<Work>,
}

/// What comes after an attempt that failed.
enum Next {
    Over,
    /// The same again, after a while.
    Again,
    /// It waits for a person.
    Password,
    /// The program ends: the next one takes it up.
    Later,
}

impl Begun {
    fn go(mut self) {
        let warnings = self.attempts();
        self.work.forget_canceller();
        let kept = match warnings {
            Ok(Some(warnings)) => {
                self.told(warnings);
                end(&self.appliance, &self.state)
            }
            Ok(None) => self.wait_for_password(),
            Err(error) => {
                self.failed(&error);
                end(&self.appliance, &self.state)
            }
        };
        if let Err(error) = kept {
            tracing::error!(restore = self.state.id, error = chain(&error), "what became of a restore could not be kept");
        }
        if self.state.finished_at.is_some() {
            see_off(&self.appliance, &self.state);
        }
        self.appliance.works.remove(Kind::Restore, self.state.id);
        self.appliance.changed();
    }

    /// None: it is not over, and waits.
    fn attempts(&mut self) -> Result<Option<u64>, RunError> {
        let mut pause = SHORTEST;
        let mut last = Instant::now();
        loop {
            let marked = self.state.clone();
            let Self { appliance, course, password, path, state, work } = &mut *self;
            let attempt = Attempt { appliance, work, path, password: password.as_ref().map(AsRef::as_ref) };
            let done = catch_unwind(AssertUnwindSafe(|| attempt.go(course, state))).unwrap_or(Err(RunError::Broken));
            let error = match done {
                Ok(warnings) => return Ok(Some(warnings)),
                Err(error) => error,
            };
            if self.state != marked {
                (pause, last) = (SHORTEST, Instant::now());
            }
            match self.next(&error, last.elapsed()) {
                Next::Over => return Err(error),
                Next::Password | Next::Later => return Ok(None),
                Next::Again => self.wait_for_server(&error, pause),
            }
            if self.work.rest(pause).is_some() {
                return if self.work.ended() == Some(Ended::Stopping) { Ok(None) } else { Err(error) };
            }
            pause = (pause * 2).min(LONGEST);
            self.goes_on();
        }
    }

    fn next(&self, error: &RunError, tried: Duration) -> Next {
        match self.work.ended() {
            Some(Ended::Cancelled) => return Next::Over,
            Some(Ended::Stopping) if !self.state.dry_run => return Next::Later,
            Some(Ended::Stopping) => return Next::Over,
            None => {}
        }
        // A first attempt that could not even be opened is told at once.
        if self.state.dry_run || !self.course.opened || tried > PATIENCE {
            return Next::Over;
        }
        match error {
            RunError::Ingest(IngestError::Refused(refusal))
                if self.course.wants_password && matches!(&*refusal.code, "password" | "no-password") =>
            {
                Next::Password
            }
            RunError::NoIngest(_) | RunError::Ingest(_) | RunError::Unready(_) => Next::Again,
            RunError::Vault(VaultError::Target(_) | VaultError::Pool(_)) => Next::Again,
            RunError::Vault(_) | RunError::Password(_) | RunError::Broken => Next::Over,
        }
    }

    fn wait_for_server(&mut self, error: &RunError, pause: Duration) {
        self.state.waits = Some(Waits::Server);
        self.state.retry_at = Some(self.appliance.clock.believed() + pause.as_secs().cast_signed());
        self.state.why = Some(chain(error));
        self.keep();
    }

    fn goes_on(&mut self) {
        (self.state.waits, self.state.retry_at, self.state.why) = (None, None, None);
        self.state.resumed += 1;
        self.keep();
        resume::note(&self.appliance, &self.state.by, self.state.id);
    }

    fn keep(&self) {
        let kept = self.appliance.engine.readable().map_err(VaultdError::Unready);
        if let Err(error) = kept.and_then(|vault| self.course.keep(&vault, &self.appliance.state, &self.state)) {
            tracing::error!(restore = self.state.id, error = chain(&error), "where a restore stands could not be kept");
        }
        self.appliance.changed();
    }

    fn wait_for_password(&mut self) -> Result<(), VaultdError> {
        resume::wait(&mut self.state, &self.course);
        let vault = self.appliance.engine.readable().map_err(VaultdError::Unready)?;
        self.course.keep(&vault, &self.appliance.state, &self.state)
    }

    fn failed(&mut self, error: &RunError) {
        self.over();
        self.state.why = Some(match error {
            // Everybody may see this, and nobody without a grant sees a path.
            RunError::Vault(VaultError::NoPath(_)) => "the snapshot holds nothing at this path; nothing was written".into(),
            other => chain(other),
        });
        self.state.outcome = Some(match self.work.ended() {
            Some(Ended::Cancelled) => Outcome::Cancelled,
            Some(Ended::Stopping) => Outcome::Cut,
            None => Outcome::Failed,
        });
    }

    fn told(&mut self, warnings: u64) {
        self.over();
        let state = &mut self.state;
        let whole = state.missing == 0 && state.differing == 0 && warnings == 0;
        state.outcome = Some(if whole { Outcome::Complete } else { Outcome::Partial });
        if warnings > 0 {
            state.why = Some(format!("{warnings} entries could not be given all they had: times, owners or rights"));
        }
    }

    fn over(&mut self) {
        self.state.finished_at = Some(self.appliance.clock.believed());
        (self.state.waits, self.state.retry_at, self.state.why) = (None, None, None);
    }
}
