//! A restore to a share: a process with an account that may write on one side, the engine on the other. The account's password is used once and kept nowhere.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use keepwell_api::grants::Grant;
use keepwell_api::vault::{Conflict, Outcome, Restore, RestoreState};
use keepwell_audit::{Event, Value};
use keepwell_format::Key;
use keepwell_ingest::{Call, Opening, TargetOrder};
use keepwell_vault::{self as vault, RestoreOptions, RestoreReport, VaultError};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::reading;
use crate::run::{RunError, word};
use crate::scope;
use crate::work::{Ended, Kind, Work};
use keepwell_api::error::chain;

/// Begins it in a thread of its own, once the ledger has it.
pub(crate) fn start(appliance: &Arc<Appliance>, grant: &Grant, mut order: Restore) -> Result<u64, VaultdError> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let snapshot = scope::snapshot(appliance, grant, &vault, &order.snapshot)?;
    order.snapshot = snapshot.id.to_string();
    reading::of_a_share(&snapshot)?;
    let path = key(order.path.as_ref())?;
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
    let work = Arc::new(Work::default());
    let (spare, under_way) = (state.clone(), Arc::clone(&work));
    let begun = Begun { appliance: Arc::clone(appliance), order, path, state, work };
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

/// Restores that were under way when the program before ended: some files are there, whole, the others are not.
pub(crate) fn take_up(appliance: &Appliance) -> Result<(), VaultdError> {
    for mut restore in appliance.state.restores(true, u32::MAX)? {
        restore.finished_at = Some(appliance.clock.believed());
        restore.outcome = Some(Outcome::Cut);
        let why = if restore.to.is_empty() {
            "the box or its program stopped in the middle of this test; it says nothing about the copies"
        } else {
            "the box or its program stopped in the middle: files that are there are whole, the others are missing"
        };
        restore.why = Some(why.into());
        end(appliance, &restore)?;
    }
    Ok(())
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

struct Begun {
    appliance: Arc<Appliance>,
    order: Restore,
    path: Key,
    state: RestoreState,
    work: Arc<Work>,
}

impl Begun {
    fn go(mut self) {
        let done = catch_unwind(AssertUnwindSafe(|| self.restore())).unwrap_or(Err(RunError::Broken));
        self.state.finished_at = Some(self.appliance.clock.believed());
        match done {
            Ok((report, warnings)) => self.told(&report, warnings),
            Err(error) => {
                self.state.why = Some(match &error {
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
        }
        if let Err(error) = end(&self.appliance, &self.state) {
            tracing::error!(restore = self.state.id, error = chain(&error), "the end of a restore could not be kept");
        }
        self.appliance.works.remove(Kind::Restore, self.state.id);
        self.appliance.changed();
    }

    fn restore(&mut self) -> Result<(RestoreReport, u64), RunError> {
        let vault = self.appliance.engine.vault().map_err(RunError::Unready)?;
        let snapshot = vault.resolve(&self.order.snapshot)?;
        let options = RestoreOptions {
            path: Some(self.path.clone()).filter(|path| !path.is_root()),
            conflict: conflict(self.order.conflict),
            stamp: self.state.id.to_string(),
            dry_run: self.order.dry_run,
            read_back: !self.order.dry_run,
        };
        let stream = UnixStream::connect(&self.appliance.config.ingest).map_err(RunError::NoIngest)?;
        let call = Call::begin(stream)?;
        self.work.can_be_cut_by(call.canceller());
        let password = self.order.password.take().map(|secret| crate::run::utf8(Zeroizing::new(secret.as_ref().to_vec()))).transpose()?;
        let empty = options.conflict == vault::Conflict::Refuse;
        let opening = match (options.dry_run, empty) {
            (true, empty) => Opening::Preview { empty },
            (false, true) => Opening::Empty,
            (false, false) => Opening::Merge,
        };
        let target = call.target(TargetOrder { location: self.order.to.clone(), password, opening })?;
        let report = vault.restore(&snapshot, &options, &target, &*self.work)?;
        let warnings = target.warnings().count;
        Ok((report, warnings))
    }

    fn told(&mut self, report: &RestoreReport, warnings: u64) {
        let state = &mut self.state;
        (state.files, state.written_bytes) = (report.files, report.written_bytes);
        (state.compared, state.differing) = (report.compared, report.differing);
        (state.missing, state.skipped) = (report.missing.len() as u64, report.skipped);
        state.outcome = Some(if report.is_whole() && warnings == 0 { Outcome::Complete } else { Outcome::Partial });
        if warnings > 0 {
            state.why = Some(format!("{warnings} entries could not be given all they had: times, owners or rights"));
        }
    }
}

fn conflict(conflict: Conflict) -> vault::Conflict {
    match conflict {
        Conflict::Refuse => vault::Conflict::Refuse,
        Conflict::Skip => vault::Conflict::Skip,
        Conflict::Replace => vault::Conflict::Replace,
        Conflict::Rename => vault::Conflict::Rename,
        Conflict::Newer => vault::Conflict::Newer,
    }
}
