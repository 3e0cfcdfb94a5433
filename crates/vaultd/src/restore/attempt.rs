//! One attempt at a restore: opens the target through a process of its own, has the engine write, and marks how far it is. Decides nothing about what comes after it.

use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::error::chain;
use keepwell_api::vault::{Conflict, RestoreState};
use keepwell_format::Key;
use keepwell_format::port::Target;
use keepwell_ingest::{Call, Opening, RemoteTarget, TargetOrder};
use keepwell_vault::{self as vault, Mark, Progress, RestoreOptions, Step, Vault};
use zeroize::Zeroizing;

use super::course::{Course, add};
use super::outward::Outward;
use crate::appliance::Appliance;
use crate::run::{RunError, utf8};
use crate::work::Work;

/// How often it is marked: so much is looked at again after a cut.
const MARKS: Duration = Duration::from_secs(2);

/// What it works with.
pub(super) struct Attempt<'a> {
    pub(super) appliance: &'a Appliance,
    pub(super) work: &'a Work,
    pub(super) path: &'a Key,
    pub(super) password: Option<&'a [u8]>,
}

impl Attempt<'_> {
    /// Works until all is written, or nothing further can be. `state` and `course` are as of the last mark when it fails; how many entries could not be given all.
    pub(super) fn go(&self, course: &mut Course, state: &mut RestoreState) -> Result<u64, RunError> {
        let vault = self.appliance.engine.readable().map_err(RunError::Unready)?;
        let snapshot = vault.resolve(&state.snapshot)?;
        let mut options = RestoreOptions {
            path: Some(self.path.clone()).filter(|path| !path.is_root()),
            conflict: rule(course.conflict()),
            stamp: state.id.to_string(),
            dry_run: state.dry_run,
            read_back: !state.dry_run,
            resumed: course.resumed(),
        };
        let target = self.open(state, &options)?;
        if let Place::Disk(disk) = &target {
            course.on_disk(disk.disk(), state);
            options.resumed = course.resumed();
        }
        course.opened = true;
        self.keep(&vault, course, state);
        let (before, warned) = (state.clone(), course.warnings);
        let last = Mutex::new((Instant::now(), course, state));
        let marks = Marks { attempt: self, vault: &vault, before: &before, warned, target: &target, last };
        let report = vault.restore(&snapshot, &options, target.as_target(), &marks);
        let all = marks.warnings();
        let (_, course, state) = marks.last.into_inner().unwrap_or_else(PoisonError::into_inner);
        course.warnings = course.warnings.max(all);
        let report = report?;
        add(state, &before, &report);
        Ok(course.warnings)
    }

    fn open(&self, state: &RestoreState, options: &RestoreOptions) -> Result<Place, RunError> {
        if let Some(opened) = Outward::open(self.appliance, &state.to, state.id) {
            return opened.map(Place::Disk);
        }
        let stream = UnixStream::connect(&self.appliance.config.ingest).map_err(RunError::NoIngest)?;
        let call = Call::begin(stream)?;
        self.work.can_be_cut_by(call.canceller());
        let password = self.password.map(|secret| utf8(Zeroizing::new(secret.to_vec()))).transpose()?;
        Ok(Place::Server(call.target(TargetOrder { location: state.to.clone(), password, opening: opening(options) })?))
    }

    /// What can't be kept is done again after a cut.
    fn keep(&self, vault: &Vault, course: &Course, state: &RestoreState) {
        if state.dry_run {
            return;
        }
        if let Err(error) = course.keep(vault, &self.appliance.state, state) {
            tracing::error!(restore = state.id, error = chain(&error), "how far a restore is could not be kept");
        }
    }
}

/// Where it is written.
enum Place {
    Server(RemoteTarget),
    Disk(Outward),
}

impl Place {
    fn as_target(&self) -> &dyn Target {
        match self {
            Self::Server(target) => target,
            Self::Disk(target) => target,
        }
    }

    /// Entries that could not be given all they had.
    fn warnings(&self) -> u64 {
        match self {
            Self::Server(target) => target.warnings().count,
            Self::Disk(_) => 0,
        }
    }
}

/// Hears how far it is.
struct Marks<'a> {
    attempt: &'a Attempt<'a>,
    vault: &'a Vault,
    /// What attempts before had done.
    before: &'a RestoreState,
    /// Entries that they could not give all.
    warned: u64,
    target: &'a Place,
    last: Mutex<(Instant, &'a mut Course, &'a mut RestoreState)>,
}

impl Marks<'_> {
    /// Entries that could not be given all they had, with those of attempts before.
    fn warnings(&self) -> u64 {
        self.warned.saturating_add(self.target.warnings())
    }
}

impl Progress for Marks<'_> {
    fn begin(&self, _step: Step, _total_items: u64, _total_bytes: u64) {
        self.attempt.work.begin_again(self.before.written_bytes);
    }

    fn advance(&self, items: u64, bytes: u64) {
        self.attempt.work.advance(items, bytes);
    }

    fn wants_mark(&self, since: u32) -> bool {
        let due = || self.last.lock().unwrap_or_else(PoisonError::into_inner).0.elapsed() >= MARKS;
        !self.before.dry_run && (since >= Mark::WINDOW || due())
    }

    fn mark(&self, mark: &Mark<'_>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, course, state) = &mut *last;
        course.marked(&mark.resumed());
        course.warnings = course.warnings.max(self.warnings());
        add(state, self.before, mark.report);
        self.attempt.keep(self.vault, course, state);
        *at = Instant::now();
    }
}

fn opening(options: &RestoreOptions) -> Opening {
    let empty = options.conflict == vault::Conflict::Refuse && options.resumed.is_none();
    match (options.dry_run, empty) {
        (true, empty) => Opening::Preview { empty },
        (false, true) => Opening::Empty,
        (false, false) => Opening::Merge,
    }
}

fn rule(conflict: Conflict) -> vault::Conflict {
    match conflict {
        Conflict::Refuse => vault::Conflict::Refuse,
        Conflict::Skip => vault::Conflict::Skip,
        Conflict::Replace => vault::Conflict::Replace,
        Conflict::Rename => vault::Conflict::Rename,
        Conflict::Newer => vault::Conflict::Newer,
    }
}
