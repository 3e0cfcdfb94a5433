//! `keepwell vault list`: the snapshots, newest last.

use keepwell_format::Time;
use keepwell_format::manifest::Outcome;
use keepwell_storage::Access;
use keepwell_vault::Snapshot;
use serde_json::{Value, json};

use crate::args::KeyedArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::{backup, opening, text};

/// Runs it.
pub(crate) fn run(args: &KeyedArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let vault = opening::unlocked(args, Access::Read, answer)?;
    let snapshots = vault.snapshots()?;
    if snapshots.is_empty() {
        answer.line("There are no snapshots in this vault yet.");
    } else {
        answer.line(format_args!("{:<8}  {:<20} {:<9} {:>9}  {:>9}  {:>9}  name", "id", "time (UTC)", "outcome", "files", "size", "new"));
    }
    answer.begin_list("snapshots");
    snapshots.iter().for_each(|snapshot| answer.item(|| line(snapshot), || value(snapshot)));
    answer.end_list();
    Ok(Exit::Complete)
}

fn line(snapshot: &Snapshot) -> String {
    let body = &snapshot.body;
    format!(
        "{}  {}  {:<9} {:>9}  {:>9}  {:>9}  {}",
        snapshot.id.short(),
        text::time(snapshot.received),
        outcome(body.outcome),
        body.statistics.files,
        text::size(body.statistics.content_bytes),
        text::size(body.statistics.new_stored_bytes),
        text::shown(body.name.as_bytes()),
    )
}

/// A snapshot in JSON.
fn value(snapshot: &Snapshot) -> Value {
    let body = &snapshot.body;
    json!({
        "id": snapshot.id.to_string(),
        "sequence": snapshot.sequence,
        "received": text::rfc3339(Time { seconds: snapshot.received, nanos: 0 }),
        "name": body.name,
        "source": body.source,
        "outcome": outcome(body.outcome),
        "started": text::rfc3339(body.started),
        "finished": text::rfc3339(body.finished),
        "base": (!body.base.is_none()).then(|| body.base.to_string()),
        "program": body.program,
        "held": (!body.held.is_empty()).then_some(&body.held),
        "statistics": backup::statistics(&body.statistics),
        "gaps": body.gaps.iter().map(|(key, gap)| text::gap(key, gap)).collect::<Vec<_>>(),
    })
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
        Outcome::Held => "held",
    }
}
