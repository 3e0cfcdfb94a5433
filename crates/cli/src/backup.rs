//! `keepwell vault backup`: a source in, a snapshot out.

use keepwell_format::manifest::{Outcome, Statistics};
use keepwell_source::AsOf;
use keepwell_storage::Access;
use keepwell_vault::{BackupOptions, BackupReport, Reread};
use serde_json::{Value, json};

use crate::args::BackupArgs;
use crate::exit::{CliError, Exit};
use crate::opening;
use crate::output::Answer;
use crate::progress::Meter;
use crate::remote::Remote;
use crate::{recover, text};

/// Runs it. The vault is opened before the source, so that a wrong key costs nobody a walk.
pub(crate) fn run(args: &BackupArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(&args.source, &args.account)?;
    recover::refuse_unfinished(&args.keyed.vault)?;
    let vault = opening::unlocked(&args.keyed, Access::Write, answer)?;
    let source = remote.address.open_source(remote.password(), args.as_of.unwrap_or(AsOf::Live))?;
    let name = args.name.clone().unwrap_or_else(|| remote.address.name());
    let options = BackupOptions { name: name.clone(), level: args.level, reread: Reread::Share(args.reread), intended: args.intended };
    let report = vault.backup(source.as_ref(), &options, &Meter::start(answer.is_json()))?;
    show(answer, &name, &report);
    Ok(match report.outcome {
        Outcome::Complete => Exit::Complete,
        Outcome::Partial => Exit::Partial,
        Outcome::Held => Exit::Held,
    })
}

fn show(answer: &mut Answer, name: &str, report: &BackupReport) {
    let s = &report.statistics;
    answer.field("snapshot", report.snapshot.to_string());
    answer.field("name", name);
    answer.field("statistics", statistics(s));
    answer.field("degraded_objects", report.degraded_objects);
    answer.line(format_args!("Snapshot {} of '{name}' was made{}.", report.snapshot.short(), aside(report.outcome)));
    show_held(answer, report);
    answer.line(format_args!(
        "  {} in {}, {}; {} unchanged since the last time.",
        text::count(s.files, "file"),
        text::count(s.folders, "folder"),
        text::size(s.content_bytes),
        text::count(s.unchanged_files, "file"),
    ));
    answer.line(format_args!(
        "  Read {}, stored {} that the vault did not have.",
        text::size(s.read_bytes),
        text::size(s.new_stored_bytes)
    ));
    if report.degraded_objects > 0 {
        answer.line(format_args!(
            "  {} written with less redundancy than the layout asks for, because a disk is missing. When it is back: 'keepwell vault repair'.",
            text::count(report.degraded_objects, "object")
        ));
    }
    show_gaps(answer, report);
}

fn aside(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "",
        Outcome::Partial => " (partial)",
        Outcome::Held => ", but is held",
    }
}

fn show_held(answer: &mut Answer, report: &BackupReport) {
    if report.held.is_empty() {
        return;
    }
    answer.field("held", report.held.as_str());
    answer.line(format_args!("HELD: {}.", report.held));
    answer.line("  Earlier snapshots stay the latest good ones and nothing of them is lost. Look at the server before anything else.");
    answer.line("  If it is meant to be so, run the backup again with --intended.");
}

const CHANGED: &str = "changed while it was read; what was read last is kept";

fn show_gaps(answer: &mut Answer, report: &BackupReport) {
    let (gaps, inconsistent) = (report.statistics.gaps, report.statistics.inconsistent);
    if gaps + inconsistent > 0 {
        let named = report.gaps.len() + report.inconsistent.len();
        let are = if named as u64 == gaps + inconsistent { "" } else { "; the first are" };
        answer.line(format_args!(
            "Not whole: {} could not be read, {} changed while being read{are}:",
            text::count(gaps, "entry"),
            text::count(inconsistent, "file")
        ));
    }
    answer.list("gaps", &report.gaps, |(key, gap)| format!("{key}: {}", gap.text), |(key, gap)| text::gap(key, gap));
    answer.list("inconsistent", &report.inconsistent, |key| format!("{key}: {CHANGED}"), |key| text::told(key, CHANGED));
}

/// Counts by their names in the format.
pub(crate) fn statistics(s: &Statistics) -> Value {
    json!({
        "entries": s.entries,
        "files": s.files,
        "folders": s.folders,
        "content_bytes": s.content_bytes,
        "unchanged_files": s.unchanged_files,
        "read_bytes": s.read_bytes,
        "new_blobs": s.new_blobs,
        "new_stored_bytes": s.new_stored_bytes,
        "gaps": s.gaps,
        "inconsistent": s.inconsistent,
    })
}
