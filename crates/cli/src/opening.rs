//! From a vault's folder to an open vault: finds its disks, says which are not there, and where the index lies.

use std::fs::{self, DirBuilder};
use std::num::NonZero;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keepwell_format::{Time, VaultId};
use keepwell_storage::{Access, DeadlineDisk, DirectoryDisk, Disk, DiskHealth, DiskState, Layout, Pool, PoolIds};
use keepwell_vault::{Clock, Env, IndexPlace, Sealed, Vault, Workers};

use crate::args::{KeyedArgs, MaybeKeyedArgs, UnlockArg};
use crate::exit::CliError;
use crate::output::{self, Answer};
use crate::progress::Meter;
use crate::random::Random;
use crate::unlock;

/// How long a disk may take for one piece of work: longer than one takes to spin up or to remap a sector.
const PATIENCE: Duration = Duration::from_secs(60);

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
    for number in 1..=disks {
        let disk = disk_folder(folder, number);
        DirBuilder::new().recursive(true).mode(0o700).create(&disk).map_err(CliError::file("make the folder", disk))?;
    }
    let ids = PoolIds { vault: vault.0, disks: (0..disks).map(|_| random.id()).collect() };
    Ok(Pool::create(directories(folder, disks), ids, layout)?)
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
    let pool = Pool::open(directories(folder, count_disks(folder)?), access)?;
    warn_of_disks(&pool, answer.is_json());
    let workers = available_parallelism().map_or(1, NonZero::get);
    let sealed = Sealed::open(Arc::new(pool), Env::new(Arc::new(SystemClock), Workers::Threads(workers)))?;
    answer.field("vault", sealed.vault_id().to_string());
    Ok(sealed)
}

/// The highest number of a disk folder: those between that are missing count, and the labels know of further ones.
fn count_disks(folder: &Path) -> Result<u8, CliError> {
    let entries = fs::read_dir(folder).map_err(CliError::file("open the vault", folder))?;
    let mut highest = 0;
    for entry in entries {
        let name = entry.map_err(CliError::file("list the vault", folder))?.file_name();
        highest = highest.max(name.to_str().and_then(disk_number).unwrap_or(0));
    }
    if highest == 0 {
        let folder = folder.display();
        return Err(CliError::Refused(format!(
            "{folder} is no vault: there is no disk-1, disk-2 or the like in it. Give the folder that 'vault init' made, or that the disks are mounted in"
        )));
    }
    Ok(highest)
}

/// The number in `disk-N`, as it is written there.
pub(crate) fn disk_number(name: &str) -> Option<u8> {
    let number = name.strip_prefix("disk-")?.parse().ok().filter(|number| *number > 0)?;
    (format!("disk-{number}") == name).then_some(number)
}

fn disk_folder(folder: &Path, number: u8) -> PathBuf {
    folder.join(format!("disk-{number}"))
}

fn directories(folder: &Path, disks: u8) -> Vec<Arc<dyn Disk>> {
    let disk = |number| DirectoryDisk::new(format!("disk-{number}"), disk_folder(folder, number));
    (1..=disks).map(|number| Arc::new(DeadlineDisk::new(Arc::new(disk(number)), PATIENCE)) as Arc<dyn Disk>).collect()
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
struct SystemClock;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_by_the_highest_number() {
        let folder = tempfile::tempdir().unwrap();
        assert!(count_disks(folder.path()).is_err());
        for name in ["disk-2", "disk-4", "disk-07", "disk-x", "disk-999", "disk-0", "cache"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(count_disks(folder.path()).unwrap(), 4);
    }
}
