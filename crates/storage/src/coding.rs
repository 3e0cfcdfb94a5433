//! Objects to shards and back (`docs/format.md` 4).
//!
//! Pure functions for worker threads: no I/O, no disk, no state. Data shards are slices of the object; only parity is computed.

use std::collections::BTreeMap;

use reed_solomon_simd::ReedSolomonEncoder;

use crate::hashed::Hashed;
use crate::layout::Layout;
use crate::object::{Class, ObjectName};
use crate::shard::{HEADER_LEN, ShardHeader};

/// Bytes of each shard that are coded at a time.
const STRIP: usize = 128 << 10;

/// An object cut into shards. Keeps the object, so that another layout costs only new parity.
pub struct EncodedObject {
    /// The object with zeros up to `k` whole shards, and parity behind it.
    shards: Vec<u8>,
    headers: Vec<ShardHeader>,
}

/// Cuts an object into shards. A `Vec` is taken over without a copy when its capacity holds the other shards too
/// ([`Layout::coded_len`] bytes). What was hashed before is not hashed again.
pub fn encode_object(layout: Layout, vault: [u8; 16], class: Class, object: impl Into<Hashed>) -> EncodedObject {
    let (id, object) = object.into().into_parts();
    cut(layout, vault, ObjectName { class, id }, object)
}

impl EncodedObject {
    /// The object's name.
    pub fn name(&self) -> ObjectName {
        self.headers[0].object
    }

    /// The layout it is cut in.
    pub fn layout(&self) -> Layout {
        self.headers[0].layout
    }

    /// Length of the object in bytes.
    pub fn object_len(&self) -> u64 {
        self.headers[0].object_len
    }

    /// Header and payload of shard `index` (below the layout's width): what the file holds.
    pub fn shard(&self, index: u8) -> ([u8; HEADER_LEN], &[u8]) {
        let header = &self.headers[usize::from(index)];
        (header.encode(), payload(&self.shards, header, index))
    }

    /// Cuts the same object in another layout.
    pub(crate) fn change_layout(&mut self, layout: Layout) {
        let ShardHeader { vault, object, object_len, .. } = self.headers[0];
        let mut shards = std::mem::take(&mut self.shards);
        shards.truncate(object_len as usize);
        *self = cut(layout, vault, object, shards);
    }

    /// The same object in another layout.
    #[must_use]
    pub fn in_layout(mut self, layout: Layout) -> Self {
        self.change_layout(layout);
        self
    }

    /// The memory that it took: its content means nothing.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.shards
    }
}

impl std::fmt::Debug for EncodedObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EncodedObject").field(&self.headers[0]).finish()
    }
}

/// Rebuilds data shards from any `k` shards of a layout: index and payload, all of one length, which is a multiple of 64.
/// Equal ranges of the shards do as well, when they begin and end at multiples of 64. None when there are too few.
///
/// Returns the data shards that were not among those given.
pub fn missing_data(layout: Layout, shards: &[(u8, &[u8])]) -> Option<BTreeMap<u8, Vec<u8>>> {
    let (data, parity): (Vec<_>, Vec<_>) = shards.iter().partition(|(index, _)| *index < layout.k);
    let missing: Vec<u8> = (0..layout.k).filter(|i| data.iter().all(|(index, _)| index != i)).collect();
    if missing.is_empty() {
        return Some(BTreeMap::new());
    }
    if layout.k == 1 {
        return parity.first().map(|(_, copy)| BTreeMap::from([(0, copy.to_vec())]));
    }
    let data = data.iter().map(|(index, bytes)| (usize::from(*index), *bytes));
    let parity = parity.iter().map(|(index, bytes)| (usize::from(*index - layout.k), *bytes));
    let found = reed_solomon_simd::decode(layout.k.into(), layout.m.into(), data, parity).ok()?;
    Some(found.into_iter().filter_map(|(index, bytes)| Some((u8::try_from(index).ok()?, bytes))).collect())
}

/// The object that any `k` shards hold; not checked against its id. None when there are too few, or lengths differ.
pub fn decode(layout: Layout, object_len: u64, shards: &[(u8, &[u8])]) -> Option<Vec<u8>> {
    let shard_len = usize::try_from(layout.shard_len(object_len)).ok()?;
    if shards.iter().any(|(_, bytes)| bytes.len() != shard_len) {
        return None;
    }
    let rebuilt = missing_data(layout, shards)?;
    let mut object = Vec::with_capacity(shard_len.checked_mul(layout.k.into())?);
    for index in 0..layout.k {
        let given = shards.iter().find(|(i, _)| *i == index).map(|(_, bytes)| *bytes);
        object.extend_from_slice(given.or_else(|| rebuilt.get(&index).map(Vec::as_slice))?);
    }
    object.truncate(usize::try_from(object_len).ok()?);
    Some(object)
}

fn cut(layout: Layout, vault: [u8; 16], object: ObjectName, mut shards: Vec<u8>) -> EncodedObject {
    let object_len = shards.len() as u64;
    let shard_len = layout.shard_len(object_len) as usize;
    shards.resize(shard_len * usize::from(layout.k), 0);
    let hashes = if layout.k == 1 || layout.m == 0 { hashes(&shards, shard_len) } else { add_parity(layout, &mut shards, shard_len) };
    let header = |index: u8| {
        // Whole copies are one payload.
        let payload_hash = hashes[if layout.k == 1 { 0 } else { usize::from(index) }];
        ShardHeader { vault, object, index, layout, object_len, payload_hash }
    };
    EncodedObject { headers: (0..layout.width()).map(header).collect(), shards }
}

/// Of shards that lie one behind the other.
fn hashes(shards: &[u8], shard_len: usize) -> Vec<[u8; 32]> {
    shards.chunks_exact(shard_len).map(|shard| blake3::hash(shard).into()).collect()
}

/// Puts parity behind `k` shards, and hashes all of them. Equal strips of shards are coded independently, which keeps the coder's own memory small, and what is hashed near.
fn add_parity(layout: Layout, shards: &mut Vec<u8>, shard_len: usize) -> Vec<[u8; 32]> {
    const BOUNDS: &str = "counts are within the format's bounds and strips are multiples of 64 bytes";
    let (k, m) = (layout.k.into(), layout.m.into());
    let mut hashers = vec![blake3::Hasher::new(); k + m];
    shards.resize(shard_len * (k + m), 0);
    let (data, parity) = shards.split_at_mut(shard_len * k);
    let mut encoder = ReedSolomonEncoder::new(k, m, STRIP.min(shard_len)).expect(BOUNDS);
    for start in (0..shard_len).step_by(STRIP) {
        let end = shard_len.min(start + STRIP);
        encoder.reset(k, m, end - start).expect(BOUNDS);
        for (shard, hasher) in data.chunks_exact(shard_len).zip(&mut hashers) {
            encoder.add_original_shard(&shard[start..end]).expect(BOUNDS);
            hasher.update(&shard[start..end]);
        }
        let strips = encoder.encode().expect(BOUNDS);
        for ((shard, strip), hasher) in parity.chunks_exact_mut(shard_len).zip(strips.recovery_iter()).zip(&mut hashers[k..]) {
            shard[start..end].copy_from_slice(strip);
            hasher.update(strip);
        }
    }
    hashers.iter().map(|hasher| hasher.finalize().into()).collect()
}

fn payload<'a>(shards: &'a [u8], header: &ShardHeader, index: u8) -> &'a [u8] {
    if header.layout.k == 1 {
        return shards;
    }
    let shard_len = header.shard_len() as usize;
    &shards[usize::from(index) * shard_len..][..shard_len]
}
