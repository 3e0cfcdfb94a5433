//! `keepwell vault forget`: whole snapshots that are not to be kept any longer. Says plainly what that does not do yet: give space back.

use clap::Args;
use keepwell_format::SnapshotId;
use keepwell_storage::Access;
use keepwell_vault::{ForgetReport, Snapshot, Vault, VaultError};
use serde_json::{Value, json};

use crate::args::KeyedArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::{opening, recover, text};

/// The reason where none is given.
const BY_HAND: &str = "by hand, on the command line";

/// `forget`.
#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    #[command(flatten)]
    pub(crate) keyed: KeyedArgs,
    /// Ids, or unique beginnings of them
    #[arg(value_name = "SNAP", required = true)]
    pub(crate) snapshots: Vec<String>,
    /// Why; it is kept, sealed, in the vault
    #[arg(long, value_name = "TEXT", default_value = BY_HAND)]
    pub(crate) reason: String,
    /// Only say what would be forgotten
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Runs it.
pub(crate) fn run(args: &ForgetArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    recover::refuse_unfinished(&args.keyed.vault)?;
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let vault = opening::unlocked(&args.keyed, access, answer)?;
    let ids = args.snapshots.iter().map(|text| meant(&vault, text)).collect::<Result<Vec<_>, VaultError>>()?;
    let report = if args.dry_run { vault.check_forget(&ids)? } else { vault.forget(&ids, &args.reason, opening::now().seconds)? };
    show(&report, args.dry_run, answer);
    Ok(Exit::Complete)
}

/// A whole id needs no snapshot: it may be forgotten already. `latest` and the like never name what is to go.
fn meant(vault: &Vault, text: &str) -> Result<SnapshotId, VaultError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let named = text == "latest" || text.contains('@');
    if named {
        return Err(VaultError::NoSnapshot(format!(
            "'{text}' is another snapshot after each backup; give the id of the one that is to be forgotten"
        )));
    }
    Ok(vault.resolve(text)?.id)
}

fn show(report: &ForgetReport, dry_run: bool, answer: &mut Answer) {
    answer.field("dry_run", dry_run);
    answer.heading(if dry_run { "Would be forgotten" } else { "Forgotten" }, report.forgotten.len());
    answer.list("forgotten", &report.forgotten, line, value);
    answer.heading("Forgotten already", report.already.len());
    answer.list("already", &report.already, SnapshotId::short, |id| json!(id.to_string()));
    answer.field("freed_bytes", 0);
    answer.line(match (dry_run, report.forgotten.is_empty()) {
        (true, _) => "Nothing was changed: this was a check.",
        (false, true) => "There was nothing left to do.",
        (false, false) => "They can't be restored any more. The space they take does not come back yet: a later release collects it.",
    });
}

fn line(snapshot: &Snapshot) -> String {
    let body = &snapshot.body;
    format!("{}  {}  {}", snapshot.id.short(), text::time(snapshot.received), text::shown(body.name.as_bytes()))
}

fn value(snapshot: &Snapshot) -> Value {
    json!({ "id": snapshot.id.to_string(), "name": snapshot.body.name, "sequence": snapshot.sequence })
}
