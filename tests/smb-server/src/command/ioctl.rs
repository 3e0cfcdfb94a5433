//! Owns IOCTL (MS-SMB2 2.2.31) and the few controls (MS-FSCC 2.3) that a backup needs. Never follows a reparse point.

use super::{Call, Outcome, carried};
use crate::{
    handle::{READ_DATA, WRITE_ATTRIBUTES, WRITE_DATA},
    node::{NORMAL, REPARSE, SPARSE},
    protocol::{Answer, Command, HEADER},
    status::Status,
    wire::{Fields, Out, Short, len32},
};

const DFS_REFERRALS: u32 = 0x0006_0194;
const VALIDATE_NEGOTIATION: u32 = 0x0014_0204;
const INTERFACES: u32 = 0x0014_01FC;
const SNAPSHOTS: u32 = 0x0014_4064;
const GET_REPARSE: u32 = 0x0009_00A8;
const SET_REPARSE: u32 = 0x0009_00A4;
const SET_SPARSE: u32 = 0x0009_00C4;
const ALLOCATED_RANGES: u32 = 0x0009_40CF;

struct Request<'a> {
    control: u32,
    input: &'a [u8],
    room: usize,
}

fn parse(message: &[u8]) -> Result<Request<'_>, Short> {
    let mut fields = Fields::new(message, HEADER + 4);
    let control = fields.u32()?;
    let (at, length) = (fields.skip(16)?.u32()?, fields.u32()?);
    let room = fields.skip(12)?.u32()? as usize;
    Ok(Request { control, input: carried(message, at, length)?, room })
}

/// Whether the control is one of the connection or the server.
pub(super) fn is_fileless(message: &[u8]) -> bool {
    parse(message).is_ok_and(|request| [DFS_REFERRALS, VALIDATE_NEGOTIATION, INTERFACES].contains(&request.control))
}

pub(super) fn fileless(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let request = parse(message)?;
    match request.control {
        VALIDATE_NEGOTIATION => match call.agreement.validate(&call.shared.options, request.input) {
            Some(output) => Ok(answer(message, &output, Status::SUCCESS)),
            None => {
                call.shared.counters.breach("a negotiation that does not validate");
                Err(Status::ACCESS_DENIED.into())
            }
        },
        DFS_REFERRALS => Err(Status::FS_DRIVER_REQUIRED.into()),
        _ => Err(Status::INVALID_DEVICE_REQUEST.into()),
    }
}

pub(super) fn on_file(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let request = parse(message)?;
    let shared = call.shared;
    if request.room > shared.options.max_transact as usize {
        shared.counters.breach("a control beyond MaxTransactSize");
        return Err(Status::INVALID_PARAMETER.into());
    }
    let (_, handle) = call.handle(message, Command::Ioctl)?;
    let mut tree = shared.tree();
    if request.control == SNAPSHOTS {
        let (output, status) = snapshots(&tree.snapshots(), request.room);
        return Ok(answer(message, &output, status));
    }
    let node = tree.node_mut(handle.node).ok_or(Status::FILE_CLOSED)?;
    if handle.as_of && matches!(request.control, SET_REPARSE | SET_SPARSE) {
        return Err(Status::ACCESS_DENIED.into());
    }
    let mut output = Vec::new();
    let mut status = Status::SUCCESS;
    match request.control {
        GET_REPARSE => {
            output = node.reparse.clone().ok_or(Status::NOT_A_REPARSE_POINT)?;
        }
        SET_REPARSE => {
            handle.need(WRITE_DATA | WRITE_ATTRIBUTES)?;
            node.reparse = Some(request.input.to_vec());
            node.attributes = node.attributes & !NORMAL | REPARSE;
        }
        SET_SPARSE => {
            handle.need(WRITE_DATA | WRITE_ATTRIBUTES)?;
            let sparse = request.input.first().is_none_or(|flag| *flag != 0);
            node.attributes = if sparse { node.attributes & !NORMAL | SPARSE } else { node.attributes & !SPARSE };
            node.stream_mut(handle.stream.as_ref()).ok_or(Status::DELETE_PENDING)?.set_sparse(sparse);
        }
        ALLOCATED_RANGES => {
            handle.need(READ_DATA)?;
            let mut fields = Fields::new(request.input, 0);
            let (at, length) = (fields.u64()?, fields.u64()?);
            let ranges = node.stream(handle.stream.as_ref()).ok_or(Status::DELETE_PENDING)?.ranges(at, length);
            let fit = request.room / 16;
            if fit < ranges.len() {
                status = Status::BUFFER_OVERFLOW;
            }
            output = ranges.iter().take(fit).flat_map(|range| [range.0.to_le_bytes(), range.1.to_le_bytes()].concat()).collect();
        }
        _ => return Err(Status::INVALID_DEVICE_REQUEST.into()),
    }
    if output.len() > request.room {
        output.truncate(request.room);
        status = Status::BUFFER_OVERFLOW;
    }
    Ok(answer(message, &output, status))
}

fn answer(message: &[u8], output: &[u8], status: Status) -> Answer {
    let mut out = Out::new();
    out.u16(49).u16(0).bytes(&message[HEADER + 4..HEADER + 24]).u32(112).u32(0).u32(112).u32(len32(output.len())).u32(0).u32(0);
    out.bytes(output);
    if output.is_empty() {
        out.u8(0);
    }
    Answer { status, body: out.0 }
}

/// SRV_SNAPSHOT_ARRAY (MS-SMB2 2.2.32.2); without room only the counts.
fn snapshots(times: &[u64], room: usize) -> (Vec<u8>, Status) {
    let mut list = Out::new();
    for time in times {
        list.units(&token(*time).encode_utf16().collect::<Vec<_>>()).u16(0);
    }
    list.u16(0);
    let fits = list.len() + 12 <= room;
    let mut out = Out::new();
    out.u32(len32(times.len())).u32(if fits { len32(times.len()) } else { 0 }).u32(len32(list.len()));
    match fits {
        true => drop(out.bytes(&list.0)),
        false => drop(out.zeros(4)),
    }
    (out.0, Status::SUCCESS)
}

/// `@GMT-YYYY.MM.DD-HH.MM.SS`, from days since 1601-01-01 (which begins a cycle of 400 years).
fn token(time: u64) -> String {
    let seconds = time / 10_000_000;
    let (mut days, clock) = (seconds / 86400, seconds % 86400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1601 + days / 146_097 * 400;
    days %= 146_097;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        (days, month) = (days - length, month + 1);
    }
    format!("@GMT-{year:04}.{month:02}.{:02}-{:02}.{:02}.{:02}", days + 1, clock / 3600, clock / 60 % 60, clock % 60)
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn tokens_are_dates() {
        assert_eq!(token(crate::NEW_YEAR), "@GMT-2026.01.01-00.00.00");
        assert_eq!(token(crate::NEW_YEAR - 10_000_000), "@GMT-2025.12.31-23.59.59");
        assert_eq!(token(125_962_560_000_000_000), "@GMT-2000.02.29-00.00.00");
    }
}
