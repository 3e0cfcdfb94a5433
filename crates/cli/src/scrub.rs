//! `keepwell vault scrub`: reads some of everything again, where it left off, and heals what is damaged.

use std::fs;
use std::io;
use std::path::Path;

use keepwell_storage::Access;
use keepwell_vault::{ScrubCursor, ScrubReport, ScrubTrouble};
use serde_json::json;

use crate::disk::args::ScrubArgs;
use crate::exit::{CliError, Exit};
use crate::opening::{self, Opened};
use crate::output::Answer;
use crate::progress::Meter;
use crate::{text, verify};

/// Where the place in the round is kept, in the vault's folder: a cache, as the index is.
const PLACE: &str = "cache/scrub";

/// Runs it.
pub(crate) fn run(args: &ScrubArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let opened = opening::maybe_unlocked(&args.keyed, Access::Write, answer)?;
    let now = opening::now().seconds;
    let place = args.keyed.vault.join(PLACE);
    let mut cursor = load(&place).unwrap_or_else(|| ScrubCursor::new(now));
    let due = match &opened {
        Opened::Sealed(vault) => vault.scrub_due(&cursor, now, args.days)?,
        Opened::Vault(vault) => vault.scrub_due(&cursor, now, args.days)?,
    };
    let budget = args.budget.unwrap_or(due);
    let meter = Meter::start(answer.is_json());
    let report = match &opened {
        Opened::Sealed(vault) => vault.scrub(&mut cursor, budget, now, &meter),
        Opened::Vault(vault) => vault.scrub(&mut cursor, budget, now, &meter),
    };
    drop(meter);
    // What was read before a failure was read.
    save(&place, &cursor).map_err(CliError::file("write", place))?;
    let report = report?;
    answer.field("due_bytes", due);
    answer.field("budget_bytes", budget);
    answer.field("rounds", cursor.rounds);
    show(answer, &report);
    Ok(Exit::of(report.is_clean()))
}

fn load(place: &Path) -> Option<ScrubCursor> {
    ScrubCursor::parse(&fs::read_to_string(place).ok()?)
}

fn save(place: &Path, cursor: &ScrubCursor) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = place.with_extension("new");
    fs::write(&fresh, cursor.encode())?;
    fs::rename(fresh, place)
}

fn show(answer: &mut Answer, report: &ScrubReport) {
    answer.field("objects", report.objects);
    answer.field("total_objects", report.total_objects);
    answer.field("read_bytes", report.read_bytes);
    answer.field("round_complete", report.is_round_complete);
    let (read, all) = (text::count(report.objects, "object"), report.total_objects);
    answer.line(format_args!("Read {read} of {all}, {}.", text::size(report.read_bytes)));
    let line = |trouble: &ScrubTrouble| format!("{}: {}", trouble.object, trouble.why);
    let value = |trouble: &ScrubTrouble| json!({ "name": trouble.object, "why": trouble.why });
    answer.heading("Damaged or incomplete, and whole again", report.healed.len());
    answer.long_list("healed", &report.healed, line, value);
    answer.heading("Damaged or incomplete, and not to be healed now", report.remaining.len());
    answer.long_list("remaining", &report.remaining, line, value);
    answer.heading("Lost: too few good shards are left", report.lost.len());
    answer.list("lost", &report.lost, line, value);
    verify::show_lost_snapshots(answer, &report.snapshots_lost);
    verify::show_lost_files(answer, &report.files_lost);
    answer.line(match (report.is_clean(), report.is_round_complete) {
        (true, true) => "Everything has been read and is whole; the next call begins anew.",
        (true, false) => "What was read is whole.",
        (false, _) if report.lost.is_empty() => {
            "Nothing is lost, but there is less redundancy than there should be: bring missing disks back."
        }
        (false, _) => "Something is lost, as listed; 'keepwell vault repair' with a key says what that means and saves what can be read.",
    });
}
