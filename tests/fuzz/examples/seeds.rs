//! Writes the seeds of `corpus` anew: test vectors of `keepwell-format`, valid structures of the other crates, and spoilt ones.
//! Files that fuzzing found, and answers recorded from real servers (`recorded-...`), have other names and stay.

use std::fs;
use std::io;
use std::path::Path;

use keepwell_crypt::{KitFile, KitSeed, Sealer, Secret, kit_recipient, split, wrap_for_recipient};
use keepwell_format::codec::Writer;
use keepwell_format::keys::Keyring;
use keepwell_format::node::Extents;
use keepwell_format::{Child, Content, ContentHash, InnerBuilder, Key, Kind, LeafBuilder, Node};
use keepwell_fuzz::{SEED, challenge, challenged, survey};
use keepwell_storage::{Class, Label, Layout, Member, Role, encode_object};
use keepwell_wire::challenge::Answer;
use keepwell_wire::survey::encode_answer;
use keepwell_wire::{Branch, SliceProof};
use serde_json::Value;

fn main() -> io::Result<()> {
    vectors()?;
    pages()?;
    kits()?;
    disks()?;
    smart()?;
    ledgers()?;
    frames()?;
    between_boxes()?;
    texts()
}

/// Every test vector, valid or not, is a seed of the target that parses its structure.
fn vectors() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/format/tests/vectors");
    for file in fs::read_dir(folder)? {
        let vectors: Vec<Value> = serde_json::from_slice(&fs::read(file?.path())?)?;
        for (n, vector) in vectors.iter().enumerate() {
            let (structure, expect) = (text(&vector["structure"]), text(&vector["expect"]));
            let target = match structure {
                "varint" => "codec",
                "leaf-page" | "inner-page" => "page",
                "extent-leaf" | "extent-inner" => "extent_page",
                other => &other.replace('-', "_"),
            };
            write(target, &format!("{expect}-{structure}-{n}"), &unhex(text(&vector["hex"])))?;
        }
    }
    Ok(())
}

/// Pages with more entries than a person would write.
fn pages() -> io::Result<()> {
    let (mut leaf, mut inner) = (LeafBuilder::new(), InnerBuilder::new(2));
    for n in 0..60u64 {
        let first = Key::from_path(format!("Praxis/Patient {n:04}/Brief.pdf").as_bytes()).expect("a path");
        let node = Node { target: Some(vec![n as u8 / 7; 10]), dos: Some(n as u32), ..Node::new(Kind::Symlink) };
        leaf.push(&first, &node).expect("keys ascend");
        let page = keepwell_format::BlobId([n as u8; 32]);
        inner.push(&Child { first, page, entries: n + 1, bytes: n << n.min(50), gaps: n / 9 }).expect("keys ascend");
    }
    write("page", "leaf-of-60", &leaf.finish())?;
    write("page", "inner-of-60", &inner.finish())?;
    let keyring = Keyring { vault: keepwell_format::VaultId([1; 16]), epoch: keepwell_format::Epoch(1), revision: 0, sealed: Vec::new() };
    write("keyring", "sealed-nothing", &keyring.encode())
}

fn kits() -> io::Result<()> {
    let seed = KitSeed::from_bytes(SEED);
    let shares = split(&seed, 300, &mut |bytes| bytes.fill(0x5a));
    for share in shares {
        let words = share.to_words().map(|row| row.join(" "));
        let name = format!("share-{}", share.index());
        write("kit_words", &name, words.join("\n").as_bytes())?;
        write("kit_words", &format!("{name}-wrong-word"), words.join("\n").replacen(&words[1][..4], "zoo ", 1).as_bytes())?;
        let file = KitFile { vault: [1; 16], set: 300, share };
        write("kit_file", &name, format!("A KIT\n\n{}", *file.lines()).as_bytes())?;
    }
    write("kit_file", "no-words", b"vault: 01\nset: 1\nshare: 1\n")?;
    let slot = wrap_for_recipient(&kit_recipient(&seed), &[3; 52]).map_err(io::Error::other)?;
    write("kit_slot", "cut", &slot[..slot.len() - 1])?;
    write("kit_slot", "valid", &slot)?;
    write("kit_slot", "header-only", b"age-encryption.org/v1\n-> X25519 \n---\n")?;
    let sealer = Sealer::new(&Secret::from_bytes(SEED), "fuzz");
    write("sealed", "valid", &sealer.seal(b"aad", b"plain"))?;
    write("sealed", "of-nothing", &sealer.seal(b"aad", b""))
}

fn disks() -> io::Result<()> {
    let layout = Layout::new(2, 1).expect("a layout");
    let mut members: Vec<Member> = (0..5).map(|n| Member::active([n; 16])).collect();
    members[3].role = Role::Draining;
    members[4].role = Role::Retired;
    let label = Label { vault: [1; 16], disk: [1; 16], layout, generation: 1, members };
    write("disk_label", "valid", &label.encode())?;
    write("disk_label", "many", &Label { members: (0..200).map(|n| Member::active([n; 16])).collect(), ..label.clone() }.encode())?;
    write("disk_label", "stranger", &Label { disk: [9; 16], ..label }.encode())?;
    for class in [Class::Pack, Class::Manifest] {
        let object = encode_object(layout, [1; 16], class, vec![7; 1000]);
        let (header, _) = object.shard(2);
        write("shard_header", &format!("{class:?}").to_lowercase(), &header)?;
    }
    write("shard_header", "nothing", &[0; 160])
}

/// Disks that fail, one of each kind: they use the most fields.
fn smart() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/diskd/tests/smart");
    for name in ["sata-hdd-failing", "sata-ssd-healthy", "nvme-failing", "sas-failing", "usb-bridge-unknown"] {
        let answer: Value = serde_json::from_slice(&fs::read(folder.join(format!("{name}.json")))?)?;
        write("smart", name, answer.to_string().as_bytes())?;
    }
    let key = keepwell_diskd::identity::PublicKey([4; 65]);
    let serial = "WD-WX12".to_owned().try_into().map_err(io::Error::other)?;
    let (disk, file_system) = (keepwell_diskd::label::DiskId([1; 16]), [2; 16]);
    let label = keepwell_diskd::label::Label { disk, file_system, made_at: 1, size_bytes: 1 << 42, key, serial, box_name: "Praxis".into() };
    write("box_label", "forged", &label.encode(&[7; 64]))
}
/// Frames of ingest: both ends of a short job, with kinds and channels as `docs/ingest.md` has them.
fn frames() -> io::Result<()> {
    let frame = |kind: u8, channel: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("a seed is short");
        [&length.to_le_bytes()[..], &[kind], &channel.to_le_bytes(), payload].concat()
    };
    let key = Key::from_path(b"Praxis/Brief.pdf").expect("a path");
    let node = |kind| Node { dos: Some(32), ..Node::new(kind) };
    let page = |entries: &[(Key, Kind)]| {
        let mut page = LeafBuilder::new();
        entries.iter().for_each(|(key, kind)| page.push(key, &node(*kind)).expect("keys ascend"));
        page.finish()
    };
    let node_page = page(&[(key.clone(), Kind::File)]);
    let mut entries = Writer::new();
    let tree = [(Key::root(), Kind::Folder), (key.parent().expect("a folder"), Kind::Folder), (key.clone(), Kind::File)];
    entries.varint(0).bytes(&page(&tree)).raw(&[0, 0, 0, 1, 1, b's', 5, 0]);
    let mut end = Writer::new();
    end.u8(2).bytes(&page(&[(Key::root(), Kind::File)])).count(1).bytes(b"Zone.Identifier");
    let walk = [frame(133, 1, entries.as_bytes()), frame(134, 1, &[])].concat();
    let read = [frame(135, 2, b"bytes"), frame(136, 2, &[0x80, 0x20]), frame(137, 2, end.as_bytes()), frame(132, 0, &[])].concat();
    let answers =
        [frame(139, 3, &[1]), frame(141, 4, b"\x00\x04full"), frame(138, 0, b"\x03\x04gone"), frame(139, 4, b"\x00\x01\x00")].concat();
    write("ingest_frames", "to-the-caller", &[b"c", &walk[..], &read, &answers].concat())?;
    let reads = [
        frame(8, 2, &[2, 0x80, 0x20]),
        frame(9, 3, &[2, 1]),
        frame(10, 4, b"\x01\x01\x01s"),
        frame(11, 2, &[9]),
        frame(12, 3, &[]),
        frame(7, 1, &[1]),
    ];
    write("ingest_frames", "to-a-source", &[b"s", &reads.concat()[..]].concat())?;
    let mut named = Writer::new();
    named.bytes(key.as_bytes());
    let (name, mut entry) = (named.as_bytes(), Writer::new());
    entry.bytes(&node_page);
    let asked = [16, 17].map(|kind| frame(kind, 1, name)).concat();
    let with_node = [18, 21, 23, 25].map(|kind| frame(kind, 1, entry.as_bytes())).concat();
    let stream = frame(20, 5, &[name, b"\x01s\x05\x01"].concat());
    let steps =
        [frame(28, 5, b"\0\0\0\0\0\0\0\0bytes"), frame(29, 5, entry.as_bytes()), frame(24, 6, &[name, b"\x01\x00"].concat())].concat();
    let content = Content { size: 5, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) };
    let (mut whole, mut file) = (LeafBuilder::new(), Writer::new());
    whole.push(&key, &Node { content: Some(content), ..node(Kind::File) }).expect("a file");
    file.bytes(&whole.finish()).u8(1);
    let given_up = [frame(19, 10, file.as_bytes()), frame(30, 10, &[])].concat();
    let rest = [frame(22, 7, &[name, name].concat()), frame(26, 8, &[]), frame(27, 9, &[]), stream, steps, given_up].concat();
    write("ingest_frames", "to-a-target", &[b"t", &asked[..], &with_node, &rest].concat())
}

/// A ledger of three records, and the records.
fn ledgers() -> io::Result<()> {
    use keepwell_audit::{Draft, Event, Ledger, Time, Value};
    let folder = std::env::temp_dir().join(format!("keepwell-seeds-{}", std::process::id()));
    let (mut ledger, _) = Ledger::open(&folder).map_err(io::Error::other)?;
    for (n, event) in [Event::Started, Event::Refusal, Event::Later(999)].into_iter().enumerate() {
        let fields = [("share", Value::Text("01JD".into())), ("bytes", Value::Number(-1)), ("sealed", Value::Bytes(vec![n as u8; 9]))];
        let fields = fields.into_iter().take(n + 1).map(|(name, value)| (name.to_owned(), value)).collect();
        let at = Time { seconds: 1_795_300_000, nanos: 7 };
        ledger.append(&Draft { at, boot: [3; 16], actor: "vaultd".into(), event, fields }).map_err(io::Error::other)?;
    }
    for record in ledger.read(1, 9).map_err(io::Error::other)? {
        write("ledger_record", &format!("record-{}", record.seq), &record.encode().map_err(io::Error::other)?)?;
    }
    let file = fs::read(folder.join("ledger-00000001.kwl"))?;
    write("ledger_file", "three-records", &file)?;
    write("ledger_file", "torn", &file[..file.len() - 40])?;
    write("ledger_file", "header-alone", &file[..139])?;
    fs::remove_dir_all(folder)
}

fn texts() -> io::Result<()> {
    let id = "0123456789abcdef".repeat(4);
    for (target, lines) in [
        ("id", vec![id.clone(), id[..32].to_owned(), id.to_uppercase(), String::new()]),
        ("key", ["", "a", "a\0b c\0d", "a/b/c", "../a", "a\0\0b", "\u{e9}\u{0}x", "/"].map(str::to_owned).to_vec()),
        ("as_of", ["latest", "2026-11-20T00:00:00Z", "@GMT-2026.11.20-01.02.03", "0000-03-01 00:00:00"].map(str::to_owned).to_vec()),
        (
            "nfs_url",
            [
                "nfs://host/export",
                "nfs://host:2049/export/a?version=3&mountport=20480",
                "nfs://[::1]/e/%FF/x?uid=0&gid=0&version=4.1",
                "nfs://h",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        ("smb_names", ["", "CON", "a\u{e9}\u{1f600}"].map(str::to_owned).to_vec()),
        ("shard_name", vec![format!("{id}.0-2-1"), format!("{id}.2-2-1"), format!("{id}.02-2-1"), ".tmp-1".to_owned()]),
        (
            "smb_url",
            [
                "smb://user@host/share",
                "smb://DOM;user@host:4455/share/a/b",
                "smb://u@[::1]:445/s",
                "smb://a%20b@h/Eigene%20Dateien/%C3%A4/",
                "smb://u:p@h/s",
                "smb://u@h/s/../t",
                "SMB://u@h",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
    ] {
        for (n, line) in lines.iter().enumerate() {
            write(target, &format!("seed-{n}"), line.as_bytes())?;
        }
    }
    Ok(())
}

/// Vectors of `docs/wire.md`, and the answers to what the target asks.
fn between_boxes() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/wire/tests/vectors");
    for file in ["valid.json", "refused.json"] {
        let vectors: Vec<Value> = serde_json::from_slice(&fs::read(folder.join(file))?)?;
        for (n, vector) in vectors.iter().enumerate() {
            let (structure, bytes) = (text(&vector["structure"]), unhex(text(&vector["hex"])));
            let kind = match structure {
                "pair-request" => b'p',
                "pair-answer" => b'q',
                "survey" => b's',
                "survey-answer" => b't',
                "snapshot" => b'n',
                "missing" => b'm',
                "packs" => b'l',
                "receipt" => b'r',
                "challenge" => b'c',
                "challenge-answer" => b'd',
                "recover-request" => b'v',
                "recover-proof" => b'w',
                "order" => b'o',
                "order-given" => b'g',
                "order-cancelled" => b'x',
                "orders" => b'y',
                _ => {
                    write("wire_invitation", &format!("{}-{n}", file.trim_end_matches(".json")), &bytes)?;
                    continue;
                }
            };
            write("wire_message", &format!("{}-{structure}-{n}", file.trim_end_matches(".json")), &[&[kind][..], &bytes].concat())?;
        }
    }
    let mut ids: Vec<[u8; 32]> = (0..300_u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    ids.sort_unstable();
    let branches: Vec<_> = survey().prefixes.iter().map(|prefix| Branch::of(*prefix, &ids)).collect();
    write("wire_message", "answer-to-the-survey", &[b"t", &encode_answer(&branches)[..]].concat())?;
    let proofs = challenge().asked.iter().map(|one| SliceProof::of(&challenged(), one.slice)).collect();
    write("wire_message", "answer-to-the-challenge", &[b"d", &Answer { nonce: challenge().nonce, proofs }.encode()[..]].concat())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).filter_map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()).collect()
}
