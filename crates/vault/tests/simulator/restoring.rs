//! Restores into a target that holds something, dry runs, and reading back.

use std::collections::BTreeMap;
use std::sync::Arc;

use keepwell_format::port::{ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time};
use keepwell_storage::Access;
use keepwell_vault::{Action, BackupOptions, Conflict, MemoryIndex, NoProgress, RestoreOptions, RestoreReport, Restored, Snapshot, Vault};

use crate::random::Random;
use crate::target::TreeTarget;
use crate::tree::{Reader, Run, Thing, Tree, TreeSource};
use crate::world::{dynamic, env, fresh, open, shared};

pub(crate) const RULES: [Conflict; 5] = [Conflict::Refuse, Conflict::Skip, Conflict::Replace, Conflict::Rename, Conflict::Newer];

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

fn bytes(text: &str) -> Vec<Run> {
    vec![Run::Bytes(text.as_bytes().to_vec())]
}

pub(crate) fn stored(source: &dyn Source) -> (Vault, Snapshot) {
    let disks = shared(fresh("1+0".parse().unwrap(), 1));
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env()).unwrap();
    let options = BackupOptions { name: "share".to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended: false };
    vault.backup(source, &options, &NoProgress).unwrap();
    let snapshot = vault.resolve("latest").unwrap();
    (vault, snapshot)
}

pub(crate) fn rule(conflict: Conflict) -> RestoreOptions {
    RestoreOptions { conflict, stamp: "now".to_owned(), ..RestoreOptions::default() }
}

fn restore(vault: &Vault, snapshot: &Snapshot, options: &RestoreOptions, target: &TreeTarget) -> RestoreReport {
    vault.restore(snapshot, options, target, &NoProgress).unwrap()
}

/// A small tree made by hand: a file with two paths, one beside it, and a folder.
fn small() -> Tree {
    let mut tree = Tree::new(&mut Random::new(1));
    let mut file = tree.things.values().find(|thing| thing.node.kind == Kind::File).unwrap().node.clone();
    file.mtime = Some(Time { seconds: 50, nanos: 0 });
    let folder = tree.things[&Key::root()].node.clone();
    tree.things.retain(|key, _| key.is_root());
    let mut id = file.file_id.unwrap();
    for (path, link_to) in [("a", None), ("b", Some("a")), ("d/inside", None), ("e.txt", None)] {
        if link_to.is_none() {
            id.file += 1000;
        }
        let runs = if link_to.is_none() { bytes(path) } else { Vec::new() };
        let node = Node { file_id: Some(id), ..file.clone() };
        tree.things.insert(key(path), Thing { node, runs, link_to: link_to.map(key) });
    }
    tree.things.insert(key("d"), Thing { node: folder, runs: Vec::new(), link_to: None });
    tree
}

/// The same names with other content, from another time.
fn held(paths: &[&str], seconds: i64) -> Tree {
    let mut tree = small();
    tree.things.retain(|key, _| key.is_root() || paths.contains(&key.to_string().as_str()));
    for thing in tree.things.values_mut() {
        thing.node.mtime = Some(Time { seconds, nanos: 0 });
        thing.link_to = None;
        if thing.node.kind == Kind::File {
            thing.runs = bytes("mine");
        }
    }
    tree
}

fn content(target: &TreeTarget, path: &str) -> String {
    let thing = target.at(&key(path)).unwrap_or_else(|| panic!("no {path}"));
    let thing = thing.link_to.as_ref().map_or(thing.clone(), |first| target.at(first).unwrap());
    let runs = thing.runs.iter().flat_map(|run| if let Run::Bytes(bytes) = run { bytes.clone() } else { Vec::new() });
    String::from_utf8(runs.collect()).unwrap()
}

fn counts(report: &RestoreReport) -> [u64; 6] {
    [report.files, report.folders, report.others, report.replaced, report.renamed, report.skipped]
}

fn missing(report: &RestoreReport) -> Vec<String> {
    report.missing.iter().map(|trouble| trouble.key.to_string()).collect()
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_the_run_then_does() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let tree = Tree::new(&mut random);
        let (vault, snapshot) = stored(&TreeSource::new(&tree));
        let mut there = tree.clone();
        there.change(&mut random);
        for conflict in RULES {
            for target in [TreeTarget::default(), TreeTarget::holding(&there)] {
                let dry = RestoreOptions { dry_run: true, read_back: true, ..rule(conflict) };
                let said = restore(&vault, &snapshot, &dry, &target);
                assert_eq!((target.writes(), said.compared), (0, 0), "{conflict:?}, seed {seed}");
                let done = restore(&vault, &snapshot, &rule(conflict), &target);
                assert_eq!((counts(&said), &said.met), (counts(&done), &done.met), "{conflict:?}, seed {seed}");
                assert_eq!((&said.missing, &said.lacking), (&done.missing, &done.lacking), "{conflict:?}, seed {seed}");
                assert!(said.written_bytes >= done.written_bytes && !said.lacking.is_empty());
            }
        }
    }
}

#[test]
fn what_is_there_is_met_by_the_rule() {
    let (vault, snapshot) = stored(&TreeSource::new(&small()));
    // Rule, time of what is there (the backup's is 50), content of e.txt afterwards, what else is there, counts.
    let table = [
        (Conflict::Refuse, 40, "mine", None, [2, 1, 1, 0, 0, 0]),
        (Conflict::Skip, 40, "mine", None, [2, 1, 1, 0, 0, 1]),
        (Conflict::Replace, 90, "e.txt", None, [3, 1, 1, 1, 0, 0]),
        (Conflict::Newer, 40, "e.txt", None, [3, 1, 1, 1, 0, 0]),
        (Conflict::Newer, 90, "mine", None, [2, 1, 1, 0, 0, 1]),
        (Conflict::Rename, 40, "mine", Some("e (restored now).txt"), [3, 1, 1, 0, 1, 0]),
    ];
    for (conflict, seconds, expected, also, counted) in table {
        let target = TreeTarget::holding(&held(&["e.txt"], seconds));
        let root = target.at(&Key::root()).unwrap();
        let report = restore(&vault, &snapshot, &rule(conflict), &target);
        assert_eq!((content(&target, "e.txt").as_str(), counts(&report)), (expected, counted), "{conflict:?} {seconds}");
        assert_eq!(missing(&report), if conflict == Conflict::Refuse { vec!["e.txt"] } else { vec![] });
        if let Some(also) = also {
            assert_eq!(content(&target, also), "e.txt");
            assert_eq!(report.met[0].renamed, Some(key(also)));
        }
        assert_eq!([content(&target, "a"), content(&target, "b"), content(&target, "d/inside")], ["a", "a", "d/inside"]);
        let takes_metadata = conflict == Conflict::Replace;
        assert_eq!(target.at(&Key::root()).unwrap() != root, takes_metadata, "{conflict:?}: the folder that was there");
        assert!(target.at(&key("d")).is_some_and(|folder| !folder.node.attributes.is_empty()), "a folder that was made");
    }
}

#[test]
fn paths_of_one_file_stay_together_or_say_that_they_do_not() {
    let (vault, snapshot) = stored(&TreeSource::new(&small()));
    let run = |paths: &[&str], conflict| {
        let target = TreeTarget::holding(&held(paths, 40));
        let report = restore(&vault, &snapshot, &rule(conflict), &target);
        assert_eq!(missing(&report), [""; 0], "{conflict:?}");
        let (a, b) = (content(&target, "a"), content(&target, "b"));
        (target, report, a, b)
    };
    let link = |target: &TreeTarget, path: &str| target.at(&key(path)).unwrap().link_to;

    // The first path stays as it was; the second one gets the content.
    let (target, report, a, b) = run(&["a"], Conflict::Skip);
    assert_eq!((a.as_str(), b.as_str(), link(&target, "b"), report.skipped), ("mine", "a", None, 1));
    // Unless it is what it should be, as after a restore that was cut.
    let target = TreeTarget::holding(&held(&["a"], 40));
    target.put(&key("a"), &small().things[&key("a")].node, bytes("a"), None);
    let report = restore(&vault, &snapshot, &rule(Conflict::Skip), &target);
    assert_eq!((link(&target, "b"), report.skipped, report.others), (Some(key("a")), 1, 1));
    let (target, report, a, b) = run(&["b"], Conflict::Skip);
    assert_eq!((a.as_str(), b.as_str(), link(&target, "b"), report.skipped), ("a", "mine", None, 1));
    let (_, report, a, b) = run(&["a", "b"], Conflict::Skip);
    assert_eq!((a.as_str(), b.as_str(), report.skipped), ("mine", "mine", 2));

    let (target, report, _, b) = run(&["a"], Conflict::Replace);
    assert_eq!((b.as_str(), link(&target, "b"), report.differing), ("a", Some(key("a")), 0));
    let (target, report, a, b) = run(&["a", "b"], Conflict::Replace);
    assert_eq!((a.as_str(), b.as_str(), link(&target, "b"), report.replaced), ("a", "a", None, 2));
    assert!(report.differences[0].key == key("b") && !report.is_whole(), "{report:?}");

    let (target, _, a, _) = run(&["a"], Conflict::Rename);
    assert_eq!((a.as_str(), link(&target, "b")), ("mine", Some(key("a (restored now)"))));
    let (target, _, _, b) = run(&["a", "b"], Conflict::Rename);
    assert_eq!((b.as_str(), link(&target, "b (restored now)")), ("mine", Some(key("a (restored now)"))));
}

#[test]
fn a_name_that_is_taken_twice_gets_a_number() {
    let (vault, snapshot) = stored(&TreeSource::new(&small()));
    let target = TreeTarget::holding(&held(&["e.txt"], 40));
    for _ in 0..2 {
        restore(&vault, &snapshot, &rule(Conflict::Rename), &target);
    }
    assert_eq!(content(&target, "e (restored now 2).txt"), "e.txt");
}

#[test]
fn a_file_in_a_folders_place_is_left_and_all_below_is_named() {
    let (vault, snapshot) = stored(&TreeSource::new(&small()));
    for conflict in RULES {
        let mut there = held(&["e.txt"], 40);
        let thing = there.things.remove(&key("e.txt")).unwrap();
        there.things.insert(key("d"), thing);
        let target = TreeTarget::holding(&there);
        let report = restore(&vault, &snapshot, &rule(conflict), &target);
        assert_eq!(missing(&report), ["d", "d/inside"], "{conflict:?}");
        assert_eq!((content(&target, "d").as_str(), report.files), ("mine", 2), "{conflict:?}");
    }
}

#[test]
fn a_folder_in_a_files_place_is_left() {
    let (vault, snapshot) = stored(&TreeSource::new(&small()));
    for conflict in RULES {
        let mut there = held(&["d"], 40);
        let folder = there.things.remove(&key("d")).unwrap();
        there.things.insert(key("a"), folder);
        let target = TreeTarget::holding(&there);
        let report = restore(&vault, &snapshot, &rule(conflict), &target);
        assert_eq!(missing(&report), ["a", "b"], "{conflict:?}: with the other path of the file");
        assert_eq!(target.at(&key("a")).unwrap().node.kind, Kind::Folder);
    }
}

#[test]
fn reading_back_finds_a_flipped_bit_and_nothing_else() {
    let mut random = Random::new(5);
    let tree = Tree::new(&mut random);
    let (vault, snapshot) = stored(&TreeSource::new(&tree));
    let options = RestoreOptions { read_back: true, ..RestoreOptions::default() };
    let files: Vec<&Key> = tree.things.iter().filter(|(_, thing)| !thing.runs.is_empty()).map(|(key, _)| key).collect();
    let holes = tree.things.iter().filter(|(_, thing)| thing.runs.iter().any(|run| matches!(run, Run::Hole(_)))).count();
    assert!(holes > 0, "a seed with holes is wanted");
    for without_holes in [false, true] {
        let target = TreeTarget::reading(None, without_holes);
        let report = restore(&vault, &snapshot, &options, &target);
        assert_eq!((report.differences.as_slice(), report.differing), (&[][..], 0));
        assert_eq!(report.compared, tree.things.len() as u64, "files, folders and links");
        for spoilt in &files {
            let target = TreeTarget::reading(Some((*spoilt).clone()), without_holes);
            let mut told = BTreeMap::new();
            let mut listen = |restored: Restored<'_>| {
                told.insert(restored.key.clone(), (restored.action, restored.same));
            };
            let report = vault.restore_telling(&snapshot, &options, &target, &NoProgress, &mut listen).unwrap();
            let found: Vec<_> = report.differences.iter().map(|trouble| (&trouble.key, trouble.text.as_str())).collect();
            assert_eq!(found, [(*spoilt, "content")]);
            assert!(!report.is_whole() && report.missing.is_empty());
            assert_eq!(told[*spoilt], (Action::Created, Some(false)));
            assert_eq!(told.values().filter(|(_, same)| *same == Some(true)).count() + 1, told.len());
        }
    }
}

/// A source whose folders have alternate streams, and one of whose files is held open.
struct Server<'a>(TreeSource<'a>);

const NOTE: &[u8] = b"written on the folder";

struct AsOfSnapshot<'a>(Box<dyn ReadFile + 'a>);

impl ReadFile for AsOfSnapshot<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<keepwell_format::port::Piece, Gap> {
        self.0.next(buffer)
    }

    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        node.gap = Some(Gap { reason: GapReason::Locked, text: "held open by another program".to_owned() });
        Ok(Steady::Unchanged)
    }
}

impl Source for Server<'_> {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(Box::new(self.0.walk()?.map(|walked| {
            walked.map(|walked| {
                let streams = if walked.node.kind == Kind::Folder { vec![b"note".to_vec()] } else { Vec::new() };
                Walked { streams, ..walked }
            })
        })))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let file = self.0.open(entry)?;
        Ok(if entry.key == key("e.txt") { Box::new(AsOfSnapshot(file)) } else { file })
    }

    fn stream(&self, entry: &Walked, name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        assert!(entry.node.kind == Kind::Folder && name == b"note");
        static RUNS: std::sync::LazyLock<Vec<Run>> = std::sync::LazyLock::new(|| vec![Run::Bytes(NOTE.to_vec())]);
        Ok(Box::new(Reader { runs: RUNS.as_slice(), offset: 0 }))
    }
}

#[test]
fn streams_of_folders_come_back_and_an_older_state_is_said_to_be_one() {
    let tree = small();
    let (vault, snapshot) = stored(&Server(TreeSource::new(&tree)));
    let target = TreeTarget::default();
    let options = RestoreOptions { read_back: true, ..RestoreOptions::default() };
    let report = restore(&vault, &snapshot, &options, &target);
    for folder in [Key::root(), key("d")] {
        assert_eq!(target.stream_at(&folder, b"note"), Some(vec![Run::Bytes(NOTE.to_vec())]), "{folder}");
    }
    let troubles: Vec<_> = report.missing.iter().map(|trouble| (trouble.key.to_string(), trouble.text.as_str())).collect();
    let text = "restored, but not as it was at the time of the backup: held open by another program";
    assert_eq!(troubles, [("e.txt".to_owned(), text)]);
    assert_eq!((report.differing, content(&target, "e.txt").as_str()), (0, "e.txt"));

    let target = TreeTarget::reading(Some(key("d")), false);
    let report = restore(&vault, &snapshot, &options, &target);
    assert_eq!(report.differences.iter().map(|trouble| trouble.text.as_str()).collect::<Vec<_>>(), ["stream note"]);
}

#[test]
fn a_folder_that_is_kept_keeps_its_times_and_is_not_compared() {
    let tree = small();
    let (vault, snapshot) = stored(&TreeSource::new(&tree));
    let target = TreeTarget::holding(&held(&["d"], 40));
    let options = RestoreOptions { read_back: true, ..rule(Conflict::Skip) };
    let report = restore(&vault, &snapshot, &options, &target);
    assert_eq!((report.differing, report.compared), (0, 4));
    assert_eq!(target.at(&key("d")).unwrap().node.mtime, Some(Time { seconds: 40, nanos: 0 }));
}
