//! `keepwell runs`: backups begun, ended, looked at.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{Cancel, Done, Run, RunNow, Share, Started};

use super::args::RunsCommand;
use super::place::Place;
use super::wait::{Moment, until_over};
use super::{exit_of, json, shares, word};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// Runs it.
pub(crate) fn run(command: &RunsCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        RunsCommand::List { share, limit } => list(share.as_deref(), *limit, place, answer),
        RunsCommand::Show { run, wait } => show(*run, wait.wait, place, answer),
        RunsCommand::Start { share, intended, wait } => {
            let share = shares::find(place, share)?;
            let started = start(&share, *intended, wait.wait, place, answer.is_json())?;
            if wait.wait {
                return show(started.id, true, place, answer);
            }
            answer.field("id", started.id);
            answer.line(format_args!("Run {} of '{}' has begun.", started.id, text::shown(share.name.as_bytes())));
            Ok(Exit::Complete)
        }
        RunsCommand::Cancel { run } => {
            let _: Done = place.granted(Verb::RunCancel, "/v1/runs/cancel", &Cancel { id: *run })?;
            answer.field("id", *run);
            answer.line(format_args!("Run {run} is being ended. What it stored is used by the next one."));
            Ok(Exit::Complete)
        }
    }
}

/// Who waits wants a copy that is not older than this moment: a run that is under way is waited for, and does not count.
fn start(share: &Share, intended: bool, wait: bool, place: &Place, json: bool) -> Result<Started, CliError> {
    let request = RunNow { share: share.id.clone(), intended };
    loop {
        let refused = match place.granted(Verb::RunNow, "/v1/runs", &request) {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        match shares::find(place, &share.id)?.running {
            Some(run) if wait && refused.code() == Some("runs-already") => drop(await_over(run, true, place, json)?),
            // Over since.
            None if wait && refused.code() == Some("runs-already") => {}
            _ => return Err(refused),
        }
    }
}

/// A run, when it is over, or as it is now.
fn await_over(id: u64, wait: bool, place: &Place, json: bool) -> Result<Run, CliError> {
    let client = place.vaultd();
    until_over(json, || {
        let run: Run = client.get(&format!("/v1/runs/{id}"))?;
        let on = wait && run.finished_at.is_none();
        let moment = on.then_some(Moment { step: "backup", items: run.counts.entries, bytes: run.counts.read_bytes });
        Ok((run, moment))
    })
}

fn list(share: Option<&str>, limit: u32, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let shares: Vec<Share> = place.vaultd().get("/v1/shares")?;
    let of = share.map(|named| shares::find(place, named)).transpose()?.map(|share| format!("&share={}", share.id));
    let runs: Vec<Run> = place.vaultd().get(&format!("/v1/runs?limit={limit}{}", of.unwrap_or_default()))?;
    if runs.is_empty() {
        answer.line("Nothing was backed up yet.");
    }
    answer.list("runs", &runs, |run| line(run, name(&shares, &run.share)), json);
    Ok(Exit::Complete)
}

fn show(id: u64, wait: bool, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let run = await_over(id, wait, place, answer.is_json())?;
    let shares: Vec<Share> = place.vaultd().get("/v1/shares")?;
    answer.field("run", json(&run));
    answer.line(line(&run, name(&shares, &run.share)));
    if let Some(snapshot) = &run.snapshot {
        answer.line(format_args!("  snapshot {snapshot}"));
    }
    Ok(run.outcome.map_or(Exit::Complete, exit_of))
}

/// What people call a share; its id where it is not backed up any more.
fn name<'a>(shares: &'a [Share], id: &'a str) -> &'a str {
    shares.iter().find(|share| share.id == id).map_or(id, |share| &share.name)
}

fn line(run: &Run, share: &str) -> String {
    let state = run.outcome.as_ref().map_or_else(|| "under way".into(), word);
    let why = run.why.as_ref().map(|why| format!(": {}", text::shown(why.as_bytes()))).unwrap_or_default();
    let counts = run.counts;
    let gaps = if counts.gaps > 0 { format!(", {}", text::count(counts.gaps, "gap")) } else { String::new() };
    format!(
        "{}  {} UTC  {}  {state}{why}  ({}, {} read, {} stored{gaps})",
        run.id,
        text::time(run.started_at),
        text::shown(share.as_bytes()),
        text::count(counts.entries, "entry"),
        text::size(counts.read_bytes),
        text::size(counts.stored_bytes)
    )
}
