//! `keepwell vault repair`: full redundancy again, as far as the other disks allow.

use keepwell_format::DiskId;
use keepwell_storage::Access;
use keepwell_vault::RepairReport;
use serde_json::json;

use crate::args::MaybeKeyedArgs;
use crate::exit::{CliError, Exit};
use crate::opening::{self, Opened};
use crate::output::Answer;
use crate::progress::Meter;
use crate::random::Random;
use crate::{text, verify};

/// Runs it.
pub(crate) fn run(args: &MaybeKeyedArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let mut random = Random::new()?;
    let mut opened = opening::maybe_unlocked(args, Access::Write, answer)?;
    let meter = Meter::start(answer.is_json());
    let mut adopt = || DiskId(random.id());
    let report = match &mut opened {
        Opened::Sealed(vault) => vault.repair(&mut adopt, &meter)?,
        Opened::Vault(vault) => vault.repair(&mut adopt, &meter)?,
    };
    drop(meter);
    let lost = !(report.packs_lost.is_empty()
        && report.packs_unusable.is_empty()
        && report.blobs_lost.is_empty()
        && report.files_lost.is_empty()
        && report.snapshots_lost.is_empty());
    show(answer, &report);
    answer.line(match (lost, report.remaining.is_empty()) {
        (false, true) => "The vault is whole: all its objects have their full redundancy.",
        (false, false) => "Nothing is lost, but not everything could be repaired; see above.",
        (true, _) => "Something is lost, as listed; everything else can be restored.",
    });
    Ok(Exit::of(!lost && report.remaining.is_empty()))
}

fn show(answer: &mut Answer, report: &RepairReport) {
    answer.field("objects", report.objects);
    answer.field("healed", report.healed);
    answer.field("shards_written", report.shards_written);
    answer.field("blobs_salvaged", report.blobs_salvaged);
    answer.line(format_args!("Looked at {}, repaired {}.", text::count(report.objects, "object"), report.healed));
    let packs: Vec<String> = report.packs_lost.iter().map(ToString::to_string).collect();
    let blobs: Vec<String> = report.blobs_lost.iter().map(ToString::to_string).collect();
    let name = |item: &String| item.clone();
    answer.heading("Empty disks that belong to the vault now", report.disks_adopted.len());
    answer.list("disks_adopted", &report.disks_adopted, name, |item| json!(item));
    answer.heading("Disks that have left: nothing on them is needed any more", report.disks_left.len());
    answer.list("disks_left", &report.disks_left, name, |item| json!(item));
    let unusable: Vec<String> = report.packs_unusable.iter().map(ToString::to_string).collect();
    answer.heading("Packs that were whole and could not be made sense of; they were moved aside", unusable.len());
    answer.long_list("packs_unusable", &unusable, name, |item| json!(item));
    answer.heading("Packs that are lost; what was readable in them was copied out", packs.len());
    answer.long_list("packs_lost", &packs, name, |item| json!(item));
    answer.heading("Pieces of files that are lost", blobs.len());
    answer.long_list("blobs_lost", &blobs, name, |item| json!(item));
    answer.heading("Snapshots that are lost", report.snapshots_lost.len());
    answer.list("snapshots_lost", &report.snapshots_lost, name, |item| json!(item));
    verify::show_lost_files(answer, &report.files_lost);
    answer.heading("Still not as it should be", report.remaining.len());
    answer.long_list("remaining", &report.remaining, name, |item| json!(item));
}
