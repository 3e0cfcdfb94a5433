//! `keepwell keys`: what a person does with the box's keys, through keyd's socket. Carries papers and passphrases from files to keyd, and
//! changed key slots from keyd to the vault's disks; decides nothing.

pub(crate) mod args;
mod papers;
mod status;

use std::path::Path;
use std::time::Duration;

use keepwell_api::keys::{OpenVault, Reissue, Reissued, SealAgain, Sealed as SealedTo, Status, Unlock, UnlockByKit, UnlockedByKit};
use keepwell_api::{Base64, Client};
use keepwell_format::keys::{KeyringBody, Slots};
use keepwell_storage::Access;
use keepwell_vault::{Sealed, VaultError};

use crate::exit::{CliError, Exit};
use crate::opening;
use crate::output::Answer;
use crate::unlock::{secret_file, secret_line};
use args::{KeysCommand, RecoverArgs, SealAgainArgs, UnlockArgs, VaultArgs};

/// A slow TPM takes seconds; a passphrase is made to be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it.
pub(crate) fn run(command: &KeysCommand, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        KeysCommand::Status(args) => status::run(&keyd(&args.keyd), answer),
        KeysCommand::Print(args) => papers::print(args, answer),
        KeysCommand::Confirm(args) => papers::confirm(args, answer),
        KeysCommand::Rehearse(args) => papers::rehearse(args, answer),
        KeysCommand::Unlock(args) => unlock(args, answer),
        KeysCommand::Recover(args) => recover(args, answer),
        KeysCommand::Reissue(args) => reissue(args, answer),
        KeysCommand::SealAgain(args) => seal_again(args, answer),
    }
}

/// The program with the keys.
pub(crate) fn keyd(socket: &Path) -> Client {
    Client::new("keepwell-keyd", socket, PATIENCE)
}

/// A vault's keys from keyd, for the user that it serves as vaultd.
pub(crate) fn open(socket: &Path, vault: &Sealed) -> Result<KeyringBody, CliError> {
    let (slots, keyring) = vault.locks()?;
    let request = OpenVault { vault: vault.vault_id().to_string(), slots: slots.encode().into(), keyring: keyring.encode().into() };
    let body = keyd(socket).post_for_bytes("/v1/open", &request)?;
    KeyringBody::decode(&body).map_err(|source| VaultError::Format { what: "keyd's answer", source }.into())
}

fn unlock(args: &UnlockArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let passphrase = Base64(secret_line(&args.passphrase_file, "passphrase")?);
    let client = keyd(&args.socket.keyd);
    let status: Status = client.post("/v1/unlock", &Unlock { passphrase })?;
    status::show(&status, answer);
    Ok(Exit::Complete)
}

fn recover(args: &RecoverArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let [first, second] = args.papers.as_slice() else {
        return Err(CliError::Usage("two papers are needed: --paper FILE --paper FILE".into()));
    };
    let papers = [Base64(secret_file(first)?), Base64(secret_file(second)?)];
    let passphrase = args.passphrase_file.as_deref().map(|path| secret_line(path, "passphrase")).transpose()?.map(Base64);
    let vault = opening::sealed(&args.vault.vault, Access::Write, answer)?;
    let slots = Some(vault.locks()?.0.encode().into());
    let done: UnlockedByKit = keyd(&args.vault.socket.keyd).post("/v1/unlock-by-kit", &UnlockByKit { papers, slots, passphrase })?;
    store(&vault, &done.slots)?;
    answer.field("sealed", done.not_sealed.is_none());
    answer.line("The keys are open, and the vault knows this box.");
    match &done.not_sealed {
        None => answer.line("They are sealed to this box: it opens them by itself from now on."),
        Some(notice) => {
            answer.field("not_sealed", &*notice.text);
            answer.line(format_args!("They could not be sealed to it, so the next start needs the papers again: {}", notice.text));
        }
    }
    Ok(Exit::of(done.not_sealed.is_none()))
}

/// Stores slots that keyd has changed.
fn store(vault: &Sealed, slots: &Base64) -> Result<(), CliError> {
    let slots = Slots::decode(slots.as_ref()).map_err(|source| VaultError::Format { what: "keyd's answer", source })?;
    Ok(vault.store_slots(&slots)?)
}

fn reissue(args: &VaultArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let vault = opening::sealed(&args.vault, Access::Read, answer)?;
    let request = Reissue { vault: vault.vault_id().to_string(), slots: Some(vault.locks()?.0.encode().into()) };
    let made: Reissued = keyd(&args.socket.keyd).post("/v1/reissue", &request)?;
    answer.field("set", made.set);
    answer.field("replaces", made.replaces);
    answer.line(format_args!(
        "A new kit, set {}, is ready to be printed. Until its three papers are confirmed, set {} stays valid.",
        made.set, made.replaces
    ));
    answer.line("Next: keepwell keys print --sheet 1, then keepwell keys confirm --sheet 1; likewise 2 and 3.");
    Ok(Exit::Complete)
}

fn seal_again(args: &SealAgainArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let request = SealAgain { pcr7: args.pcr7.clone(), epoch: args.epoch };
    let sealed: SealedTo = keyd(&args.socket.keyd).post("/v1/seal-again", &request)?;
    answer.field("sealed", serde_json::json!(sealed));
    answer.line(format_args!(
        "The keys are sealed for images of security epoch {}, and to these values of PCR 7, any of which will do:",
        sealed.epoch
    ));
    sealed.pcr7.iter().for_each(|value| answer.line(format_args!("  {value}")));
    Ok(Exit::Complete)
}
