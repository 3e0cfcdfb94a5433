//! `keepwell restore`: has the box write a snapshot, or a part of it, back to a share. The password of the account that may write is handed on and kept nowhere.

use std::os::unix::ffi::OsStrExt;

use keepwell_api::Base64;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Conflict, Restore, RestoreState, Started};
use keepwell_source::Address;

use super::args::BoxRestoreArgs;
use super::place::Place;
use super::wait::{Moment, until_over};
use super::{exit_of, json, word};
use crate::args::ConflictArg;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::remote::Remote;
use crate::text;

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
    if !args.wait.wait {
        answer.field("id", started.id);
        answer.line(format_args!("Restore {} has begun.", started.id));
        return Ok(Exit::Complete);
    }
    let client = place.vaultd();
    let restore = until_over(answer.is_json(), || {
        let state: RestoreState = client.get(&format!("/v1/restores/{}", started.id))?;
        let moment = state.finished_at.is_none().then_some(Moment { step: "restore", items: state.files, bytes: state.written_bytes });
        Ok((state, moment))
    })?;
    answer.field("restore", json(&restore));
    lines(&restore).iter().for_each(|line| answer.line(line));
    Ok(restore.outcome.map_or(Exit::Failed, exit_of))
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

fn lines(restore: &RestoreState) -> Vec<String> {
    let outcome = restore.outcome.as_ref().map(word).unwrap_or_default();
    let why = restore.why.as_ref().map(|why| format!(": {}", text::shown(why.as_bytes()))).unwrap_or_default();
    let mut lines = vec![format!("Restore {} to {}: {outcome}{why}.", restore.id, text::shown(restore.to.as_bytes()))];
    let written = if restore.dry_run { "would be written; nothing was" } else { "written" };
    lines.push(format!("  {}, {} {written}.", text::count(restore.files, "file"), text::size(restore.written_bytes)));
    if restore.compared > 0 {
        let read = text::count(restore.compared, "entry");
        lines.push(match restore.differing {
            0 => format!("  {read} read back: all as it was in the backup."),
            n => format!("  {read} read back: {n} not as in the backup."),
        });
    }
    if restore.missing + restore.skipped > 0 {
        lines.push(format!("  {} not there or not whole, {} left out because something was there.", restore.missing, restore.skipped));
    }
    lines
}
