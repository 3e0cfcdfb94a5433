//! The encoding of a node in a leaf page (`docs/format.md` 8.1), and the rules that nodes keep, checked both ways.

use crate::blob::MAX_BLOB;
use crate::codec::{Reader, Writer};
use crate::extents::{MAX_INLINE_EXTENTS, read_run, write_run};
use crate::node::{Attribute, Extents, FileId, Owner, Stream};
use crate::page::MAX_LEVEL;
use crate::table::{BlobTable, StringTable, Table};
use crate::{BlobId, Content, ContentHash, Extent, FormatError, Gap, GapReason, Key, Kind, Node, Time};

const OWNER: u64 = 1 << 0;
const MTIME: u64 = 1 << 1;
const CTIME: u64 = 1 << 2;
const BTIME: u64 = 1 << 3;
const FILE_ID: u64 = 1 << 4;
const DOS: u64 = 1 << 5;
const DESCRIPTOR: u64 = 1 << 6;
const ATTRIBUTES: u64 = 1 << 7;
const STREAMS: u64 = 1 << 8;
const TARGET: u64 = 1 << 9;
const LINK_TO: u64 = 1 << 10;
const DEVICE: u64 = 1 << 11;
const CONTENT: u64 = 1 << 12;
const INCONSISTENT: u64 = 1 << 13;
const GAP: u64 = 1 << 14;
const LINKS: u64 = 1 << 15;
const ALL: u64 = (1 << 16) - 1;

const INLINE: u8 = 0;
const TREE: u8 = 1;
/// Shortest stream: index, size, hash, form, count.
const LEAST_STREAM: usize = 36;
/// Shortest extent: hole, index, offset, length.
const LEAST_EXTENT: usize = 4;

/// Tables of a leaf that is being built, and the bytes that its entries take when they are spelled out.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) blobs: BlobTable,
    pub(crate) strings: StringTable,
    pub(crate) spelled: usize,
}

impl Tables {
    /// Empties the tables, but keeps their memory.
    pub(crate) fn clear(&mut self) {
        self.blobs.truncate(0);
        self.strings.rewind((0, 0));
        self.spelled = 0;
    }

    fn string(&mut self, string: &[u8]) -> u64 {
        self.spelled += string.len();
        self.strings.index_of(string)
    }
}

/// Tables of a leaf that is being read.
#[derive(Debug)]
pub(crate) struct ReadTables<'a> {
    pub(crate) blobs: Table<BlobId>,
    pub(crate) strings: Table<&'a [u8]>,
    pub(crate) spelled: usize,
    /// Memory of entries that nobody wanted, for the next one.
    spare: (Vec<Extent>, Vec<u8>),
}

impl<'a> ReadTables<'a> {
    pub(crate) fn new(blobs: Table<BlobId>, strings: Table<&'a [u8]>) -> Self {
        Self { blobs, strings, spelled: 0, spare: Default::default() }
    }

    fn string(&mut self, reader: &mut Reader<'_>) -> Result<Vec<u8>, FormatError> {
        let string = self.strings.item(reader)?;
        self.spelled += string.len();
        reader.check(self.spelled <= crate::page::MAX_SPELLED, "the entries of the page are too long")?;
        let mut out = std::mem::take(&mut self.spare.1);
        out.clear();
        out.extend_from_slice(string);
        Ok(out)
    }

    /// Takes back what an entry has that nobody wants.
    pub(crate) fn reuse(&mut self, node: Node) {
        if let Some(Content { extents: Extents::Inline(extents), .. }) = node.content {
            self.spare.0 = extents;
        }
        if let Some(descriptor) = node.descriptor {
            self.spare.1 = descriptor;
        }
    }
}

/// Checks the rules that tie a node's fields together. `None`: it keeps them.
pub(crate) fn flaw(key: &Key, node: &Node) -> Option<&'static str> {
    let content_fits = matches!(node.kind, Kind::File | Kind::Reparse) && node.link_to.is_none();
    let rules = [
        (node.kind != Kind::Unknown || node.gap.is_some(), "an unknown kind without a gap"),
        (node.content.is_none() || content_fits, "content where none can be"),
        (node.target.is_none() || matches!(node.kind, Kind::Symlink | Kind::Reparse), "a link target of what is no link"),
        (node.device.is_none() || matches!(node.kind, Kind::CharDevice | Kind::BlockDevice), "a device number of what is no device"),
        (node.link_to.is_none() || node.kind != Kind::Folder, "a hard link to a folder"),
        (node.link_to.as_ref().is_none_or(|first| !first.is_root() && first < key), "a hard link does not lead to an earlier entry"),
        (node.owner.is_none_or(|owner| owner.mode <= 0o7777), "a mode has more than 12 bits"),
        ([node.mtime, node.ctime, node.btime].iter().flatten().all(|time| time.nanos < 1_000_000_000), "nanoseconds make a second or more"),
        (node.links > 0, "a file without a path"),
        (node.attributes.is_sorted_by(|a, b| a.name < b.name), "attribute names do not ascend"),
    ];
    let contents = node.content.iter().chain(node.streams.iter().map(|stream| &stream.content));
    rules.iter().find(|(holds, _)| !holds).map(|(_, why)| *why).or_else(|| contents.into_iter().find_map(content_flaw))
}

fn content_flaw(content: &Content) -> Option<&'static str> {
    let extents = match &content.extents {
        Extents::Inline(extents) => extents,
        Extents::Tree { depth, .. } => return (*depth > MAX_LEVEL).then_some("an extent tree is too deep"),
    };
    if extents.len() > MAX_INLINE_EXTENTS {
        return Some("too many extents for an entry");
    }
    let mut end = 0;
    for extent in extents {
        if extent.at < end {
            return Some("extents do not ascend");
        }
        if extent.length == 0 || extent.offset as usize + extent.length as usize > MAX_BLOB {
            return Some("an extent lies outside its blob");
        }
        match extent.at.checked_add(extent.length.into()) {
            Some(next) if next <= content.size => end = next,
            _ => return Some("an extent lies behind the end of the file"),
        }
    }
    None
}

/// Writes a node that has no [`flaw`].
pub(crate) fn write_node(out: &mut Writer, tables: &mut Tables, node: &Node) {
    out.u8(node.kind as u8).varint(fields(node));
    if let Some(owner) = &node.owner {
        out.varint(owner.mode.into()).varint(owner.uid.into()).varint(owner.gid.into());
    }
    for time in [node.mtime, node.ctime, node.btime].into_iter().flatten() {
        out.time(time);
    }
    if let Some(id) = &node.file_id {
        out.varint(id.volume).varint(id.file as u64).varint((id.file >> 64) as u64);
    }
    if let Some(dos) = node.dos {
        out.varint(dos.into());
    }
    if let Some(descriptor) = &node.descriptor {
        out.varint(tables.string(descriptor));
    }
    write_attributes(out, tables, &node.attributes);
    write_streams(out, tables, &node.streams);
    if let Some(target) = &node.target {
        out.varint(tables.string(target));
    }
    if let Some(first) = &node.link_to {
        out.bytes(first.as_bytes());
    }
    if let Some((major, minor)) = node.device {
        out.varint(major.into()).varint(minor.into());
    }
    if let Some(content) = &node.content {
        write_content(out, &mut tables.blobs, content);
    }
    if let Some(gap) = &node.gap {
        write_gap(out, gap);
    }
    if node.links > 1 {
        out.varint(node.links.into());
    }
}

/// Reads the node of `key`.
pub(crate) fn read_node(reader: &mut Reader<'_>, tables: &mut ReadTables<'_>, key: &Key) -> Result<Node, FormatError> {
    let mut node = Node::new(read_kind(reader)?);
    let fields = reader.varint()?;
    reader.check(fields & !ALL == 0, "unknown field of an entry")?;
    let has = |bit| fields & bit != 0;
    if has(OWNER) {
        let mode = reader.varint()?;
        let mode = u16::try_from(mode).map_err(|_| reader.invalid("a mode has more than 12 bits"))?;
        node.owner = Some(Owner { mode, uid: reader.varint32()?, gid: reader.varint32()? });
    }
    node.mtime = read_time(reader, has(MTIME))?;
    node.ctime = read_time(reader, has(CTIME))?;
    node.btime = read_time(reader, has(BTIME))?;
    if has(FILE_ID) {
        let (volume, low, high) = (reader.varint()?, reader.varint()?, reader.varint()?);
        node.file_id = Some(FileId { volume, file: u128::from(high) << 64 | u128::from(low) });
    }
    node.dos = has(DOS).then(|| reader.varint32()).transpose()?;
    node.descriptor = has(DESCRIPTOR).then(|| tables.string(reader)).transpose()?;
    if has(ATTRIBUTES) {
        node.attributes = read_attributes(reader, tables)?;
    }
    if has(STREAMS) {
        node.streams = read_streams(reader, tables)?;
    }
    node.target = has(TARGET).then(|| tables.string(reader)).transpose()?;
    node.link_to = has(LINK_TO).then(|| reader.key()).transpose()?;
    if has(DEVICE) {
        node.device = Some((reader.varint32()?, reader.varint32()?));
    }
    node.content = has(CONTENT).then(|| read_content(reader, tables)).transpose()?;
    node.inconsistent = has(INCONSISTENT);
    node.gap = has(GAP).then(|| read_gap(reader)).transpose()?;
    if has(LINKS) {
        node.links = reader.varint32()?;
        reader.check(node.links > 1, "a number of paths that goes without saying")?;
    }
    flaw(key, &node).map_or(Ok(node), |why| Err(reader.invalid(why)))
}

/// `u8 reason ‖ bytes text`.
pub(crate) fn write_gap(out: &mut Writer, gap: &Gap) {
    out.u8(gap.reason as u8).text(&gap.text);
}

/// `u8 reason ‖ bytes text`.
pub(crate) fn read_gap(reader: &mut Reader<'_>) -> Result<Gap, FormatError> {
    let reason = match reader.u8()? {
        1 => GapReason::Permission,
        2 => GapReason::Locked,
        3 => GapReason::Read,
        4 => GapReason::Vanished,
        5 => GapReason::Unsupported,
        6 => GapReason::Name,
        7 => GapReason::Metadata,
        8 => GapReason::Listing,
        _ => return Err(reader.invalid("unknown reason of a gap")),
    };
    Ok(Gap { reason, text: reader.text()? })
}

fn fields(node: &Node) -> u64 {
    let present = [
        (node.owner.is_some(), OWNER),
        (node.mtime.is_some(), MTIME),
        (node.ctime.is_some(), CTIME),
        (node.btime.is_some(), BTIME),
        (node.file_id.is_some(), FILE_ID),
        (node.dos.is_some(), DOS),
        (node.descriptor.is_some(), DESCRIPTOR),
        (!node.attributes.is_empty(), ATTRIBUTES),
        (!node.streams.is_empty(), STREAMS),
        (node.target.is_some(), TARGET),
        (node.link_to.is_some(), LINK_TO),
        (node.device.is_some(), DEVICE),
        (node.content.is_some(), CONTENT),
        (node.inconsistent, INCONSISTENT),
        (node.gap.is_some(), GAP),
        (node.links > 1, LINKS),
    ];
    present.iter().fold(0, |fields, (there, bit)| if *there { fields | bit } else { fields })
}

fn read_kind(reader: &mut Reader<'_>) -> Result<Kind, FormatError> {
    Ok(match reader.u8()? {
        1 => Kind::File,
        2 => Kind::Folder,
        3 => Kind::Symlink,
        4 => Kind::Fifo,
        5 => Kind::Socket,
        6 => Kind::CharDevice,
        7 => Kind::BlockDevice,
        8 => Kind::Reparse,
        9 => Kind::Unknown,
        _ => return Err(reader.invalid("unknown kind of an entry")),
    })
}

fn read_time(reader: &mut Reader<'_>, there: bool) -> Result<Option<Time>, FormatError> {
    there.then(|| reader.time()).transpose()
}

fn write_attributes(out: &mut Writer, tables: &mut Tables, attributes: &[Attribute]) {
    if attributes.is_empty() {
        return;
    }
    out.count(attributes.len());
    for attribute in attributes {
        out.varint(tables.string(&attribute.name)).varint(tables.string(&attribute.value));
    }
}

fn read_attributes(reader: &mut Reader<'_>, tables: &mut ReadTables<'_>) -> Result<Vec<Attribute>, FormatError> {
    let count = reader.count(2)?;
    reader.check(count > 0, "an attribute list is empty")?;
    (0..count).map(|_| Ok(Attribute { name: tables.string(reader)?, value: tables.string(reader)? })).collect()
}

fn write_streams(out: &mut Writer, tables: &mut Tables, streams: &[Stream]) {
    if streams.is_empty() {
        return;
    }
    out.count(streams.len());
    for stream in streams {
        out.varint(tables.string(&stream.name));
        write_content(out, &mut tables.blobs, &stream.content);
    }
}

fn read_streams(reader: &mut Reader<'_>, tables: &mut ReadTables<'_>) -> Result<Vec<Stream>, FormatError> {
    let count = reader.count(LEAST_STREAM)?;
    reader.check(count > 0, "a stream list is empty")?;
    (0..count).map(|_| Ok(Stream { name: tables.string(reader)?, content: read_content(reader, tables)? })).collect()
}

fn write_content(out: &mut Writer, blobs: &mut BlobTable, content: &Content) {
    out.varint(content.size).raw(&content.hash.0);
    match &content.extents {
        Extents::Inline(extents) => {
            out.u8(INLINE).count(extents.len());
            let mut end = 0;
            for extent in extents {
                write_run(out, blobs, extent.at - end, extent.blob, extent.offset, extent.length);
                end = extent.at + u64::from(extent.length);
            }
        }
        Extents::Tree { depth, root } => {
            out.u8(TREE).u8(*depth).raw(&root.0);
        }
    }
}

fn read_content(reader: &mut Reader<'_>, tables: &mut ReadTables<'_>) -> Result<Content, FormatError> {
    let (size, hash) = (reader.varint()?, ContentHash(reader.array()?));
    let extents = match reader.u8()? {
        INLINE => Extents::Inline(read_extents(reader, tables)?),
        TREE => Extents::Tree { depth: reader.u8()?, root: reader.blob()? },
        _ => return Err(reader.invalid("unknown form of content")),
    };
    Ok(Content { size, hash, extents })
}

fn read_extents(reader: &mut Reader<'_>, tables: &mut ReadTables<'_>) -> Result<Vec<Extent>, FormatError> {
    let count = reader.count(LEAST_EXTENT)?;
    reader.check(count <= MAX_INLINE_EXTENTS, "too many extents for an entry")?;
    let mut end = 0u64;
    let mut extents = std::mem::take(&mut tables.spare.0);
    extents.clear();
    extents.reserve_exact(count);
    for _ in 0..count {
        let run = read_run(reader, &mut tables.blobs)?;
        let at = end.checked_add(run.hole);
        let next = at.and_then(|at| at.checked_add(run.length.into()));
        let (Some(at), Some(next)) = (at, next) else { return Err(reader.invalid("an extent is out of bounds")) };
        extents.push(Extent { at, blob: run.blob, offset: run.offset, length: run.length });
        end = next;
    }
    Ok(extents)
}
