//! `keepwell keys status`: how the box's keys are, for a person first.

use keepwell_api::Client;
use keepwell_api::keys::{Keeper, PaperStatus, Phase, Status, VaultStatus};
use serde_json::json;

use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// Runs it. Locked keys are no failure of the question.
pub(super) fn run(keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let status: Status = keyd.get("/v1/status")?;
    show(&status, answer);
    Ok(Exit::of(status.locked.is_none() && status.warnings.is_empty()))
}

/// The answer to it.
pub(super) fn show(status: &Status, answer: &mut Answer) {
    answer.field("status", json!(status));
    answer.line(match status.phase {
        Phase::New => "This box has no vault yet.",
        Phase::Locked => "LOCKED: the keys are not in memory, so nothing can be backed up or restored.",
        Phase::Open => "The keys are open.",
    });
    if let Some(why) = &status.locked {
        answer.line(format_args!("  {}", why.text));
    }
    answer.line(match status.keeper {
        Keeper::Tpm if status.sealed.is_none() => "Nothing is sealed to the box's TPM yet.",
        Keeper::Tpm => "The box's TPM opens them at start, as long as nobody has changed what the box starts.",
        Keeper::StandIn => {
            "This box has NO TPM: a file with a passphrase stands in for it. Who copies its state can guess the passphrase elsewhere."
        }
    });
    for warning in &status.warnings {
        answer.line(format_args!("warning: {}", warning.text));
    }
    status.vaults.iter().for_each(|vault| show_vault(vault, answer));
}

fn show_vault(vault: &VaultStatus, answer: &mut Answer) {
    answer.line("");
    answer.line(format_args!("Vault {} ({})", vault.vault, vault.owner));
    answer.line(format_args!("  recovery kit: set {}, made on {} UTC", vault.set, text::time(vault.made_at)));
    for (number, paper) in (1..).zip(&vault.papers) {
        answer.line(format_args!("  sheet {number}: {}", said(paper)));
    }
    match vault.pending_set {
        Some(pending) if pending == vault.set => answer.line("  its sheets are being printed"),
        Some(pending) => answer.line(format_args!(
            "  being printed: set {pending}; it becomes valid when its three sheets are confirmed and the disks have its key slots"
        )),
        None => {}
    }
    if vault.to_store {
        answer.line("  the disks are not known to have the newest key slots: keepwell keys store");
    }
    if !vault.invalid_sets.is_empty() {
        let sets: Vec<String> = vault.invalid_sets.iter().map(ToString::to_string).collect();
        answer.line(format_args!("  no longer valid, to be destroyed: set {}", sets.join(", ")));
    }
}

fn said(paper: &PaperStatus) -> String {
    let keeper = if paper.keeper.is_empty() { "nobody is named as its keeper".to_owned() } else { format!("kept by {}", paper.keeper) };
    let when = |what: &str, time: Option<i64>| time.map_or(format!("never {what}"), |time| format!("{what} {} UTC", text::time(time)));
    let failed = paper.failed_at.map_or_else(String::new, |time| format!("; FAILED its last rehearsal {} UTC", text::time(time)));
    format!("{keeper}; {}; {}{failed}", when("confirmed", paper.confirmed_at), when("rehearsed", paper.rehearsed_at))
}
