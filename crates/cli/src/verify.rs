//! `keepwell vault verify`: hashes of all shards; with a key also every catalog, with `--data` every file.

use keepwell_format::Key;
use keepwell_storage::Access;
use keepwell_vault::{DamageReport, LostFile, VerifyReport};
use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::exit::{CliError, Exit};
use crate::opening::{self, Opened};
use crate::output::Answer;
use crate::progress::Meter;
use crate::text;

/// Runs it.
pub(crate) fn run(args: &VerifyArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let opened = opening::maybe_unlocked(&args.keyed, Access::Read, answer)?;
    let meter = Meter::start(answer.is_json());
    let (report, keys) = match &opened {
        Opened::Sealed(vault) => (vault.verify(&meter)?, false),
        Opened::Vault(vault) => (vault.verify(args.data, &meter)?, true),
    };
    drop(meter);
    show_summary(answer, &report, keys, args.data);
    show_damage(answer, &report.damage);
    answer.heading("Packs whose directory can't be read", report.packs_unreadable.len());
    answer.list(
        "packs_unreadable",
        &report.packs_unreadable,
        |(pack, why)| format!("{pack}: {why}"),
        |(pack, why)| json!({ "pack": pack.to_string(), "why": why }),
    );
    show_lost_snapshots(answer, &report.snapshots_lost);
    answer.heading("Tombstones that can't be trusted: what they made forgotten shows again", report.tombstones_damaged.len());
    answer.list(
        "tombstones_damaged",
        &report.tombstones_damaged,
        |(id, why)| format!("{id}: {why}"),
        |(id, why)| json!({ "tombstone": id, "why": why }),
    );
    show_lost_files(answer, &report.files_lost);
    answer.line(if report.is_clean() { "All of it is as it should be." } else { verdict(&report) });
    Ok(Exit::of(report.is_clean()))
}

fn verdict(report: &VerifyReport) -> &'static str {
    let lost = !(report.damage.lost.is_empty()
        && report.packs_unreadable.is_empty()
        && report.snapshots_lost.is_empty()
        && report.files_lost.is_empty());
    if lost {
        "Something is lost, as listed; everything else can be restored."
    } else if !report.tombstones_damaged.is_empty() {
        "No file is lost. Snapshots that were forgotten may show again, and can be forgotten once more."
    } else if report.damage.healable.is_empty() && report.damage.disks.is_empty() {
        "No data is damaged; the files listed are not the vault's and were left alone."
    } else {
        "Nothing is lost, but there is less redundancy than there should be: bring missing disks back, then run 'keepwell vault repair'."
    }
}

fn show_summary(answer: &mut Answer, report: &VerifyReport, keys: bool, data: bool) {
    let damage = &report.damage;
    answer.field("with_keys", keys);
    answer.field("with_data", data);
    answer.field("objects", damage.objects);
    answer.field("read_bytes", damage.read_bytes);
    answer.field("snapshots", report.snapshots);
    answer.field("entries", report.entries);
    answer.field("files", report.files);
    answer.field("file_bytes", report.file_bytes);
    answer.line(format_args!("Checked {} on the disks, {}.", text::count(damage.objects, "object"), text::size(damage.read_bytes)));
    if keys {
        answer.line(format_args!("Walked {} with {}.", text::count(report.snapshots, "snapshot"), text::count(report.entries, "entry")));
    }
    if data {
        answer.line(format_args!("Read {}, {}.", text::count(report.files, "different file"), text::size(report.file_bytes)));
    }
}

/// What is wrong with the pool's objects and disks.
fn show_damage(answer: &mut Answer, damage: &DamageReport) {
    let pair = |(name, why): &(String, String)| format!("{name}: {why}");
    let pair_value = |(name, why): &(String, String)| json!({ "name": name, "why": why });
    answer.heading("Disks that are not as they should be", damage.disks.len());
    answer.list("disks", &damage.disks, pair, pair_value);
    answer.heading("Damaged or missing, but can be rebuilt from the other disks", damage.healable.len());
    answer.long_list("healable", &damage.healable, pair, pair_value);
    answer.heading("Lost: too few good shards are left", damage.lost.len());
    answer.list("lost", &damage.lost, String::clone, |name| json!(name));
    answer.heading("Files in the vault's folders that are not the vault's", damage.foreign.len());
    answer.long_list("foreign", &damage.foreign, String::clone, |name| json!(name));
}

/// Snapshots that can't be read, and why.
pub(crate) fn show_lost_snapshots(answer: &mut Answer, lost: &[(String, String)]) {
    answer.heading("Snapshots that can't be read", lost.len());
    answer.list("snapshots_lost", lost, |(id, why)| format!("{id}: {why}"), |(id, why)| json!({ "snapshot": id, "why": why }));
}

/// Files that can't be restored any more.
pub(crate) fn show_lost_files(answer: &mut Answer, lost: &[LostFile]) {
    answer.heading("Files that can't be restored", lost.len());
    answer.list("files_lost", lost, lost_line, lost_value);
}

fn lost_line(file: &LostFile) -> String {
    let until = match &file.until {
        None => String::new(),
        Some(None) => " and everything after it".into(),
        Some(Some(end)) => format!(" and everything after it, up to {end}"),
    };
    format!("snapshot {} ('{}'): {}{until}", file.snapshot.short(), text::shown(file.name.as_bytes()), file.key)
}

fn lost_value(file: &LostFile) -> Value {
    let mut fields = text::path_fields(&file.key);
    fields.insert("snapshot".into(), json!(file.snapshot.to_string()));
    fields.insert("name".into(), json!(file.name));
    fields.insert("range".into(), json!(file.until.is_some()));
    let end: Option<&Key> = file.until.iter().flatten().next();
    fields.extend(end.iter().flat_map(|key| text::bytes_fields("until", &key.to_path())));
    fields.into()
}
