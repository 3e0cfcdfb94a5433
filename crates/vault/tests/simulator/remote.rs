//! A source that behaves as a file server does: link counts, descriptors and streams are seen only when a file is opened, and a share can be
//! swapped, emptied or go away in part.

use std::collections::BTreeMap;
use std::sync::Mutex;

use keepwell_format::manifest::Outcome;
use keepwell_format::node::FileId;
use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time};
use keepwell_storage::Access;
use keepwell_vault::{BackupOptions, BackupReport, NoProgress, Vault};

use crate::world::{env, fresh, open_images};

/// What a path leads to.
#[derive(Clone, Default)]
struct Thing {
    folder: bool,
    id: u128,
    bytes: Vec<u8>,
    streams: Vec<(&'static str, Vec<u8>)>,
    /// Seconds of mtime and ctime.
    changed: i64,
    /// A stream of this name can't be read.
    closed_stream: Option<&'static str>,
}

struct Share {
    info: SourceInfo,
    things: BTreeMap<Key, Thing>,
    opened: Mutex<Vec<String>>,
    /// The server goes away when this is opened, after all has been listed.
    last: Option<Key>,
}

impl Share {
    fn new(identity: &str) -> Self {
        let info = SourceInfo {
            location: "smb://test/share".to_owned(),
            identity: identity.to_owned(),
            encoding: Encoding::Wtf8,
            parallel_reads: 1,
        };
        let mut share = Self { info, things: BTreeMap::new(), opened: Mutex::default(), last: None };
        share.things.insert(Key::root(), Thing { folder: true, id: 1, ..Thing::default() });
        share
    }

    fn file(&mut self, path: &str, id: u128, bytes: &[u8]) -> &mut Thing {
        let thing = Thing { id, bytes: bytes.to_vec(), changed: 1, ..Thing::default() };
        self.things.entry(key(path)).insert_entry(thing).into_mut()
    }

    fn links(&self, id: u128) -> u32 {
        u32::try_from(self.things.values().filter(|thing| thing.id == id).count()).unwrap()
    }

    fn take_opened(&self) -> Vec<String> {
        std::mem::take(&mut *self.opened.lock().unwrap())
    }
}

impl Source for Share {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(Box::new(self.things.iter().map(|(key, thing)| {
            let mut node = Node::new(if thing.folder { Kind::Folder } else { Kind::File });
            node.mtime = Some(Time { seconds: thing.changed, nanos: 0 });
            node.ctime = node.mtime;
            node.file_id = Some(FileId { volume: 7, file: thing.id });
            let streams = if thing.folder { names(thing) } else { Vec::new() };
            Ok(Walked { key: key.clone(), node, size: thing.bytes.len() as u64, streams })
        })))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.opened.lock().unwrap().push(entry.key.to_string());
        if self.gone().is_some() {
            return Err(Gap { reason: GapReason::Read, text: "no connection".to_owned() });
        }
        let thing = &self.things[&entry.key];
        Ok(Box::new(Open { bytes: &thing.bytes, thing, links: self.links(thing.id) }))
    }

    fn stream(&self, entry: &Walked, name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let thing = &self.things[&entry.key];
        if thing.closed_stream.is_some_and(|closed| closed.as_bytes() == name) {
            return Err(Gap { reason: GapReason::Permission, text: "closed".to_owned() });
        }
        let (_, bytes) = thing.streams.iter().find(|(known, _)| known.as_bytes() == name).unwrap();
        Ok(Box::new(Open { bytes, thing, links: 1 }))
    }

    fn gone(&self) -> Option<Gap> {
        let opened = self.opened.lock().unwrap();
        let gone = self.last.as_ref().is_some_and(|last| opened.contains(&last.to_string()));
        gone.then(|| Gap { reason: GapReason::Read, text: "the server is gone".to_owned() })
    }
}

fn names(thing: &Thing) -> Vec<Vec<u8>> {
    thing.streams.iter().map(|(name, _)| name.as_bytes().to_vec()).collect()
}

struct Open<'a> {
    bytes: &'a [u8],
    thing: &'a Thing,
    links: u32,
}

impl ReadFile for Open<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let count = self.bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(if count == 0 { Piece::End } else { Piece::Data(count) })
    }

    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        node.descriptor = Some(vec![1, 0, 4, 0x80, u8::try_from(self.thing.id).unwrap()]);
        node.links = self.links;
        Ok(Steady::Unchanged)
    }

    fn streams(&self) -> Vec<Vec<u8>> {
        names(self.thing)
    }
}

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

fn vault() -> Vault {
    open_images(&fresh("1+0".parse().unwrap(), 1), Access::Write, &env()).unwrap()
}

fn run(vault: &Vault, share: &Share, intended: bool) -> BackupReport {
    let options = BackupOptions { name: "share".to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended };
    vault.backup(share, &options, &NoProgress).unwrap()
}

/// Every entry of the snapshot that a run made.
fn entries(vault: &Vault, report: &BackupReport) -> BTreeMap<String, Node> {
    let snapshot = vault.resolve(&report.snapshot.to_string()).unwrap();
    let mut all = BTreeMap::new();
    vault
        .list(&snapshot, &Key::root(), &mut |key, node| {
            all.insert(key.to_string(), node.clone());
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn what_only_an_open_file_shows_is_kept_and_not_read_again() {
    let (vault, mut share) = (vault(), Share::new("smb:a"));
    share.file("a", 10, b"one file").streams = vec![("Zone.Identifier", b"3".to_vec()), ("empty", Vec::new())];
    share.file("b", 10, b"one file").streams = share.things[&key("a")].streams.clone();
    share.file("c", 11, b"another");
    let first = run(&vault, &share, false);
    assert_eq!(first.outcome, Outcome::Complete);
    assert_eq!(share.take_opened(), ["a", "b", "c"]);
    let kept = entries(&vault, &first);
    assert_eq!(kept["b"].link_to, Some(key("a")));
    assert!(kept["b"].content.is_none() && kept["b"].streams.is_empty());
    assert_eq!(kept["a"].streams.iter().map(|s| s.content.size).collect::<Vec<_>>(), [1, 0]);
    assert_eq!((kept["a"].links, kept["c"].links), (2, 1));
    assert!(kept.values().all(|node| node.descriptor.is_some()));

    let second = run(&vault, &share, false);
    assert!(share.take_opened().is_empty(), "nothing changed, so nothing is opened");
    assert_eq!(entries(&vault, &second), kept);

    // The first path goes, and with it the time that the file was changed.
    share.things.remove(&key("a"));
    share.things.get_mut(&key("b")).unwrap().changed = 2;
    let third = entries(&vault, &run(&vault, &share, false));
    assert_eq!(share.take_opened(), ["b"]);
    assert!(third["b"].link_to.is_none() && third["b"].content.is_some() && third["b"].links == 1 && third["b"].streams.len() == 2);
}

#[test]
fn a_moved_first_path_keeps_its_links() {
    let (vault, mut share) = (vault(), Share::new("smb:a"));
    share.file("a", 10, b"one file");
    share.file("b", 10, b"one file");
    run(&vault, &share, false);
    // Renaming what is above a file does not change the file.
    let moved = share.things.remove(&key("a")).unwrap();
    share.things.insert(key("c"), moved);
    let kept = entries(&vault, &run(&vault, &share, false));
    assert!(kept["b"].content.is_some());
    assert_eq!(kept["c"].link_to, Some(key("b")));
}

#[test]
fn streams_of_folders_are_kept_and_one_that_is_closed_costs_only_itself() {
    let (vault, mut share) = (vault(), Share::new("smb:a"));
    let folder = share.file("folder", 10, b"");
    (folder.folder, folder.streams) = (true, vec![("label", b"blue".to_vec())]);
    let file = share.file("file", 11, b"content");
    file.streams = vec![("closed", b"1".to_vec()), ("open", b"22".to_vec())];
    file.closed_stream = Some("closed");
    let report = run(&vault, &share, false);
    assert_eq!(report.outcome, Outcome::Partial);
    let kept = entries(&vault, &report);
    assert_eq!(kept["folder"].streams[0].content.size, 4);
    assert_eq!(kept["file"].content.as_ref().unwrap().size, 7);
    assert_eq!(kept["file"].streams.iter().map(|s| &*s.name).collect::<Vec<_>>(), [b"open"]);
    assert_eq!(kept["file"].gap.as_ref().unwrap().reason, GapReason::Metadata);
    // A file with a gap is read again.
    share.take_opened();
    run(&vault, &share, false);
    assert_eq!(share.take_opened(), ["file"]);
}

#[test]
fn a_share_that_collapsed_or_was_swapped_is_held_until_a_person_says_it_is_meant() {
    let (vault, mut share) = (vault(), Share::new("smb:a"));
    for n in 0..40 {
        share.file(&format!("f{n}"), 100 + n, &[n as u8; 100]);
    }
    let good = run(&vault, &share, false);
    assert_eq!((good.outcome, good.held.as_str()), (Outcome::Complete, ""));

    let empty = run(&vault, &Share::new("smb:a"), false);
    assert!(empty.outcome == Outcome::Held && empty.held.contains("no files"), "{}", empty.held);
    let mut swapped = Share::new("smb:b");
    swapped.things.clone_from(&share.things);
    assert!(run(&vault, &swapped, false).held.contains("not the source"));
    let mut others = Share::new("smb:a");
    for n in 0..50 {
        others.file(&format!("other {n}"), 100 + n, &[n as u8; 100]);
    }
    assert!(run(&vault, &others, false).held.contains("not one of the 40"));
    share.things.retain(|key, thing| thing.folder || key.to_string().as_str() < "f26");
    share.take_opened();
    let thinned = run(&vault, &share, false);
    assert_eq!(thinned.outcome, Outcome::Held);
    assert!(share.take_opened().is_empty(), "it builds on the last accepted snapshot");

    // None of them is the latest, and each can be had by its id.
    assert_eq!(vault.resolve("latest").unwrap().id, good.snapshot);
    assert_eq!(vault.resolve("share@latest").unwrap().id, good.snapshot);
    assert_eq!(vault.resolve(&thinned.snapshot.to_string()).unwrap().body.held, thinned.held);

    let meant = run(&vault, &share, true);
    assert_eq!(meant.outcome, Outcome::Complete);
    assert_eq!(vault.resolve("latest").unwrap().id, meant.snapshot);
    assert_eq!(run(&vault, &share, false).outcome, Outcome::Complete);
}

#[test]
fn a_server_that_goes_away_after_the_walk_makes_no_snapshot() {
    let (vault, mut share) = (vault(), Share::new("smb:a"));
    for n in 0..9 {
        share.file(&format!("f{n}"), 100 + n, &[n as u8; 100]);
    }
    let good = run(&vault, &share, false);
    share.file("f3", 103, b"changed").changed = 2;
    share.file("f5", 105, b"changed").changed = 2;
    share.last = Some(key("f5"));
    let options = BackupOptions { name: "share".to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended: false };
    share.take_opened();
    let failed = vault.backup(&share, &options, &NoProgress).unwrap_err();
    assert!(failed.to_string().contains("the server is gone"), "{failed}");
    assert_eq!(vault.resolve("latest").unwrap().id, good.snapshot);
    share.last = None;
    assert_eq!(run(&vault, &share, false).outcome, Outcome::Complete);
}
