//! `keepwell vault stats`: how big the vault is, and how its disks are.

use keepwell_storage::Access;
use serde_json::json;

use crate::args::MaybeKeyedArgs;
use crate::exit::{CliError, Exit};
use crate::opening::{self, Opened};
use crate::output::Answer;
use crate::text;

/// Runs it.
pub(crate) fn run(args: &MaybeKeyedArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let opened = opening::maybe_unlocked(args, Access::Read, answer)?;
    let stats = match &opened {
        Opened::Sealed(vault) => vault.stats()?,
        Opened::Vault(vault) => vault.stats()?,
    };
    answer.field("snapshots", stats.snapshots);
    answer.field("packs", stats.packs);
    answer.field("pack_bytes", stats.pack_bytes);
    answer.field("disk_bytes", stats.disk_bytes);
    answer.field("degraded_objects", stats.degraded_objects);
    answer.line(format_args!("The vault in {}", args.vault.display()));
    answer.line(format_args!(
        "  {} in {}, {}",
        text::count(stats.snapshots, "snapshot"),
        text::count(stats.packs, "pack"),
        text::size(stats.pack_bytes)
    ));
    answer.line(format_args!("  {} on all disks, redundancy included", text::size(stats.disk_bytes)));
    if let (Some(blobs), Some(plain)) = (stats.blobs, stats.plain_bytes) {
        answer.field("blobs", blobs);
        answer.field("plain_bytes", plain);
        answer.line(format_args!("  {}, {} before compression and sealing", text::count(blobs, "blob"), text::size(plain)));
    }
    if stats.degraded_objects > 0 {
        let objects = text::count(stats.degraded_objects, "object");
        answer.line(format_args!("  {objects} with less redundancy than the layout asks for: 'keepwell vault repair' restores it"));
    }
    answer.list(
        "disks",
        &stats.disks,
        |(name, state, total, free)| match total {
            0 => format!("{name}: {state}"),
            _ => format!("{name}: {state}, {} of {} free", text::size(*free), text::size(*total)),
        },
        |(name, state, total, free)| json!({ "name": name, "state": state, "total_bytes": total, "free_bytes": free }),
    );
    Ok(Exit::Complete)
}
