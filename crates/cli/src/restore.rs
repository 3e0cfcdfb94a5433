//! `keepwell vault restore`: a snapshot, or a part of it, into a folder or back to a share.

use keepwell_source::{Address, Opening, RestoreTarget, Warnings};
use keepwell_storage::Access;
use keepwell_vault::{Conflict, Met, RestoreOptions, RestoreReport, Snapshot, Vault};
use serde_json::{Map, Value, json};

use crate::args::{ConflictArg, RestoreArgs};
use crate::exit::{CliError, Exit};
use crate::output::{Answer, tell};
use crate::progress::Meter;
use crate::receipt::{self, Receipt};
use crate::remote::Remote;
use crate::{ls, opening, text};

/// Runs it.
pub(crate) fn run(args: &RestoreArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let path = args.path.as_deref().map(ls::key).transpose()?;
    let remote = Remote::new(&args.to, &args.account)?;
    let vault = opening::unlocked(&args.keyed, Access::Read, answer)?;
    let snapshot = vault.resolve(&args.snapshot)?;
    answer.field("snapshot", snapshot.id.to_string());
    let is_folder = matches!(remote.address, Address::Folder(_));
    let options = RestoreOptions {
        path,
        conflict: rule(args.conflict),
        stamp: text::stamp(opening::now().seconds),
        dry_run: args.dry_run,
        read_back: args.read_back || !is_folder && !args.no_read_back,
        resumed: None,
    };
    let place = open(&remote, &options)?;
    let lacking = place.lacking();
    lacking.iter().for_each(|text| tell("warning", &format!("warning: {text}"), answer.is_json()));
    let receipt = args.receipt.as_deref().map(|file| Receipt::begin(file, &snapshot, head(args, &remote, &options))).transpose()?;
    let (report, warnings, kept) = restore(&vault, &snapshot, &options, place.as_ref(), receipt, answer)?;
    show_headline(answer, &snapshot, &remote.address, &options);
    show(answer, &options, &report);
    show_warnings(answer, &warnings);
    if let Err(error) = &kept {
        tell("warning", &format!("warning: the receipt could not be written: {error}"), answer.is_json());
    }
    Ok(Exit::of(report.is_whole() && warnings.count == 0 && kept.is_ok()))
}

fn rule(arg: Option<ConflictArg>) -> Conflict {
    match arg {
        None => Conflict::Refuse,
        Some(ConflictArg::Skip) => Conflict::Skip,
        Some(ConflictArg::Replace) => Conflict::Replace,
        Some(ConflictArg::Rename) => Conflict::Rename,
        Some(ConflictArg::Newer) => Conflict::Newer,
    }
}

fn open(remote: &Remote, options: &RestoreOptions) -> Result<Box<dyn RestoreTarget>, CliError> {
    let opening = match options.conflict == Conflict::Refuse {
        empty if options.dry_run => Opening::Preview { empty },
        true => Opening::Empty,
        false => Opening::Merge,
    };
    Ok(remote.address.open_target(remote.password(), opening)?)
}

/// What a run came to, what could not be set, and whether the receipt was kept.
type Run = (RestoreReport, Warnings, std::io::Result<()>);

fn restore(
    vault: &Vault,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    place: &dyn RestoreTarget,
    mut receipt: Option<Receipt>,
    answer: &Answer,
) -> Result<Run, CliError> {
    let meter = Meter::start(answer.is_json());
    let done = vault.restore_telling(snapshot, options, place, &meter, &mut |restored| {
        if let Some(receipt) = &mut receipt {
            receipt.entry(&restored);
        }
    });
    drop(meter);
    let warnings = place.warnings();
    let Some(receipt) = receipt else {
        return Ok((done?, warnings, Ok(())));
    };
    match done {
        Ok(report) => {
            let outcome = Exit::of(report.is_whole() && warnings.count == 0).outcome();
            let mut rest = receipt::summary(&report);
            rest.insert("warnings".into(), warnings.first.iter().map(|(key, what)| text::told(key, what)).collect());
            rest.insert("warnings_count".into(), json!(warnings.count));
            let kept = receipt.finish(outcome, rest);
            Ok((report, warnings, kept))
        }
        Err(error) => {
            // The run's own failure is what counts.
            let _ = receipt.finish(Exit::Failed.outcome(), Map::from_iter([("error".into(), json!(error.to_string()))]));
            Err(error.into())
        }
    }
}

/// The beginning of a receipt.
fn head(args: &RestoreArgs, remote: &Remote, options: &RestoreOptions) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("target".into(), json!(remote.address.location()));
    head.insert("conflict".into(), json!(word(args.conflict)));
    head.insert("read_back".into(), json!(options.read_back));
    if let Some(path) = &options.path {
        head.extend(text::path_fields(path));
    }
    head
}

/// The word for a rule in JSON.
fn word(rule: Option<ConflictArg>) -> &'static str {
    match rule {
        None => "refuse",
        Some(ConflictArg::Skip) => "skip",
        Some(ConflictArg::Replace) => "replace",
        Some(ConflictArg::Rename) => "rename",
        Some(ConflictArg::Newer) => "newer",
    }
}

fn show_headline(answer: &mut Answer, snapshot: &Snapshot, address: &Address, options: &RestoreOptions) {
    answer.field("dry_run", options.dry_run);
    let (id, name, to) = (snapshot.id.short(), &snapshot.body.name, address.location());
    if options.dry_run {
        answer.line(format_args!("Nothing was written. Restoring snapshot {id} ('{name}') to {to} would write:"));
    } else {
        answer.line(format_args!("Snapshot {id} ('{name}') was restored to {to}."));
    }
}

fn show(answer: &mut Answer, options: &RestoreOptions, report: &RestoreReport) {
    show_counts(answer, options, report);
    if report.healed_reads > 0 {
        let reads = text::count(report.healed_reads, "read");
        answer.line(format_args!(
            "  {reads} met damage or a missing disk and were healed from the other disks; 'keepwell vault verify' says more."
        ));
    }
    answer.heading("Something was there already", report.met.len());
    answer.long_list("conflicts", &report.met, met_line, met_value);
    answer.heading("Not restored, or not whole", report.missing.len());
    answer.list("missing", &report.missing, |t| format!("{}: {}", t.key, t.text), |t| text::told(&t.key, &t.text));
    let more = if report.differing > report.differences.len() as u64 { "; the first are" } else { "" };
    if report.differing > 0 {
        answer.line(format_args!("Read back, and not as it should be ({}{more}):", report.differing));
    }
    answer.list("differences", &report.differences, |t| format!("{}: {}", t.key, t.text), |t| text::told(&t.key, &t.text));
    answer.field("lacking", json!(report.lacking));
    if options.dry_run {
        answer.heading("Rights that are missing", report.lacking.len());
        report.lacking.iter().for_each(|text| answer.line(format_args!("  {text}")));
    }
}

fn show_counts(answer: &mut Answer, options: &RestoreOptions, report: &RestoreReport) {
    for (name, count) in [
        ("files", report.files),
        ("folders", report.folders),
        ("others", report.others),
        ("written_bytes", report.written_bytes),
        ("replaced", report.replaced),
        ("renamed", report.renamed),
        ("skipped", report.skipped),
        ("compared", report.compared),
        ("differing", report.differing),
        ("healed_reads", report.healed_reads),
    ] {
        answer.field(name, count);
    }
    answer.line(format_args!(
        "  {}, {}, {}; {}{}.",
        text::count(report.files, "file"),
        text::count(report.folders, "folder"),
        text::count(report.others, "link or special file").replace("link or special files", "links or special files"),
        text::size(report.written_bytes),
        if options.dry_run { "" } else { " written" },
    ));
    if report.replaced + report.renamed + report.skipped > 0 {
        answer.line(format_args!(
            "  Where something was there: {} replaced, {} under another name, {} left out.",
            report.replaced, report.renamed, report.skipped
        ));
    }
    if report.compared > 0 {
        answer.line(match report.differing {
            0 => format!("  {} read back: all as it was in the backup.", text::count(report.compared, "entry")),
            n => format!("  {} read back: {n} not as in the backup.", text::count(report.compared, "entry")),
        });
    }
}

fn met_line(met: &Met) -> String {
    match &met.renamed {
        Some(renamed) => format!("{}: restored as {renamed}", met.key),
        None if met.why.is_empty() => format!("{}: {}", met.key, receipt::action(met.action)),
        None => format!("{}: {}, {}", met.key, receipt::action(met.action), met.why),
    }
}

fn met_value(met: &Met) -> Value {
    let mut fields = text::path_fields(&met.key);
    fields.insert("action".into(), json!(receipt::action(met.action)));
    if let Some(renamed) = &met.renamed {
        fields.extend(text::bytes_fields("renamed", &renamed.to_path()));
    }
    if !met.why.is_empty() {
        fields.insert("text".into(), json!(met.why));
    }
    fields.into()
}

fn show_warnings(answer: &mut Answer, warnings: &Warnings) {
    if warnings.count > 0 {
        let more = if warnings.count > warnings.first.len() as u64 { "; the first are" } else { "" };
        answer.line(format_args!("Restored, but not just as it was ({}{more}):", warnings.count));
    }
    answer.field("warnings_count", warnings.count);
    answer.list("warnings", &warnings.first, |(key, what)| format!("{key}: {what}"), |(key, what)| text::told(key, what));
}
