//! `keepwell runs`: backups begun, ended, looked at.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{Cancel, Done, Gap, Gaps, ListGaps, Run, RunNow, Share, Started};

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
        RunsCommand::Gaps { run } => gaps(*run, place, answer),
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

fn gaps(id: u64, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let found: Gaps = place.granted(Verb::FilesList, "/v1/runs/gaps", &ListGaps { run: id })?;
    let more = found.total.saturating_sub(found.gaps.len() as u64);
    answer.field("run", id);
    answer.field("total", found.total);
    if found.total == 0 {
        answer.line(format_args!("Run {id} read all there was."));
    }
    let line = |gap: &Gap| format!("{}: {}", text::shown(gap.path.as_ref()), text::shown(gap.why.as_bytes()));
    let value = |gap: &Gap| {
        let mut fields = text::bytes_fields("path", gap.path.as_ref());
        fields.insert("why".into(), gap.why.as_str().into());
        fields.into()
    };
    answer.heading(&format!("Run {id} could not read"), usize::try_from(found.total).unwrap_or(usize::MAX));
    answer.list("gaps", &found.gaps, line, value);
    if more > 0 {
        answer.line(format_args!("  and {more} more, which the snapshot counts and does not name"));
    }
    Ok(Exit::of(found.total == 0))
}

/// What people call a share; its id where it is not backed up any more.
pub(super) fn name<'a>(shares: &'a [Share], id: &'a str) -> &'a str {
    shares.iter().find(|share| share.id == id).map_or(id, |share| &share.name)
}

pub(super) fn line(run: &Run, share: &str) -> String {
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
