//! One fixed value of every structure, and every structure as readable JSON.

mod describe;

use keepwell_format::codec::Reader;
use keepwell_format::keys::{ChunkSizes, Keyring, KeyringBody, KitPayload, KitPublic, PassphraseSlot, Slot, SlotKind, Slots};
use keepwell_format::node::{Attribute, Extents, FileId, Owner, Stream};
use keepwell_format::pack::Member;
use keepwell_format::port::Encoding;
use keepwell_format::*;
use serde_json::Value;
use zeroize::Zeroizing;

/// What a structure's bytes say, and their encoding anew.
pub(crate) type Decoded = (Value, Vec<u8>);

/// Parses the bytes of a structure, by its name.
pub(crate) fn decode(structure: &str, bytes: &[u8]) -> Result<Decoded, FormatError> {
    Ok(match structure {
        "pack-header" => PackHeader::decode(bytes).map(|v| (describe::header(&v), v.encode().to_vec()))?,
        "directory" => Directory::decode(bytes).map(|v| (describe::directory(&v), v.encode(bytes.len() - v.encode(0).len())))?,
        "trailer" => Trailer::decode(bytes).map(|v| (describe::trailer(&v), v.encode().to_vec()))?,
        "leaf-page" | "inner-page" => Page::decode(bytes).map(|v| (describe::page(&v), v.encode().unwrap()))?,
        "extent-leaf" | "extent-inner" => ExtentPage::decode(bytes).map(|v| (describe::extents(&v), v.encode()))?,
        "manifest" => Manifest::decode(bytes).map(|v| (describe::manifest(&v), v.encode()))?,
        "manifest-body" => ManifestBody::decode(bytes).map(|v| (describe::body(&v), v.encode()))?,
        "tombstone" => Tombstone::decode(bytes).map(|v| (describe::tombstone(&v), v.encode()))?,
        "tombstone-body" => TombstoneBody::decode(bytes).map(|v| (describe::tombstone_body(&v), v.encode()))?,
        "slots" => Slots::decode(bytes).map(|v| (describe::slots(&v), v.encode()))?,
        "passphrase-slot" => PassphraseSlot::decode(bytes).map(|v| (describe::passphrase(&v), v.encode()))?,
        "kit-payload" => KitPayload::decode(bytes).map(|v| (describe::kit(&v), v.encode().to_vec()))?,
        "keyring" => Keyring::decode(bytes).map(|v| (describe::keyring(&v), v.encode()))?,
        "keyring-body" => KeyringBody::decode(bytes).map(|v| (describe::ring(&v), v.encode().to_vec()))?,
        "varint" => number(bytes)?,
        other => panic!("no structure is called {other}"),
    })
}

/// A valid encoding of every structure.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let header = PackHeader { content: PackContent::Metadata, epoch: Epoch(2), vault: vault(), seq: PackSeq(0x0102_0304) };
    let runs = vec![
        ExtentRun { hole: 0, blob: blob(1), offset: 0, length: 4096 },
        ExtentRun { hole: 1 << 33, blob: blob(2), offset: 300, length: 8 },
        ExtentRun { hole: 0, blob: blob(1), offset: 4096, length: 1 },
    ];
    let inner = ExtentPage::Inner { level: 1, children: vec![(blob(7), 1 << 40), (blob(8), 127)] };
    let keyring = Keyring { vault: vault(), epoch: Epoch(2), revision: 3, sealed: vec![0x5e; 300] };
    let kit = KitPayload { vault: vault(), epoch: Epoch(2), vault_key: secret(9) };
    vec![
        ("pack-header", header.encode().to_vec()),
        ("directory", directory().encode(0)),
        ("trailer", Trailer { offset: 4096 + 64, length: 1000 }.encode().to_vec()),
        ("leaf-page", leaf().encode().unwrap()),
        ("inner-page", inner_page().encode().unwrap()),
        ("extent-leaf", ExtentPage::Leaf(runs).encode()),
        ("extent-inner", inner.encode()),
        ("manifest", manifest().encode()),
        ("manifest-body", body().encode()),
        ("tombstone", tombstone().encode()),
        ("tombstone-body", TombstoneBody { reason: "keeps 14 days".into(), program: "keepwell 0.1.0".into() }.encode()),
        ("slots", slots().encode()),
        ("passphrase-slot", passphrase().encode()),
        ("kit-payload", kit.encode().to_vec()),
        ("keyring", keyring.encode()),
        ("keyring-body", ring().encode().to_vec()),
        ("varint", vec![0xe5, 0x8e, 0x26]),
    ]
}

fn number(bytes: &[u8]) -> Result<Decoded, FormatError> {
    let mut reader = Reader::new("varint", bytes);
    let value = reader.varint()?;
    reader.finish()?;
    let mut out = codec::Writer::new();
    out.varint(value);
    Ok((value.into(), out.into_bytes()))
}

fn vault() -> VaultId {
    VaultId(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")
}

fn blob(n: u8) -> BlobId {
    BlobId([n; 32])
}

fn secret(n: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([n; 32])
}

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

fn directory() -> Directory {
    let epoch = Epoch(300);
    let frame =
        |kind, compression, plain_len, keep_map| FrameInfo { blob: blob(kind as u8), kind, compression, epoch, plain_len, keep_map };
    let plain = |frame, stored_len| DirectoryEntry { frame, stored_len, members: Vec::new() };
    let members = vec![Member { content: blob(0xc1), offset: 0, length: 700 }, Member { content: blob(0xc2), offset: 700, length: 300 }];
    Directory {
        entries: vec![
            plain(frame(BlobKind::Data, Compression::Raw, 5000, WHOLE), 5048),
            plain(frame(BlobKind::Data, Compression::Zstd, 1 << 20, 0b101), 40_000),
            plain(frame(BlobKind::Signatures, Compression::ZstdDictionary, 64, WHOLE), 60),
            DirectoryEntry { frame: frame(BlobKind::Bundle, Compression::Zstd, 1000, WHOLE), stored_len: 500, members },
        ],
    }
}

fn inner_page() -> Page {
    let child = |path, n, gaps| Child { first: key(path), page: blob(n), entries: 1000, bytes: 1 << 40, gaps };
    Page::Inner { level: 1, children: vec![child("", 1, 0), child("Praxis/Briefe", 2, 3), child("Praxis/Röntgen", 1, 1000)] }
}

fn leaf() -> Page {
    let owner = Some(Owner { mode: 0o2750, uid: 1000, gid: 70_000 });
    let time = |seconds| Some(Time { seconds, nanos: 999_999_999 });
    let content = |size, extents| Content { size, hash: ContentHash([0x77; 32]), extents: Extents::Inline(extents) };
    let extent = |at, n, offset, length| Extent { at, blob: blob(n), offset, length };
    let acl = Attribute { name: b"system.posix_acl_access".to_vec(), value: vec![2, 0, 0, 0] };
    let file = Node {
        owner,
        mtime: time(1_700_000_000),
        ctime: time(-1),
        btime: time(0),
        file_id: Some(FileId { volume: 3, file: 1 << 64 | 5 }),
        dos: Some(0x20),
        descriptor: Some(vec![1, 0, 4, 0x80]),
        attributes: vec![acl.clone()],
        streams: vec![Stream { name: "Zone.Identifier".into(), content: content(26, vec![extent(0, 3, 100, 26)]) }],
        content: Some(content(10_000, vec![extent(0, 1, 0, 4096), extent(8192, 3, 0, 1000)])),
        inconsistent: true,
        ..Node::new(Kind::File)
    };
    let tree = Some(Content { extents: Extents::Tree { depth: 1, root: blob(9) }, ..content(1 << 42, Vec::new()) });
    let gap = |reason, text: &str| Some(Gap { reason, text: text.into() });
    Page::Leaf(vec![
        (Key::root(), Node { owner, mtime: time(1), attributes: vec![acl], ..Node::new(Kind::Folder) }),
        (key("a"), file),
        (key("a.vhdx"), Node { content: tree, links: 2, ..Node::new(Kind::File) }),
        (key("b"), Node { link_to: Some(key("a")), ..Node::new(Kind::File) }),
        (key("dev"), Node { device: Some((8, 300)), ..Node::new(Kind::BlockDevice) }),
        (key("link"), Node { target: Some(b"../ziel".to_vec()), ..Node::new(Kind::Symlink) }),
        (key("lost"), Node { gap: gap(GapReason::Vanished, "it was gone"), ..Node::new(Kind::Unknown) }),
    ])
}

fn manifest() -> Manifest {
    let needs = [1, 2, 3, 200, 201, 1000].map(PackSeq).into_iter().collect();
    let (sealed, signature) = (vec![0x5e; 130], [0x51; 64]);
    let previous = SnapshotId([0x99; 32]);
    Manifest { vault: vault(), epoch: Epoch(2), sequence: 7, previous, received: 1_700_000_000, needs, sealed, signature }
}

fn tombstone() -> Tombstone {
    let gone = |n, sequence, before| Gone { snapshot: SnapshotId([n; 32]), sequence, previous: SnapshotId([before; 32]) };
    let gone = vec![gone(0x11, 7, 0x99), gone(0x99, 1, 0), gone(0xee, 1000, 0x22)];
    let (sealed, signature) = (vec![0x5e; 70], [0x51; 64]);
    Tombstone { vault: vault(), epoch: Epoch(2), sequence: 3, received: 1_700_000_000, packs: 1001, gone, sealed, signature }
}

fn body() -> ManifestBody {
    ManifestBody {
        name: "praxis".into(),
        source: "smb://backup@server/daten".into(),
        identity: "smb:5f0c:daten".into(),
        encoding: Encoding::Wtf8,
        outcome: Outcome::Held,
        started: Time { seconds: 1_700_000_000, nanos: 1 },
        finished: Time { seconds: 1_700_000_100, nanos: 0 },
        depth: 2,
        root: blob(1),
        base: SnapshotId::NONE,
        gaps: vec![(key("a/b"), Gap { reason: GapReason::Locked, text: "sharing violation".into() })],
        statistics: Statistics {
            entries: 1,
            files: 2,
            folders: 3,
            content_bytes: 1 << 40,
            unchanged_files: 5,
            read_bytes: 600,
            new_blobs: 7,
            new_stored_bytes: 800,
            gaps: 9,
            inconsistent: 10,
        },
        program: "keepwell 0.1.0".into(),
        held: "the source holds no files".into(),
    }
}

fn slots() -> Slots {
    let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj".into();
    let kit = KitPublic { set: 4711, recipient, commitments: [[1; 32], [2; 32], [3; 32]] };
    let slots = vec![
        Slot { kind: SlotKind::Kit, payload: b"age-encryption.org/v1\n...".to_vec() },
        Slot { kind: SlotKind::Passphrase, payload: passphrase().encode() },
        Slot { kind: SlotKind::Escrow, payload: vec![1, 2, 3] },
    ];
    Slots { vault: vault(), epoch: Epoch(2), revision: 1, test_vault: true, verify_key: [0xed; 32], kit, slots }
}

fn passphrase() -> PassphraseSlot {
    PassphraseSlot { salt: [0x5a; 16], m_kib: 65_536, t: 3, p: 4, sealed: vec![0x5e; 80] }
}

fn ring() -> KeyringBody {
    KeyringBody {
        blob_id_key: secret(1),
        gear_key: secret(2),
        page_key: secret(3),
        signing_seed: secret(4),
        chunk: ChunkSizes { min: 256 << 10, avg: 1 << 20, max: 4 << 20 },
        epochs: vec![(Epoch(1), secret(5)), (Epoch(2), secret(6))],
    }
}
