//! One contract for every index: in memory, SQLite in memory, SQLite in a file. Then what only a file can suffer.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeSet;
use std::path::Path;

use keepwell_format::blob::{BlobKind, Compression, FrameInfo, WHOLE};
use keepwell_format::pack::{Directory, DirectoryEntry, PackContent};
use keepwell_format::{BlobId, Epoch, PackId, PackSeq, VaultId};
use keepwell_vault::{Index, IndexPlace, IndexedPack, Location, MemoryIndex, SqliteIndex};

const VAULT: VaultId = VaultId([1; 16]);

fn blob(number: u64) -> BlobId {
    BlobId(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn pack_id(number: u64) -> PackId {
    PackId(*blake3::hash(format!("pack {number}").as_bytes()).as_bytes())
}

/// A pack that holds these blobs; all their facts follow from its number and theirs.
fn pack(number: u64, blobs: impl IntoIterator<Item = u64>) -> IndexedPack {
    let entries = blobs.into_iter().map(|blob_number| {
        let compression = if blob_number.is_multiple_of(2) { Compression::Raw } else { Compression::Zstd };
        let plain_len = u32::try_from(100 + blob_number).unwrap();
        let keep_map = if blob_number == 7 { 0b1011 } else { WHOLE };
        let frame = FrameInfo { blob: blob(blob_number), kind: BlobKind::Data, compression, epoch: Epoch(3), plain_len, keep_map };
        DirectoryEntry { frame, stored_len: plain_len + 48, members: Vec::new() }
    });
    let directory = Directory { entries: entries.collect() };
    IndexedPack { id: pack_id(number), seq: PackSeq(number + (1 << 40)), content: PackContent::Data, directory }
}

fn sorted(mut places: Vec<Location>) -> Vec<Location> {
    places.sort_by_key(|place| (place.pack, place.offset));
    places
}

fn places_of(packs: &[&IndexedPack], number: u64) -> Vec<Location> {
    sorted(packs.iter().flat_map(|pack| pack.locations()).filter(|place| place.frame.blob == blob(number)).collect())
}

fn locate(index: &dyn Index, number: u64) -> Vec<Location> {
    sorted(index.locate(&blob(number)).unwrap())
}

fn file_index(path: &Path, vault: VaultId) -> SqliteIndex {
    SqliteIndex::open(&IndexPlace::File(path.to_owned()), vault).unwrap()
}

/// Runs a test on a fresh index of each kind.
fn on_each(test: impl Fn(&dyn Index)) {
    let folder = tempfile::tempdir().unwrap();
    test(&MemoryIndex::default());
    test(&SqliteIndex::open(&IndexPlace::Memory, VAULT).unwrap());
    test(&file_index(&folder.path().join("index.sqlite"), VAULT));
}

#[test]
fn an_empty_index_knows_nothing() {
    on_each(|index| {
        assert_eq!(index.packs().unwrap(), []);
        assert_eq!(index.totals().unwrap(), (0, 0));
        assert_eq!(locate(index, 1), []);
        assert_eq!(index.content(&pack_id(1)).unwrap(), []);
        index.drop_packs(&[pack_id(1)]).unwrap();
        index.add(&[]).unwrap();
        assert_eq!(index.packs().unwrap(), []);
    });
}

#[test]
fn what_was_added_is_found_with_every_fact() {
    on_each(|index| {
        let packs: Vec<IndexedPack> = (0..9).map(|n| pack(n, n * 10..n * 10 + 10)).collect();
        index.add(&packs[..4]).unwrap();
        index.add(&packs[4..]).unwrap();
        let mut expected: Vec<(PackId, PackSeq)> = packs.iter().map(|pack| (pack.id, pack.seq)).collect();
        expected.sort_unstable();
        assert_eq!(index.packs().unwrap(), expected);
        for (number, pack) in (0..).zip(&packs) {
            assert_eq!(index.content(&pack.id).unwrap(), pack.locations().collect::<Vec<_>>());
            for blob_number in number * 10..number * 10 + 10 {
                assert_eq!(locate(index, blob_number), places_of(&[pack], blob_number));
            }
        }
        assert_eq!(locate(index, 90), []);
        assert_eq!(index.totals().unwrap(), (90, (100..190).sum()));
    });
}

#[test]
fn a_pack_that_is_known_is_not_added_twice() {
    on_each(|index| {
        index.add(&[pack(1, 0..5)]).unwrap();
        index.add(&[pack(1, 0..5), pack(2, 5..6)]).unwrap();
        assert_eq!(index.packs().unwrap().len(), 2);
        assert_eq!(locate(index, 3).len(), 1);
        assert_eq!(index.content(&pack_id(1)).unwrap().len(), 5);
    });
}

#[test]
fn a_blob_in_two_packs_has_two_places_and_counts_once() {
    on_each(|index| {
        let (first, second) = (pack(1, [1, 2]), pack(2, [3, 2]));
        index.add(&[first.clone(), second.clone()]).unwrap();
        assert_eq!(locate(index, 2), places_of(&[&first, &second], 2));
        assert_eq!(index.totals().unwrap(), (3, 101 + 102 + 103));
        index.drop_packs(&[first.id]).unwrap();
        assert_eq!(locate(index, 2), places_of(&[&second], 2));
        assert_eq!(index.totals().unwrap(), (2, 102 + 103));
    });
}

#[test]
fn what_is_dropped_is_gone_and_may_come_back() {
    on_each(|index| {
        let packs: Vec<IndexedPack> = (0..4).map(|n| pack(n, n * 3..n * 3 + 3)).collect();
        index.add(&packs).unwrap();
        index.drop_packs(&[packs[0].id, pack_id(77), packs[2].id]).unwrap();
        let left: BTreeSet<PackId> = index.packs().unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, BTreeSet::from([packs[1].id, packs[3].id]));
        assert_eq!(locate(index, 0), []);
        assert_eq!(index.content(&packs[2].id).unwrap(), []);
        assert_eq!(locate(index, 3), places_of(&[&packs[1]], 3));
        index.add(&packs[..1]).unwrap();
        assert_eq!(locate(index, 0), places_of(&[&packs[0]], 0));
        assert_eq!(index.content(&packs[0].id).unwrap().len(), 3);
    });
}

#[test]
fn readers_see_whole_packs_while_packs_come_and_go() {
    on_each(|index| {
        let stays = pack(0, 0..20);
        index.add(std::slice::from_ref(&stays)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..200 {
                        let number = round % 20;
                        assert_eq!(locate(index, number), places_of(&[&stays], number));
                        let seen = index.content(&pack_id(1)).unwrap().len();
                        assert!(seen == 0 || seen == 50, "half a pack is seen: {seen}");
                    }
                });
            }
            for _ in 0..20 {
                index.add(&[pack(1, 100..150)]).unwrap();
                index.drop_packs(&[pack_id(1)]).unwrap();
            }
        });
    });
}

#[test]
fn a_file_is_as_it_was_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    let packs = [pack(1, 0..300), pack(2, 300..600)];
    file_index(&path, VAULT).add(&packs).unwrap();
    let index = file_index(&path, VAULT);
    assert_eq!(index.packs().unwrap().len(), 2);
    assert_eq!(locate(&index, 7), places_of(&[&packs[0]], 7));
    index.drop_packs(&[packs[0].id]).unwrap();
    drop(index);
    assert_eq!(file_index(&path, VAULT).packs().unwrap(), [(packs[1].id, packs[1].seq)]);
}

/// A closed file with two packs in it, changed by `change`; opened again it has to be empty, and to work.
fn is_replaced(what: &str, vault: VaultId, change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.sqlite");
    file_index(&path, VAULT).add(&[pack(1, 0..300), pack(2, 300..600)]).unwrap();
    change(&path);
    let index = file_index(&path, vault);
    assert_eq!(index.packs().unwrap(), [], "{what}");
    assert_eq!(index.totals().unwrap(), (0, 0), "{what}");
    index.add(&[pack(3, 0..3)]).unwrap();
    drop(index);
    assert_eq!(file_index(&path, vault).packs().unwrap().len(), 1, "{what}");
}

fn change_bytes(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    assert!(bytes.len() > 30_000, "all pages are in the file itself");
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_that_is_no_index_of_this_vault_is_replaced_by_an_empty_one() {
    is_replaced("another vault", VaultId([2; 16]), |_| {});
    is_replaced("no database", VAULT, |path| std::fs::write(path, b"something else entirely".repeat(1000)).unwrap());
    is_replaced("no content", VAULT, |path| std::fs::write(path, b"").unwrap());
    is_replaced("a foreign log beside it", VAULT, |path| {
        std::fs::write(path, b"x").unwrap();
        std::fs::write(path.with_extension("sqlite-wal"), b"y".repeat(5000)).unwrap();
    });
}

#[test]
fn a_damaged_file_is_replaced_by_an_empty_one() {
    is_replaced("a damaged header", VAULT, |path| change_bytes(path, |bytes| bytes[..100].fill(0xa5)));
    is_replaced("a damaged first page", VAULT, |path| change_bytes(path, |bytes| bytes[100..4096].fill(0xa5)));
    is_replaced("half of it", VAULT, |path| change_bytes(path, |bytes| bytes.truncate(bytes.len() / 2)));
    is_replaced("one page less", VAULT, |path| change_bytes(path, |bytes| bytes.truncate(bytes.len() - 4096)));
    is_replaced("cut within a page", VAULT, |path| change_bytes(path, |bytes| bytes.truncate(bytes.len() - 5000)));
}

#[test]
fn a_place_that_takes_no_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no folder/index.sqlite");
    let error = SqliteIndex::open(&IndexPlace::File(path.clone()), VAULT).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}
