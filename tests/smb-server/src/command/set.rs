//! Owns SET_INFO (MS-SMB2 2.2.39): times, attributes, sizes, names, extended attributes, descriptors. Never checks what a descriptor says.

use super::{Call, Outcome, carried};
use crate::{
    descriptor,
    handle::{DELETE, Handle, SYSTEM_SECURITY, WRITE_ATTRIBUTES, WRITE_DAC, WRITE_DATA, WRITE_EA, WRITE_OWNER},
    node::{DIRECTORY, Extended, NORMAL, Node, REPARSE, SPARSE},
    protocol::{Command, HEADER},
    server::now,
    status::{Refusal, Status},
    tree::{NodeId, Tree},
    wire::{Fields, Out, Short, units},
};

pub(super) fn set(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let mut fields = Fields::new(message, HEADER + 2);
    let (kind, class, length, at) = (fields.u8()?, fields.u8()?, fields.u32()?, fields.u16()?);
    let parts = fields.skip(2)?.u32()?;
    let input = carried(message, u32::from(at), length)?;
    let shared = call.shared;
    let (_, handle) = call.handle(message, Command::SetInfo)?;
    if handle.as_of {
        return Err(Status::ACCESS_DENIED.into());
    }
    let mut tree = shared.tree();
    match (kind, class) {
        (1, 10) => rename(&mut tree, handle, input)?,
        (1, 11) => link(&mut tree, handle, input)?,
        (1, 13 | 64) => dispose(&tree, handle, input)?,
        (1, 20) => resize(&mut tree, handle, input)?,
        (1, 19) => handle.need(WRITE_DATA)?,
        (1, _) => of_node(tree.node_mut(handle.node).ok_or(Status::FILE_CLOSED)?, handle, class, input)?,
        (3, _) => security(tree.node_mut(handle.node).ok_or(Status::FILE_CLOSED)?, handle, parts, input)?,
        _ => return Err(Status::NOT_SUPPORTED.into()),
    }
    let mut out = Out::new();
    out.u16(2);
    Ok(out.into())
}

fn of_node(node: &mut Node, handle: &mut Handle, class: u8, input: &[u8]) -> Result<(), Refusal> {
    match class {
        4 => basic(node, handle, input),
        15 => {
            handle.need(WRITE_EA)?;
            for (name, value) in extended(input)? {
                node.extended.retain(|(old, _)| !old.eq_ignore_ascii_case(&name));
                if !value.is_empty() {
                    node.extended.push((name, value));
                }
            }
            Ok(())
        }
        _ => Err(Status::INVALID_INFO_CLASS.into()),
    }
}

/// MS-FSCC 2.4.7: 0 leaves a time alone, -1 and -2 start and stop its upkeep, 0 leaves the attributes alone.
fn basic(node: &mut Node, handle: &mut Handle, input: &[u8]) -> Result<(), Refusal> {
    handle.need(WRITE_ATTRIBUTES)?;
    let mut fields = Fields::new(input, 0);
    let times = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
    let attributes = fields.u32()?;
    if times[3] == 0 && !handle.times_kept {
        node.changed = now();
    }
    for (place, time) in [&mut node.created, &mut node.accessed, &mut node.written, &mut node.changed].into_iter().zip(times) {
        if time != 0 && time < u64::MAX - 1 {
            *place = time;
            handle.times_kept = true;
        }
    }
    if attributes != 0 {
        let kept = node.attributes & (DIRECTORY | REPARSE | SPARSE);
        let set = attributes & !(DIRECTORY | REPARSE | SPARSE | NORMAL) | kept;
        node.attributes = if set == 0 { NORMAL } else { set };
    }
    Ok(())
}

fn resize(tree: &mut Tree, handle: &Handle, input: &[u8]) -> Result<(), Refusal> {
    handle.need(WRITE_DATA)?;
    let size = Fields::new(input, 0).u64()?;
    let node = tree.node_mut(handle.node).ok_or(Status::FILE_CLOSED)?;
    let content = node.stream_mut(handle.stream.as_ref()).ok_or(Status::DELETE_PENDING)?;
    if size > 1 << 62 {
        return Err(Status::INVALID_PARAMETER.into());
    }
    content.set_size(size);
    if !handle.times_kept {
        [node.written, node.changed] = [now(); 2];
    }
    Ok(())
}

fn dispose(tree: &Tree, handle: &mut Handle, input: &[u8]) -> Result<(), Refusal> {
    handle.need(DELETE)?;
    let deletes = Fields::new(input, 0).u8()? & 1 != 0;
    if deletes && handle.stream.is_none() && tree.names(handle.node).is_some_and(|names| !names.is_empty()) {
        return Err(Status::DIRECTORY_NOT_EMPTY.into());
    }
    handle.deletes = deletes;
    Ok(())
}

fn rename(tree: &mut Tree, handle: &mut Handle, input: &[u8]) -> Result<(), Refusal> {
    handle.need(DELETE)?;
    let (folder, name) = free_place(tree, handle, input)?;
    let (old_folder, old_name) = handle.place.replace((folder, name.clone())).ok_or(Status::ACCESS_DENIED)?;
    // First the new name: a node must not be without one in between.
    tree.enter(folder, name.clone(), handle.node);
    if (old_folder, &old_name) != (folder, &name) {
        tree.leave(old_folder, &old_name);
    }
    Ok(())
}

fn link(tree: &mut Tree, handle: &Handle, input: &[u8]) -> Result<(), Refusal> {
    let (folder, name) = free_place(tree, handle, input)?;
    if tree.node(handle.node).is_some_and(Node::is_folder) {
        return Err(Status::FILE_IS_A_DIRECTORY.into());
    }
    tree.enter(folder, name, handle.node);
    Ok(())
}

/// Where FileRenameInformation or FileLinkInformation (MS-FSCC 2.4.42.2, 2.4.27.2) points to, if it is free or may be replaced.
fn free_place(tree: &Tree, handle: &Handle, input: &[u8]) -> Result<(NodeId, Vec<u16>), Refusal> {
    let mut fields = Fields::new(input, 0);
    let replaces = fields.u8()? != 0;
    let length = fields.skip(7 + 8)?.u32()? as usize;
    let path = units(fields.take(length)?);
    let mut components: Vec<Vec<u16>> = path.split(|unit| *unit == u16::from(b'\\')).map(<[u16]>::to_vec).collect();
    let name = components.pop().filter(|name| !name.is_empty()).ok_or(Status::OBJECT_NAME_INVALID)?;
    if handle.stream.is_some() || handle.place.is_none() {
        return Err(Status::NOT_SUPPORTED.into());
    }
    let folder = tree.find(tree.root(), components).ok_or(Status::OBJECT_PATH_NOT_FOUND)?;
    let names = tree.names(folder).ok_or(Status::OBJECT_PATH_NOT_FOUND)?;
    match names.find(&name) {
        Some(there) if there != handle.node && !replaces => Err(Status::OBJECT_NAME_COLLISION.into()),
        Some(there) if there != handle.node && tree.node(there).is_some_and(Node::is_folder) => Err(Status::ACCESS_DENIED.into()),
        _ => Ok((folder, name)),
    }
}

fn security(node: &mut Node, handle: &Handle, parts: u32, input: &[u8]) -> Result<(), Refusal> {
    for (part, right) in
        [(descriptor::OWNER | descriptor::GROUP, WRITE_OWNER), (descriptor::DACL, WRITE_DAC), (descriptor::SACL, SYSTEM_SECURITY)]
    {
        if parts & part != 0 {
            handle.need(right)?;
        }
    }
    node.descriptor = descriptor::replace(&node.descriptor, input, parts)?;
    if !handle.times_kept {
        node.changed = now();
    }
    Ok(())
}

/// Reads a list of FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.16).
pub(super) fn extended(input: &[u8]) -> Result<Vec<Extended>, Short> {
    let mut out = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let mut fields = Fields::new(rest, 0);
        let (next, name_length, value_length) = (fields.u32()? as usize, fields.skip(1)?.u8()?, fields.u16()?);
        let name = fields.take(usize::from(name_length))?.to_vec();
        let value = fields.skip(1)?.take(usize::from(value_length))?.to_vec();
        out.push((name, value));
        match next {
            0 => break,
            next => rest = rest.get(next..).ok_or(Short)?,
        }
    }
    Ok(out)
}
