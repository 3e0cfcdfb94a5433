//! Bytes and the id that they hash to: who has hashed an object says so by its type, and nobody hashes it again.
//!
//! Pure; the only way to make one is to hash.

use crate::object::ObjectId;

/// Hashed at a time: in the processor's cache still, and a whole subtree of the hash.
const STEP: usize = 128 << 10;

/// An object whose id is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed {
    id: ObjectId,
    bytes: Vec<u8>,
}

impl Hashed {
    /// What they hash to.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The object.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The memory that it takes.
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn into_parts(self) -> (ObjectId, Vec<u8>) {
        (self.id, self.bytes)
    }
}

impl From<Vec<u8>> for Hashed {
    fn from(bytes: Vec<u8>) -> Self {
        Self { id: ObjectId::of(&bytes), bytes }
    }
}

impl From<&[u8]> for Hashed {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&Vec<u8>> for Hashed {
    fn from(bytes: &Vec<u8>) -> Self {
        bytes.clone().into()
    }
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashed").field("id", &self.id).field("len", &self.bytes.len()).finish()
    }
}

/// An object that comes piece by piece, hashed as it grows.
pub struct Hashing {
    bytes: Vec<u8>,
    hasher: blake3::Hasher,
    hashed: usize,
}

impl Hashing {
    /// With the beginning that is there.
    pub fn from(bytes: Vec<u8>) -> Self {
        let mut hashing = Self { bytes, hasher: blake3::Hasher::new(), hashed: 0 };
        hashing.catch_up(STEP);
        hashing
    }

    /// More of it.
    pub fn extend(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        self.catch_up(STEP);
    }

    /// Bytes that it may grow to where it lies.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// What came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What came, without its id.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// All of it.
    pub fn end(mut self) -> Hashed {
        self.catch_up(1);
        Hashed { id: ObjectId(self.hasher.finalize().into()), bytes: self.bytes }
    }

    /// Hashes what came, as far as it makes whole steps.
    fn catch_up(&mut self, step: usize) {
        let end = self.bytes.len() / step * step;
        self.hasher.update(&self.bytes[self.hashed..end]);
        self.hashed = end;
    }
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_hash_to_the_id_of_the_whole() {
        let object: Vec<u8> = (0..700_001_u32).map(|n| (n % 251) as u8).collect();
        for piece in [1 << 10, 5000, STEP - 1, STEP, 3 * STEP + 7, object.len()] {
            for begun in [0, 1, STEP, STEP + 5] {
                let mut hashing = Hashing::from(object[..begun].to_vec());
                object[begun..].chunks(piece).for_each(|more| hashing.extend(more));
                let hashed = hashing.end();
                assert_eq!((hashed.id(), hashed.bytes()), (ObjectId::of(&object), &object[..]), "{piece} after {begun}");
            }
        }
        assert_eq!(Hashing::from(Vec::new()).end(), Hashed::from(Vec::new()));
    }
}
