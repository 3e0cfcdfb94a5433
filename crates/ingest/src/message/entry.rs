//! Entries and nodes as bytes: pages as in a catalog, and around them what a catalog does not have. Owns what a target gets to see of a node.

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::node::{Content, Extent, Extents, Stream};
use keepwell_format::page::FULL_SPELLED;
use keepwell_format::port::Walked;
use keepwell_format::{BlobId, ContentHash, FormatError, Key, LeafBuilder, Node, Page};

use super::{NAMES_MAX, read_flag, read_names, whole};
use crate::frame;

/// What a list's item takes beside its bytes.
const ITEM: usize = 24;

/// A node as a leaf page of one entry.
pub(crate) fn write_node(out: &mut Writer, key: &Key, node: &Node) -> Result<(), FormatError> {
    let mut page = LeafBuilder::new();
    page.push(key, node)?;
    out.bytes(&page.finish());
    Ok(())
}

pub(crate) fn read_node(reader: &mut Reader<'_>) -> Result<(Key, Node), FormatError> {
    let Page::Leaf(entries) = Page::decode(reader.bytes()?)? else { return Err(reader.invalid("a page of another kind")) };
    let [entry] = <[(Key, Node); 1]>::try_from(entries).map_err(|_| reader.invalid("a page of several entries"))?;
    Ok(entry)
}

/// Whether a node is as a source shows it: nothing in it is for the engine to say.
pub(crate) fn is_of_source(node: &Node) -> bool {
    node.content.is_none() && node.streams.is_empty() && node.link_to.is_none() && !node.inconsistent
}

/// A node, with the part of it that a target gets to see.
pub(crate) fn write_for_target(out: &mut Writer, key: &Key, node: &Node, content: Option<&Content>) -> Result<(), FormatError> {
    write_node(out, key, &for_target(node, content))?;
    let fits = out.len() < frame::NODE_MAX;
    if fits { Ok(()) } else { Err(FormatError::Invalid { what: "entry", why: "its attributes are too large to be handed over" }) }
}

/// `bytes name ‖ varint size ‖ u8 has_holes`
pub(crate) fn write_stream(out: &mut Writer, stream: &Stream) {
    let Content { size, extents, .. } = shape(&stream.content);
    let has_holes = matches!(extents, Extents::Inline(extents) if !extents.is_empty());
    out.bytes(&stream.name).varint(size).u8(has_holes.into());
}

pub(crate) fn read_stream(reader: &mut Reader<'_>) -> Result<Stream, FormatError> {
    let (name, size) = (reader.bytes()?.to_vec(), reader.varint()?);
    let first = Extent { at: 0, blob: BlobId([0; 32]), offset: 0, length: 1 };
    let extents = Extents::Inline(if read_flag(reader)? { vec![first] } else { Vec::new() });
    Ok(Stream { name, content: Content { size, hash: ContentHash::NONE, extents } })
}

/// A node as a target gets to see it: sizes, but no hashes or blobs, and no path of another file.
fn for_target(node: &Node, content: Option<&Content>) -> Node {
    let streams = node.streams.iter().map(|stream| Stream { name: stream.name.clone(), content: shape(&stream.content) }).collect();
    let (owner, mtime, ctime, btime, file_id, dos) = (node.owner, node.mtime, node.ctime, node.btime, node.file_id, node.dos);
    Node {
        owner,
        mtime,
        ctime,
        btime,
        file_id,
        dos,
        descriptor: node.descriptor.clone(),
        attributes: node.attributes.clone(),
        streams,
        target: node.target.clone(),
        links: node.links,
        device: node.device,
        content: content.map(shape),
        inconsistent: node.inconsistent,
        gap: node.gap.clone(),
        ..Node::new(node.kind)
    }
}

/// Size, and whether there are holes.
fn shape(content: &Content) -> Content {
    let has_holes = match &content.extents {
        Extents::Inline(extents) if !extents.is_empty() => {
            extents.iter().map(|extent| u64::from(extent.length)).fold(0, u64::saturating_add) < content.size
        }
        _ => false,
    };
    let first = Extent { at: 0, blob: BlobId([0; 32]), offset: 0, length: 1 };
    Content { size: content.size, hash: ContentHash::NONE, extents: Extents::Inline(if has_holes { vec![first] } else { Vec::new() }) }
}

/// What an entry's parts of free length take in memory.
pub(crate) fn weight(key: &Key, node: &Node, streams: &[Vec<u8>]) -> usize {
    let attributes: usize = node.attributes.iter().map(|attribute| attribute.name.len() + attribute.value.len() + 2 * ITEM).sum();
    let parts = [&node.descriptor, &node.target].into_iter().flatten().map(Vec::len).sum::<usize>();
    key.as_bytes().len() + attributes + parts + node.gap.as_ref().map_or(0, |gap| gap.text.len()) + names_weight(streams)
}

fn names_weight(names: &[Vec<u8>]) -> usize {
    names.iter().map(|name| name.len() + ITEM).sum()
}

/// Whether so many streams can be handed over.
pub(crate) fn names_fit(names: &[Vec<u8>]) -> bool {
    names.len() <= NAMES_MAX && names_weight(names) <= frame::NODE_MAX / 4
}

/// `varint first ‖ bytes page`, and for each entry of it `varint size ‖ names streams`.
pub(crate) fn entries(first: u64, page: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(page.len() + rest.len() + 16);
    out.varint(first).bytes(page).raw(rest);
    out.into_bytes()
}

pub(crate) fn read_entries(bytes: &[u8]) -> Result<(u64, Vec<Walked>), FormatError> {
    whole("entries", bytes, |reader| {
        let first = reader.varint()?;
        let Page::Leaf(nodes) = Page::decode(reader.bytes()?)? else { return Err(reader.invalid("a page of another kind")) };
        reader.check(nodes.iter().all(|(_, node)| is_of_source(node)), "a node that no source has")?;
        let walked = |(key, node): (Key, Node)| Ok(Walked { key, node, size: reader.varint()?, streams: read_names(reader)? });
        let entries: Vec<Walked> = nodes.into_iter().map(walked).collect::<Result<_, _>>()?;
        // A sender ends a batch when it has come to so much, so that little on the wire is never much in memory.
        let weights = entries.iter().rev().skip(1).map(|walked| weight(&walked.key, &walked.node, &walked.streams));
        reader.check(weights.sum::<usize>() <= 6 * FULL_SPELLED, "entries are too large together")?;
        Ok((first, entries))
    })
}
