//! `keepwell source check, ls, snapshots`: what is out there, before anybody relies on a backup of it. Needs no vault; never writes.

use std::sync::Mutex;

use keepwell_format::port::Walked;
use keepwell_format::{Key, Kind, Time};
use keepwell_source::check::{list, snapshots};
use keepwell_source::{AsOf, CheckOptions, CheckProgress, CheckReport};
use keepwell_vault::{Progress, Step};
use serde_json::{Value, json};

use crate::args::{SourceArgs, SourceCheckArgs, SourceCommand, SourceLsArgs};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::progress::Meter;
use crate::remote::Remote;
use crate::{ls, text};

/// Runs it.
pub(crate) fn run(command: &SourceCommand, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        SourceCommand::Check(args) => check(args, answer),
        SourceCommand::Ls(args) => list_folder(args, answer),
        SourceCommand::Snapshots(args) => list_snapshots(args, answer),
    }
}

fn check(args: &SourceCheckArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(&args.source.source, &args.source.account)?;
    let options = CheckOptions { read: args.read, as_of: args.as_of.unwrap_or(AsOf::Live) };
    let meter = Meter::start(answer.is_json());
    meter.begin(Step::Data, 0, 0);
    let last = Mutex::new(CheckProgress::default());
    let report = keepwell_source::check(&remote.address, remote.password(), &options, &|now| {
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        meter.advance(now.entries.saturating_sub(last.entries), now.bytes.saturating_sub(last.bytes));
        last.entries = last.entries.max(now.entries);
        last.bytes = last.bytes.max(now.bytes);
    })?;
    drop(meter);
    show(answer, &report);
    show_counts(answer, &report);
    show_gaps(answer, &report);
    match report.ended {
        Some(gap) => Err(CliError::Refused(format!("the check could not go on: {}. The counts are of the part that was seen", gap.text))),
        None => Ok(Exit::of(report.is_whole())),
    }
}

fn show(answer: &mut Answer, report: &CheckReport) {
    answer.field("location", report.location.as_str());
    answer.field("identity", report.identity.as_str());
    answer.field("protocol", report.protocol.as_str());
    answer.field("protection", report.protection.as_str());
    answer.field("server", json!(report.server));
    answer.field("file_system", json!(report.file_system));
    answer.line(format_args!("{}", report.location));
    answer.line(format_args!("  {}; {}", report.protocol, report.protection));
    for (what, words) in [("server", &report.server), ("file system", &report.file_system)] {
        if let Some(words) = words {
            answer.line(format_args!("  {what}: {}", text::shown(words.as_bytes())));
        }
    }
    if !report.rights.is_empty() {
        answer.line("The account:");
    }
    answer.list("rights", &report.rights, Clone::clone, |right| json!(right));
    if !report.findings.is_empty() {
        answer.line("To be put right:");
    }
    answer.list("findings", &report.findings, Clone::clone, |finding| json!(finding));
    if let Some(newest) = report.snapshots.first() {
        let (count, newest) = (text::count(report.snapshots.len() as u64, "snapshot"), text::time(newest.seconds));
        answer.line(format_args!("The server keeps {count}; the newest is of {newest} (UTC)."));
    }
    answer.field("snapshots", snapshot_times(&report.snapshots));
}

fn show_counts(answer: &mut Answer, report: &CheckReport) {
    for (name, count) in [
        ("files", report.files),
        ("folders", report.folders),
        ("others", report.others),
        ("content_bytes", report.bytes),
        ("streams", report.streams),
        ("changed", report.changed),
    ] {
        answer.field(name, count);
    }
    answer.field("read_bytes", json!(report.read_bytes));
    let (files, folders) = (text::count(report.files, "file"), text::count(report.folders, "folder"));
    answer.line(format_args!("{files} in {folders}, {}; {}.", text::size(report.bytes), text::count(report.streams, "alternate stream")));
    match report.read_bytes {
        Some(bytes) => answer.line(format_args!("All content was read: {}.", text::size(bytes))),
        None => answer.line("Each file was opened; --read also reads all content."),
    }
    if report.changed > 0 {
        answer.line(format_args!("{} changed while being read.", text::count(report.changed, "file")));
    }
}

fn show_gaps(answer: &mut Answer, report: &CheckReport) {
    let total: u64 = report.gaps.iter().map(|(_, count)| count).sum();
    let by_reason: Value = report.gaps.iter().map(|(reason, count)| (text::gap_reason(*reason).to_owned(), json!(count))).collect();
    answer.field("gaps_total", total);
    answer.field("gaps_by_reason", by_reason);
    if total > 0 {
        let are = if total == report.first_gaps.len() as u64 { "" } else { "; the first are" };
        answer.line(format_args!("A backup would not be whole: {} can't be read as a whole{are}:", text::count(total, "entry")));
    } else if report.ended.is_none() {
        answer.line("All of it can be read.");
    }
    answer.long_list("gaps", &report.first_gaps, |(key, gap)| format!("{key}: {}", gap.text), |(key, gap)| text::gap(key, gap));
}

fn list_folder(args: &SourceLsArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(&args.source.source, &args.source.account)?;
    let folder = ls::key(args.path.as_deref().unwrap_or_default())?;
    let entries = list(&remote.address, remote.password(), args.as_of.unwrap_or(AsOf::Live), &folder)?;
    answer.list("entries", &entries, line, value);
    Ok(Exit::of(entries.iter().all(|entry| entry.node.gap.is_none())))
}

fn line(entry: &Walked) -> String {
    let size = if entry.node.kind == Kind::File { entry.size.to_string() } else { "-".into() };
    let time = entry.node.mtime.map_or_else(|| "-".into(), |time| text::time(time.seconds));
    let slash = if entry.node.kind == Kind::Folder { "/" } else { "" };
    let gap = entry.node.gap.as_ref().map_or_else(String::new, |gap| format!("  [{}]", text::shown(gap.text.as_bytes())));
    format!("{} {size:>14}  {time:>19}  {}{slash}{gap}", text::mode(entry.node.kind, entry.node.owner), shown(&entry.key))
}

fn shown(key: &Key) -> String {
    text::shown(key.name())
}

fn value(entry: &Walked) -> Value {
    let mut fields = text::path_fields(&entry.key);
    fields.insert("kind".into(), json!(text::kind(entry.node.kind)));
    if entry.node.kind == Kind::File {
        fields.insert("size".into(), json!(entry.size));
    }
    fields.insert("mtime".into(), json!(entry.node.mtime.map(text::rfc3339)));
    if let Some(gap) = &entry.node.gap {
        fields.insert("gap".into(), json!({ "reason": text::gap_reason(gap.reason), "text": gap.text }));
    }
    fields.into()
}

fn list_snapshots(args: &SourceArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(&args.source, &args.account)?;
    let times = snapshots(&remote.address, remote.password())?;
    if times.is_empty() {
        answer.line("The server offers no snapshots of this share: files that are locked can't be read until they are closed.");
    }
    times.iter().for_each(|time| answer.line(text::rfc3339(*time)));
    answer.field("snapshots", snapshot_times(&times));
    Ok(Exit::Complete)
}

fn snapshot_times(times: &[Time]) -> Value {
    times.iter().map(|time| json!(text::rfc3339(*time))).collect()
}
