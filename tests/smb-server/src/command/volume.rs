//! Owns QUERY_INFO on the file system (MS-FSCC 2.5). Never changes anything.

use super::{Outcome, query::fitted};
use crate::{
    status::Status,
    tree::Tree,
    wire::{Out, len32},
};

const SECTORS: u32 = 8;
const SECTOR: u32 = 512;

pub(super) fn query(tree: &Tree, class: u8, room: usize) -> Outcome {
    let volume = &tree.volume;
    let cluster = u64::from(SECTORS * SECTOR);
    let (total, free) = (volume.total / cluster, volume.free / cluster);
    let mut out = Out::new();
    let least = match class {
        1 => {
            let label: Vec<u16> = volume.label.encode_utf16().collect();
            out.u64(volume.created).u32(volume.serial).u32(len32(label.len() * 2)).u8(0).u8(0).units(&label);
            18
        }
        3 => {
            out.u64(total).u64(free).u32(SECTORS).u32(SECTOR);
            24
        }
        4 => {
            out.u32(7).u32(0);
            8
        }
        5 => {
            let name: Vec<u16> = volume.file_system.encode_utf16().collect();
            out.u32(volume.attributes).u32(255).u32(len32(name.len() * 2)).units(&name);
            12
        }
        7 => {
            out.u64(total).u64(free).u64(free).u32(SECTORS).u32(SECTOR);
            32
        }
        _ => return Err(Status::INVALID_INFO_CLASS.into()),
    };
    fitted(out, room, least)
}
