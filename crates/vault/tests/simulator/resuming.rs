//! Restores that are cut after any of their writes and go on: what is there in the end, and what is told of it, is what an uncut one leaves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Placing, Present, ReadFile, Target, WriteError, WriteFile};
use keepwell_format::{Gap, Key, Kind, Node, Time};
use keepwell_vault::{Conflict, Mark, NoProgress, Progress, RestoreOptions, RestoreReport, Resumed, Snapshot, Vault};

use crate::random::Random;
use crate::restoring::{RULES, rule, stored};
use crate::target::TreeTarget;
use crate::tree::{Run, Thing, Tree, TreeSource};

/// A target that is gone after so many writes.
struct Dying<'a> {
    target: &'a TreeTarget,
    left: AtomicU64,
}

impl Dying<'_> {
    fn write(&self) -> Result<(), WriteError> {
        let gone = || WriteError { fatal: true, text: "the server is gone".to_owned() };
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).map(drop).map_err(|_| gone())
    }
}

impl Target for Dying<'_> {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        self.target.look(key)
    }

    fn folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.write().and_then(|()| self.target.folder(key, node))
    }

    fn file(&self, key: &Key, node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.write().and_then(|()| self.target.file(key, node, content, placing))
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.write().and_then(|()| self.target.stream(key, stream))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.write().and_then(|()| self.target.special(key, node))
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        self.write().and_then(|()| self.target.link(key, to))
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.write().and_then(|()| self.target.finish_folder(key, node))
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.target.read(key, stream)
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        self.target.differences(key, node)
    }

    fn sync(&self) -> Result<(), WriteError> {
        Ok(())
    }

    fn parallel_writes(&self) -> usize {
        1
    }
}

/// Has every so manyth entry marked, and remembers the last mark.
struct Marks {
    each: u32,
    last: Mutex<(Resumed, [u64; 3])>,
}

impl Progress for Marks {
    fn wants_mark(&self, since: u32) -> bool {
        since >= self.each
    }

    fn mark(&self, mark: &Mark<'_>) {
        *self.last.lock().unwrap() = (mark.resumed(), counts(mark.report));
    }
}

fn counts(report: &RestoreReport) -> [u64; 3] {
    [report.files, report.skipped, report.missing.len() as u64]
}

/// Some of the tree's files, all with other content.
fn there(tree: &Tree, random: &mut Random) -> Tree {
    let mut there = tree.clone();
    there
        .things
        .retain(|key, thing| key.is_root() || thing.node.kind == Kind::Folder || (thing.node.kind == Kind::File && random.below(2) == 0));
    for thing in there.things.values_mut().filter(|thing| thing.node.kind == Kind::File) {
        thing.link_to = None;
        thing.runs = vec![Run::Bytes(b"somebody's own".to_vec())];
        thing.node.mtime = Some(Time { seconds: i64::from(random.below(2) == 0) * 4_000_000_000, nanos: 0 });
    }
    there
}

fn all(target: &TreeTarget) -> Vec<(Key, Option<Thing>)> {
    target.keys().into_iter().map(|key| (key.clone(), target.at(&key))).collect()
}

/// Cuts a restore after each of its writes; answers how often.
fn cut_everywhere(vault: &Vault, snapshot: &Snapshot, options: &RestoreOptions, held: &Tree, each: u32) -> u64 {
    let mut empty = held.clone();
    empty.things.retain(|key, _| key.is_root());
    let fresh = || TreeTarget::holding(if options.conflict == Conflict::Refuse { &empty } else { held });
    let whole = fresh();
    let told = counts(&vault.restore(snapshot, options, &whole, &NoProgress).unwrap());
    for cut in 0.. {
        let target = fresh();
        let marks = Marks { each, last: Mutex::default() };
        let dying = Dying { target: &target, left: AtomicU64::new(cut) };
        if vault.restore(snapshot, options, &dying, &marks).is_ok() {
            return cut;
        }
        let (resumed, before) = marks.last.into_inner().unwrap();
        let again = RestoreOptions { resumed: Some(resumed), ..options.clone() };
        let report = vault.restore(snapshot, &again, &target, &NoProgress).unwrap();
        let place = format!("{:?}, marked each {each}, cut after {cut}", options.conflict);
        assert_eq!(std::array::from_fn(|n| before[n] + counts(&report)[n]), told, "{place}: {:?}", report.missing);
        let (left, expected) = (all(&target), all(&whole));
        let differing: Vec<_> = left.iter().filter(|thing| !expected.contains(thing)).map(|(key, _)| key).collect();
        assert!(left.len() == expected.len() && differing.is_empty(), "{place}: {differing:?}");
    }
    unreachable!("writes end")
}

#[test]
fn wherever_a_restore_is_cut_it_goes_on_as_if_it_had_not_been() {
    let mut cuts = 0;
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let tree = Tree::new(&mut random);
        let (vault, snapshot) = stored(&TreeSource::new(&tree));
        let held = there(&tree, &mut random);
        for conflict in RULES {
            let options = RestoreOptions { read_back: true, ..rule(conflict) };
            cuts += cut_everywhere(&vault, &snapshot, &options, &held, 1);
        }
        // Files that were written and not marked are known again; so are folders where there can have been no others.
        for conflict in [Conflict::Refuse, Conflict::Replace] {
            cuts += cut_everywhere(&vault, &snapshot, &rule(conflict), &held, 7);
        }
    }
    assert!(cuts > 100, "{cuts}");
}

#[test]
fn what_people_changed_since_is_left_alone() {
    let mut random = Random::new(3);
    let tree = Tree::new(&mut random);
    let (vault, snapshot) = stored(&TreeSource::new(&tree));
    let target = TreeTarget::default();
    let marks = Marks { each: 1, last: Mutex::default() };
    let options = rule(Conflict::Replace);
    vault.restore(&snapshot, &options, &target, &marks).unwrap();
    let files: Vec<_> = tree.things.iter().filter(|(_, thing)| thing.node.kind == Kind::File && thing.link_to.is_none()).collect();
    for (key, thing) in &files {
        target.put(key, &thing.node, vec![Run::Bytes(b"typed since".to_vec())], None);
    }
    let (resumed, _) = marks.last.into_inner().unwrap();
    vault.restore(&snapshot, &RestoreOptions { resumed: Some(resumed), ..options }, &target, &NoProgress).unwrap();
    for (key, _) in files {
        assert_eq!(target.at(key).unwrap().runs, [Run::Bytes(b"typed since".to_vec())], "{key}");
    }
}

/// Has the very first entry marked, and others by number.
struct AtOnce(std::sync::atomic::AtomicBool);

impl Progress for AtOnce {
    fn wants_mark(&self, _since: u32) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[test]
fn a_mark_does_not_end_what_the_attempt_before_may_have_written() {
    let mut random = Random::new(5);
    let tree = Tree::new(&mut random);
    let (vault, snapshot) = stored(&TreeSource::new(&tree));
    for conflict in RULES {
        // Nothing was marked, and all was written.
        let target = TreeTarget::default();
        vault.restore(&snapshot, &rule(conflict), &target, &NoProgress).unwrap();
        let whole = all(&target);
        let again = RestoreOptions { resumed: Some(Resumed::default()), ..rule(conflict) };
        let report = vault.restore(&snapshot, &again, &target, &AtOnce(true.into())).unwrap();
        assert_eq!((report.missing.len(), report.renamed, report.replaced, report.skipped), (0, 0, 0, 0), "{conflict:?}");
        let left: Vec<Key> = all(&target).into_iter().map(|(key, _)| key).collect();
        assert_eq!(left, whole.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), "{conflict:?}");
    }
}

#[test]
fn what_is_settled_and_not_there_any_more_is_restored_again() {
    let mut random = Random::new(3);
    let tree = Tree::new(&mut random);
    let (vault, snapshot) = stored(&TreeSource::new(&tree));
    let files = |target: &TreeTarget| {
        let file = |(key, thing): &(Key, Option<Thing>)| thing.as_ref().filter(|thing| thing.node.kind == Kind::File).map(|_| key.clone());
        all(target).iter().filter_map(file).collect::<Vec<_>>()
    };
    for conflict in RULES {
        let (target, marks) = (TreeTarget::default(), Marks { each: 1, last: Mutex::default() });
        vault.restore(&snapshot, &rule(conflict), &target, &marks).unwrap();
        let (resumed, _) = marks.last.into_inner().unwrap();
        assert!(!resumed.done.is_root());
        let again = RestoreOptions { resumed: Some(resumed), ..rule(conflict) };
        // Another target, which holds nothing; and one that has its folders alone.
        let mut folders = tree.clone();
        folders.things.retain(|_, thing| thing.node.kind == Kind::Folder);
        for other in [TreeTarget::default(), TreeTarget::holding(&folders)] {
            let report = vault.restore(&snapshot, &again, &other, &NoProgress).unwrap();
            assert_eq!(files(&other), files(&target), "{conflict:?}: {:?}", report.missing);
        }
    }
}
