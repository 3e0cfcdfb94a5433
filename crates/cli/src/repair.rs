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
    let lost =
        !(report.packs_lost.is_empty() && report.blobs_lost.is_empty() && report.files_lost.is_empty() && report.snapshots_lost.is_empty());
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
    let named = |answer: &mut Answer, name: &str, heading: &str, items: &[String]| {
        if !items.is_empty() {
            answer.line(format_args!("{heading} ({}):", items.len()));
        }
        answer.list(name, items, String::clone, |item| json!(item));
    };
    let packs: Vec<String> = report.packs_lost.iter().map(ToString::to_string).collect();
    let blobs: Vec<String> = report.blobs_lost.iter().map(ToString::to_string).collect();
    named(answer, "disks_adopted", "Empty disks that belong to the vault now", &report.disks_adopted);
    named(answer, "packs_lost", "Packs that are lost; what was readable in them was copied out", &packs);
    named(answer, "blobs_lost", "Pieces of files that are lost", &blobs);
    named(answer, "snapshots_lost", "Snapshots that are lost", &report.snapshots_lost);
    verify::show_lost_files(answer, &report.files_lost);
    named(answer, "remaining", "Still not as it should be", &report.remaining);
}
