//! Restores from a vault with one blob lost, whichever it is: all else comes back, and what does not is named.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use keepwell_format::blob::BlobKind;
use keepwell_format::node::FileId;
use keepwell_format::port::{ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{BlobId, Gap, GapReason, Key, Kind, Node};
use keepwell_storage::{Access, Class, Damage, Disk as _, HEADER_LEN, MemoryDisk, ObjectName, Pool, Spread};
use keepwell_vault::{Env, Index, MemoryIndex, NoProgress, RestoreOptions, RestoreReport, Vault, VaultError, Workers};

use crate::random::Random;
use crate::target::TreeTarget;
use crate::tree::{Run, Thing, Tree, TreeSource};
use crate::world::{backup, dynamic, env, fresh, open, shared};

/// A disk that loses one blob at a time: a bit of its frame is flipped, and flipped back when the next one's turn comes.
struct Losing {
    index: Arc<MemoryIndex>,
    disk: Arc<MemoryDisk>,
    flipped: RefCell<Option<(String, Damage)>>,
}

impl Losing {
    fn lose(&self, blob: BlobId) {
        let place = self.index.locate(&blob).unwrap()[0];
        let path = format!("packs/{}.0-1-0", place.pack);
        let bit = Damage::FlipBit((HEADER_LEN as u64 + place.offset + 40) * 8);
        if let Some((path, bit)) = self.flipped.replace(Some((path.clone(), bit))) {
            assert!(self.disk.damage(&path, bit));
        }
        assert!(self.disk.damage(&path, bit));
    }

    fn blobs(&self) -> Vec<(BlobId, BlobKind)> {
        let packs = self.index.packs().unwrap();
        let frames = packs.iter().flat_map(|(pack, _)| self.index.content(pack).unwrap());
        frames.map(|place| (place.frame.blob, place.frame.kind)).collect()
    }
}

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

/// A tree of many leaves, with folders below folders and a file of two paths that lie far from each other.
fn broad() -> Tree {
    let mut tree = Tree::new(&mut Random::new(3));
    let file = tree.things.values().find(|thing| thing.node.kind == Kind::File && thing.link_to.is_none()).unwrap().node.clone();
    let folder = tree.things[&Key::root()].node.clone();
    let mut add = |path: String, node: &Node, id: u128, link_to: Option<Key>| {
        let node = Node { file_id: Some(FileId { volume: 1, file: id }), ..node.clone() };
        let runs = if node.kind == Kind::File && link_to.is_none() { vec![Run::Bytes(path.clone().into_bytes())] } else { Vec::new() };
        tree.things.insert(key(&path), Thing { node, runs, link_to });
    };
    for n in 0..20 {
        add(format!("m{n:02}"), &folder, 1000 + n, None);
        for k in 0..12 {
            add(format!("m{n:02}/patient{k}"), &folder, 2000 + 100 * n + k, None);
            add(format!("m{n:02}/patient{k}/letter"), &file, 5000 + 100 * n + k, None);
        }
    }
    add("m03/shared".to_owned(), &file, 9999, None);
    add("m15/shared too".to_owned(), &file, 9999, Some(key("m03/shared")));
    add("m16/shared too".to_owned(), &file, 9999, Some(key("m03/shared")));
    tree
}

fn restore(vault: &Vault, path: &str) -> (Result<RestoreReport, VaultError>, BTreeSet<Key>) {
    let target = TreeTarget::default();
    let snapshot = vault.resolve("latest").unwrap();
    let report = vault.restore(&snapshot, &RestoreOptions { path: Some(key(path)), ..RestoreOptions::default() }, &target, &NoProgress);
    (report, target.keys().into_iter().collect())
}

fn stored_by(tree: &Tree, env: &Env) -> (Vault, Losing) {
    let disks = shared(fresh("1+0".parse().unwrap(), 1));
    let index = Arc::new(MemoryIndex::default());
    let vault = open(dynamic(&disks), Access::Write, Arc::clone(&index) as _, env).unwrap();
    backup(&vault, tree).unwrap();
    (vault, Losing { index, disk: Arc::clone(&disks[0]), flipped: RefCell::default() })
}

fn stored(tree: &Tree) -> (Vault, Losing) {
    stored_by(tree, &env())
}

#[test]
fn whatever_blob_is_lost_all_else_is_restored_and_the_rest_named() {
    let tree = broad();
    let (vault, index) = stored(&tree);
    let blobs = index.blobs();
    assert!(blobs.iter().filter(|(_, kind)| *kind == BlobKind::Page).count() > 5);
    for (blob, kind) in blobs {
        index.lose(blob);
        let lost = vault.verify(true, &NoProgress).unwrap().files_lost;
        assert!(!lost.is_empty(), "{kind:?} {blob}");
        let (report, there) = restore(&vault, "");
        let troubles: BTreeSet<Key> = report.unwrap().missing.into_iter().map(|trouble| trouble.key).collect();
        let said: BTreeSet<Key> = lost.iter().map(|file| file.key.clone()).collect();
        assert_eq!(troubles, said, "{kind:?} {blob}: restore and verify name the same");
        for (key, thing) in &tree.things {
            let named = lost.iter().any(|file| match &file.until {
                None => file.key == *key,
                Some(until) => file.key <= *key && until.as_ref().is_none_or(|until| key < until),
            });
            let folder = thing.node.kind == Kind::Folder;
            assert!(there.contains(key) != named || folder && named, "{kind:?} {blob}: {key}, lost {named}");
        }
    }
}

#[test]
fn a_part_is_restored_though_the_page_of_a_first_path_outside_of_it_is_lost() {
    let tree = broad();
    let (vault, index) = stored(&tree);
    let mut met = 0;
    for (blob, _) in index.blobs().into_iter().filter(|(_, kind)| *kind == BlobKind::Page) {
        index.lose(blob);
        let (report, there) = restore(&vault, "m16");
        let Ok(report) = report else { continue };
        if there.contains(&key("patient3/letter")) && !there.contains(&key("shared too")) {
            met += u32::from(report.missing.iter().any(|trouble| trouble.key == key("shared too")));
        }
    }
    assert!(met > 0);
}

#[test]
fn a_file_that_is_asked_for_by_its_path_is_restored_under_its_name() {
    let (vault, _) = stored(&broad());
    for (path, name) in [("m07/patient2/letter", "letter"), ("m16/shared too", "shared too")] {
        let (report, there) = restore(&vault, path);
        let report = report.unwrap();
        assert_eq!((report.files, report.folders, report.missing), (1, 0, Vec::new()), "{path}");
        assert_eq!(there, BTreeSet::from([key(name)]));
    }
}

/// A source one of whose files can't be opened, by any path.
struct Locked<'a>(TreeSource<'a>);

impl Source for Locked<'_> {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        self.0.walk()
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        if entry.key.name().starts_with(b"shared") {
            return Err(Gap { reason: GapReason::Vanished, text: "gone".to_owned() });
        }
        self.0.open(entry)
    }
}

#[test]
fn a_further_path_whose_content_was_never_read_is_named() {
    let tree = broad();
    let (vault, _) = stored(&tree);
    let options =
        keepwell_vault::BackupOptions { name: "other".to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended: false };
    vault.backup(&Locked(TreeSource::new(&tree)), &options, &NoProgress).unwrap();
    let (report, there) = restore(&vault, "m16");
    let named = report.unwrap().missing.into_iter().filter(|trouble| trouble.key == key("shared too")).count();
    assert_eq!((named, there.contains(&key("shared too"))), (1, false));
}

#[test]
fn a_file_that_loses_a_blob_in_its_middle_leaves_nothing_behind_whatever_the_threads_do() {
    let mut tree = broad();
    let mut bytes = vec![0; 200_000];
    Random::new(8).fill(&mut bytes);
    tree.things.get_mut(&key("m05/patient1/letter")).unwrap().runs = vec![Run::Bytes(bytes)];
    let (vault, index) = stored_by(&tree, &Env { workers: Workers::Threads(2), ..env() });
    let large = index.blobs().into_iter().filter(|(_, kind)| *kind == BlobKind::Data);
    let mut met = 0;
    for (blob, _) in large.step_by(7) {
        index.lose(blob);
        let (report, there) = restore(&vault, "m05/patient1");
        let report = report.unwrap();
        assert_eq!(there.contains(&key("letter")), report.missing.is_empty());
        met += report.missing.len();
    }
    assert!(met > 3);
}

#[test]
fn a_pack_without_its_directory_still_gives_what_the_index_knows_of_it() {
    let (vault, index) = stored(&broad());
    let (blob, _) = index.blobs().into_iter().find(|(_, kind)| *kind == BlobKind::Data).unwrap();
    index.lose(blob);
    let named =
        |vault: &Vault| -> BTreeSet<Key> { vault.verify(true, &NoProgress).unwrap().files_lost.into_iter().map(|file| file.key).collect() };
    let before = named(&vault);
    let path = index.flipped.borrow().as_ref().unwrap().0.clone();
    let trailer = index.disk.contents()[&path].len() as u64 - 10;
    assert!(index.disk.damage(&path, Damage::FlipBit(trailer * 8)));
    assert_eq!(named(&vault), before);
    assert_eq!(restore(&vault, "").0.unwrap().missing.len(), before.len());
}

#[test]
fn a_whole_pack_whose_directory_can_not_be_opened_is_named_and_not_leaned_on() {
    let tree = broad();
    let (vault, losing) = stored(&tree);
    let (blob, _) = losing.blobs().into_iter().find(|(_, kind)| *kind == BlobKind::Data).unwrap();
    let pack = losing.index.locate(&blob).unwrap()[0].pack;
    drop(vault);
    let disks = vec![losing.disk];
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    let (mut bytes, _) = pool.read_object(ObjectName { class: Class::Pack, id: keepwell_storage::ObjectId(pack.0) }).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    let bad = pool.put(Class::Pack, Spread::Layout, &bytes).unwrap();
    disks[0].remove(&format!("packs/{pack}.0-1-0")).unwrap();
    drop(pool);

    let mut vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env()).unwrap();
    let found = vault.verify(true, &NoProgress).unwrap();
    let named: Vec<_> = found.packs_unreadable.iter().map(|(id, _)| id.0).collect();
    assert_eq!((named, found.damage.is_clean(), found.is_clean()), (vec![bad.0], true, false));
    assert!(!found.files_lost.is_empty());
    let report = vault.repair(&mut || unreachable!("no disk is new"), &NoProgress).unwrap();
    assert_eq!((report.remaining.len(), &report.files_lost), (0, &found.files_lost));
    assert_eq!(report.packs_unusable.iter().map(|id| id.0).collect::<Vec<_>>(), [bad.0]);
    assert!(vault.verify(true, &NoProgress).unwrap().packs_unreadable.is_empty(), "it is out of the way");
    backup(&vault, &tree).unwrap();
    let latest = vault.resolve("latest").unwrap();
    assert!(
        vault.verify(true, &NoProgress).unwrap().files_lost.iter().all(|file| file.snapshot != latest.id),
        "the source still had it all"
    );
}
