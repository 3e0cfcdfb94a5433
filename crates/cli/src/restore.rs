//! `keepwell vault restore`: a snapshot, or a part of it, into a new folder.

use keepwell_source::{LocalTarget, Warnings};
use keepwell_storage::Access;
use keepwell_vault::{RestoreOptions, RestoreReport};
use serde_json::json;

use crate::args::RestoreArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::progress::Meter;
use crate::{ls, opening, text};

/// Runs it.
pub(crate) fn run(args: &RestoreArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let path = args.path.as_deref().map(ls::key).transpose()?;
    let vault = opening::unlocked(&args.keyed, Access::Read, answer)?;
    let snapshot = vault.resolve(&args.snapshot)?;
    answer.field("snapshot", snapshot.id.to_string());
    let target = LocalTarget::create(&args.to)?;
    let report = vault.restore(&snapshot, &RestoreOptions { path }, &target, &Meter::start(answer.is_json()))?;
    let warnings = target.warnings();
    answer.line(format_args!("Snapshot {} ('{}') was restored to {}.", snapshot.id.short(), snapshot.body.name, args.to.display()));
    show(answer, &report, &warnings);
    Ok(Exit::of(report.missing.is_empty() && warnings.count == 0))
}

fn show(answer: &mut Answer, report: &RestoreReport, warnings: &Warnings) {
    answer.field("files", report.files);
    answer.field("folders", report.folders);
    answer.field("others", report.others);
    answer.field("written_bytes", report.written_bytes);
    answer.field("healed_reads", report.healed_reads);
    answer.line(format_args!(
        "  {}, {}, {}; {} written.",
        text::count(report.files, "file"),
        text::count(report.folders, "folder"),
        text::count(report.others, "link or special file").replace("link or special files", "links or special files"),
        text::size(report.written_bytes),
    ));
    if report.healed_reads > 0 {
        let reads = text::count(report.healed_reads, "read");
        answer.line(format_args!(
            "  {reads} met damage or a missing disk and were healed from the other disks; 'keepwell vault verify' says more."
        ));
    }
    answer.heading("Not restored, or not whole", report.missing.len());
    answer.list(
        "missing",
        &report.missing,
        |trouble| format!("{}: {}", trouble.key, trouble.text),
        |trouble| {
            let mut fields = text::path_fields(&trouble.key);
            fields.insert("text".into(), json!(trouble.text));
            fields.into()
        },
    );
    show_warnings(answer, warnings);
}

fn show_warnings(answer: &mut Answer, warnings: &Warnings) {
    if warnings.count > 0 {
        let more = if warnings.count > warnings.first.len() as u64 { "; the first are" } else { "" };
        answer.line(format_args!("Restored, but not just as it was ({}{more}):", warnings.count));
    }
    answer.field("warnings_count", warnings.count);
    answer.list(
        "warnings",
        &warnings.first,
        |(key, what)| format!("{key}: {what}"),
        |(key, what)| {
            let mut fields = text::path_fields(key);
            fields.insert("text".into(), json!(what));
            fields.into()
        },
    );
}
