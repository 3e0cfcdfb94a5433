//! The log goes on where that of the box before ended: its files lie in the vault with the box's state, and a new box writes its own records behind them. So one chain of hashes spans all
//! boxes that a practice ever had. Never changes a record.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use keepwell_audit::{Draft, Head, Ledger, Record, file_name};
use keepwell_format::node::FileId;
use keepwell_format::{Kind, Node, Time};
use keepwell_vault::GivenFiles;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;

/// Records that are read at a time.
const PAGE: usize = 1_000;

/// Adds the log, as it is now. Files that get no more records are read when their time has come, and only if the vault lacks them.
pub(crate) fn with_ledger(appliance: &Appliance, mut files: GivenFiles) -> Result<GivenFiles, VaultdError> {
    // Nothing is written meanwhile, so that the newest file ends with a whole record.
    let ledger = appliance.ledger();
    let folder = appliance.ledger_folder();
    let mut number = 1;
    loop {
        let name = file_name(number);
        let path = folder.join(&name);
        if !path.exists() {
            break;
        }
        let is_newest = !folder.join(file_name(number + 1)).exists();
        files = if is_newest {
            files.with_bytes(&name, Zeroizing::new(fs::read(&path).map_err(VaultdError::Own)?))
        } else {
            with_closed(files, &name, path).map_err(VaultdError::Own)?
        };
        number += 1;
    }
    drop(ledger);
    Ok(files)
}

fn with_closed(files: GivenFiles, name: &str, path: PathBuf) -> io::Result<GivenFiles> {
    let about = fs::metadata(&path)?;
    let time = |seconds, nanos: i64| Some(Time { seconds, nanos: u32::try_from(nanos).unwrap_or(0) });
    let node = Node {
        mtime: time(about.mtime(), about.mtime_nsec()),
        ctime: time(about.ctime(), about.ctime_nsec()),
        file_id: Some(FileId { volume: about.dev(), file: about.ino().into() }),
        ..Node::new(Kind::File)
    };
    Ok(files.with_file(name, node, about.len(), move || Ok(Box::new(File::open(&path)?))))
}

/// Goes on behind the records in these files, which are those of the box before, in order. What this box has recorded until now comes after them. Called again, it does nothing.
pub(crate) fn continue_ledger(appliance: &Appliance, files: &[PathBuf]) -> Result<(), VaultdError> {
    let mut own = appliance.ledger();
    if let Some(head) = join(&mut own, &appliance.ledger_folder(), files)? {
        appliance.state.note("ledger", &head.to_string())?;
    }
    Ok(())
}

/// The log's new head; none where it stayed as it was.
fn join(own: &mut Ledger, folder: &Path, files: &[PathBuf]) -> Result<Option<Head>, VaultdError> {
    let aside = folder.with_extension("taken-over");
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(VaultdError::Own(error)),
        _ => {}
    }
    if files.is_empty() {
        return Ok(None);
    }
    copy(files, &aside).map_err(VaultdError::Own)?;
    let (mut joined, before) = Ledger::open(&aside)?;
    let there = own.read(before.head.seq, 1)?;
    let continued = there.first().and_then(|record| record.hash().ok()) == Some(before.head.hash);
    if !continued {
        append_all(&mut joined, own)?;
    }
    // Lets go of the folder.
    drop(joined);
    let mut head = None;
    if !continued {
        // At each moment the log is the one or the other.
        renameat_with(CWD, &aside, CWD, folder, RenameFlags::EXCHANGE).map_err(io::Error::from).map_err(VaultdError::Own)?;
        folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()).map_err(VaultdError::Own)?;
        let (ledger, opened) = Ledger::open(folder)?;
        *own = ledger;
        head = Some(opened.head);
    }
    fs::remove_dir_all(&aside).map_err(VaultdError::Own)?;
    Ok(head)
}

fn append_all(joined: &mut Ledger, own: &Ledger) -> Result<(), VaultdError> {
    let mut next = 1;
    loop {
        let records = own.read(next, PAGE)?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.seq + 1;
        for Record { at, boot, actor, event, fields, .. } in records {
            joined.append(&Draft { at, boot, actor, event, fields })?;
        }
    }
}

fn copy(files: &[PathBuf], to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for (number, file) in (1..).zip(files) {
        let path = to.join(file_name(number));
        fs::copy(file, &path)?;
        File::open(&path)?.sync_all()?;
    }
    File::open(to)?.sync_all()
}

#[cfg(test)]
mod tests {
    use keepwell_audit::{Event, verify};

    use super::*;

    fn draft(actor: &str) -> Draft {
        let at = keepwell_audit::Time { seconds: 1, nanos: 0 };
        Draft { at, boot: [0; 16], actor: actor.into(), event: Event::Started, fields: Vec::new() }
    }

    fn actors(folder: &Path) -> Vec<String> {
        keepwell_audit::read(folder, 1, 100).unwrap().into_iter().map(|record| record.actor).collect()
    }

    #[test]
    fn records_of_the_new_box_come_behind_those_of_the_lost_one() {
        let folder = tempfile::tempdir().unwrap();
        let (lost, own) = (folder.path().join("lost"), folder.path().join("ledger"));
        // Several files, as after years.
        let mut old = Ledger::open(&lost).unwrap().0.rotating_at(200);
        for n in 1..=9 {
            old.append(&draft(&format!("lost {n}"))).unwrap();
        }
        let files = || (1..).map(|n| lost.join(file_name(n))).take_while(|path| path.exists()).collect::<Vec<_>>();
        assert!(files().len() > 2);
        let mut ledger = Ledger::open(&own).unwrap().0;
        for n in 1..=3 {
            ledger.append(&draft(&format!("new {n}"))).unwrap();
        }
        let wanted: Vec<String> = (1..=9).map(|n| format!("lost {n}")).chain((1..=3).map(|n| format!("new {n}"))).collect();
        // The second time is after a crash.
        for _ in 0..2 {
            let head = join(&mut ledger, &own, &files()).unwrap().unwrap_or_else(|| ledger.head());
            assert_eq!(head, ledger.head());
            assert_eq!(actors(&own), wanted);
            assert!(verify(&own, Some(head)).unwrap().faults.is_empty());
            assert!(!own.with_extension("taken-over").exists());
        }
        ledger.append(&draft("new 4")).unwrap();
        assert!(verify(&own, Some(ledger.head())).unwrap().faults.is_empty());
        // Another box's log is not taken for a part of this one's.
        let (other, mut stranger) = (folder.path().join("other"), draft("other"));
        stranger.boot = [9; 16];
        Ledger::open(&other).unwrap().0.append(&stranger).unwrap();
        join(&mut ledger, &own, &[other.join(file_name(1))]).unwrap().unwrap();
        assert_eq!((actors(&own).len(), &*actors(&own)[0]), (14, "other"));
    }
}
