//! Catalogs and extent trees as they are built, stored and read back.

use std::collections::{BTreeMap, BTreeSet};

use keepwell_format::blob::BlobKind;
use keepwell_format::extents::{ExtentPage, ExtentRun};
use keepwell_format::manifest::{ManifestBody, Outcome, SeqRanges, Statistics};
use keepwell_format::node::{Content, Extents};
use keepwell_format::port::Encoding;
use keepwell_format::{BlobId, ContentHash, Extent, Key, Kind, Node, SnapshotId, Time};

use super::*;
use crate::VaultError;
use crate::fixture::Scratch;
use crate::snapshot::Snapshot;

type Entries = BTreeMap<Key, Node>;

/// Numbers that are the same for ever.
fn number(seed: &str, n: usize) -> u64 {
    crate::keys::first_u64(blake3::hash(format!("{seed} {n}").as_bytes()).as_bytes())
}

fn file(n: u64) -> Node {
    let mut node = Node::new(Kind::File);
    node.mtime = Some(Time { seconds: n.cast_signed() >> 24, nanos: 5 });
    node.content = Some(Content { size: n % 1000, hash: ContentHash([n as u8; 32]), extents: Extents::Inline(Vec::new()) });
    node
}

/// The root, and `count` files with names of many lengths, some in folders.
fn entries(count: usize) -> Entries {
    let mut entries = Entries::from([(Key::root(), Node::new(Kind::Folder))]);
    for n in 0.. {
        if entries.len() > count {
            break;
        }
        let random = number("entry", n);
        let name = format!("{random:x}{}", "y".repeat((random % 30) as usize));
        let path = if random.is_multiple_of(3) { format!("{}/{name}", random % 50) } else { name };
        entries.insert(Key::from_path(path.as_bytes()).unwrap(), file(random));
    }
    entries
}

/// Stores a catalog: its snapshot, and how many pages were new.
fn build(scratch: &Scratch, entries: &Entries) -> (Snapshot, u64) {
    let ((depth, root), pages) = scratch.store(|writer| {
        let mut catalog = CatalogBuilder::new(&scratch.keys);
        entries.iter().try_for_each(|(key, node)| catalog.push(writer, key, node))?;
        catalog.finish(writer)
    });
    let zero = Time { seconds: 0, nanos: 0 };
    let body = ManifestBody {
        name: String::new(),
        source: String::new(),
        identity: String::new(),
        encoding: Encoding::Bytes,
        outcome: Outcome::Complete,
        started: zero,
        finished: zero,
        depth,
        root,
        base: SnapshotId::NONE,
        gaps: Vec::new(),
        statistics: Statistics::default(),
        program: String::new(),
        held: String::new(),
    };
    let snapshot = Snapshot { id: SnapshotId::NONE, sequence: 1, previous: SnapshotId::NONE, received: 0, needs: SeqRanges::new(), body };
    (snapshot, pages)
}

/// At most `most` entries from `from` on.
fn read(scratch: &Scratch, snapshot: &Snapshot, from: &Key, most: usize) -> Vec<(Key, Node)> {
    let reader = scratch.reader();
    let mut cursor = Cursor::new(&reader, snapshot, from);
    let next = |_| cursor.next().unwrap();
    (0..most).map_while(next).collect()
}

fn expected(entries: &Entries, from: &Key, most: usize) -> Vec<(Key, Node)> {
    entries.range(from..).take(most).map(|(key, node)| (key.clone(), node.clone())).collect()
}

fn pages(scratch: &Scratch, snapshot: &Snapshot) -> BTreeSet<BlobId> {
    let mut pages = BTreeSet::new();
    let reader = scratch.reader();
    let mut visit = |visit: Visit<'_>| {
        match visit {
            Visit::Page(id) => drop(pages.insert(*id)),
            Visit::Leaf(_) => {}
            Visit::Lost(damage) => panic!("{damage:?}"),
        }
        Ok(true)
    };
    walk_pages(&reader, snapshot, &mut visit).unwrap();
    pages
}

#[test]
fn a_catalog_of_any_size_reads_back_whole() {
    for (count, depths) in [(0, 0..=0), (1, 0..=0), (31, 0..=1), (5_000, 2..=3)] {
        let (scratch, entries) = (Scratch::new(), entries(count));
        let (snapshot, _) = build(&scratch, &entries);
        assert!(depths.contains(&snapshot.body.depth), "{count} entries: depth {}", snapshot.body.depth);
        assert_eq!(read(&scratch, &snapshot, &Key::root(), usize::MAX), expected(&entries, &Key::root(), usize::MAX), "{count} entries");
    }
}

#[test]
fn a_source_without_even_a_root_is_refused() {
    let scratch = Scratch::new();
    let (refused, _) = scratch.store(|writer| Ok(CatalogBuilder::new(&scratch.keys).finish(writer).is_err()));
    assert!(refused);
}

#[test]
fn a_cursor_begins_at_any_key() {
    for count in [0, 1, 31, 5_000] {
        let (scratch, entries) = (Scratch::new(), entries(count));
        let (snapshot, _) = build(&scratch, &entries);
        let there = entries.keys().step_by(1 + count / 40).cloned();
        let others = (0..40).map(|n| Key::from_path(format!("{:x}", number("elsewhere", n)).as_bytes()).unwrap());
        let ends = [Key::from_path(b"\x01").unwrap(), Key::from_path(b"\xff\xff").unwrap(), entries.keys().last().unwrap().clone()];
        for from in there.chain(others).chain(ends) {
            assert_eq!(read(&scratch, &snapshot, &from, 70), expected(&entries, &from, 70), "{count} entries from {from:?}");
        }
    }
}

#[test]
fn the_same_entries_are_the_same_pages() {
    let (scratch, entries) = (Scratch::new(), entries(5_000));
    let (first, new) = build(&scratch, &entries);
    assert!(new > 100, "{new} pages");
    let (again, new) = build(&scratch, &entries);
    assert_eq!((again.body.root, again.body.depth, new), (first.body.root, first.body.depth, 0));
}

#[test]
fn a_change_costs_the_pages_above_it_and_no_others() {
    let (scratch, mut entries) = (Scratch::new(), entries(5_000));
    let before = pages(&scratch, &build(&scratch, &entries).0);
    let keys: Vec<Key> = entries.keys().cloned().collect();
    entries.insert(keys[2_500].clone(), file(77));
    let (snapshot, new) = build(&scratch, &entries);
    assert_eq!(new, u64::from(snapshot.body.depth) + 1, "one page a level");
    entries.remove(&keys[2_502]);
    entries.insert(keys[2_501].join(b"below").unwrap(), file(78));
    let after = pages(&scratch, &build(&scratch, &entries).0);
    let fresh = after.difference(&before).count();
    assert!(fresh <= 8 && after.len() > 100, "{fresh} of {} pages are new", after.len());
}

#[test]
fn two_cursors_skip_what_they_share() {
    let (scratch, mut entries) = (Scratch::new(), entries(5_000));
    let (old, _) = build(&scratch, &entries);
    let changed = entries.keys().nth(4_000).unwrap().clone();
    entries.insert(changed.clone(), file(77));
    let (new, _) = build(&scratch, &entries);
    let reader = scratch.reader();
    let (mut mine, mut theirs) = (Cursor::new(&reader, &old, &Key::root()), Cursor::new(&reader, &new, &Key::root()));
    let (mut read, mut different) = (0, Vec::new());
    loop {
        mine.skip_common(&mut theirs).unwrap();
        let (Some(a), Some(b)) = (mine.next().unwrap(), theirs.next().unwrap()) else { break };
        read += 1;
        if a != b {
            different.push(a.0);
        }
    }
    assert_eq!(different, [changed]);
    assert!(read < 500, "{read} entries were read for one change");
}

fn extents(count: usize) -> Vec<Extent> {
    let mut at = 0;
    let extent = |n: usize| {
        let random = number("extent", n);
        let hole = if random.is_multiple_of(5) { random % 100_000 } else { 0 };
        let length = 1 + (random >> 32) as u32 % 4096;
        let extent =
            Extent { at: at + hole, blob: BlobId(*blake3::hash(&random.to_le_bytes()).as_bytes()), offset: random as u32 % 9, length };
        at = extent.at + u64::from(length);
        extent
    };
    (0..count).map(extent).collect()
}

fn store_extents(scratch: &Scratch, list: &[Extent]) -> (Extents, u64) {
    scratch.store(|writer| {
        let mut builder = ExtentsBuilder::default();
        list.iter().try_for_each(|extent| builder.push(writer, *extent))?;
        builder.finish(writer)
    })
}

#[test]
fn a_long_list_of_extents_becomes_a_tree_and_comes_back() {
    for (count, depth) in [(0, None), (1, None), (64, None), (65, Some(0..=1)), (5_000, Some(1..=2))] {
        let (scratch, list) = (Scratch::new(), extents(count));
        let (stored, pages) = store_extents(&scratch, &list);
        match (&stored, depth) {
            (Extents::Inline(inline), None) => assert_eq!((inline, pages), (&list, 0)),
            (Extents::Tree { depth, .. }, Some(depths)) => assert!(depths.contains(depth) && pages > 0, "{count} extents: depth {depth}"),
            (other, _) => panic!("{count} extents: {other:?}"),
        }
        let mut found = Vec::new();
        let mut visit = |extent| {
            found.push(extent);
            Ok(())
        };
        for_each_extent(&scratch.reader(), &stored, &mut visit).unwrap();
        assert_eq!(found, list, "{count} extents");
    }
}

#[test]
fn a_change_in_a_large_file_costs_few_extent_pages() {
    let (scratch, mut list) = (Scratch::new(), extents(5_000));
    let (_, all) = store_extents(&scratch, &list);
    list[2_500].blob = BlobId([0xfe; 32]);
    let (_, new) = store_extents(&scratch, &list);
    assert!(all >= 20 && new <= 4, "{new} new pages, {all} at first");
}

#[test]
fn an_extent_tree_that_reaches_beyond_any_file_is_refused() {
    let scratch = Scratch::new();
    let (root, _) = scratch.store(|writer| {
        let run = |hole| ExtentRun { hole, blob: BlobId([7; 32]), offset: 0, length: 1 };
        let first = writer.store_page(BlobKind::Extents, ExtentPage::Leaf(vec![run(1 << 63)]).encode())?;
        let second = writer.store_page(BlobKind::Extents, ExtentPage::Leaf(vec![run(u64::MAX >> 1)]).encode())?;
        let children = vec![(first, 1), (second, 1)];
        writer.store_page(BlobKind::Extents, ExtentPage::Inner { level: 1, children }.encode())
    });
    let found = for_each_extent(&scratch.reader(), &Extents::Tree { depth: 1, root }, &mut |_| Ok(()));
    assert!(matches!(found, Err(VaultError::Format { .. })), "{found:?}");
}

#[test]
fn a_page_of_a_newer_release_is_not_called_lost() {
    let scratch = Scratch::new();
    let (mut snapshot, _) = build(&scratch, &entries(0));
    (snapshot.body.root, _) = scratch.store(|writer| writer.store_page(BlobKind::Page, vec![2; 40]));
    let reader = scratch.reader();
    let found = Cursor::new(&reader, &snapshot, &Key::root()).next_past_damage(&mut |damage| panic!("{damage:?}"));
    assert!(found.unwrap_err().is_newer());
    let walked = walk_pages(&reader, &snapshot, &mut |visit| match visit {
        Visit::Lost(damage) => panic!("{damage:?}"),
        Visit::Page(_) | Visit::Leaf(_) => Ok(true),
    });
    assert!(walked.unwrap_err().is_newer());
}
