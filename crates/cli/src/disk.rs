//! `keepwell vault disk`: the disks of a vault's folder, and how they change. What may be done, the pool decides; what can't be undone is only done when the
//! disk's id was typed.

pub(crate) mod args;

use std::io::{self, IsTerminal, Write};

use keepwell_format::DiskId;
use keepwell_storage::life::State;
use keepwell_storage::{Access, Change, ChangePlan, Departure, DiskHealth, DiskState};
use keepwell_vault::{ChangeReport, Sealed};
use serde_json::{Value, json};

use crate::exit::{CliError, Exit};
use crate::opening;
use crate::output::{Answer, tell};
use crate::progress::Meter;
use crate::random::Random;
use crate::text;
use args::{ChangeArgs, DiskCommand};

/// Digits of an id that have to be typed.
const TYPED: usize = 8;

/// Runs it.
pub(crate) fn run(command: &DiskCommand, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        DiskCommand::List(args) => list(&opening::sealed(&args.vault, Access::Read, answer)?, answer),
        DiskCommand::Add(args) => {
            let change = Change::Add { disks: args.disks.clone(), layout: args.layout };
            carry_out(&args.change, &change, None, answer)
        }
        DiskCommand::Replace(args) => {
            let change = Change::Replace { old: args.old.clone(), new: args.new.clone() };
            carry_out(&args.change, &change, Some(args.typed.as_deref()), answer)
        }
        DiskCommand::Remove(args) => {
            carry_out(&args.change, &Change::Remove { disk: args.disk.clone() }, Some(args.typed.as_deref()), answer)
        }
    }
}

fn list(vault: &Sealed, answer: &mut Answer) -> Result<Exit, CliError> {
    let health = vault.disks();
    answer.field("layout", health.layout.to_string());
    answer.field("objects", health.objects);
    answer.field("degraded_objects", health.degraded_objects);
    answer.line(format_args!("Layout {}: any {} of the disks may fail.", health.layout, health.layout.m));
    answer.list("disks", &health.disks, disk_line, disk_value);
    if health.degraded_objects > 0 {
        let objects = text::count(health.degraded_objects, "object");
        answer.line(format_args!("{objects} with less redundancy than there should be: 'keepwell vault repair' restores it."));
    }
    Ok(Exit::of(health.is_whole()))
}

fn disk_line(disk: &DiskHealth) -> String {
    let id = disk.id.map_or_else(|| "-".repeat(TYPED), |id| short(&id));
    let size = match disk.total_bytes {
        0 => String::new(),
        total => format!(", {} of {} free, {}", text::size(disk.free_bytes), text::size(total), text::count(disk.shards, "shard")),
    };
    let why = disk.failed.as_ref().or(Some(&disk.note)).filter(|why| !why.is_empty()).map_or_else(String::new, |why| format!(" ({why})"));
    let what = match disk.state {
        DiskState::WrongVault | DiskState::Foreign | DiskState::DamagedLabel => disk.state.to_string(),
        DiskState::Empty if disk.slot.is_some() => "empty, where a disk is missing: 'keepwell vault repair' lets it take over".into(),
        _ if disk.failed.is_some() && State::of(disk) == State::Healthy => "takes no writes".into(),
        _ => State::of(disk).to_string(),
    };
    format!("{}  id {id}  {what}{why}{size}", disk.name)
}

fn disk_value(disk: &DiskHealth) -> Value {
    json!({
        "name": disk.name, "id": disk.id.map(|id| DiskId(id).to_string()), "slot": disk.slot, "life": State::of(disk).to_string(),
        "state": disk.state.to_string(), "note": disk.note, "failed": disk.failed, "total_bytes": disk.total_bytes,
        "free_bytes": disk.free_bytes, "shards": disk.shards,
    })
}

fn short(id: &[u8; 16]) -> String {
    DiskId(*id).to_string()[..TYPED].to_owned()
}

/// A change to its end, as far as that can be had now. `typed` is given where an id has to be.
fn carry_out(args: &ChangeArgs, change: &Change, typed: Option<Option<&str>>, answer: &mut Answer) -> Result<Exit, CliError> {
    let access = if args.check { Access::Read } else { Access::Write };
    let vault = opening::sealed(&args.vault, access, answer)?;
    let plan = vault.check_change(change)?;
    show_plan(answer, &plan);
    if args.check {
        answer.line("Nothing was changed: this was a check.");
        return Ok(Exit::Complete);
    }
    if let Some(typed) = typed.filter(|_| !plan.is_done) {
        plan.leaving.iter().try_for_each(|(name, id)| confirm(name, id, typed, answer.is_json()))?;
    }
    let mut random = Random::new()?;
    let meter = Meter::start(answer.is_json());
    let report = vault.change_disks(change, &mut || DiskId(random.id()), &meter)?;
    drop(meter);
    show(answer, &report);
    Ok(Exit::of(report.is_done()))
}

fn show_plan(answer: &mut Answer, plan: &ChangePlan) {
    answer.field("layout", plan.layout.to_string());
    answer.field("active_disks", plan.active_disks);
    answer.field("leaving_bytes", plan.leaving_bytes);
    answer.field("was_done", plan.is_done);
    answer.heading("Disks that join", plan.joining.len());
    answer.list("joining", &plan.joining, String::clone, |name| json!(name));
    answer.heading("Disks that are to leave, when all that is on them is on the others", plan.leaving.len());
    let line = |(name, id): &(String, [u8; 16])| format!("{name}  id {}", short(id));
    answer.list("leaving", &plan.leaving, line, |(name, id)| json!({ "name": name, "id": DiskId(*id).to_string() }));
    if plan.is_done {
        answer.line("This was begun before; it is carried on.");
    } else {
        answer.line(format_args!("Layout {} on {}.", plan.layout, text::count(plan.active_disks as u64, "disk")));
    }
}

/// Only a person who has looked at the list knows the id.
fn confirm(name: &str, id: &[u8; 16], typed: Option<&str>, json: bool) -> Result<(), CliError> {
    let typed = match typed {
        Some(typed) => typed.to_owned(),
        None if !json && io::stdin().is_terminal() => ask(name)?,
        None => {
            let hint = "give the id of the disk that leaves with --typed; 'keepwell vault disk list' shows it";
            return Err(CliError::Refused(format!("{name} leaves the vault only when its id is typed: {hint}. Nothing was changed")));
        }
    };
    let (typed, full) = (typed.trim().to_lowercase(), DiskId(*id).to_string());
    if typed.len() >= TYPED && full.starts_with(&typed) {
        return Ok(());
    }
    Err(CliError::Refused(format!("'{typed}' is not the id of {name}. Nothing was changed")))
}

fn ask(name: &str) -> Result<String, CliError> {
    let mut line = String::new();
    let asked = write!(io::stderr(), "Type the id of {name}, as 'keepwell vault disk list' shows it: ")
        .and_then(|()| io::stdin().read_line(&mut line));
    asked.map_err(CliError::file("read from", "the terminal"))?;
    Ok(line)
}

fn show(answer: &mut Answer, report: &ChangeReport) {
    answer.field("objects", report.objects);
    answer.field("shards_written", report.shards_written);
    answer.field("shards_moved", report.shards_moved);
    answer.line(format_args!(
        "Looked at {}, wrote {}, moved {}.",
        text::count(report.objects, "object"),
        text::count(report.shards_written, "shard"),
        text::count(report.shards_moved, "shard")
    ));
    let (left, stay): (Vec<_>, Vec<_>) = report.departures.iter().partition(|departure| matches!(departure, Departure::Left { .. }));
    let words = |departure: &&Departure| match departure {
        Departure::Left { disk } => disk.clone(),
        Departure::Stays { disk, why } => format!("{disk}: {why}"),
    };
    answer.heading("Disks that have left: nothing on them is needed any more", left.len());
    answer.list("left", &left, words, |departure| json!(words(departure)));
    answer.heading("Disks that are still needed", stay.len());
    answer.list("still_needed", &stay, words, |departure| json!(words(departure)));
    answer.heading("Objects that still lack redundancy", report.remaining.len());
    answer.long_list("remaining", &report.remaining, String::clone, |object| json!(object));
    answer.line(if report.is_done() {
        "It is done."
    } else {
        "It is not complete: when what is in the way is gone, run the same command again."
    });
    if !report.is_done() && answer.is_json() {
        tell("warning", "the change is not complete; run the same command again", true);
    }
}
