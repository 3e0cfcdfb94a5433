//! `keepwell keys`: what a person does with the box's keys, through keyd's socket. Carries papers and passphrases from files to keyd, and
//! changed key slots from keyd to the vault's disks; decides nothing.

pub(crate) mod args;
mod papers;
mod status;

use std::path::Path;
use std::time::Duration;

use keepwell_api::keys::{
    InPool, Keeper, OpenVault, Reissue, Reissued, SOCKET, SealAgain, Sealed as SealedTo, Status, ToStore, Unlock, UnlockByKit,
    UnlockedByKit,
};
use keepwell_api::{Base64, Client};
use keepwell_format::keys::{KeyringBody, Slots};
use keepwell_storage::Access;
use keepwell_vault::{Sealed, VaultError};

use crate::appliance::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::unlock::{secret_file, secret_line};
use crate::{memory, opening};
use args::{KeysCommand, RecoverArgs, SealAgainArgs, UnlockArgs, VaultArgs};

/// A slow TPM takes seconds; a passphrase is made to be slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often slots are stored and read back; they are newer once, or twice where another box changes them too.
const STORE_TRIES: usize = 4;

/// Runs it.
pub(crate) fn run(command: &KeysCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    memory::seclude();
    let keyd = &keyd(&command.socket().map_or_else(|| place.socket("keyd", SOCKET), Path::to_owned));
    match command {
        KeysCommand::Status(_) => status::run(keyd, answer),
        KeysCommand::Print(args) => papers::print(args, keyd, answer),
        KeysCommand::Confirm(args) => papers::confirm(args, keyd, answer),
        KeysCommand::Rehearse(args) => papers::rehearse(args, keyd, answer),
        KeysCommand::Unlock(args) => unlock(args, keyd, answer),
        KeysCommand::Recover(args) => recover(args, keyd, answer),
        KeysCommand::Reissue(args) => reissue(args, keyd, answer),
        KeysCommand::Store(args) => store_newest(args, keyd, answer),
        KeysCommand::SealAgain(args) => seal_again(args, keyd, answer),
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

fn unlock(args: &UnlockArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let passphrase = Base64(secret_line(&args.passphrase_file, "passphrase")?);
    let status: Status = keyd.post("/v1/unlock", &Unlock { passphrase })?;
    status::show(&status, answer);
    Ok(Exit::Complete)
}

fn recover(args: &RecoverArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let [first, second] = args.papers.as_slice() else {
        return Err(CliError::Usage("two papers are needed: --paper FILE --paper FILE".into()));
    };
    let papers = [Base64(secret_file(first)?), Base64(secret_file(second)?)];
    let passphrase = args.passphrase_file.as_deref().map(|path| secret_line(path, "passphrase")).transpose()?.map(Base64);
    let (slots, keyring) = match &args.vault {
        Some(vault) => {
            let (slots, keyring) = opening::sealed(vault, Access::Write, answer)?.locks()?;
            (Some(slots.encode().into()), Some(keyring.encode().into()))
        }
        // vaultd has shown them to keyd, and stores the new ones.
        None => (None, None),
    };
    let done: UnlockedByKit = keyd.post("/v1/unlock-by-kit", &UnlockByKit { papers, slots, keyring, passphrase })?;
    answer.field("sealed", done.not_sealed.is_none());
    answer.line("The keys are open.");
    if let Some(vault) = &args.vault {
        store(vault, keyd)?;
    }
    match &done.not_sealed {
        None if keyd.get::<Status>("/v1/status")?.keeper == Keeper::Tpm => {
            answer.line("They are sealed to this box: it opens them by itself from now on.");
        }
        None => answer.line("They are under the box's passphrase: it waits for that after each start."),
        Some(notice) => {
            answer.field("not_sealed", &*notice.text);
            answer.line(format_args!("They could not be sealed to it, so the next start needs the papers again: {}", notice.text));
        }
    }
    Ok(Exit::of(done.not_sealed.is_none()))
}

/// Brings the vault's disks the newest key slots, reads them back, and tells keyd, until they have them. Answers whether anything was stored.
fn store(folder: &Path, keyd: &Client) -> Result<bool, CliError> {
    for tries in 0..STORE_TRIES {
        let vault = opening::sealed_again(folder, Access::Write)?;
        let there = InPool { slots: vault.locks()?.0.encode().into() };
        let newer: ToStore = keyd.post(&format!("/v1/vaults/{}/stored", vault.vault_id()), &there)?;
        let Some(slots) = newer.slots else { return Ok(tries > 0) };
        let slots = Slots::decode(slots.as_ref()).map_err(|source| VaultError::Format { what: "keyd's answer", source })?;
        vault.store_slots(&slots)?;
    }
    Err(CliError::Refused(
        "the disks do not give back the key slots that were stored; look at `keepwell disks`, then store them again".into(),
    ))
}

fn store_newest(args: &VaultArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    opening::sealed(&args.vault, Access::Read, answer)?;
    let stored = store(&args.vault, keyd)?;
    answer.field("stored", stored);
    answer.line(if stored { "The disks have the newest key slots now." } else { "The disks had the newest key slots already." });
    Ok(Exit::Complete)
}

fn reissue(args: &VaultArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    // What was to be stored before is there now, or there is no new kit yet.
    store(&args.vault, keyd)?;
    let vault = opening::sealed(&args.vault, Access::Read, answer)?;
    let request = Reissue { vault: vault.vault_id().to_string(), slots: Some(vault.locks()?.0.encode().into()) };
    let made: Reissued = keyd.post("/v1/reissue", &request)?;
    answer.field("set", made.set);
    answer.field("replaces", made.replaces);
    answer.line(format_args!(
        "A new kit, set {}, is ready to be printed. Until its three papers are confirmed and the disks have its slots, set {} stays valid.",
        made.set, made.replaces
    ));
    answer.line("Next: keepwell keys print --sheet 1, then keepwell keys confirm --sheet 1; likewise 2 and 3.");
    Ok(Exit::Complete)
}

fn seal_again(args: &SealAgainArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let request = SealAgain { pcr7: args.pcr7.clone(), epoch: args.epoch };
    let sealed: SealedTo = keyd.post("/v1/seal-again", &request)?;
    answer.field("sealed", serde_json::json!(sealed));
    answer.line(format_args!(
        "The keys are sealed for images of security epoch {}, and to these values of PCR 7, any of which will do:",
        sealed.epoch
    ));
    sealed.pcr7.iter().for_each(|value| answer.line(format_args!("  {value}")));
    Ok(Exit::Complete)
}
