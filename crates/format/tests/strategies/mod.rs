//! Arbitrary values of every structure, valid by construction.

use keepwell_format::keys::{KitPublic, Slot, SlotKind, Slots};
use keepwell_format::node::{Attribute, Extents, FileId, Owner, Stream};
use keepwell_format::pack::Member;
use keepwell_format::port::Encoding;
use keepwell_format::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

pub(crate) fn key() -> impl Strategy<Value = Key> {
    let name = prop_oneof![
        "[a-c]{1,3}".prop_map(String::into_bytes),
        vec(any::<u8>().prop_map(|b| if matches!(b, 0 | b'/' | b'.') { b'x' } else { b }), 1..20)
    ];
    vec(name, 0..4).prop_map(|names| names.iter().fold(Key::root(), |key, name| key.join(name).unwrap()))
}

pub(crate) fn time() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

/// From a small set, so that tables have something to share.
pub(crate) fn blob() -> impl Strategy<Value = BlobId> {
    prop_oneof![(0..6u8).prop_map(|n| BlobId([n; 32])), any::<[u8; 32]>().prop_map(BlobId)]
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(0..2u8, 0..3), vec(any::<u8>(), 0..40)]
}

pub(crate) fn gap() -> impl Strategy<Value = Gap> {
    use GapReason::*;
    let reasons = vec![Permission, Locked, Read, Vanished, Unsupported, Name, Metadata, Listing];
    (prop::sample::select(reasons), ".{0,12}").prop_map(|(reason, text)| Gap { reason, text })
}

pub(crate) fn run() -> impl Strategy<Value = ExtentRun> {
    let hole = prop_oneof![Just(0), 0..1u64 << 50];
    (hole, blob(), 0..8u32 << 20, 1..8u32 << 20).prop_map(|(hole, blob, offset, length)| ExtentRun { hole, blob, offset, length })
}

fn content() -> impl Strategy<Value = Content> {
    let inline = (vec(run(), 0..6), any::<u32>()).prop_map(|(runs, after)| {
        let mut end = 0;
        let extents = runs.iter().map(|run| {
            let at = end + run.hole;
            end = at + u64::from(run.length);
            Extent { at, blob: run.blob, offset: run.offset, length: run.length }
        });
        let extents = extents.collect();
        (end + u64::from(after), Extents::Inline(extents))
    });
    let tree = (any::<u64>(), 0..=32u8, blob()).prop_map(|(size, depth, root)| (size, Extents::Tree { depth, root }));
    (prop_oneof![inline, tree], any::<[u8; 32]>()).prop_map(|((size, extents), hash)| Content { size, hash: ContentHash(hash), extents })
}

fn owner() -> impl Strategy<Value = Owner> {
    (0..0o10000u16, any::<u32>(), any::<u32>()).prop_map(|(mode, uid, gid)| Owner { mode, uid, gid })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    btree_map(string(), string(), 0..4).prop_map(|map| map.into_iter().map(|(name, value)| Attribute { name, value }).collect())
}

fn streams() -> impl Strategy<Value = Vec<Stream>> {
    vec((string(), content()).prop_map(|(name, content)| Stream { name, content }), 0..3)
}

/// What a node of any kind may have.
fn plain_node() -> impl Strategy<Value = Node> {
    let kinds = vec![Kind::Folder, Kind::Fifo, Kind::Socket];
    let times = (option::of(time()), option::of(time()), option::of(time()));
    let id = option::of((any::<u64>(), any::<u128>()).prop_map(|(volume, file)| FileId { volume, file }));
    let windows = (option::of(any::<u32>()), option::of(string()), streams());
    (prop::sample::select(kinds), option::of(owner()), times, id, windows, attributes(), any::<bool>(), option::of(gap())).prop_map(
        |(kind, owner, (mtime, ctime, btime), file_id, (dos, descriptor, streams), attributes, inconsistent, gap)| Node {
            owner,
            mtime,
            ctime,
            btime,
            file_id,
            dos,
            descriptor,
            attributes,
            streams,
            inconsistent,
            gap,
            ..Node::new(kind)
        },
    )
}

pub(crate) fn node() -> impl Strategy<Value = Node> {
    let device = any::<(u32, u32)>();
    prop_oneof![
        plain_node(),
        (plain_node(), option::of(content())).prop_map(|(node, content)| Node { kind: Kind::File, content, ..node }),
        (plain_node(), option::of(content()), string()).prop_map(|(node, content, target)| Node {
            kind: Kind::Reparse,
            content,
            target: Some(target),
            ..node
        }),
        (plain_node(), string()).prop_map(|(node, target)| Node { kind: Kind::Symlink, target: Some(target), ..node }),
        (plain_node(), device).prop_map(|(node, device)| Node { kind: Kind::BlockDevice, device: Some(device), ..node }),
        (plain_node(), gap()).prop_map(|(node, gap)| Node { kind: Kind::Unknown, gap: Some(gap), ..node }),
    ]
}

pub(crate) fn page() -> impl Strategy<Value = Page> {
    let leaf = btree_map(key(), (node(), any::<bool>()), 1..12).prop_map(|map| {
        let first = map.keys().find(|key| !key.is_root()).cloned();
        let link =
            |key: &Key, linked: bool, node: &Node| linked && node.kind == Kind::File && first.as_ref().is_some_and(|first| first < key);
        let entries = map.into_iter().map(|(key, (node, linked))| match link(&key, linked, &node) {
            true => (key, Node { link_to: first.clone(), content: None, ..node }),
            false => (key, node),
        });
        Page::Leaf(entries.collect())
    });
    let child = (blob(), 1..1u64 << 40, any::<u64>(), any::<u64>());
    let inner = (1..=32u8, btree_map(key(), child, 1..12)).prop_map(|(level, map)| Page::Inner {
        level,
        children: map
            .into_iter()
            .map(|(first, (page, entries, bytes, gaps))| Child { first, page, entries, bytes, gaps: gaps % (entries + 1) })
            .collect(),
    });
    prop_oneof![3 => leaf, 1 => inner]
}

pub(crate) fn extent_page() -> impl Strategy<Value = ExtentPage> {
    prop_oneof![
        vec(run(), 1..40).prop_map(ExtentPage::Leaf),
        (1..=32u8, vec((blob(), 1..1u64 << 50), 1..40)).prop_map(|(level, children)| ExtentPage::Inner { level, children }),
    ]
}

pub(crate) fn directory() -> impl Strategy<Value = Directory> {
    use BlobKind::*;
    let kinds = prop::sample::select(vec![Data, Page, Extents, Signatures]);
    let packed = prop::sample::select(vec![Compression::Raw, Compression::Zstd, Compression::ZstdDictionary, Compression::Samples]);
    let plain = (blob(), kinds, packed, 1..=u32::MAX, 1..=16u32 << 20, 49..1u32 << 16, option::of(any::<prop::sample::Index>()));
    let entry = plain.prop_map(|(blob, kind, compression, epoch, plain_len, stored_len, keep)| {
        let mut frame = FrameInfo { blob, kind, compression, epoch: Epoch(epoch), plain_len, keep_map: WHOLE };
        let granules = plain_len.div_ceil(frame.granule()) as usize;
        if let (Some(keep), true) = (keep, granules > 1) {
            frame.keep_map = 1 << keep.index(granules);
        }
        DirectoryEntry { frame, stored_len, members: Vec::new() }
    });
    let bundle = (blob(), 1..=u32::MAX, vec((blob(), 0..1u32 << 20, 1..1u32 << 20), 1..5)).prop_map(|(blob, epoch, members)| {
        let (kind, compression) = (Bundle, Compression::Zstd);
        let frame = FrameInfo { blob, kind, compression, epoch: Epoch(epoch), plain_len: 2 << 20, keep_map: WHOLE };
        let members = members.into_iter().map(|(content, offset, length)| Member { content, offset, length });
        DirectoryEntry { frame, stored_len: 4096, members: members.collect() }
    });
    vec(prop_oneof![4 => entry, 1 => bundle], 0..20).prop_map(|entries| Directory { entries })
}

pub(crate) fn manifest() -> impl Strategy<Value = Manifest> {
    let head = (any::<[u8; 16]>(), 1..=u32::MAX, any::<u64>(), any::<[u8; 32]>(), any::<i64>());
    let needs = btree_set(prop_oneof![0..40u64, 0..1u64 << 63], 0..30).prop_map(|seqs| seqs.into_iter().map(PackSeq).collect());
    (head, needs, vec(any::<u8>(), 0..80), any::<[u8; 32]>()).prop_map(
        |((vault, epoch, sequence, previous, received), needs, sealed, sign)| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&sign);
            let (vault, previous) = (VaultId(vault), SnapshotId(previous));
            Manifest { vault, epoch: Epoch(epoch), sequence, previous, received, needs, sealed, signature }
        },
    )
}

pub(crate) fn manifest_body() -> impl Strategy<Value = ManifestBody> {
    let how = (
        prop::sample::select(vec![Encoding::Bytes, Encoding::Wtf8]),
        prop::sample::select(vec![Outcome::Complete, Outcome::Partial, Outcome::Held]),
    );
    let tree = (0..=32u8, blob(), any::<[u8; 32]>());
    ([".{0,20}", ".{0,20}", ".{0,20}", ".{0,20}"], how, time(), time(), tree, vec((key(), gap()), 0..5), any::<[u64; 10]>()).prop_map(
        |([name, source, identity, program], (encoding, outcome), started, finished, (depth, root, base), gaps, counts)| {
            let [entries, files, folders, content_bytes, unchanged_files, ..] = counts;
            let [.., read_bytes, new_blobs, new_stored_bytes, gap_count, inconsistent] = counts;
            let statistics = Statistics {
                entries,
                files,
                folders,
                content_bytes,
                unchanged_files,
                read_bytes,
                new_blobs,
                new_stored_bytes,
                gaps: gap_count,
                inconsistent,
            };
            let base = SnapshotId(base);
            let held = if outcome == Outcome::Held { format!("held {name}") } else { String::new() };
            ManifestBody {
                name,
                source,
                identity,
                encoding,
                outcome,
                started,
                finished,
                depth,
                root,
                base,
                gaps,
                statistics,
                program,
                held,
            }
        },
    )
}

pub(crate) fn tombstone() -> impl Strategy<Value = Tombstone> {
    let head = (any::<[u8; 16]>(), 1..=u32::MAX, any::<u64>(), any::<i64>(), 0..=1u64 << 63);
    let one = |(id, (sequence, previous))| Gone { snapshot: SnapshotId(id), sequence, previous: SnapshotId(previous) };
    let gone = btree_map(any::<[u8; 32]>(), any::<(u64, [u8; 32])>(), 1..30).prop_map(move |gone| gone.into_iter().map(one).collect());
    (head, gone, vec(any::<u8>(), 0..80), any::<[u8; 32]>()).prop_map(|((vault, epoch, sequence, received, packs), gone, sealed, sign)| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&sign);
        Tombstone { vault: VaultId(vault), epoch: Epoch(epoch), sequence, received, packs, gone, sealed, signature }
    })
}

pub(crate) fn slots() -> impl Strategy<Value = Slots> {
    use SlotKind::*;
    let slot = (prop::sample::select(vec![Kit, Passphrase, Tpm, Escrow]), vec(any::<u8>(), 0..60));
    let head = (any::<[u8; 16]>(), 1..=u32::MAX, any::<u32>(), any::<bool>(), any::<[u8; 32]>());
    let kit = (any::<u16>(), "age1[a-z0-9]{0,58}", any::<[[u8; 32]; 3]>());
    (head, kit, vec(slot.prop_map(|(kind, payload)| Slot { kind, payload }), 0..5)).prop_map(
        |((vault, epoch, revision, test_vault, verify_key), (set, recipient, commitments), slots)| {
            let kit = KitPublic { set, recipient, commitments };
            Slots { vault: VaultId(vault), epoch: Epoch(epoch), revision, test_vault, verify_key, kit, slots }
        },
    )
}
