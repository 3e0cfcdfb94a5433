//! Whether a pool still needs a disk, by the labels of the pool's disks. Reads labels; changes nothing but that a disk is mounted to be read and unmounted after.

use std::fs;
use std::path::Path;

use keepwell_api::disks::{DiskDetail, Mounted, Standing, Typed};
use keepwell_storage::{LABEL_FILE, Label, Role};

use super::Chosen;
use super::args::DangerArgs;
use crate::exit::CliError;

/// Longer than any label.
const LABEL_MAX: u64 = 64 << 10;

/// True when no pool needs the disk, which is then unmounted. An error when one does, or nobody can say.
pub(super) fn release(chosen: &Chosen, args: &DangerArgs) -> Result<bool, CliError> {
    let (Standing::Prepared { mounted_at, .. } | Standing::OtherBox { mounted_at, .. }) = &chosen.disk.standing else {
        return Ok(args.not_in_a_pool);
    };
    if !args.not_in_a_pool {
        let at = match mounted_at {
            Some(at) => at.clone(),
            None => {
                chosen.post::<Mounted>("/mount", &Typed { typed_serial: args.serial.clone(), ..Typed::default() }).map_err(unreadable)?.at
            }
        };
        let needed = needed(Path::new(&at), args.vault.as_deref());
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
    let why = "whether a pool needs the disk can't be seen, because it can't be mounted";
    CliError::Refused(format!("{why} ({error}). If you know that none does, say --not-in-a-pool"))
}

/// An error when the pool of the disk that is mounted here has a place for it.
fn needed(at: &Path, vault: Option<&Path>) -> Result<(), CliError> {
    if !at.join(LABEL_FILE).exists() {
        return Ok(());
    }
    let own = label(at).ok_or_else(|| {
        CliError::Refused("the disk has a pool's label that can't be read. If you know that no pool needs it, say --not-in-a-pool".into())
    })?;
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
