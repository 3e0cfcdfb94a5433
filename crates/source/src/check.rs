//! Looks a source over before anybody relies on a backup of it: how it is protected on the way, what the account may do, and whether all of it
//! can be read. Never writes to it, and never tries out a right by using it.

mod facts;
pub mod rights;
mod tally;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, sync_channel};

use keepwell_format::port::{Piece, ReadFile, Source, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time};

use crate::{Address, AsOf, LocalSource, NfsSource, NfsVersion, SmbSource, SourceError};
use tally::Tally;

/// Files opened side by side, at least, where they are not read.
const IN_FLIGHT: usize = 16;

/// Files that may wait to be looked at.
const QUEUE: usize = 128;

/// Bytes of a buffer for reading.
const BUFFER: usize = 1 << 20;

/// What is to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// All content is read, as a backup would, and thrown away. Else each file is only opened, or the server asked whether it may be.
    pub read: bool,
    /// Which state of the source.
    pub as_of: AsOf,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Entries looked at.
    pub entries: u64,
    /// Bytes of content they hold.
    pub bytes: u64,
}

/// What a check found. Words are for a person.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Path or URL, without secrets.
    pub location: String,
    /// Stays the same while it is the same tree.
    pub identity: String,
    /// `SMB 3.1.1`, `NFS 3`, `folder`.
    pub protocol: String,
    /// What the server says it is, where it does.
    pub server: Option<String>,
    /// The file system behind it, as the server calls it.
    pub file_system: Option<String>,
    /// How it is protected on the way: `encrypted, AES-128-GCM`, `signed, ...`, `not protected`.
    pub protection: String,
    /// What the account may do.
    pub rights: Vec<String>,
    /// What should be put right, the worst first.
    pub findings: Vec<String>,
    /// The server's own snapshots, newest first.
    pub snapshots: Vec<Time>,
    /// Regular files.
    pub files: u64,
    /// Folders, the root included.
    pub folders: u64,
    /// Links, reparse points and everything else.
    pub others: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Alternate streams.
    pub streams: u64,
    /// Bytes that were read; none if content was not read.
    pub read_bytes: Option<u64>,
    /// Files that changed while they were read.
    pub changed: u64,
    /// What could not be read or kept, by reason.
    pub gaps: Vec<(GapReason, u64)>,
    /// The first 100 of them in the order of keys.
    pub first_gaps: Vec<(Key, Gap)>,
    /// Why the check could not go on: then all counts are of a part.
    pub ended: Option<Gap>,
}

impl CheckReport {
    /// Whether a backup would be complete, as far as was looked.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.ended.is_none() && self.changed == 0
    }
}

/// Looks at all of a source; `progress` is called from time to time, by several threads.
///
/// # Errors
/// [`SourceError`] if it can't be opened. What can't be read later is in the report.
pub fn check(
    address: &Address,
    password: Option<&str>,
    options: &CheckOptions,
    progress: &(dyn Fn(CheckProgress) + Sync),
) -> Result<CheckReport, SourceError> {
    let opened = Opened::open(address, password, options.as_of)?;
    let info = opened.source().info();
    let mut report = CheckReport { location: info.location.clone(), identity: info.identity.clone(), ..CheckReport::default() };
    let tally = look_at_all(&opened, options.read, progress);
    tally.report(&mut report, options.read);
    // The walk has shown what the server lets the account read.
    facts::add(&opened, &mut report);
    Ok(report)
}

/// The entries of one folder, in order, without what is below them.
///
/// # Errors
/// [`SourceError`] if the source can't be opened; [`SourceError::Listing`] if the folder can't be listed.
pub fn list(address: &Address, password: Option<&str>, as_of: AsOf, folder: &Key) -> Result<Vec<Walked>, SourceError> {
    let opened = Opened::open(address, password, as_of)?;
    let failed = |gap: Gap| SourceError::Listing { location: address.location(), why: gap.text };
    if let Opened::Smb(source) = &opened {
        return source.list(folder).map_err(failed);
    }
    let mut entries = Vec::new();
    for walked in opened.source().walk().map_err(failed)? {
        let walked = walked.map_err(failed)?;
        match walked.node.gap {
            Some(gap) if walked.key == *folder => return Err(failed(gap)),
            _ if walked.key.parent().as_ref() == Some(folder) => entries.push(walked),
            // Keys ascend: nothing of the folder comes after what lies behind it.
            _ if walked.key > *folder && !walked.key.is_in(folder) => break,
            _ => {}
        }
    }
    Ok(entries)
}

/// Times of the server's own snapshots, newest first. Folders and exports have none.
///
/// # Errors
/// [`SourceError`]
pub fn snapshots(address: &Address, password: Option<&str>) -> Result<Vec<Time>, SourceError> {
    match Opened::open(address, password, AsOf::Live)? {
        Opened::Smb(source) => source.snapshots().map_err(|gap| SourceError::Listing { location: address.location(), why: gap.text }),
        Opened::Folder(_) | Opened::Nfs(..) => Ok(Vec::new()),
    }
}

/// A source of which more is known than the trait tells.
enum Opened {
    Folder(LocalSource),
    Smb(SmbSource),
    Nfs(NfsSource, NfsVersion),
}

impl Opened {
    fn open(address: &Address, password: Option<&str>, as_of: AsOf) -> Result<Self, SourceError> {
        Ok(match address {
            Address::Smb(url) => Self::Smb(SmbSource::connect(url, address.password(password)?, as_of)?),
            _ if as_of != AsOf::Live => return Err(SourceError::NoSnapshots { location: address.location() }),
            Address::Folder(path) => Self::Folder(LocalSource::open(path)?),
            Address::Nfs(url) => Self::Nfs(NfsSource::connect(url)?, url.version),
        })
    }

    /// A walk that shows which files can't be read, so that none need be opened to know; where there is one.
    fn probing_walk(&self) -> Option<Walk<'_>> {
        match self {
            Self::Nfs(source, _) => source.probing_walk(),
            Self::Folder(_) | Self::Smb(_) => None,
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            Self::Folder(source) => source,
            Self::Smb(source) => source,
            Self::Nfs(source, _) => source,
        }
    }
}

fn look_at_all(opened: &Opened, read: bool, progress: &(dyn Fn(CheckProgress) + Sync)) -> Tally {
    let source = opened.source();
    let threads = if read { source.info().parallel_reads } else { source.info().parallel_reads.max(IN_FLIGHT) };
    let tally = Mutex::new(Tally::default());
    let (to_be_read, queue) = sync_channel::<Walked>(QUEUE);
    let queue = Mutex::new(queue);
    let count = |take: &mut dyn FnMut(&mut Tally)| {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut tally);
        let now = CheckProgress { entries: tally.entries(), bytes: tally.bytes };
        drop(tally);
        progress(now);
    };
    if let Some(probing) = opened.probing_walk().filter(|_| !read) {
        let ended = walk(source, Ok(probing), &count, |_| true);
        count(&mut |tally| tally.ended.clone_from(&ended));
        return tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(opened, read, &queue, &count));
        }
        let ended = walk(source, source.walk(), &count, |walked| {
            if read && walked.node.kind == Kind::File {
                source.expect(&walked);
            }
            to_be_read.send(walked).is_ok()
        });
        drop(to_be_read);
        count(&mut |tally| tally.ended.clone_from(&ended));
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

type Count<'a> = dyn Fn(&mut dyn FnMut(&mut Tally)) + Sync + 'a;

/// Counts what needs no opening and hands the rest on. Answers why it could not go on.
fn walk(source: &dyn Source, walk: Result<Walk<'_>, Gap>, count: &Count<'_>, mut hand_on: impl FnMut(Walked) -> bool) -> Option<Gap> {
    let walk = match walk {
        Ok(walk) => walk,
        Err(gap) => return Some(gap),
    };
    for walked in walk {
        let walked = match walked {
            Ok(walked) => walked,
            Err(gap) => return Some(gap),
        };
        count(&mut |tally| tally.take(&walked));
        let readable = walked.node.gap.as_ref().is_none_or(|gap| gap.reason == GapReason::Metadata);
        if readable && (walked.node.kind == Kind::File || !walked.streams.is_empty()) && !hand_on(walked) {
            break;
        }
    }
    source.gone()
}

/// Looks at files until there are no more.
fn work(opened: &Opened, read: bool, queue: &Mutex<Receiver<Walked>>, count: &Count<'_>) {
    let mut buffer = if read { vec![0; BUFFER] } else { Vec::new() };
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(walked) = next else { return };
        let seen = if read { read_all(opened.source(), &walked, &mut buffer) } else { open_only(opened, &walked) };
        count(&mut |tally| tally.seen(&walked.key, &seen));
    }
}

/// What came of looking at one entry.
#[derive(Debug, Default)]
struct Seen {
    streams: u64,
    read_bytes: u64,
    changed: bool,
    gap: Option<Gap>,
}

fn open_only(opened: &Opened, walked: &Walked) -> Seen {
    let probed = match opened {
        _ if walked.node.kind != Kind::File => Ok((walked.streams.len() as u64, None)),
        Opened::Smb(source) => source.probe(walked),
        other => other.source().open(walked).map(|_| (0, None)),
    };
    match probed {
        Ok((streams, gap)) => Seen { streams, gap, ..Seen::default() },
        Err(gap) => Seen { gap: Some(gap), ..Seen::default() },
    }
}

fn read_all(source: &dyn Source, walked: &Walked, buffer: &mut [u8]) -> Seen {
    let mut seen = Seen::default();
    let mut node = walked.node.clone();
    let names = if walked.node.kind == Kind::File {
        match source.open(walked).and_then(|mut file| drain(&mut *file, &mut node, buffer, &mut seen).map(|()| file.streams())) {
            Ok(names) => names,
            Err(gap) => return Seen { gap: Some(gap), ..seen },
        }
    } else {
        walked.streams.clone()
    };
    // What the walk knew is counted already.
    seen.gap = node.gap.filter(|gap| walked.node.gap.as_ref() != Some(gap));
    for name in names {
        seen.streams += 1;
        let read = source.stream(walked, &name).and_then(|mut stream| drain(&mut *stream, &mut Node::new(Kind::File), buffer, &mut seen));
        if let Err(gap) = read {
            let text = format!("an alternate stream is missing: {}", gap.text);
            seen.gap.get_or_insert(Gap { reason: GapReason::Metadata, text });
        }
    }
    seen
}

fn drain(file: &mut dyn ReadFile, node: &mut Node, buffer: &mut [u8], seen: &mut Seen) -> Result<(), Gap> {
    loop {
        match file.next(buffer)? {
            Piece::Data(0) | Piece::End => break,
            Piece::Data(length) => seen.read_bytes += length as u64,
            Piece::Hole(_) => {}
        }
    }
    seen.changed |= file.finish(node)? == Steady::Changed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_counted_and_read() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        fs::create_dir(scratch.path().join("a.b")).unwrap();
        for (path, size) in [("a/1", 1_000_u64), ("a/b/2", 3_000_000), ("3", 0)] {
            fs::write(scratch.path().join(path), vec![1; size as usize]).unwrap();
        }
        symlink("x", scratch.path().join("link")).unwrap();
        let address = Address::Folder(scratch.path().into());
        for read in [false, true] {
            let last = Mutex::new(CheckProgress::default());
            let progress = |now: CheckProgress| *last.lock().unwrap() = now;
            let report = check(&address, None, &CheckOptions { read, ..CheckOptions::default() }, &progress).unwrap();
            assert_eq!((report.files, report.folders, report.others, report.bytes), (3, 4, 1, 3_001_000));
            assert_eq!(report.read_bytes, read.then_some(3_001_000));
            assert!(report.is_whole(), "{report:?}");
            assert_eq!((report.protocol.as_str(), report.snapshots.len()), ("folder", 0));
            assert_eq!(last.lock().unwrap().entries, 8);
        }
        let names = |folder: &str| {
            let folder = Key::from_path(folder.as_bytes()).unwrap();
            let entries = list(&address, None, AsOf::Live, &folder).unwrap();
            entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(""), ["3", "a", "a.b", "link"]);
        assert_eq!(names("a"), ["a/1", "a/b"]);
        assert_eq!(names("a.b"), Vec::<String>::new());
    }
}
