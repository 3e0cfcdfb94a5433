//! Owns READ, WRITE and FLUSH (MS-SMB2 2.2.17 to 2.2.22) and the ways in which files misbehave while they are read.

use super::{Call, Outcome, carried, empty};
use crate::{
    handle::{READ_DATA, WRITE_DATA},
    protocol::{Command, HEADER},
    server::now,
    status::Status,
    wire::{Fields, Out, len32},
};

pub(super) fn flush(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    call.handle(message, Command::Flush)?;
    Ok(empty())
}

pub(super) fn read(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let mut fields = Fields::new(message, HEADER + 4);
    let (length, at) = (fields.u32()?, fields.u64()?);
    let least = fields.skip(16)?.u32()?;
    let shared = call.shared;
    if length > shared.options.max_read {
        shared.counters.breach("a read beyond MaxReadSize");
        return Err(Status::INVALID_PARAMETER.into());
    }
    let (_, handle) = call.handle(message, Command::Read)?;
    handle.need(READ_DATA)?;
    let mut tree = shared.tree();
    let node = tree.node_mut(handle.node).ok_or(Status::FILE_CLOSED)?;
    if node.is_folder() && handle.stream.is_none() {
        return Err(Status::INVALID_DEVICE_REQUEST.into());
    }
    let content = node.stream(handle.stream.as_ref()).ok_or(Status::DELETE_PENDING)?;
    let asked = node.quirks.read_at_most.unwrap_or(usize::MAX).min(length as usize);
    let mut bytes = content.read(at, asked);
    if (bytes.is_empty() && length > 0) || bytes.len() < least as usize {
        return Err(Status::END_OF_FILE.into());
    }
    bytes.resize(bytes.len() + node.quirks.read_extra, 0xEE);
    if node.quirks.flickers {
        let turned: Vec<u8> = node.content.bytes().iter().map(|byte| !byte).collect();
        node.content.write(0, &turned);
        node.written += 10_000_000;
    }
    if node.quirks.grows > 0 {
        let size = node.content.size() + node.quirks.grows;
        node.content.set_size(size);
        node.written += 10_000_000;
    }
    shared.counters.count(|counts| counts.read_bytes += bytes.len() as u64);
    let mut out = Out::new();
    out.u16(17).u8(80).u8(0).u32(len32(bytes.len())).u32(0).u32(0).bytes(&bytes);
    Ok(out.into())
}

pub(super) fn write(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let mut fields = Fields::new(message, HEADER + 2);
    let (data_at, length, at) = (fields.u16()?, fields.u32()?, fields.u64()?);
    let bytes = carried(message, u32::from(data_at), length)?;
    let shared = call.shared;
    if length > shared.options.max_write {
        shared.counters.breach("a write beyond MaxWriteSize");
        return Err(Status::INVALID_PARAMETER.into());
    }
    let (_, handle) = call.handle(message, Command::Write)?;
    handle.need(WRITE_DATA)?;
    let mut tree = shared.tree();
    let free = tree.volume.free;
    let node = tree.node_mut(handle.node).ok_or(Status::FILE_CLOSED)?;
    let content = node.stream_mut(handle.stream.as_ref()).ok_or(Status::DELETE_PENDING)?;
    let end = at.checked_add(u64::from(length)).filter(|end| *end < 1 << 62).ok_or(Status::INVALID_PARAMETER)?;
    let growth = end.saturating_sub(content.size()).min(u64::from(length));
    if growth > free {
        return Err(Status::DISK_FULL.into());
    }
    content.write(at, bytes);
    if !handle.times_kept {
        [node.written, node.changed] = [now(); 2];
    }
    tree.volume.free -= growth;
    shared.counters.count(|counts| counts.written_bytes += u64::from(length));
    let mut out = Out::new();
    out.u16(17).u16(0).u32(length).u32(0).u16(0).u16(0).u8(0);
    Ok(out.into())
}
