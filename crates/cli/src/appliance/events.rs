//! `keepwell events`: what is going on at the box, shown as it comes. Keeps nothing; names shares, never files.

use std::ops::ControlFlow;
use std::thread;

use keepwell_api::vault::{Event, RestoreState, Run, Share};
use serde_json::json;

use super::place::Place;
use super::{restore, runs};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// So many of the newest runs are looked at for those that are under way.
const RUNS: u32 = 200;

/// Runs it.
pub(crate) fn run(follow: bool, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    if follow { follow_on(place, answer) } else { now(place, answer) }
}

/// What is under way.
fn now(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let client = place.vaultd();
    let shares: Vec<Share> = client.get("/v1/shares")?;
    let runs: Vec<Run> = client.get(&format!("/v1/runs?limit={RUNS}"))?;
    let restores: Vec<RestoreState> = client.get("/v1/restores")?;
    let runs = runs.into_iter().filter(|run| run.finished_at.is_none()).map(|run| Event::Run { run });
    let restores = restores.into_iter().filter(|restore| restore.finished_at.is_none()).map(|restore| Event::Restore { restore });
    let events: Vec<_> = runs.chain(restores).collect();
    if events.is_empty() {
        answer.line("Nothing is going on now.");
    }
    answer.begin_list("events");
    events.iter().for_each(|event| answer.item(|| line(event, &shares), || super::json(event)));
    answer.end_list();
    Ok(Exit::Complete)
}

/// Until nobody reads any more, or vaultd ends.
fn follow_on(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let client = place.vaultd();
    let mut shares: Vec<Share> = client.get("/v1/shares")?;
    let mut told = 0u64;
    client.follow("/v1/events", &mut |event| {
        if let Event::Run { run } = &event
            && !shares.iter().any(|share| share.id == run.share)
        {
            // One that was added since; without it, its id is shown. In a thread of its own, as this one is waiting for events.
            shares = thread::scope(|scope| scope.spawn(|| client.get("/v1/shares").unwrap_or_default()).join()).unwrap_or_default();
        }
        told += 1;
        if answer.event(|| line(&event, &shares), || super::json(&event)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    answer.field("events", json!(told));
    Ok(Exit::Complete)
}

fn line(event: &Event, shares: &[Share]) -> String {
    match event {
        Event::Status { at } => format!("status   {} UTC", text::time(*at)),
        Event::Run { run } => format!("run      {}", runs::line(run, runs::name(shares, &run.share))),
        Event::Restore { restore } => format!("restore  {}", restore::line(restore)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(line(&Event::Status { at: 0 }, &[]), "status   1970-01-01 00:00:00 UTC");
    }
}
