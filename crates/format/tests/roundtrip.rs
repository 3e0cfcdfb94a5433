//! What is encoded decodes to the same value, and has one encoding.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod strategies;

use keepwell_format::keys::{ChunkSizes, Keyring, KeyringBody, KitPayload, PassphraseSlot, Slots};
use keepwell_format::*;
use proptest::prelude::*;
use zeroize::Zeroizing;

proptest! {
    #[test]
    fn pages(page in strategies::page()) {
        let bytes = page.encode().unwrap();
        prop_assert_eq!(Page::decode(&bytes), Ok(page));
    }

    /// What nobody wants is left out, and checked all the same.
    #[test]
    fn a_page_is_read_in_part_as_it_is_read_whole(page in strategies::page(), wanted: u64, at: prop::sample::Index, flip: u8) {
        let mut bytes = page.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let (mut n, mut keys) = (0, Vec::new());
        let part = Page::decode_where(&bytes, &mut |key| {
            n += 1;
            keys.push(key.clone());
            wanted >> (n % 64) & 1 == 1
        });
        let whole = Page::decode(&bytes);
        prop_assert_eq!(part.as_ref().err(), whole.as_ref().err());
        if let (Ok(Page::Leaf(part)), Ok(Page::Leaf(whole))) = (part, whole) {
            prop_assert!(whole.iter().map(|(key, _)| key).eq(&keys));
            let chosen: Vec<_> = (1..).zip(whole).filter(|(n, _)| wanted >> (n % 64) & 1 == 1).map(|(_, entry)| entry).collect();
            prop_assert_eq!(part, chosen);
        }
    }

    /// Whatever a change of one byte makes of a page: it is refused, or it is another page with this one encoding.
    #[test]
    fn a_page_has_one_encoding(page in strategies::page(), at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = page.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Page::decode(&bytes) {
            prop_assert_ne!(&other, &page);
            prop_assert_eq!(other.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn extent_pages(page in strategies::extent_page(), at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = page.encode();
        prop_assert_eq!(ExtentPage::decode(&bytes), Ok(page));
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = ExtentPage::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn directories(directory in strategies::directory(), padding in 0..100usize, at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = directory.encode(padding);
        prop_assert_eq!(Directory::decode(&bytes), Ok(directory.clone()));
        prop_assert_eq!(directory.positions().last().map_or(64, |(at, last)| at + u64::from(last.stored_len)), directory.offset());
        let at = at.index(bytes.len() - padding);
        bytes[at] ^= flip;
        if let Ok(other) = Directory::decode(&bytes) {
            let unpadded = other.encode(0).len();
            prop_assert_eq!(other.encode(bytes.len() - unpadded), bytes);
        }
    }

    #[test]
    fn manifests(manifest in strategies::manifest()) {
        let bytes = manifest.encode();
        prop_assert!(bytes.starts_with(&manifest.signed()) && manifest.signed().starts_with(&manifest.head()));
        prop_assert_eq!(Manifest::decode(&bytes), Ok(manifest));
    }

    #[test]
    fn manifest_bodies(body in strategies::manifest_body()) {
        prop_assert_eq!(ManifestBody::decode(&body.encode()), Ok(body));
    }

    #[test]
    fn tombstones(tombstone in strategies::tombstone(), at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = tombstone.encode();
        prop_assert!(bytes.starts_with(&tombstone.signed()) && tombstone.signed().starts_with(&tombstone.head()));
        prop_assert_eq!(Tombstone::decode(&bytes), Ok(tombstone));
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Tombstone::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn tombstone_bodies(reason in ".{0,200}", program in ".{0,20}") {
        let body = TombstoneBody { reason, program };
        prop_assert_eq!(TombstoneBody::decode(&body.encode()), Ok(body));
    }

    #[test]
    fn slots(slots in strategies::slots()) {
        prop_assert_eq!(Slots::decode(&slots.encode()), Ok(slots));
    }

    #[test]
    fn headers_and_frames(vault: [u8; 16], epoch in 1..=u32::MAX, seq in 0..1u64 << 63, data: bool) {
        let content = if data { PackContent::Data } else { PackContent::Metadata };
        let header = PackHeader { content, epoch: Epoch(epoch), vault: VaultId(vault), seq: PackSeq(seq) };
        prop_assert_eq!(PackHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn passphrase_slots(salt: [u8; 16], t in 1..=16u32, p in 1..=16u32, m_kib in 128..=1u32 << 20, byte: u8) {
        let slot = PassphraseSlot { salt, m_kib, t, p, sealed: vec![byte; 80] };
        prop_assert_eq!(PassphraseSlot::decode(&slot.encode()), Ok(slot));
    }

    #[test]
    fn keyrings(vault: [u8; 16], epoch in 1..=u32::MAX, revision: u32, sealed: Vec<u8>) {
        let keyring = Keyring { vault: VaultId(vault), epoch: Epoch(epoch), revision, sealed };
        prop_assert!(keyring.encode().starts_with(&keyring.head()));
        prop_assert_eq!(Keyring::decode(&keyring.encode()), Ok(keyring));
    }

    #[test]
    fn secrets(keys: [[u8; 32]; 4], epochs in prop::collection::btree_map(1..=u32::MAX, any::<[u8; 32]>(), 1..5), vault: [u8; 16]) {
        let [blob_id_key, gear_key, page_key, signing_seed] = keys.map(Zeroizing::new);
        let chunk = ChunkSizes { min: 1, avg: 2, max: 16 << 20 };
        let epochs: Vec<_> = epochs.into_iter().map(|(epoch, key)| (Epoch(epoch), Zeroizing::new(key))).collect();
        let body = KeyringBody { blob_id_key, gear_key, page_key, signing_seed, chunk, epochs };
        let read = KeyringBody::decode(&body.encode()).unwrap();
        prop_assert!(*read.page_key == keys[2] && *read.signing_seed == keys[3] && read.epochs == body.epochs);
        prop_assert!(read.encode() == body.encode());

        let kit = KitPayload { vault: VaultId(vault), epoch: body.epochs[0].0, vault_key: Zeroizing::new(keys[0]) };
        let read = KitPayload::decode(&kit.encode()).unwrap();
        prop_assert!(read.vault == kit.vault && read.epoch == kit.epoch && read.vault_key == kit.vault_key);
    }
}

/// The frame's additional data, byte by byte.
#[test]
fn frames_are_bound_to_what_they_are() {
    let frame = FrameInfo {
        blob: BlobId([0xbb; 32]),
        kind: BlobKind::Extents,
        compression: Compression::Zstd,
        epoch: Epoch(0x0102_0304),
        plain_len: 0x0005_0607,
        keep_map: WHOLE,
    };
    let expected = [&[0xaa; 16][..], &[4, 3, 2, 1], &[0xbb; 32], &[3, 1], &[7, 6, 5, 0], &[0xff; 8]].concat();
    assert_eq!(frame.aad(VaultId([0xaa; 16])).to_vec(), expected);
}

#[test]
fn a_builder_is_as_it_was_when_a_push_is_refused() {
    let key = |name: &str| Key::from_path(name.as_bytes()).unwrap();
    let link = |target: Vec<u8>| Node { target: Some(target), ..Node::new(Kind::Symlink) };
    let mut page = LeafBuilder::new();
    page.push(&key("a"), &link(vec![1; 100])).unwrap();
    let before = page.encoded_len();
    page.push(&key("b"), &link(vec![2; 16 << 20])).unwrap_err();
    page.push(&key("a"), &link(vec![3])).unwrap_err();
    page.push(&key("c"), &Node::new(Kind::Unknown)).unwrap_err();
    assert_eq!((page.encoded_len(), page.count()), (before, 1));
    page.push(&key("b"), &link(vec![3; 10])).unwrap();
    let length = page.encoded_len();
    let bytes = page.finish();
    assert_eq!(bytes.len(), length);
    let Ok(Page::Leaf(entries)) = Page::decode(&bytes) else { panic!("no leaf") };
    assert_eq!(entries, [(key("a"), link(vec![1; 100])), (key("b"), link(vec![3; 10]))]);
    assert!(page.is_empty() && !page.is_full());
}

/// Long keys that share nearly everything make a page that is small, and huge when it is read: it is full before that.
#[test]
fn pages_are_full_before_they_are_too_long_to_read() {
    let folder = Key::from_bytes(vec![b'a'; 60_000]).unwrap();
    let mut page = LeafBuilder::new();
    for n in 0..18 {
        assert!(!page.is_full(), "{n}");
        page.push(&folder.join(format!("{n:02}").as_bytes()).unwrap(), &Node::new(Kind::File)).unwrap();
    }
    assert!(page.is_full() && page.encoded_len() < 64 << 10);
}

#[test]
fn a_page_above_the_leaves_has_two_children_or_the_tree_has_no_end() {
    let mut page = InnerBuilder::new(1);
    for name in [b'a', b'b'] {
        assert!(!page.is_full());
        let first = Key::from_bytes(vec![name; Key::MAX_LEN]).unwrap();
        page.push(&Child { first, page: BlobId([1; 32]), entries: 1, bytes: 0, gaps: 0 }).unwrap();
    }
    assert!(page.is_full());
}
