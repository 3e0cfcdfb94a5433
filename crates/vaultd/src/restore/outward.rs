//! A restore to a disk that is taken away: plain folders and files on a file system that diskd made for it. Where that is, diskd says, never a request. Keeps names, contents, times of last change,
//! symbolic and hard links; owners and rights of other machines mean nothing there. An alternate stream is a file beside its own, `NAME:STREAM`.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use keepwell_api::disks::{DiskDetail, Mounted, Serial, Typed};
use keepwell_api::error::chain;
use keepwell_api::vault::{Restore, Unready};
use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Piece, Placing, Present, ReadFile, Steady, Target, WriteError, WriteFile};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time};
use rustix::fs::{Advice, CWD, RenameFlags, fadvise, renameat_with};

use crate::appliance::Appliance;
use crate::bays::Diskd;
use crate::error::VaultdError;
use crate::run::RunError;

/// What such an address begins with; the disk's serial number follows.
const SCHEME: &str = "usb:";
/// Not whole yet. The id of the disk and the restore's number follow: no file of a backup has such a name, as nobody knew the id when it was made.
const PARTIAL: &str = ".keepwell-partial-";

/// Whether an address means a disk.
pub(crate) fn is_disk(to: &str) -> bool {
    to.starts_with(SCHEME)
}

/// The disk that an address means, if it means one.
fn serial(to: &str) -> Option<Result<Serial, VaultdError>> {
    let serial = Serial::parse(to.strip_prefix(SCHEME)?);
    Some(serial.ok_or_else(|| VaultdError::Invalid("usb: is followed by the serial number of a disk".into())))
}

/// Whether such a restore can be what is meant, before it begins: a whole snapshot, no account, and a disk that stands ready.
pub(crate) fn check(appliance: &Appliance, order: &Restore) -> Result<(), VaultdError> {
    let Some(serial) = serial(&order.to) else { return Ok(()) };
    if !order.path.as_ref().is_empty() || order.password.is_some() {
        return Err(VaultdError::Invalid("a restore to a disk is one of a whole snapshot, without a password".into()));
    }
    let diskd = appliance.config.places.diskd.as_ref().ok_or(VaultdError::NoDiskd)?;
    mounted(diskd, &serial?).map(drop)
}

/// Once it is over: what is left is written, and the disk can be taken out.
pub(crate) fn see_off(appliance: &Appliance, to: &str) -> Result<(), VaultdError> {
    let Some(serial) = serial(to) else { return Ok(()) };
    let diskd = appliance.config.places.diskd.as_ref().ok_or(VaultdError::NoDiskd)?;
    let done: Result<DiskDetail, _> = diskd.have_named(&serial?, "unmount-outward", &Typed::default());
    done.map(drop).map_err(VaultdError::of_diskd)
}

fn mounted(diskd: &Diskd, serial: &Serial) -> Result<Mounted, VaultdError> {
    diskd.have_named(serial, "outward", &Typed::default()).map_err(VaultdError::of_diskd)
}

/// The folder of one restore on such a disk.
#[derive(Debug)]
pub(crate) struct Outward {
    root: PathBuf,
    disk: String,
    /// What names of files that are not whole begin with.
    tag: String,
    partial: AtomicU64,
}

impl Outward {
    /// The disk that the address means; none if it means none.
    pub(crate) fn open(appliance: &Appliance, to: &str, restore: u64) -> Option<Result<Self, RunError>> {
        let serial = serial(to)?;
        let diskd = appliance.config.places.diskd.as_ref().ok_or(VaultdError::NoDiskd);
        let opened = serial.and_then(|serial| mounted(diskd?, &serial)).and_then(|Mounted { disk, at }| {
            fs::set_permissions(&at, Permissions::from_mode(0o755)).map_err(VaultdError::Own)?;
            Ok(Self::at(Path::new(&at), restore, disk))
        });
        Some(opened.map_err(|error| RunError::Unready(Unready { code: "no-disk".into(), text: chain(&error) })))
    }

    fn at(mount: &Path, restore: u64, disk: String) -> Self {
        let tag = format!("{PARTIAL}{disk}-{restore}-");
        Self { root: mount.join(format!("restore-{restore}")), tag, disk, partial: AtomicU64::new(0) }
    }

    /// What was refused on the way to an entry. Where the restore's own folder is not there any more, the disk is gone, and not only what was looked for.
    fn failed(&self, error: io::Error) -> WriteError {
        let gone = error.kind() == io::ErrorKind::NotFound && !self.root.exists();
        let failed = failed(error);
        WriteError { fatal: failed.fatal || gone, ..failed }
    }

    /// Its id, another one each time that it is prepared.
    pub(crate) fn disk(&self) -> &str {
        &self.disk
    }

    /// Below the folder, whatever the key is: its components are names.
    fn path(&self, key: &Key) -> Result<PathBuf, WriteError> {
        let mut path = self.root.clone();
        for name in key.components() {
            if name == b"." || name == b".." || name.contains(&b'/') {
                return Err(WriteError { fatal: false, text: "its name is none that a disk can have".into() });
            }
            path.push(OsStr::from_bytes(name));
        }
        Ok(path)
    }

    fn stream_path(&self, key: &Key, stream: &[u8]) -> Result<PathBuf, WriteError> {
        let mut name = self.path(key)?.into_os_string();
        let plain: Vec<u8> = stream.iter().map(|byte| if *byte == b'/' { b'_' } else { *byte }).collect();
        name.push(":");
        name.push(OsStr::from_bytes(&plain));
        Ok(name.into())
    }

    fn begin(&self, path: PathBuf, length: u64, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let number = self.partial.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_file_name(format!("{}{number}", self.tag));
        // One of an attempt that was cut.
        let _ = fs::remove_file(&partial);
        let file = File::options().read(true).write(true).create_new(true).open(&partial).map_err(|error| self.failed(error))?;
        Ok(Box::new(Writing { to: self, file, partial, path, placing, length }))
    }
}

/// What a disk or its file system that is going says: EIO, ENXIO, ENODEV, ESHUTDOWN, EUCLEAN.
const DYING: [i32; 5] = [5, 6, 19, 108, 117];

fn failed(error: io::Error) -> WriteError {
    use io::ErrorKind as Kind;
    let fatal = matches!(error.kind(), Kind::StorageFull | Kind::ReadOnlyFilesystem)
        || error.raw_os_error().is_some_and(|number| DYING.contains(&number));
    WriteError { fatal, text: format!("the disk does not take it: {error}") }
}

fn unreadable(error: io::Error) -> Gap {
    Gap { reason: GapReason::Read, text: format!("the disk can't give it back: {error}") }
}

fn modified(file: &File, time: Option<Time>) -> Result<(), WriteError> {
    let Some(time) = time.filter(|time| time.seconds >= 0) else { return Ok(()) };
    file.set_modified(UNIX_EPOCH + Duration::new(time.seconds.unsigned_abs(), time.nanos)).map_err(failed)
}

struct Writing<'a> {
    to: &'a Outward,
    file: File,
    partial: PathBuf,
    path: PathBuf,
    placing: Placing,
    /// Of what is written here, be it a file or a stream of one.
    length: u64,
}

impl Writing<'_> {
    fn place(&self, node: &Node) -> Result<(), WriteError> {
        self.file.set_len(self.length).map_err(failed)?;
        self.file.set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
        modified(&self.file, node.mtime)?;
        // It is read back: from the disk, and not from what the machine remembers of it.
        self.file.sync_data().map_err(failed)?;
        fadvise(&self.file, 0, None, Advice::DontNeed).map_err(|error| failed(error.into()))?;
        let flags = if self.placing == Placing::New { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
        renameat_with(CWD, &self.partial, CWD, &self.path, flags).map_err(|error| self.to.failed(error.into()))
    }
}

impl WriteFile for Writing<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all_at(bytes, at).map_err(failed)
    }

    fn finish(self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        self.place(node).inspect_err(|_| drop(fs::remove_file(&self.partial)))
    }

    fn abandon(self: Box<Self>) {
        let _ = fs::remove_file(&self.partial);
    }
}

struct Reading {
    file: File,
    at: u64,
}

impl ReadFile for Reading {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let read = self.file.read_at(buffer, self.at).map_err(unreadable)?;
        self.at += read as u64;
        Ok(if read == 0 { Piece::End } else { Piece::Data(read) })
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

impl Target for Outward {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        let found = match fs::symlink_metadata(self.path(key)?) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let kind = match found.file_type() {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Symlink,
            _ => Kind::File,
        };
        let nanos = u32::try_from(found.mtime_nsec()).unwrap_or(0);
        Ok(Some(Present { kind, size: found.len(), mtime: Some(Time { seconds: found.mtime(), nanos }) }))
    }

    fn folder(&self, key: &Key, _node: &Node) -> Result<(), WriteError> {
        let path = self.path(key)?;
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            done => done.map_err(|error| self.failed(error))?,
        }
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed)
    }

    fn file(&self, key: &Key, _node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.begin(self.path(key)?, content.size, placing)
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.begin(self.stream_path(key, &stream.name)?, stream.content.size, Placing::Replace)
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        match (node.kind, &node.target) {
            // As an answer to making one it would look as if the disk were gone.
            (Kind::Symlink, Some(target)) if target.is_empty() => {
                Err(WriteError { fatal: false, text: "a link that leads nowhere can't be kept on a disk that is taken away".into() })
            }
            (Kind::Symlink, Some(target)) => symlink(OsStr::from_bytes(target), self.path(key)?).map_err(|error| self.failed(error)),
            _ => Err(WriteError { fatal: false, text: "devices and the like are not kept on a disk that is taken away".into() }),
        }
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        fs::hard_link(self.path(to)?, self.path(key)?).map_err(|error| self.failed(error))
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        let folder = File::open(self.path(key)?).map_err(|error| self.failed(error))?;
        modified(&folder, node.mtime)
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let path = stream.map_or_else(|| self.path(key), |stream| self.stream_path(key, stream));
        let path = path.map_err(|error| Gap { reason: GapReason::Read, text: error.text })?;
        Ok(Box::new(Reading { file: File::open(path).map_err(unreadable)?, at: 0 }))
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        let path = self.path(key).map_err(|error| Gap { reason: GapReason::Read, text: error.text })?;
        let found = fs::symlink_metadata(path).map_err(unreadable)?;
        let mut differences = Vec::new();
        if node.kind == Kind::File && node.content.as_ref().is_some_and(|content| content.size != found.len()) {
            differences.push("size");
        }
        let other = |time: Time| time.seconds != found.mtime() || i64::from(time.nanos) != found.mtime_nsec();
        if node.kind != Kind::Symlink && node.mtime.filter(|time| time.seconds >= 0).is_some_and(other) {
            differences.push("times");
        }
        Ok(differences)
    }

    fn sync(&self) -> Result<(), WriteError> {
        let folder = File::open(existing(&self.root)).map_err(|error| self.failed(error))?;
        rustix::fs::syncfs(&folder).map_err(|error| failed(error.into()))
    }

    fn parallel_writes(&self) -> usize {
        2
    }
}

/// A dry run makes no folder.
fn existing(root: &Path) -> &Path {
    if root.exists() { root } else { root.parent().unwrap_or(root) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepwell_format::ContentHash;
    use keepwell_format::node::Extents;

    #[test]
    fn addresses_of_disks() {
        assert!(serial("smb://server/share").is_none());
        assert_eq!(serial("usb:WD-1").unwrap().unwrap().as_str(), "WD-1");
        for bad in ["usb:", "usb:../x", "usb:/dev/sda"] {
            assert!(serial(bad).unwrap().is_err(), "{bad}");
        }
    }

    #[test]
    fn files_lie_there_whole_or_not_at_all_and_below_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let target = Outward::at(folder.path(), 1, "id".into());
        let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
        let mut node = Node::new(Kind::File);
        node.mtime = Some(Time { seconds: 1_000_000_000, nanos: 0 });
        let content = Content { size: 5, hash: ContentHash([0; 32]), extents: Extents::Inline(Vec::new()) };
        node.content = Some(content.clone());
        target.folder(&Key::root(), &Node::new(Kind::Folder)).unwrap();
        target.folder(&key("a"), &Node::new(Kind::Folder)).unwrap();
        target.folder(&key("a"), &Node::new(Kind::Folder)).unwrap();
        let mut file = target.file(&key("a/b"), &node, &content, Placing::New).unwrap();
        file.write_at(0, b"hel").unwrap();
        assert!(target.look(&key("a/b")).unwrap().is_none(), "not before it is whole");
        file.write_at(3, b"lo").unwrap();
        file.finish(&node).unwrap();
        assert_eq!(fs::read(folder.path().join("restore-1/a/b")).unwrap(), b"hello");
        assert_eq!(target.differences(&key("a/b"), &node).unwrap(), Vec::<&str>::new());
        assert!(target.file(&key("a/b"), &node, &content, Placing::New).unwrap().finish(&node).is_err(), "what came by then stays");
        assert_eq!(fs::read(folder.path().join("restore-1/a/b")).unwrap(), b"hello");
        assert_eq!(fs::read_dir(folder.path().join("restore-1/a")).unwrap().count(), 1, "nothing half is left");
        for size in [3, 9] {
            let stream = Stream { name: b"zone".to_vec(), content: Content { size, ..content.clone() } };
            let mut file = target.stream(&key("a/b"), &stream).unwrap();
            file.write_at(0, &b"something"[..size as usize]).unwrap();
            file.finish(&node).unwrap();
            assert_eq!(
                fs::read(folder.path().join("restore-1/a/b:zone")).unwrap(),
                &b"something"[..size as usize],
                "the node is the file's"
            );
        }
        let mut link = Node::new(Kind::Symlink);
        link.target = Some(Vec::new());
        assert!(!target.special(&key("a/nowhere"), &link).unwrap_err().fatal);
        fs::write(folder.path().join("restore-1/a/.keepwell-partial-0"), "of the practice").unwrap();
        for name in ["a/c", "a/d"] {
            target.file(&key(name), &node, &content, Placing::New).unwrap().finish(&node).unwrap();
        }
        assert_eq!(fs::read(folder.path().join("restore-1/a/.keepwell-partial-0")).unwrap(), b"of the practice");
        let absent = target.file(&key("nowhere/b"), &node, &content, Placing::New);
        assert!(!absent.err().unwrap().fatal, "one folder that is gone is not the disk");
        for outside in ["..", "a/../../x", "."] {
            if let Ok(key) = Key::from_path(outside.as_bytes()) {
                assert!(target.path(&key).is_err(), "{outside}");
            }
        }
        target.sync().unwrap();
        fs::remove_dir_all(folder.path().join("restore-1")).unwrap();
        assert!(target.file(&key("a/e"), &node, &content, Placing::New).err().unwrap().fatal, "the disk is gone");
    }
}
