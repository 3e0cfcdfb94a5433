//! From a vault's folder to an open vault: finds its disks, says which are not there, and where the index lies.

use std::fs::DirBuilder;
use std::num::NonZero;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use keepwell_format::{Time, VaultId};
use keepwell_storage::{Access, Disk, DiskHealth, DiskState, Layout, Pool, PoolIds, disk_folder, disks_up_to};
use keepwell_vault::{Clock, Env, IndexPlace, Sealed, Vault, Workers};

use crate::args::{KeyedArgs, MaybeKeyedArgs, UnlockArg};
use crate::exit::CliError;
use crate::output::{self, Answer};
use crate::progress::Meter;
use crate::random::Random;
use crate::unlock;

/// A vault with or without its keys.
pub(crate) enum Opened {
    Sealed(Box<Sealed>),
    Vault(Box<Vault>),
}

/// Opens a vault with its keys.
pub(crate) fn unlocked(args: &KeyedArgs, access: Access, answer: &mut Answer) -> Result<Vault, CliError> {
    with_key(&args.vault, &args.unlock, access, answer)
}

/// Opens a vault with its keys if they are given.
pub(crate) fn maybe_unlocked(args: &MaybeKeyedArgs, access: Access, answer: &mut Answer) -> Result<Opened, CliError> {
    match &args.unlock {
        Some(unlock) => Ok(Opened::Vault(Box::new(with_key(&args.vault, unlock, access, answer)?))),
        None => Ok(Opened::Sealed(Box::new(sealed(&args.vault, access, answer)?))),
    }
}

/// Makes the folders of a new vault and a pool on them.
pub(crate) fn create_pool(folder: &Path, vault: VaultId, layout: Layout, disks: u8, random: &mut Random) -> Result<Pool, CliError> {
    make_disks(folder, disks)?;
    let ids = PoolIds { vault: vault.0, disks: (0..disks).map(|_| random.id()).collect() };
    Ok(Pool::create(disks_up_to(folder, disks), ids, layout)?)
}

/// Makes folders for disks, where none are mounted.
pub(crate) fn make_disks(folder: &Path, disks: u8) -> Result<(), CliError> {
    for number in 1..=disks {
        let disk = disk_folder(folder, number);
        DirBuilder::new().recursive(true).mode(0o700).create(&disk).map_err(CliError::file("make the folder", disk))?;
    }
    Ok(())
}

fn with_key(folder: &Path, arg: &UnlockArg, access: Access, answer: &mut Answer) -> Result<Vault, CliError> {
    let sealed = sealed(folder, access, answer)?;
    let key = unlock::load(arg, &sealed)?;
    let cache = folder.join("cache");
    // Without it the engine keeps its index in memory.
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&cache) {
        tracing::debug!(%error, "no folder for the index");
    }
    Ok(sealed.unlock(&key, IndexPlace::File(cache.join("index.sqlite")), &Meter::start(answer.is_json()))?)
}

/// Opens a vault without its keys.
pub(crate) fn sealed(folder: &Path, access: Access, answer: &mut Answer) -> Result<Sealed, CliError> {
    let pool = Pool::open(disks(folder)?, access)?;
    warn_of_disks(&pool, answer.is_json());
    let sealed = sealed_in(pool)?;
    answer.field("vault", sealed.vault_id().to_string());
    Ok(sealed)
}

/// As [`sealed`], once more within one command: what there is to say was said.
pub(crate) fn sealed_again(folder: &Path, access: Access) -> Result<Sealed, CliError> {
    sealed_in(Pool::open(disks(folder)?, access)?)
}

fn sealed_in(pool: Pool) -> Result<Sealed, CliError> {
    let workers = available_parallelism().map_or(1, NonZero::get);
    Ok(Sealed::open(Arc::new(pool), Env::new(Arc::new(SystemClock), Workers::Threads(workers)))?)
}

fn disks(folder: &Path) -> Result<Vec<Arc<dyn Disk>>, CliError> {
    let disks = keepwell_storage::disks_in(folder).map_err(CliError::file("open the vault", folder))?;
    if disks.is_empty() {
        let folder = folder.display();
        return Err(CliError::Refused(format!(
            "{folder} is no vault: there is no disk-1, disk-2 or the like in it. Give the folder that 'vault init' made, or that the disks are mounted in"
        )));
    }
    Ok(disks)
}

/// Says which disks are not as they should be, and what that means.
fn warn_of_disks(pool: &Pool, json: bool) {
    let health = pool.health();
    let warn = |text: &str| output::tell("warning", &format!("warning: {text}"), json);
    for disk in health.disks.iter().filter(|disk| disk.state != DiskState::Present) {
        let note = if disk.note.is_empty() { String::new() } else { format!(" ({})", disk.note) };
        warn(&format!("{}: {}{note}", disk.name, disk.state));
    }
    let unread = |disk: &&DiskHealth| disk.slot.is_some() && !matches!(disk.state, DiskState::Present | DiskState::DamagedLabel);
    let lost = health.disks.iter().filter(unread).count();
    if lost > 0 {
        let more = match usize::from(health.layout.m).saturating_sub(lost) {
            0 => "if one more disk fails, data is lost".into(),
            1 => "one more disk may fail without loss".into(),
            more => format!("{more} more disks may fail without loss"),
        };
        warn(&format!(
            "the others are used; {more}. Bring the disk back, or put an empty one in its place, then run 'keepwell vault repair'"
        ));
    }
}

/// The clock of the machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        now()
    }
}

/// Now, by the clock of the machine; 1970 when it stands before that.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: since.as_secs().cast_signed(), nanos: since.subsec_nanos() }
}
