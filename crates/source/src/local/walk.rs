//! The walk over a local folder, in the order of keys. Holds the names of the folders on the current path, nothing else.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use rustix::fs::{FileType, RawDir, Statx, readlinkat};
use rustix::io::{Errno, Result};

use super::folders::open;
use super::gap;
use super::metadata::{Place, Scratch, add_attributes, kind, look, node};
use super::source::LocalSource;

/// Bytes of one getdents call.
const LISTING_BUFFER: usize = 64 << 10;

pub(super) struct LocalWalk<'a> {
    source: &'a LocalSource,
    /// The folders from the root to the current one.
    path: Vec<Listing>,
    started: bool,
    scratch: Scratch,
    buffer: Vec<MaybeUninit<u8>>,
}

/// A listed folder and the names that are still to come.
struct Listing {
    key: Key,
    names: Names,
    /// Device and inode.
    id: (u32, u32, u64),
    /// Open while it is the current folder.
    folder: Option<Arc<OwnedFd>>,
}

/// Names in one piece of memory, in ascending order.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    places: Vec<(u32, u16, Kind)>,
    next: usize,
}

impl Names {
    /// Reads the names of an open folder that make keys in `key`; the gap says what is left out, or that it could not be read to its end.
    fn read(folder: &OwnedFd, key: &Key, buffer: &mut [MaybeUninit<u8>]) -> (Self, Option<Gap>) {
        let mut names = Self::default();
        let mut entries = RawDir::new(folder, buffer);
        let mut failed = None;
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                // Names that the format can't keep, which no file system but a damaged one has, and paths that are too long for it.
                Ok(entry) if key.join(entry.file_name().to_bytes()).is_err() => failed = failed.or_else(|| Some(too_long())),
                Ok(entry) => failed = names.push(entry.file_name().to_bytes(), kind(entry.file_type())).err().or(failed),
                Err(errno) => {
                    failed = Some(Gap { reason: GapReason::Listing, ..gap(errno, GapReason::Listing) });
                    break;
                }
            }
        }
        let bytes = &names.bytes;
        names.places.sort_unstable_by_key(|(start, length, _)| &bytes[*start as usize..*start as usize + usize::from(*length)]);
        // Some file systems list a name twice while the folder changes.
        names.places.dedup_by_key(|(start, length, _)| &bytes[*start as usize..*start as usize + usize::from(*length)]);
        (names, failed)
    }

    fn push(&mut self, name: &[u8], kind: Kind) -> std::result::Result<(), Gap> {
        let (Ok(start), Ok(length)) = (u32::try_from(self.bytes.len()), u16::try_from(name.len())) else {
            return Err(Gap { reason: GapReason::Listing, text: "the folder has more names than can be held".into() });
        };
        self.bytes.extend_from_slice(name);
        self.places.push((start, length, kind));
        Ok(())
    }

    fn next(&mut self) -> Option<(Vec<u8>, Kind)> {
        let (start, length, kind) = *self.places.get(self.next)?;
        self.next += 1;
        Some((self.bytes[start as usize..start as usize + usize::from(length)].to_vec(), kind))
    }
}

impl<'a> LocalWalk<'a> {
    pub(super) fn new(source: &'a LocalSource) -> Self {
        Self { source, path: Vec::new(), started: false, scratch: Scratch::new(), buffer: vec![MaybeUninit::uninit(); LISTING_BUFFER] }
    }

    fn step(&mut self) -> Option<Walked> {
        if !self.started {
            self.started = true;
            let root = Arc::clone(self.source.folders.root());
            return Some(self.folder(&root, b".", Key::root()));
        }
        loop {
            let current = self.path.last_mut()?;
            let Some((name, guess)) = current.names.next() else {
                self.path.pop();
                continue;
            };
            // Checked when the folder was listed.
            let Ok(key) = current.key.join(&name) else { continue };
            return Some(match current.reopen(self.source) {
                Ok(folder) => self.entry(&folder, &name, key, guess),
                Err(errno) => lost(key, guess, errno),
            });
        }
    }

    fn entry(&mut self, parent: &OwnedFd, name: &[u8], key: Key, guess: Kind) -> Walked {
        if guess == Kind::Folder {
            return self.folder(parent, name, key);
        }
        match look(Place::In(parent, name)) {
            Ok(seen) if FileType::from_raw_mode(seen.stx_mode.into()) == FileType::Directory => self.folder(parent, name, key),
            Ok(seen) => self.file(parent, name, key, &seen),
            Err(errno) => lost(key, guess, errno),
        }
    }

    fn file(&mut self, parent: &OwnedFd, name: &[u8], key: Key, seen: &Statx) -> Walked {
        let mut node = node(seen, self.source.volume(seen, None));
        if node.kind == Kind::Symlink {
            match readlinkat(parent, name, Vec::new()) {
                Ok(target) => node.target = Some(target.into_bytes()),
                Err(errno) => node.gap = Some(gap(errno, GapReason::Read)),
            }
        }
        add_attributes(&mut node, Place::In(parent, name), &mut self.scratch);
        let size = if node.kind == Kind::File { seen.stx_size } else { 0 };
        Walked { key, node, size, streams: Vec::new() }
    }

    /// Lists a folder and makes it the current one. If it can't be opened, what can be seen from outside is told, with the gap.
    fn folder(&mut self, parent: &OwnedFd, name: &[u8], key: Key) -> Walked {
        let (folder, seen) = match open(parent, name).and_then(|folder| look(Place::Open(&folder)).map(|seen| (folder, seen))) {
            Ok(opened) => opened,
            Err(errno) => return self.closed_folder(parent, name, key, errno),
        };
        let mut node = node(&seen, self.source.volume(&seen, Some(&folder)));
        add_attributes(&mut node, Place::Open(&folder), &mut self.scratch);
        let (names, failed) = Names::read(&folder, &key, &mut self.buffer);
        node.gap = failed.or(node.gap);
        if let Some(above) = self.path.last_mut() {
            above.folder = None;
        }
        let folder = if key.is_root() { Arc::new(folder) } else { self.source.folders.keep(key.as_bytes(), folder) };
        self.path.push(Listing { key: key.clone(), names, id: identity(&seen), folder: Some(folder) });
        Walked { key, node, size: 0, streams: Vec::new() }
    }

    fn closed_folder(&mut self, parent: &OwnedFd, name: &[u8], key: Key, errno: Errno) -> Walked {
        match look(Place::In(parent, name)) {
            Ok(seen) if FileType::from_raw_mode(seen.stx_mode.into()) == FileType::Directory => {
                let mut walked = self.file(parent, name, key, &seen);
                walked.node.gap = Some(gap(errno, GapReason::Listing));
                walked
            }
            // Something else has taken its place since the listing.
            Ok(seen) => self.file(parent, name, key, &seen),
            Err(errno) => lost(key, Kind::Folder, errno),
        }
    }
}

impl Listing {
    /// The folder, open; opened again if the walk was deeper, and only if it is still the same.
    fn reopen(&mut self, source: &LocalSource) -> Result<Arc<OwnedFd>> {
        if let Some(folder) = &self.folder {
            return Ok(Arc::clone(folder));
        }
        let folder = source.folders.get(self.key.as_bytes())?;
        if identity(&look(Place::Open(&folder))?) != self.id {
            return Err(Errno::STALE);
        }
        self.folder = Some(Arc::clone(&folder));
        Ok(folder)
    }
}

fn too_long() -> Gap {
    Gap { reason: GapReason::Name, text: "it holds names that can't be kept (the path is too long)".into() }
}

fn identity(seen: &Statx) -> (u32, u32, u64) {
    (seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino)
}

/// An entry of which only name and kind are known.
fn lost(key: Key, guess: Kind, errno: Errno) -> Walked {
    let mut node = Node::new(guess);
    node.gap = Some(gap(errno, GapReason::Metadata));
    Walked { key, node, size: 0, streams: Vec::new() }
}

impl Iterator for LocalWalk<'_> {
    type Item = std::result::Result<Walked, Gap>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use keepwell_format::port::Source as _;
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

    use super::*;

    #[test]
    fn a_path_that_is_too_long_for_a_key_is_its_folders_gap() {
        let scratch = tempfile::tempdir().unwrap();
        let name = [b'n'; 250];
        let mut folder = openat(CWD, scratch.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..530 {
            mkdirat(&folder, &name[..], Mode::RWXU).unwrap();
            folder = openat(&folder, &name[..], OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let source = LocalSource::open(scratch.path()).unwrap();
        let entries: Vec<Walked> = source.walk().unwrap().map(|entry| entry.unwrap()).collect();
        let fit = (Key::MAX_LEN + 1) / (name.len() + 1);
        assert_eq!(entries.len(), 1 + fit);
        let (last, above) = entries.split_last().unwrap();
        assert_eq!(last.node.gap.as_ref().map(|gap| gap.reason), Some(GapReason::Name));
        assert!(above.iter().all(|entry| entry.node.gap.is_none()));
    }
}
