//! Reads shards with all their checks, and puts objects together from any that are good.

use super::Pool;
use super::listing::{Entry, ShardAt};
use crate::coding::{decode, encode_object};
use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::layout::Layout;
use crate::object::{ObjectId, ObjectName};
use crate::shard::{HEADER_LEN, ShardFault, ShardHeader};

/// How many sets of shards are tried when shards with good checksums do not make the object.
const MAX_SETS: usize = 5000;

/// When to stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// As soon as the object is whole.
    Enough,
    /// When every shard has been checked.
    All,
}

/// What could be read of an object.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Its bytes, checked against its id.
    pub(super) object: Option<Vec<u8>>,
    /// Shards that passed every check.
    pub(super) good: Vec<ShardAt>,
    /// The others.
    pub(super) faults: Vec<(ShardAt, ShardFault)>,
    /// Of the layout that came nearest: good shards, and shards needed.
    pub(super) best: (usize, usize),
    pub(super) read_bytes: u64,
}

struct Loaded {
    at: ShardAt,
    header: ShardHeader,
    payload: Vec<u8>,
}

/// Reads one shard and checks all that can be checked of it alone.
pub(super) fn load(
    disk: &dyn Disk,
    path: &str,
    vault: [u8; 16],
    name: ObjectName,
    at: ShardAt,
) -> Result<(ShardHeader, Vec<u8>), ShardFault> {
    let header = load_header(disk, path, vault, name, at)?;
    let len = disk.len(path).map_err(fault)?;
    if header.shard_len().checked_add(HEADER_LEN as u64) != Some(len) {
        return Err(ShardFault::Length);
    }
    let mut payload = vec![0; header.shard_len() as usize];
    disk.read_at(path, HEADER_LEN as u64, &mut payload).map_err(fault)?;
    header.check_payload(&payload)?;
    Ok((header, payload))
}

/// Reads and checks a shard's header.
pub(super) fn load_header(disk: &dyn Disk, path: &str, vault: [u8; 16], name: ObjectName, at: ShardAt) -> Result<ShardHeader, ShardFault> {
    let mut bytes = [0; HEADER_LEN];
    disk.read_at(path, 0, &mut bytes).map_err(fault)?;
    let header = ShardHeader::parse(&bytes)?;
    header.check_place(vault, name.class, at.name(name.id))?;
    Ok(header)
}

pub(super) fn fault(error: DiskError) -> ShardFault {
    match error.kind {
        DiskErrorKind::NotFound => ShardFault::Missing,
        DiskErrorKind::Short => ShardFault::Length,
        _ => ShardFault::Unreadable,
    }
}

impl Pool {
    /// Reads shards, layout by layout, data before parity.
    pub(super) fn recover(&self, name: ObjectName, entry: &Entry, read: Read) -> Recovered {
        let mut found = Recovered { best: (0, self.layout().k.into()), ..Recovered::default() };
        let mut groups = Vec::new();
        for (layout, places) in entry.layouts() {
            if read == Read::Enough && found.object.is_some() {
                break;
            }
            let (shards, assembled) = self.load_layout(name, layout, &places, read, &mut found);
            let (good, needed) = (distinct_indices(&shards), usize::from(layout.k));
            if good + found.best.1 > needed + found.best.0 || groups.is_empty() {
                found.best = (good, needed);
            }
            let certain = matches!(assembled, Some((_, true))) && agree(layout, &shards);
            if let Some((object, _)) = assembled {
                found.object.get_or_insert(object);
            }
            groups.push((layout, shards, certain));
        }
        if found.object.is_none() {
            // What is wrong with a shard may lie where the object is not.
            let mut memory = Vec::new();
            found.object = self.read_straight(name, entry, &mut memory).map(|()| memory);
        }
        for (layout, shards, certain) in groups {
            match &found.object {
                Some(object) if !certain => {
                    let (good, faults) = prove(object, self.vault, name, layout, &shards);
                    found.good.extend(good);
                    found.faults.extend(faults);
                }
                _ => found.good.extend(shards.iter().map(|s| s.at)),
            }
        }
        found.good.sort_unstable();
        found.faults.sort_unstable_by_key(|(at, _)| *at);
        found
    }

    /// Loads the shards of one layout; the object if they make one, and whether the first set did.
    fn load_layout(
        &self,
        name: ObjectName,
        layout: Layout,
        places: &[ShardAt],
        read: Read,
        found: &mut Recovered,
    ) -> (Vec<Loaded>, Option<(Vec<u8>, bool)>) {
        let mut shards: Vec<Loaded> = Vec::new();
        for at in places {
            let path = self.listing().path(name, *at);
            let loaded = match self.readable(at.slot) {
                Some(disk) => load(disk.as_ref(), &path, self.vault, name, *at),
                None => Err(ShardFault::Unreadable),
            };
            match loaded {
                Ok((header, payload)) => {
                    found.read_bytes += (HEADER_LEN + payload.len()) as u64;
                    shards.push(Loaded { at: *at, header, payload });
                }
                Err(fault) => {
                    found.faults.push((*at, fault));
                    continue;
                }
            }
            if read == Read::Enough && distinct_indices(&shards) >= layout.k.into() {
                let assembled = assemble(name, layout, &shards);
                if assembled.is_some() {
                    return (shards, assembled);
                }
            }
        }
        let assembled = if read == Read::All { assemble(name, layout, &shards) } else { None };
        (shards, assembled)
    }
}

/// The object, and whether the first `k` shards made it.
fn assemble(name: ObjectName, layout: Layout, shards: &[Loaded]) -> Option<(Vec<u8>, bool)> {
    let mut tried = 0;
    let mut set = Vec::new();
    let object = search(name, layout, shards, 0, &mut set, &mut tried)?;
    Some((object, tried == 1))
}

/// Tries sets of `k` shards with different indices, in order, until one makes the object.
fn search<'a>(
    name: ObjectName,
    layout: Layout,
    shards: &'a [Loaded],
    from: usize,
    set: &mut Vec<&'a Loaded>,
    tried: &mut usize,
) -> Option<Vec<u8>> {
    if set.len() == usize::from(layout.k) {
        *tried += 1;
        let slices: Vec<(u8, &[u8])> = set.iter().map(|s| (s.at.index, s.payload.as_slice())).collect();
        return decode(layout, set[0].header.object_len, &slices).filter(|object| ObjectId::of(object) == name.id);
    }
    for (place, shard) in shards.iter().enumerate().skip(from) {
        if *tried >= MAX_SETS {
            return None;
        }
        let fits = |s: &&Loaded| s.at.index != shard.at.index && s.header.object_len == shard.header.object_len;
        if set.iter().all(fits) {
            set.push(shard);
            let object = search(name, layout, shards, place + 1, set, tried);
            set.pop();
            if object.is_some() {
                return object;
            }
        }
    }
    None
}

/// Whether no shard contradicts another.
fn agree(layout: Layout, shards: &[Loaded]) -> bool {
    shards.iter().all(|a| {
        shards.iter().all(|b| {
            let same = layout.k == 1 || a.at.index == b.at.index;
            a.header.object_len == b.header.object_len && (!same || a.header.payload_hash == b.header.payload_hash)
        })
    })
}

/// Tells the shards of an object from those that only have good checksums, by encoding it again.
fn prove(
    object: &[u8],
    vault: [u8; 16],
    name: ObjectName,
    layout: Layout,
    shards: &[Loaded],
) -> (Vec<ShardAt>, Vec<(ShardAt, ShardFault)>) {
    let encoded = encode_object(layout, vault, name.class, object);
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for shard in shards {
        if encoded.shard(shard.at.index).0 == shard.header.encode() {
            good.push(shard.at);
        } else {
            faults.push((shard.at, ShardFault::Object));
        }
    }
    (good, faults)
}

fn distinct_indices(shards: &[Loaded]) -> usize {
    let mut indices: Vec<u8> = shards.iter().map(|s| s.at.index).collect();
    indices.sort_unstable();
    indices.dedup();
    indices.len()
}
