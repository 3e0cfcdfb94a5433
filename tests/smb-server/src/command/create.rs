//! Owns CREATE (MS-SMB2 2.2.13, 3.3.5.9) and CLOSE: paths, dispositions, create contexts. Never interprets descriptors or reparse buffers.

use super::{Call, Outcome};
use crate::{
    content::Content,
    handle::{Cursor, DELETE, Handle, grant},
    node::{DIRECTORY, NORMAL, Node, REPARSE},
    protocol::{Command, HEADER},
    server::now,
    status::{Refusal, Status},
    tree::{NodeId, Tree},
    wire::{Fields, Out, Short, len32, slice, units},
};

const SYMLINK: u32 = 0xA000_000C;

/// A CREATE as it was sent.
#[derive(Debug, Default)]
struct Request {
    access: u32,
    attributes: u32,
    disposition: u32,
    options: u32,
    path: Vec<Vec<u16>>,
    stream: Option<Vec<u16>>,
    as_of: Option<u64>,
    descriptor: Option<Vec<u8>>,
    extended: Option<Vec<u8>>,
    wants_access: bool,
    wants_id: bool,
}

/// Path and snapshot of a CREATE, for the patterns of faults.
pub(crate) fn place(message: &[u8]) -> Option<(String, bool)> {
    let request = parse(message).ok()?;
    Some((request.lossy(), request.as_of.is_some()))
}

pub(super) fn create(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let request = parse(message)?;
    let options = &call.shared.options;
    let access = grant(request.access, options.access, options.security_privilege)?;
    if let Some(bad) = request.path.iter().find(|name| is_no_name(name)) {
        call.shared.counters.breach(format!("a path with the component {:?}", String::from_utf16_lossy(bad)));
        return Err(Status::OBJECT_NAME_INVALID.into());
    }
    let mut tree = call.shared.tree();
    let (node, place, action) = open_or_make(&mut tree, &request)?;
    let writes = access & 0x000D_0156 != 0 && request.access & 0x0200_0000 == 0;
    if request.as_of.is_some() && (action != 1 || writes) {
        return Err(Status::ACCESS_DENIED.into());
    }
    let deletes = request.options & 0x1000 != 0;
    if deletes && access & DELETE == 0 {
        return Err(Status::ACCESS_DENIED.into());
    }
    let id = call.shared.fresh_id();
    let mut out = Out::new();
    out.u16(89).u16(0).u32(action);
    tell_times(&mut out, &tree, node, request.stream.as_ref());
    out.u32(0).u64(id).u64(id);
    contexts(&mut out, &request, options.access, node, tree.volume.serial);
    let path = request.lossy();
    let handle = Handle {
        node,
        place,
        stream: request.stream,
        path,
        as_of: request.as_of.is_some(),
        access,
        deletes,
        times_kept: false,
        cursor: Cursor::default(),
    };
    call.session.handles.insert(id, handle);
    call.chain.file = Some(id);
    call.shared.counters.count(|counts| counts.open_handles += 1);
    Ok(out.into())
}

/// MS-SMB2 2.2.15, 2.2.16.
pub(super) fn close(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let wants_attributes = Fields::new(message, HEADER + 2).u16()? & 1 != 0;
    let (id, _) = call.handle(message, Command::Close)?;
    let handle = call.session.handles.remove(&id).ok_or(Status::FILE_CLOSED)?;
    call.shared.counters.count(|counts| counts.open_handles -= 1);
    let mut tree = call.shared.tree();
    let mut out = Out::new();
    out.u16(60).u16(u16::from(wants_attributes)).u32(0);
    if wants_attributes {
        if let Some(node) = tree.node_mut(handle.node).filter(|node| node.quirks.changes_at_close) {
            node.written += 10_000_000;
            let size = node.content.size() + 1;
            node.content.set_size(size);
        }
        tell_times(&mut out, &tree, handle.node, handle.stream.as_ref());
    } else {
        out.zeros(52);
    }
    if handle.deletes {
        match (&handle.stream, &handle.place) {
            (Some(stream), _) => drop(tree.node_mut(handle.node).and_then(|node| node.streams.remove(stream))),
            (None, Some((folder, name))) => tree.leave(*folder, name),
            (None, None) => {}
        }
    }
    Ok(out.into())
}

/// Times, sizes and attributes as CREATE and CLOSE tell them.
fn tell_times(out: &mut Out, tree: &Tree, id: NodeId, stream: Option<&Vec<u16>>) {
    if let Some(node) = tree.node(id) {
        out.u64(node.created).u64(node.accessed).u64(node.written).u64(node.changed);
        out.u64(node.stream(stream).map_or(0, Content::allocated)).u64(node.told_size(stream)).u32(node.attributes);
    }
}

fn parse(message: &[u8]) -> Result<Request, Short> {
    let mut fields = Fields::new(message, HEADER + 24);
    let mut request = Request { access: fields.u32()?, attributes: fields.u32()?, ..Request::default() };
    fields.skip(4)?;
    (request.disposition, request.options) = (fields.u32()?, fields.u32()?);
    let (name_at, name_length) = (fields.u16()?, fields.u16()?);
    let (contexts_at, contexts_length) = (fields.u32()?, fields.u32()?);
    let name = units(slice(message, usize::from(name_at), usize::from(name_length))?);
    if !name.is_empty() {
        request.path = name.split(|unit| *unit == u16::from(b'\\')).map(<[u16]>::to_vec).collect();
    }
    request.split_stream();
    if contexts_length > 0 {
        let mut rest = slice(message, contexts_at as usize, contexts_length as usize)?;
        loop {
            let mut fields = Fields::new(rest, 0);
            let (next, name_at, name_length) = (fields.u32()? as usize, fields.u16()?, fields.u16()?);
            let (data_at, data_length) = (fields.skip(2)?.u16()?, fields.u32()?);
            let name = slice(rest, usize::from(name_at), usize::from(name_length))?;
            request.context(name, slice(rest, usize::from(data_at), data_length as usize)?)?;
            if next == 0 {
                break;
            }
            rest = rest.get(next..).ok_or(Short)?;
        }
    }
    Ok(request)
}

impl Request {
    /// MS-SMB2 2.2.13.2.
    fn context(&mut self, name: &[u8], data: &[u8]) -> Result<(), Short> {
        match name {
            b"TWrp" => self.as_of = Some(Fields::new(data, 0).u64()?),
            b"SecD" => self.descriptor = Some(data.to_vec()),
            b"ExtA" => self.extended = Some(data.to_vec()),
            b"MxAc" => self.wants_access = true,
            b"QFid" => self.wants_id = true,
            _ => {}
        }
        Ok(())
    }

    /// `name:stream:$DATA` (MS-FSCC 2.1.5).
    fn split_stream(&mut self) {
        let Some(last) = self.path.last_mut() else { return };
        let mut parts = last.split(|unit| *unit == u16::from(b':'));
        let (name, stream) = (parts.next().unwrap_or_default().to_vec(), parts.next().unwrap_or_default().to_vec());
        *last = name;
        if last.is_empty() && self.path.len() == 1 {
            self.path.clear();
        }
        self.stream = (!stream.is_empty()).then_some(stream);
    }

    fn lossy(&self) -> String {
        let path = crate::tree::TreePath(self.path.clone()).lossy();
        self.stream.as_ref().map_or(path.clone(), |stream| format!("{path}:{}", String::from_utf16_lossy(stream)))
    }
}

/// Node, place, and CreateAction: 1 opened, 2 created, 3 overwritten.
type Opened = (NodeId, Option<(NodeId, Vec<u16>)>, u32);

fn open_or_make(tree: &mut Tree, request: &Request) -> Result<Opened, Refusal> {
    let mut folder = match request.as_of {
        Some(time) => tree.snapshot(time).ok_or(Status::OBJECT_NAME_NOT_FOUND)?,
        None => tree.root(),
    };
    let Some((last, above)) = request.path.split_last() else { return existing(tree, request, folder, None) };
    for (at, name) in above.iter().enumerate() {
        let next = tree.names(folder).and_then(|names| names.find(name)).ok_or(Status::OBJECT_PATH_NOT_FOUND)?;
        refuse_reparse(tree, next, &request.path[at + 1..])?;
        folder = next;
    }
    let names = tree.names(folder).ok_or(Status::OBJECT_PATH_NOT_FOUND)?;
    let place = (folder, last.clone());
    match (names.find(last), request.disposition) {
        (Some(id), _) => existing(tree, request, id, Some(place)),
        (None, 1 | 4) => Err(Status::OBJECT_NAME_NOT_FOUND.into()),
        (None, _) => {
            let is_folder = request.options & 1 != 0;
            let mut node = if is_folder { Node::folder() } else { Node::file(Content::default()) };
            node.attributes = request.attributes & 0xFFFF & !(NORMAL | REPARSE | DIRECTORY) | if is_folder { DIRECTORY } else { 0 };
            if node.attributes == 0 {
                node.attributes = NORMAL;
            }
            [node.created, node.accessed, node.written, node.changed] = [now(); 4];
            if let Some(descriptor) = &request.descriptor {
                node.descriptor.clone_from(descriptor);
            }
            if let Some(extended) = &request.extended {
                node.extended = super::set::extended(extended)?;
            }
            if let Some(stream) = &request.stream {
                node.streams.insert(stream.clone(), Content::default());
            }
            let id = tree.add(node);
            tree.enter(folder, last.clone(), id);
            Ok((id, Some(place), 2))
        }
    }
}

fn existing(tree: &mut Tree, request: &Request, id: NodeId, place: Option<(NodeId, Vec<u16>)>) -> Result<Opened, Refusal> {
    if request.options & 0x0020_0000 == 0 {
        refuse_reparse(tree, id, &[])?;
    }
    let node = tree.node_mut(id).ok_or(Status::OBJECT_NAME_NOT_FOUND)?;
    if let Some(stream) = &request.stream {
        match (node.streams.contains_key(stream), request.disposition) {
            (true, 2) => return Err(Status::OBJECT_NAME_COLLISION.into()),
            (true, 0 | 4 | 5) => drop(node.streams.insert(stream.clone(), Content::default())),
            (false, 1 | 4) => return Err(Status::OBJECT_NAME_NOT_FOUND.into()),
            (false, _) => {
                node.streams.insert(stream.clone(), Content::default());
                return Ok((id, place, 2));
            }
            (true, _) => {}
        }
        return Ok((id, place, if matches!(request.disposition, 0 | 4 | 5) { 3 } else { 1 }));
    }
    match (node.is_folder(), request.options) {
        (true, options) if options & 0x40 != 0 => return Err(Status::FILE_IS_A_DIRECTORY.into()),
        (false, options) if options & 1 != 0 => return Err(Status::NOT_A_DIRECTORY.into()),
        _ => {}
    }
    match request.disposition {
        2 => Err(Status::OBJECT_NAME_COLLISION.into()),
        0 | 4 | 5 if node.is_folder() => Err(Status::OBJECT_NAME_COLLISION.into()),
        0 | 4 | 5 => {
            node.content = Content::default();
            node.streams.clear();
            node.attributes = (request.attributes & 0xFFFF & !(NORMAL | REPARSE | DIRECTORY)).max(0x20);
            [node.written, node.changed] = [now(); 2];
            Ok((id, place, 3))
        }
        _ => Ok((id, place, 1)),
    }
}

/// A reparse point on the way: links are told (MS-SMB2 2.2.2.2.1), other tags are refused.
fn refuse_reparse(tree: &Tree, id: NodeId, unparsed: &[Vec<u16>]) -> Result<(), Refusal> {
    let Some(node) = tree.node(id).filter(|node| node.attributes & REPARSE != 0) else { return Ok(()) };
    if node.reparse_tag() != SYMLINK {
        return Err(Status::IO_REPARSE_TAG_NOT_HANDLED.into());
    }
    let left: usize = unparsed.iter().map(|name| 2 * (name.len() + 1)).sum();
    let mut data = node.reparse.clone().unwrap_or_default();
    data.resize(data.len().max(8), 0);
    data[6..8].copy_from_slice(&(left as u16).to_le_bytes());
    let mut out = Out::new();
    out.u32(len32(data.len() + 4)).u32(0x4C4D_5953).bytes(&data);
    Err(Refusal { status: Status::STOPPED_ON_SYMLINK, data: out.0 })
}

/// Offset, length and bytes of the answer's create contexts.
fn contexts(out: &mut Out, request: &Request, access: u32, node: NodeId, serial: u32) {
    let mut blocks: Vec<(&[u8; 4], Vec<u8>)> = Vec::new();
    if request.wants_access {
        blocks.push((b"MxAc", [0u32.to_le_bytes(), access.to_le_bytes()].concat()));
    }
    if request.wants_id {
        blocks.push((b"QFid", [&node.0.to_le_bytes()[..], &u64::from(serial).to_le_bytes(), &[0; 16]].concat()));
    }
    let mut list = Out::new();
    for (at, (name, data)) in blocks.iter().enumerate() {
        let next = if at + 1 == blocks.len() { 0 } else { (24 + data.len()).next_multiple_of(8) };
        list.u32(len32(next)).u16(16).u16(4).u16(0).u16(24).u32(len32(data.len())).bytes(*name).u32(0).bytes(data).pad(8);
    }
    match blocks.is_empty() {
        true => out.u32(0).u32(0).u8(0),
        false => out.u32(152).u32(len32(list.len())).bytes(&list.0),
    };
}

/// What no client may put between two separators.
fn is_no_name(name: &[u16]) -> bool {
    let dots = name == [u16::from(b'.')] || name == [u16::from(b'.'); 2];
    dots || name.is_empty() || name.iter().any(|unit| [0, u16::from(b'/'), u16::from(b'\\')].contains(unit))
}
