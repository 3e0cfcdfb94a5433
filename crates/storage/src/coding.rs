//! Objects to shards and back (`docs/format.md` 4).
//!
//! Pure functions for worker threads: no I/O, no disk, no state. Data shards are slices of the object; only parity is computed.

use std::collections::BTreeMap;
use std::ops::Range;

use reed_solomon_simd::ReedSolomonEncoder;

use crate::layout::Layout;
use crate::object::{Class, ObjectId, ObjectName};
use crate::shard::{HEADER_LEN, ShardHeader};

/// Bytes of each shard that are coded at a time.
const STRIP: usize = 128 << 10;

/// An object cut into shards. Keeps the object, so that another layout costs only new parity.
pub struct EncodedObject {
    /// The object, with zeros up to `k` whole shards.
    padded: Vec<u8>,
    parity: Vec<Vec<u8>>,
    headers: Vec<ShardHeader>,
}

/// Cuts an object into shards. A `Vec` is taken over without a copy when its capacity holds the padding too
/// (`layout.shard_len(len) * k` bytes).
pub fn encode_object(layout: Layout, vault: [u8; 16], class: Class, object: impl Into<Vec<u8>>) -> EncodedObject {
    let object = object.into();
    let id = ObjectId::of(&object);
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
        (header.encode(), payload(&self.padded, &self.parity, header.layout, index.into()))
    }

    /// The same object in another layout.
    pub fn in_layout(self, layout: Layout) -> Self {
        let ShardHeader { vault, object, object_len, .. } = self.headers[0];
        let mut padded = self.padded;
        padded.truncate(object_len as usize);
        cut(layout, vault, object, padded)
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

fn cut(layout: Layout, vault: [u8; 16], object: ObjectName, mut padded: Vec<u8>) -> EncodedObject {
    let object_len = padded.len() as u64;
    let shard_len = layout.shard_len(object_len) as usize;
    padded.resize(shard_len * usize::from(layout.k), 0);
    let parity = if layout.k == 1 || layout.m == 0 { Vec::new() } else { parity(layout, &padded, shard_len) };
    let mut headers: Vec<ShardHeader> = Vec::with_capacity(layout.width().into());
    for index in 0..layout.width() {
        let payload_hash = match headers.first() {
            Some(first) if layout.k == 1 => first.payload_hash,
            _ => blake3::hash(payload(&padded, &parity, layout, index.into())).into(),
        };
        headers.push(ShardHeader { vault, object, index, layout, object_len, payload_hash });
    }
    EncodedObject { padded, parity, headers }
}

/// Equal strips of shards are coded independently, which keeps the coder's own memory small.
fn parity(layout: Layout, padded: &[u8], shard_len: usize) -> Vec<Vec<u8>> {
    const BOUNDS: &str = "counts are within the format's bounds and strips are multiples of 64 bytes";
    let (k, m) = (layout.k.into(), layout.m.into());
    let mut parity: Vec<Vec<u8>> = (0..m).map(|_| Vec::with_capacity(shard_len)).collect();
    let mut encoder = ReedSolomonEncoder::new(k, m, STRIP.min(shard_len)).expect(BOUNDS);
    for start in (0..shard_len).step_by(STRIP) {
        let end = shard_len.min(start + STRIP);
        encoder.reset(k, m, end - start).expect(BOUNDS);
        padded.chunks_exact(shard_len).for_each(|shard| encoder.add_original_shard(&shard[start..end]).expect(BOUNDS));
        let strips = encoder.encode().expect(BOUNDS);
        parity.iter_mut().zip(strips.recovery_iter()).for_each(|(shard, strip)| shard.extend_from_slice(strip));
    }
    parity
}

fn payload<'a>(padded: &'a [u8], parity: &'a [Vec<u8>], layout: Layout, index: usize) -> &'a [u8] {
    let (k, shard_len) = (usize::from(layout.k), padded.len() / usize::from(layout.k));
    let range = |i: usize| -> Range<usize> { i * shard_len..(i + 1) * shard_len };
    match index {
        _ if k == 1 => padded,
        i if i < k => &padded[range(i)],
        i => &parity[i - k],
    }
}
