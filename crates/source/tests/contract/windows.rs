//! What a share keeps that no Unix folder does: descriptors, alternate streams, extended attributes, DOS attributes, times of making.
//! Builds such a tree through a target, and compares two of them.

use keepwell_format::node::{Attribute, Stream};
use keepwell_format::port::{Placing, Source, Target};
use keepwell_format::{Key, Kind, Node, Time};

use super::{content, look, read_stream, walk};

const READONLY: u32 = 1;
const HIDDEN: u32 = 2;
const SYSTEM: u32 = 4;
const ARCHIVE: u32 = 0x20;
const SPARSE: u32 = 0x200;
const SETTABLE: u32 = READONLY | HIDDEN | SYSTEM | ARCHIVE;

/// Longest run of digits that a name is made of.
const LONG: usize = 240;

/// A file or folder to be made.
struct Made {
    path: String,
    node: Node,
    /// Runs of data and where they start.
    runs: Vec<(u64, Vec<u8>)>,
    size: u64,
    streams: Vec<(String, Vec<u8>)>,
}

impl Made {
    fn file(path: &str, data: &[u8]) -> Self {
        let mut node = Node::new(Kind::File);
        node.dos = Some(ARCHIVE);
        let (runs, size) = (vec![(0, data.to_vec())], data.len() as u64);
        Self { path: path.into(), node, runs, size, streams: Vec::new() }.at(1_700_000_000, 123_456_700)
    }

    fn folder(path: &str) -> Self {
        let file = Self::file(path, b"");
        Self { node: Node { kind: Kind::Folder, dos: Some(0x10), ..file.node }, ..file }
    }

    fn at(mut self, seconds: i64, nanos: u32) -> Self {
        self.node.mtime = Some(Time { seconds, nanos });
        self.node.btime = Some(Time { seconds: seconds - 86_400, nanos });
        self
    }

    fn dos(mut self, dos: u32) -> Self {
        self.node.dos = Some(dos | self.node.dos.unwrap_or(0) & 0x10);
        self
    }

    fn descriptor(mut self, descriptor: Vec<u8>) -> Self {
        self.node.descriptor = Some(descriptor);
        self
    }

    fn stream(mut self, name: &str, bytes: &[u8]) -> Self {
        self.streams.push((name.into(), bytes.to_vec()));
        self
    }

    fn attribute(mut self, name: &str, value: &[u8]) -> Self {
        self.node.attributes.push(Attribute { name: name.into(), value: value.into() });
        self
    }
}

/// Makes the tree. `own` is a descriptor of something that the account made: owner and group are taken from it.
pub fn build(target: &dyn Target, own: &[u8]) {
    let tree = tree(own);
    for made in &tree {
        let key = Key::from_path(made.path.as_bytes()).unwrap();
        let mut node = made.node.clone();
        node.streams = made
            .streams
            .iter()
            .map(|(name, bytes)| Stream { name: name.as_bytes().into(), content: content(bytes.len() as u64) })
            .collect();
        if node.kind == Kind::Folder {
            target.folder(&key, &node).unwrap();
            write_streams(target, &key, &node, made);
            continue;
        }
        let mut file = target.file(&key, &node, &content(made.size), Placing::New).unwrap();
        made.runs.iter().for_each(|(at, run)| file.write_at(*at, run).unwrap());
        write_streams(target, &key, &node, made);
        file.finish(&node).unwrap();
    }
    for made in tree.iter().rev().filter(|made| made.node.kind == Kind::Folder) {
        target.finish_folder(&Key::from_path(made.path.as_bytes()).unwrap(), &made.node).unwrap();
    }
}

fn write_streams(target: &dyn Target, key: &Key, node: &Node, made: &Made) {
    for ((_, bytes), stream) in made.streams.iter().zip(&node.streams) {
        let mut writer = target.stream(key, stream).unwrap();
        writer.write_at(0, bytes).unwrap();
        writer.finish(node).unwrap();
    }
}

fn tree(own: &[u8]) -> Vec<Made> {
    let big: Vec<u8> = (0..3_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let foreign = sid(&[21, 1, 2, 3, 1001]);
    let everyone = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0].to_vec();
    let (allow, deny, inherited, to_all) = (0, 1, 0x10, 0x03);
    let all = (allow, 0, 0x001F_01FF, everyone.clone());
    let protected = descriptor(own, 0x1000, &[(deny, 0, 0x0001_0000, foreign.clone()), all.clone()]);
    let with_inherited =
        descriptor(own, 0x0400, &[(allow, 0, 0x0012_0089, foreign.clone()), (allow, inherited, 0x001F_01FF, everyone.clone())]);
    let passing_on = descriptor(own, 0x1000, &[(allow, to_all, 0x001F_01FF, everyone)]);
    let mut sparse = Made::file("sparse", b"").dos(SPARSE | ARCHIVE);
    (sparse.runs, sparse.size) = (vec![(1 << 20, b"after a hole".to_vec()), (3 << 20, vec![7; 70_000])], (9 << 20) + 5);
    let long = format!("{}/{}", "1".repeat(LONG), "2".repeat(LONG));
    let mut tree = vec![
        Made::folder("acl").descriptor(passing_on),
        Made::file("acl/deny", b"1").descriptor(protected.clone()),
        Made::file("acl/inherited", b"2").descriptor(with_inherited),
        Made::folder("attributes").dos(HIDDEN).attribute("FOLDER", b"too").stream("of a folder", b"stream of a folder"),
        Made::file("attributes/all", b"x").dos(READONLY | HIDDEN | SYSTEM | ARCHIVE),
        Made::file("attributes/ea", b"x").attribute("A", b"1").attribute("LONGER.NAME", &[0, 255, 0, 1]),
        Made::file("attributes/none", b"x").dos(0x80),
        Made::file("big", &big).stream("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n").descriptor(protected),
        Made::file("empty", b""),
        Made::file("just-small", &big[..65_536]),
        Made::file("medium", &big[..700_000]),
        Made::file("streams", b"").stream("one", b"1").stream("R\u{f6}ntgen", &big[..3_000]).dos(READONLY),
        sparse,
        Made::folder(&"1".repeat(LONG)),
        Made::folder(&long),
        Made::file(&format!("{long}/{}", "3".repeat(LONG)), b"deep"),
        Made::file("times/1980", b"x").at(315_532_801, 0),
        Made::file("times/after 2038", b"x").at(4_102_444_800, 999_999_900),
    ];
    tree.insert(16, Made::folder("times").at(1_234_567_890, 100));
    for name in ["CON", "Ka\u{308}se", "K\u{e4}se", "\u{65e5}\u{672c}", "\u{1F9B7}", " leading", "%20 #;@", ".hidden"] {
        tree.push(Made::file(name, name.as_bytes()));
    }
    tree
}

fn sid(parts: &[u32]) -> Vec<u8> {
    let mut sid = vec![1, parts.len() as u8, 0, 0, 0, 0, 0, 5];
    parts.iter().for_each(|part| sid.extend(part.to_le_bytes()));
    sid
}

/// Owner and group of `own` with these entries: type, flags, mask, who.
fn descriptor(own: &[u8], control: u16, entries: &[(u8, u8, u32, Vec<u8>)]) -> Vec<u8> {
    let part = |at: usize| {
        let start = u32::from_le_bytes(own[at..at + 4].try_into().unwrap()) as usize;
        own[start..start + 8 + 4 * usize::from(own[start + 1])].to_vec()
    };
    let (owner, group) = (part(4), part(8));
    let mut list = Vec::new();
    for (kind, flags, mask, who) in entries {
        list.extend([*kind, *flags]);
        list.extend((8 + who.len() as u16).to_le_bytes());
        list.extend(mask.to_le_bytes());
        list.extend(who);
    }
    let mut bytes = vec![1, 0];
    bytes.extend((control | 0x8004).to_le_bytes());
    let places = [20, 20 + owner.len(), 0, 20 + owner.len() + group.len()];
    places.iter().for_each(|place| bytes.extend((*place as u32).to_le_bytes()));
    bytes.extend(owner);
    bytes.extend(group);
    bytes.extend([2, 0]);
    bytes.extend((8 + list.len() as u16).to_le_bytes());
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(list);
    bytes
}

/// Asserts that two trees are the same to Windows.
pub fn compare(left: &dyn Source, right: &dyn Source) {
    let (a, b) = (walk(left), walk(right));
    let keys = |walked: &[keepwell_format::port::Walked]| walked.iter().map(|w| w.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys(&a), keys(&b));
    for (l, r) in a.iter().zip(&b) {
        let key = &l.key;
        assert_eq!((l.node.kind, l.size), (r.node.kind, r.size), "{key}");
        let (mut left_node, mut right_node, mut left_streams, mut right_streams) =
            (l.node.clone(), r.node.clone(), l.streams.clone(), r.streams.clone());
        if l.node.kind == Kind::File {
            let (l_seen, r_seen) = (look(left, l).unwrap(), look(right, r).unwrap());
            assert!(l_seen.runs == r_seen.runs, "{key} has other content or holes");
            (left_node, right_node, left_streams, right_streams) = (l_seen.node, r_seen.node, l_seen.streams, r_seen.streams);
        }
        left_streams.sort();
        right_streams.sort();
        assert_eq!(left_streams, right_streams, "{key}");
        for name in &left_streams {
            assert!(read_stream(left, l, name) == read_stream(right, r, name), "{key} has another stream {}", name.escape_ascii());
        }
        let kept = |node: &Node| {
            (
                node.mtime,
                node.btime,
                node.dos.map(|dos| dos & (SETTABLE | SPARSE)),
                node.attributes.clone(),
                node.descriptor.clone(),
                node.gap.clone(),
            )
        };
        if !key.is_root() {
            assert_eq!(kept(&left_node), kept(&right_node), "{key}");
        }
        assert!(left_node.descriptor.is_some(), "{key}");
    }
}
