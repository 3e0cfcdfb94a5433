//! A backup run: a process that speaks to the share's server on one side, the engine on the other. Says of a run never more than the engine did.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use keepwell_api::vault::{Counts, Outcome, Run};
use keepwell_audit::{Event, Value};
use keepwell_duties as duties;
use keepwell_format::manifest::{self, Statistics};
use keepwell_ingest::{Call, IngestError, SourceOrder};
use keepwell_vault::{BackupOptions, BackupReport, Reread, VaultError};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::state::{ShareRow, purpose};
use crate::work::{Ended, Kind, Work};
use keepwell_api::error::chain;

/// zstd level of all shares.
const LEVEL: i32 = 3;
/// Unchanged files are read again within so many nights.
const REREAD_NIGHTS: u32 = 30;
const DAY: i64 = 86_400;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{}", .0.text)]
    Unready(keepwell_api::vault::Unready),
    #[error("the password of the share can't be opened; enter it again")]
    Password(#[source] VaultError),
    #[error("the program that speaks to servers can't be reached")]
    NoIngest(#[source] std::io::Error),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the run met an error of the program; its log says more")]
    Broken,
}

impl RunError {
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Unready(unready) => unready.code.clone(),
            Self::Password(_) => "password-lost".into(),
            Self::NoIngest(_) => "no-ingest".into(),
            Self::Ingest(IngestError::Refused(refusal)) => refusal.code.clone(),
            Self::Ingest(_) => "ingest".into(),
            Self::Vault(VaultError::Source(_)) => "source".into(),
            Self::Vault(VaultError::Target(_)) => "target".into(),
            Self::Vault(VaultError::Pool(_)) => "pool".into(),
            Self::Vault(_) => "vault".into(),
            Self::Broken => "broken".into(),
        }
    }
}

/// Begins a run of a share in a thread of its own. Only one run of a share at a time.
pub(crate) fn start(appliance: &Arc<Appliance>, mut share: ShareRow, intended: bool) -> Result<u64, VaultdError> {
    let _one_at_a_time = appliance.starting();
    if let Some(id) = appliance.works.run_of(&share.id) {
        return Err(VaultdError::RunsAlready(id));
    }
    let now = appliance.clock.believed();
    let reread = tonight(&share, now);
    share.clock.started(duties::At(now));
    let id = appliance.state.begin_run(&share.id, now, &share.clock)?;
    let work = Arc::new(Work::of(share.id.clone()));
    appliance.works.add(Kind::Run, id, Arc::clone(&work));
    let begun = Begun { appliance: Arc::clone(appliance), share, id, started_at: now, reread, intended, work };
    let thread = std::thread::Builder::new().name(format!("run-{id}"));
    let spare = begun.clone();
    if let Err(error) = thread.spawn(move || begun.go()) {
        spare.end(Err(RunError::Broken));
        return Err(VaultdError::Thread(error));
    }
    Ok(id)
}

/// The first run of a day reads a part of the unchanged files again, another part each day.
fn tonight(share: &ShareRow, now: i64) -> Reread {
    let today = now.div_euclid(DAY);
    if share.clock.last_started.is_some_and(|last| last.0.div_euclid(DAY) >= today) {
        return Reread::NONE;
    }
    let part = u32::try_from(today.rem_euclid(i64::from(REREAD_NIGHTS))).expect("below thirty");
    Reread::Part { part, of: REREAD_NIGHTS }
}

#[derive(Clone)]
struct Begun {
    appliance: Arc<Appliance>,
    share: ShareRow,
    id: u64,
    started_at: i64,
    reread: Reread,
    intended: bool,
    work: Arc<Work>,
}

impl Begun {
    fn go(self) {
        let done = catch_unwind(AssertUnwindSafe(|| self.backup())).unwrap_or(Err(RunError::Broken));
        self.end(done);
    }

    fn end(mut self, done: Result<BackupReport, RunError>) {
        let run = self.told(done);
        if let Err(error) = self.keep(&run) {
            // The row stays without an end: the next start tells from the snapshots what became of it.
            tracing::error!(run = self.id, error = chain(&error), "the end of a run could not be kept");
        }
        self.appliance.works.remove(Kind::Run, self.id);
        self.appliance.changed();
    }

    fn backup(&self) -> Result<BackupReport, RunError> {
        let vault = self.appliance.engine.vault().map_err(RunError::Unready)?;
        let secret = self.share.credential.as_ref().map(|note| vault.open_note(&purpose(&self.share.id), note));
        let password = secret.transpose().map_err(RunError::Password)?.map(utf8).transpose()?;
        let stream = UnixStream::connect(&self.appliance.config.ingest).map_err(RunError::NoIngest)?;
        let call = Call::begin(stream)?;
        self.work.can_be_cut_by(call.canceller());
        let source = call.source(SourceOrder { location: self.share.location.clone(), password, as_of: None })?;
        self.work.reached();
        let options = BackupOptions { name: self.share.name.clone(), level: LEVEL, reread: self.reread, intended: self.intended };
        Ok(vault.backup(&source, &options, &*self.work)?)
    }

    /// What is to be told of it.
    fn told(&self, done: Result<BackupReport, RunError>) -> Run {
        let run = Run {
            id: self.id,
            share: self.share.id.to_string(),
            started_at: self.started_at,
            finished_at: Some(self.appliance.clock.believed()),
            outcome: None,
            snapshot: None,
            code: None,
            why: None,
            counts: Counts::default(),
        };
        match done {
            Ok(report) => Run {
                outcome: Some(outcome(report.outcome)),
                snapshot: Some(report.snapshot.to_string()),
                why: Some(report.held).filter(|why| !why.is_empty()),
                counts: counts(&report.statistics),
                ..run
            },
            Err(error) => {
                let (entries, read_bytes) = self.work.done();
                let counts = Counts { entries, read_bytes, ..Counts::default() };
                let outcome = match self.work.ended() {
                    Some(Ended::Cancelled) => Outcome::Cancelled,
                    Some(Ended::Stopping) => Outcome::Cut,
                    None => Outcome::Failed,
                };
                Run { outcome: Some(outcome), code: Some(error.code()), why: Some(chain(&error)), counts, ..run }
            }
        }
    }

    fn keep(&mut self, run: &Run) -> Result<(), VaultdError> {
        // A person may have moved the box's time since, and the share's with it.
        if let Some(share) = self.appliance.state.share(&self.share.id)? {
            self.share.clock = share.clock;
        }
        self.share.clock.finished(duties::At(run.finished_at.unwrap_or(self.started_at)), for_duties(run));
        self.appliance.state.end_run(run, &self.share.clock)?;
        self.appliance.watch.run_ended(&self.share.id, &self.share.clock, &self.appliance)?;
        record(&self.appliance, run)
    }
}

/// Writes a run that is over into the ledger.
pub(crate) fn record(appliance: &Appliance, run: &Run) -> Result<(), VaultdError> {
    let number = |count: u64| Value::Number(i64::try_from(count).unwrap_or(i64::MAX));
    let mut fields = vec![
        ("share".to_owned(), Value::Text(run.share.clone())),
        ("run".to_owned(), number(run.id)),
        ("outcome".to_owned(), Value::Text(run.outcome.map_or("none", word).to_owned())),
        ("files".to_owned(), number(run.counts.files)),
        ("gaps".to_owned(), number(run.counts.gaps)),
        ("read-bytes".to_owned(), number(run.counts.read_bytes)),
    ];
    fields.extend(run.snapshot.clone().map(|snapshot| ("snapshot".to_owned(), Value::Text(snapshot))));
    fields.extend(run.code.clone().map(|code| ("code".to_owned(), Value::Text(code))));
    appliance.record("vaultd", Event::BackupRun, fields)
}

/// Runs that were under way when the program before ended: what the vault has of them is told, and nothing better.
pub(crate) fn take_up(appliance: &Appliance) -> Result<(), VaultdError> {
    let open = appliance.state.open_runs()?;
    if open.is_empty() {
        return Ok(());
    }
    let Ok(vault) = appliance.engine.vault() else { return Ok(()) };
    let snapshots = vault.snapshots()?;
    for mut run in open {
        let id = duties::ShareId(run.share.clone());
        let Some(mut share) = appliance.state.share(&id)? else { continue };
        if appliance.works.run_of(&id).is_some() {
            continue;
        }
        let made = snapshots.iter().rev().find(|s| s.body.name == share.name && s.body.started.seconds >= run.started_at);
        run.finished_at = Some(appliance.clock.believed());
        match made {
            Some(snapshot) => {
                run.outcome = Some(outcome(snapshot.body.outcome));
                run.snapshot = Some(snapshot.id.to_string());
                run.counts = counts(&snapshot.body.statistics);
            }
            None => {
                run.outcome = Some(Outcome::Cut);
                run.code = Some("cut".into());
                run.why = Some("the box or its program stopped in the middle; what was read is used by the next run".into());
            }
        }
        share.clock.finished(duties::At(appliance.clock.believed()), for_duties(&run));
        if appliance.state.end_run(&run, &share.clock)? {
            appliance.watch.run_ended(&id, &share.clock, appliance)?;
            record(appliance, &run)?;
        }
    }
    Ok(())
}

fn for_duties(run: &Run) -> duties::Outcome {
    let code = || run.code.clone().unwrap_or_else(|| "held".into());
    match run.outcome {
        Some(Outcome::Complete) => duties::Outcome::Complete,
        Some(Outcome::Partial) => duties::Outcome::Partial { gaps: run.counts.gaps + run.counts.inconsistent },
        Some(Outcome::Held) => duties::Outcome::Held { code: code() },
        Some(Outcome::Failed) => duties::Outcome::Failed { code: code() },
        Some(Outcome::Cancelled) => duties::Outcome::Cancelled,
        Some(Outcome::Cut) | None => duties::Outcome::Cut,
    }
}

/// A password is text, as it was typed.
pub(crate) fn utf8(secret: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, RunError> {
    std::str::from_utf8(&secret).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| RunError::Broken)
}

pub(crate) fn outcome(outcome: manifest::Outcome) -> Outcome {
    match outcome {
        manifest::Outcome::Complete => Outcome::Complete,
        manifest::Outcome::Partial => Outcome::Partial,
        manifest::Outcome::Held => Outcome::Held,
    }
}

pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
        Outcome::Held => "held",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::Cut => "cut",
    }
}

pub(crate) fn counts(s: &Statistics) -> Counts {
    Counts {
        entries: s.entries,
        files: s.files,
        content_bytes: s.content_bytes,
        read_bytes: s.read_bytes,
        stored_bytes: s.new_stored_bytes,
        gaps: s.gaps,
        inconsistent: s.inconsistent,
    }
}
