//! Whether a pool still needs a disk, by the labels of the pool's disks. Reads labels; changes nothing but that a disk is mounted to be read and unmounted after.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use keepwell_api::disks::{DiskDetail, Mounted, Standing, Typed};
use keepwell_storage::{LABEL_FILE, Label, Role};

use super::Chosen;
use super::args::DangerArgs;
use crate::exit::CliError;
use crate::text;

/// Longer than any label.
const LABEL_MAX: u64 = 64 << 10;

/// True when no pool needs the disk, which is then unmounted. An error when one does, or nobody can say.
pub(super) fn release(chosen: &Chosen, args: &DangerArgs) -> Result<bool, CliError> {
    let mounted_at = match &chosen.disk.standing {
        Standing::Prepared { mounted_at, .. } | Standing::OtherBox { mounted_at, .. } => mounted_at,
        Standing::Spoilt { why } | Standing::Unread { why, .. } if !args.not_in_a_pool => {
            return Err(unsure(&format!("nobody can say whether a pool needs the disk, because its label does not hold ({why})")));
        }
        _ => return Ok(args.not_in_a_pool),
    };
    if !args.not_in_a_pool {
        let at = match mounted_at {
            Some(at) => at.clone(),
            None => {
                chosen.post::<Mounted>("/mount", &Typed { typed_serial: args.serial.clone(), ..Typed::default() }).map_err(unreadable)?.at
            }
        };
        let needed = is_mount(Path::new(&at)).and_then(|()| needed(Path::new(&at), args.vault.as_deref()));
        if mounted_at.is_none() || needed.is_ok() {
            let _: DiskDetail = chosen.post("/unmount", &Typed::default())?;
        }
        needed?;
    } else if mounted_at.is_some() {
        let _: DiskDetail = chosen.post("/unmount", &Typed::default())?;
    }
    Ok(true)
}

fn unreadable(error: CliError) -> CliError {
    unsure(&format!("whether a pool needs the disk can't be seen, because it can't be mounted ({error})"))
}

fn unsure(why: &str) -> CliError {
    CliError::Refused(format!("{why}. Nothing was changed. If you know that no pool needs it, say --not-in-a-pool"))
}

/// An error where the disk is not mounted for this program: it would see an empty folder.
fn is_mount(at: &Path) -> Result<(), CliError> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    let above = at.parent().unwrap_or(at);
    match (device(at), device(above)) {
        (Ok(own), Ok(above)) if own != above => Ok(()),
        (Ok(_), Ok(_)) => Err(unsure(&format!("the disk can't be seen at {} from here", at.display()))),
        (Err(error), _) | (_, Err(error)) => Err(unsure(&format!("{} can't be looked at ({error})", at.display()))),
    }
}

/// An error when the pool of the disk that is mounted here has a place for it, or when what is on it can't be seen. Only a disk that was looked at and has nothing
/// on it is in no pool.
fn needed(at: &Path, vault: Option<&Path>) -> Result<(), CliError> {
    match fs::symlink_metadata(at.join(LABEL_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return empty(at),
        Err(error) => return Err(unsure(&format!("the label of a pool can't be looked for on the disk ({error})"))),
        Ok(_) => {}
    }
    let own = label(at).ok_or_else(|| unsure("the disk has a pool's label that can't be read"))?;
    let beside = [at.parent(), vault].into_iter().flatten().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let others = beside.map(|entry| entry.path()).filter(|folder| folder != at).filter_map(|folder| label(&folder));
    let newest = others.filter(|other| other.vault == own.vault && other.disk != own.disk).max_by_key(|other| other.generation);
    let gone = |newest: &Label| {
        let place = newest.members.iter().find(|member| member.disk == own.disk);
        newest.generation > own.generation && place.is_none_or(|member| member.role == Role::Retired)
    };
    match newest {
        Some(newest) if gone(&newest) => Ok(()),
        Some(_) => Err(CliError::Refused("the vault on the disk still needs it. Remove the disk from the vault first: 'keepwell vault disk remove'".into())),
        None => Err(CliError::Refused(
            "a vault is on the disk, and none of its other disks is here to say whether it is still needed. Name the vault's folder with --vault, or, if \
             you know that its data may be lost, say --not-in-a-pool"
                .into(),
        )),
    }
}

/// An error unless the folder can be listed and has nothing in it: a label may have been lost, or a vault may lie deeper.
fn empty(at: &Path) -> Result<(), CliError> {
    match fs::read_dir(at).and_then(|mut entries| entries.next().transpose()) {
        Ok(None) => Ok(()),
        Ok(Some(entry)) => Err(unsure(&format!(
            "the disk has no label of a pool, and it is not empty: {} is on it",
            text::shown(entry.file_name().as_bytes())
        ))),
        Err(error) => Err(unsure(&format!("what is on the disk can't be listed ({error})"))),
    }
}

fn label(folder: &Path) -> Option<Label> {
    let path = folder.join(LABEL_FILE);
    let short = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LABEL_MAX);
    Label::parse(&fs::read(short.then_some(path)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use keepwell_storage::{Layout, Member};

    use super::*;

    fn write(base: &Path, disk: u8, generation: u64, members: &[(u8, Role)]) {
        let members = members.iter().map(|(disk, role)| Member { disk: [*disk; 16], role: *role }).collect();
        let label = Label { vault: [1; 16], disk: [disk; 16], layout: Layout::new(1, 1).unwrap(), generation, members };
        let folder = base.join(disk.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(LABEL_FILE), label.encode()).unwrap();
    }

    fn may_go(base: &Path) -> bool {
        needed(&base.join("1"), None).is_ok()
    }

    #[test]
    fn what_can_not_be_seen_is_not_given_up() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        assert!(!may_go(base), "there is no folder");
        fs::create_dir(base.join("1")).unwrap();
        assert!(is_mount(&base.join("1")).is_err(), "nothing is mounted there");
        fs::create_dir_all(base.join("1/packs")).unwrap();
        assert!(!may_go(base), "its label is lost");
        fs::remove_dir(base.join("1/packs")).unwrap();
        // What can't be looked at is not what isn't there; root may look at everything but a link that leads to itself.
        std::os::unix::fs::symlink(base.join("2"), base.join("2")).unwrap();
        assert!(needed(&base.join("2"), None).is_err());
        assert!(may_go(base));
    }

    #[test]
    fn a_pool_lets_go_only_of_what_it_retired() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        fs::create_dir(base.join("1")).unwrap();
        assert!(may_go(base), "no vault is on it");
        write(base, 1, 4, &[(1, Role::Active), (2, Role::Active), (3, Role::Active)]);
        assert!(!may_go(base), "nobody is there to say so");
        write(base, 2, 4, &[(1, Role::Active), (2, Role::Active), (3, Role::Active)]);
        assert!(!may_go(base));
        write(base, 3, 5, &[(1, Role::Draining), (2, Role::Active), (3, Role::Active)]);
        assert!(!may_go(base), "it is not empty yet");
        write(base, 3, 6, &[(1, Role::Retired), (2, Role::Active), (3, Role::Active)]);
        assert!(may_go(base));
        write(base, 1, 7, &[(1, Role::Active), (2, Role::Active), (3, Role::Active)]);
        assert!(!may_go(base), "what the others know is older");
        fs::write(base.join("1").join(LABEL_FILE), b"spoilt").unwrap();
        assert!(!may_go(base));
    }
}
