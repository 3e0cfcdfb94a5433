//! Owns QUERY_DIRECTORY (MS-SMB2 2.2.33) with three information classes (MS-FSCC 2.4.17, 2.4.18, 2.4.26), and listings that never end or lie.

use super::{Call, Outcome, buffer, carried};
use crate::{
    handle::{Cursor, READ_DATA},
    node::{Node, REPARSE},
    protocol::{Command, HEADER},
    status::Status,
    tree::Tree,
    wire::{Fields, Out, len32, units},
};

/// How much of an entry of each class comes before its name.
const CLASSES: [(u8, usize); 3] = [(NAMES, 12), (ID_BOTH, 104), (ID_FULL, 80)];
const NAMES: u8 = 12;
const ID_BOTH: u8 = 37;
const ID_FULL: u8 = 38;
const RESTART: u8 = 1;
const SINGLE: u8 = 2;
const REOPEN: u8 = 0x10;

pub(super) fn query(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let mut fields = Fields::new(message, HEADER + 2);
    let (class, flags) = (fields.u8()?, fields.u8()?);
    let (name_at, name_length, room) = (fields.skip(20)?.u16()?, fields.u16()?, fields.u32()?);
    let pattern = units(carried(message, u32::from(name_at), u32::from(name_length))?);
    let shared = call.shared;
    if room > shared.options.max_transact {
        shared.counters.breach("a listing beyond MaxTransactSize");
        return Err(Status::INVALID_PARAMETER.into());
    }
    let (_, handle) = call.handle(message, Command::QueryDirectory)?;
    handle.need(READ_DATA)?;
    let (_, fixed) = CLASSES.into_iter().find(|(known, _)| *known == class).ok_or(Status::INVALID_INFO_CLASS)?;
    if flags & (RESTART | REOPEN) != 0 {
        handle.cursor = Cursor::default();
    }
    let tree = shared.tree();
    let folder = tree.node(handle.node).ok_or(Status::FILE_CLOSED)?;
    let mut batch = Batch { out: Out::new(), class, fixed, room: room as usize, single: flags & SINGLE != 0, last: None, full: false };
    let mut cursor = handle.cursor.clone();
    fill(&mut batch, &mut cursor, &tree, folder, &pattern)?;
    let first = !std::mem::replace(&mut cursor.began, true);
    if !folder.quirks.repeats {
        handle.cursor = cursor;
    }
    match batch.last {
        Some(_) => Ok(buffer(&batch.out.0, Status::SUCCESS)),
        None if batch.full => Err(Status::INFO_LENGTH_MISMATCH.into()),
        None if first => Err(Status::NO_SUCH_FILE.into()),
        None => Err(Status::NO_MORE_FILES.into()),
    }
}

struct Batch {
    out: Out,
    class: u8,
    fixed: usize,
    room: usize,
    single: bool,
    last: Option<usize>,
    full: bool,
}

fn fill(batch: &mut Batch, cursor: &mut Cursor, tree: &Tree, folder: &Node, pattern: &[u16]) -> Result<(), Status> {
    let names = folder.names.as_ref().ok_or(Status::INVALID_PARAMETER)?;
    let dots = [vec![u16::from(b'.')], vec![u16::from(b'.'); 2]];
    for name in dots.iter().chain(&folder.quirks.also_lists).skip(cursor.given_first) {
        if fits(pattern, name) && !batch.add(name, folder, 0) {
            return Ok(());
        }
        cursor.given_first += 1;
    }
    for (name, id) in names.after(cursor.last.clone().as_ref()) {
        let node = tree.node(id).ok_or(Status::FILE_CLOSED)?;
        if fits(pattern, name) && !batch.add(name, node, id.0) {
            return Ok(());
        }
        cursor.last = Some(name.clone());
    }
    let file = Node::file(&b""[..]);
    if folder.quirks.endless {
        loop {
            // Long, so that whoever keeps them all soon holds much.
            let name: Vec<u16> = format!("made up {:0200}", cursor.made_up).encode_utf16().collect();
            if !batch.add(&name, &file, 1 << 40 | cursor.made_up) {
                break;
            }
            cursor.made_up += 1;
        }
    }
    Ok(())
}

impl Batch {
    /// False if there is no room for it.
    fn add(&mut self, name: &[u16], node: &Node, id: u64) -> bool {
        let start = self.out.len().next_multiple_of(8);
        if (self.single && self.last.is_some()) || start + self.fixed + name.len() * 2 > self.room {
            self.full = true;
            return false;
        }
        self.out.pad(8);
        if let Some(last) = self.last {
            self.out.put_u32(last, len32(start - last));
        }
        self.last = Some(start);
        let ea_or_tag = if node.attributes & REPARSE != 0 { node.reparse_tag() } else { super::query::ea_size(node) };
        self.out.u32(0).u32(0);
        if self.class == NAMES {
            self.out.u32(len32(name.len() * 2)).units(name);
            return true;
        }
        self.out.u64(node.created).u64(node.accessed).u64(node.written).u64(node.changed);
        self.out.u64(node.told_size(None)).u64(node.content.allocated()).u32(node.attributes).u32(len32(name.len() * 2)).u32(ea_or_tag);
        // A short name of DOS, which there is none of; or four reserved bytes.
        self.out.zeros(if self.class == ID_BOTH { 28 } else { 4 }).u64(id).units(name);
        true
    }
}

/// `*` and `?`, without regard to the dialect of DOS.
fn fits(pattern: &[u16], name: &[u16]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((42, [])) => true,
        Some((42, rest)) => (0..=name.len()).any(|at| fits(rest, &name[at..])),
        Some((63, rest)) => !name.is_empty() && fits(rest, &name[1..]),
        Some((unit, rest)) => name.first() == Some(unit) && fits(rest, &name[1..]),
    }
}
