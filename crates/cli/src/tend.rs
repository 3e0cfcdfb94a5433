//! `keepwell vault tend`: what diskd says of the health of a vault's disks goes into the machine of their lives, and its orders are carried out: a disk with
//! growing damage is emptied, on to a spare one where there is one, and what is missing is rebuilt. Decides nothing itself.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwell_api::Client;
use keepwell_api::disks::{Disks, Health, Standing, Verdict};
use keepwell_format::DiskId;
use keepwell_storage::life::{Order, Outlook, State, Whom, hear};
use keepwell_storage::{Access, Change, DiskHealth};
use keepwell_vault::{ChangeReport, Sealed, VaultError};
use serde_json::{Value, json};

use crate::disk::args::TendArgs;
use crate::exit::{CliError, Exit};
use crate::opening;
use crate::output::Answer;
use crate::progress::Meter;
use crate::random::Random;

/// diskd answers from what it knows; it asks no disk meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk of the vault, what it became, and what is to be done about it.
struct Course {
    disk: DiskHealth,
    /// What diskd thinks of it; none when it does not know it.
    verdict: Option<Outlook>,
    next: State,
    orders: Vec<Order>,
}

/// Runs it.
pub(crate) fn run(args: &TendArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let known: Disks = Client::new("keepwell-diskd", &args.socket, PATIENCE).get("/v1/disks")?;
    let verdicts = by_mount(&known);
    let access = if args.change.check { Access::Read } else { Access::Write };
    let vault = opening::sealed(&args.change.vault, access, answer)?;
    let courses = courses(&vault, &args.change.vault, &verdicts);
    tell(answer, &courses);
    if args.change.check {
        answer.line("Nothing was changed: this was a check.");
        return Ok(Exit::of(courses.iter().all(|course| course.next == State::Healthy && course.verdict.is_some())));
    }
    let mut random = Random::new()?;
    if courses.iter().any(|course| course.orders.contains(&Order::Drain)) {
        // What lacks redundancy gets it first: what is on one disk alone does not leave with it.
        vault.settle_disks(&Meter::start(answer.is_json()))?;
    }
    let mut emptied = Vec::new();
    for course in courses.iter().filter(|course| course.orders.contains(&Order::Drain)) {
        let change = way_out(&vault, &course.disk.name);
        let outcome = match vault.check_change(&change) {
            Ok(_) => Ok(vault.change_disks(&change, &mut || DiskId(random.id()), &Meter::start(answer.is_json()))?),
            Err(refused) => Err(refused),
        };
        emptied.push((course.disk.name.as_str(), outcome));
    }
    answer.list("emptied", &emptied, emptied_line, emptied_value);
    let done = emptied.iter().all(|(_, outcome)| outcome.as_ref().is_ok_and(ChangeReport::is_done));
    let meter = Meter::start(answer.is_json());
    let settled = vault.settle_disks(&meter)?;
    drop(meter);
    answer.field("settled_objects", settled.objects);
    answer.field("degraded_objects", vault.disks().degraded_objects);
    let known = courses.iter().all(|course| course.verdict.is_some() || course.next == State::Retired);
    Ok(Exit::of(done && known && settled.is_done() && vault.disks().is_whole()))
}

/// A disk that was to be emptied, and what came of it.
type Emptied<'a> = (&'a str, Result<ChangeReport, VaultError>);

fn emptied_line((disk, outcome): &Emptied<'_>) -> String {
    match outcome {
        Ok(report) if report.is_done() => format!("{disk}: emptied; it has left the vault and can be taken out"),
        Ok(_) => format!("{disk}: not empty yet; run this again when what is in the way is gone"),
        Err(refused) => format!("{disk}: can't be emptied yet: {refused}. Put an empty disk in, and run this again"),
    }
}

fn emptied_value((disk, outcome): &Emptied<'_>) -> Value {
    match outcome {
        Ok(report) => {
            let (written, moved) = (report.shards_written, report.shards_moved);
            json!({ "name": disk, "done": report.is_done(), "shards_written": written, "shards_moved": moved, "remaining": report.remaining })
        }
        Err(refused) => json!({ "name": disk, "done": false, "refused": refused.to_string() }),
    }
}

/// What is thought of the disk that is mounted at each place.
fn by_mount(known: &Disks) -> HashMap<PathBuf, Outlook> {
    let damaged = |health: &Health| health.reasons.iter().any(|reason| reason.weight == Verdict::Suspect && reason.damage);
    let verdict = |health: &Health| match health.verdict {
        Verdict::Failing => Some(Outlook::Failing),
        // To empty a disk can't be undone, so that heat or silence is no reason for it.
        Verdict::Suspect if damaged(health) => Some(Outlook::Suspect),
        Verdict::Healthy | Verdict::Suspect => Some(Outlook::Good),
        Verdict::Unknown => None,
    };
    let place = |standing: &Standing| match standing {
        Standing::Prepared { mounted_at: Some(at), .. } | Standing::OtherBox { mounted_at: Some(at), .. } => Some(PathBuf::from(at)),
        _ => None,
    };
    known.disks.iter().filter_map(|disk| Some((place(&disk.standing)?, verdict(&disk.health)?))).collect()
}

fn courses(vault: &Sealed, folder: &Path, verdicts: &HashMap<PathBuf, Outlook>) -> Vec<Course> {
    let course = |disk: DiskHealth| {
        let place = fs::canonicalize(folder.join(&disk.name)).ok();
        let verdict = place.and_then(|place| verdicts.get(&place)).copied();
        let (next, orders) = hear(&disk, verdict);
        Course { disk, verdict, next, orders }
    };
    vault.disks().disks.into_iter().filter(|disk| disk.slot.is_some()).map(course).collect()
}

/// An empty disk takes over where there is one; otherwise the others do.
fn way_out(vault: &Sealed, disk: &str) -> Change {
    let spare = vault.disks().disks.into_iter().find(|disk| State::of(disk) == State::New);
    match spare {
        Some(spare) => Change::Replace { old: disk.to_owned(), new: spare.name },
        None => Change::Remove { disk: disk.to_owned() },
    }
}

fn tell(answer: &mut Answer, courses: &[Course]) {
    let notices = |course: &Course| -> Vec<(Whom, String)> {
        let said = course
            .orders
            .iter()
            .filter_map(|order| if let Order::Tell(whom, notice) = order { Some((*whom, notice.to_string())) } else { None });
        said.collect()
    };
    let line = |course: &Course| {
        let said: Vec<String> = notices(course).into_iter().map(|(_, text)| text).collect();
        let life =
            if course.next == State::Healthy && course.verdict.is_none() { "health not known".into() } else { course.next.to_string() };
        format!("{}: {life}{}{}", course.disk.name, if said.is_empty() { "" } else { ". It " }, said.join(". It "))
    };
    let value = |course: &Course| {
        let said: Vec<_> =
            notices(course).iter().map(|(whom, text)| json!({ "to_support": *whom == Whom::Support, "text": text })).collect();
        json!({ "name": course.disk.name, "life": course.next.to_string(), "known": course.verdict.is_some(), "drain": course.orders.contains(&Order::Drain), "notices": said })
    };
    answer.list("tended", courses, line, value);
}
