//! `keepwell restore` and `keepwell restores`: has the box write a snapshot, or a part of it, back to a share, and looks after it. The password of the account that may write is handed on and kept nowhere.

use std::os::unix::ffi::OsStrExt;

use keepwell_api::Base64;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Cancel, Conflict, Done, Restore, RestoreState, ResumeRestore, Started, Waits};
use keepwell_source::Address;

use super::args::{BoxRestoreArgs, RestoresCommand};
use super::place::Place;
use super::wait::{Moment, until_over};
use super::{exit_of, json, word};
use crate::args::ConflictArg;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::remote::Remote;
use crate::text;
use crate::unlock::secret_line;

/// Runs it.
pub(crate) fn run(args: &BoxRestoreArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(&args.to, &args.account)?;
    if matches!(remote.address, Address::Folder(_)) {
        return Err(CliError::Usage("a box restores to shares and exports: --to smb://user@host/share or nfs://host/export".into()));
    }
    let request = Restore {
        snapshot: args.snapshot.clone(),
        path: Base64::from(args.path.as_ref().map(|path| path.as_bytes().to_vec()).unwrap_or_default()),
        to: remote.address.location(),
        password: remote.password().map(|password| Base64::from(password.as_bytes().to_vec())),
        conflict: rule(args.conflict),
        dry_run: args.dry_run,
    };
    let started: Started = place.granted(Verb::Restore, "/v1/restores", &request)?;
    begun(&started, "Restore", args.wait.wait, place, answer)
}

/// One that was begun just now.
pub(super) fn begun(started: &Started, what: &str, wait: bool, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    if wait {
        return show(started.id, true, place, answer);
    }
    answer.field("id", started.id);
    answer.line(format_args!("{what} {} has begun.", started.id));
    Ok(Exit::Complete)
}

/// `restores`.
pub(crate) fn all(command: &RestoresCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        RestoresCommand::List => list(place, answer),
        RestoresCommand::Show { restore, wait } => show(*restore, wait.wait, place, answer),
        RestoresCommand::Resume { restore, password_file, wait } => {
            let password = password_file.as_deref().map(|file| secret_line(file, "password")).transpose()?;
            let request = ResumeRestore { id: *restore, password: password.map(Base64) };
            let started: Started = place.granted(Verb::Restore, "/v1/restores/resume", &request)?;
            begun(&started, "Restore", wait.wait, place, answer)
        }
        RestoresCommand::Cancel { restore } => {
            let _: Done = place.granted(Verb::Restore, "/v1/restores/cancel", &Cancel { id: *restore })?;
            answer.field("id", *restore);
            answer.line(format_args!(
                "Restore {restore} is being ended. What it wrote stays, and no file of it has its name before it is whole."
            ));
            Ok(Exit::Complete)
        }
    }
}

fn list(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let mut restores: Vec<RestoreState> = place.vaultd().get("/v1/restores")?;
    restores.sort_by_key(|restore| std::cmp::Reverse(restore.id));
    if restores.is_empty() {
        answer.line("Nothing was restored yet.");
    }
    answer.list("restores", &restores, line, json);
    Ok(Exit::Complete)
}

/// A restore, when it is over, or as it is now.
fn show(id: u64, wait: bool, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let client = place.vaultd();
    let restore = until_over(answer.is_json(), || {
        let state: RestoreState = client.get(&format!("/v1/restores/{id}"))?;
        // Without its password it waits for a person.
        let on = wait && state.finished_at.is_none() && state.waits != Some(Waits::Password);
        let moment = on.then_some(Moment { step: "restore", items: state.files, bytes: state.written_bytes });
        Ok((state, moment))
    })?;
    answer.field("restore", json(&restore));
    lines(&restore).iter().for_each(|line| answer.line(line));
    let under_way = if wait { Exit::Failed } else { Exit::Complete };
    Ok(restore.outcome.map_or(under_way, exit_of))
}

/// One restore in one line.
pub(super) fn line(restore: &RestoreState) -> String {
    let state = stands(restore);
    let dry = if restore.dry_run { ", nothing written" } else { "" };
    let by = text::shown(restore.by.as_bytes());
    let what = if is_test(restore) { "test".into() } else { format!("snapshot {}{}", restore.snapshot, target(restore)) };
    format!(
        "{}  {} UTC  {by}  {what}  {state}  ({}, {}{dry})",
        restore.id,
        text::time(restore.started_at),
        text::count(restore.files, "file"),
        text::size(restore.written_bytes)
    )
}

fn rule(arg: Option<ConflictArg>) -> Conflict {
    match arg {
        None => Conflict::Refuse,
        Some(ConflictArg::Skip) => Conflict::Skip,
        Some(ConflictArg::Replace) => Conflict::Replace,
        Some(ConflictArg::Rename) => Conflict::Rename,
        Some(ConflictArg::Newer) => Conflict::Newer,
    }
}

/// Of samples, to a place of the box's own.
fn is_test(restore: &RestoreState) -> bool {
    restore.snapshot.is_empty()
}

/// Where to, where that is told.
fn target(restore: &RestoreState) -> String {
    if restore.to.is_empty() { String::new() } else { format!(" to {}", text::shown(restore.to.as_bytes())) }
}

/// How it stands.
fn stands(restore: &RestoreState) -> String {
    match (&restore.outcome, restore.waits) {
        (Some(outcome), _) => word(outcome),
        (None, Some(Waits::Password)) => "waits for its password".into(),
        (None, Some(Waits::Server)) => "waits for its server".into(),
        (None, None) => "under way".into(),
    }
}

fn lines(restore: &RestoreState) -> Vec<String> {
    let outcome = stands(restore);
    let why = restore.why.as_ref().map(|why| format!(": {}", text::shown(why.as_bytes()))).unwrap_or_default();
    let what = if is_test(restore) { "Test restore" } else { "Restore" };
    let mut lines = vec![format!("{what} {}{}: {outcome}{why}.", restore.id, target(restore))];
    let written = if restore.dry_run { "would be written; nothing was" } else { "written" };
    lines.push(format!("  {}, {} {written}.", text::count(restore.files, "file"), text::size(restore.written_bytes)));
    if restore.compared > 0 {
        let read = text::count(restore.compared, "entry");
        lines.push(match restore.differing {
            0 => format!("  {read} read back: all as it was in the backup."),
            n => format!("  {read} read back: {n} not as in the backup."),
        });
    }
    if restore.resumed > 0 {
        lines.push(format!("  It was cut, and went on, {}.", text::count(restore.resumed.into(), "time")));
    }
    if restore.waits == Some(Waits::Password) {
        lines.push(format!("  To go on: keepwell restores resume {} --password-file FILE", restore.id));
    }
    if restore.missing + restore.skipped > 0 {
        lines.push(format!("  {} not there or not whole, {} left out because something was there.", restore.missing, restore.skipped));
    }
    lines
}
