//! Proof that who sent a slice of an object has it, checked with the object's id and length alone (`docs/wire.md` 7).
//!
//! An id is the root of a BLAKE3 tree over chunks of 1,024 bytes; four of them are a slice. The tree is that of the BLAKE3 specification, 2.1.

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

/// Length of a slice, in bytes: chunks that are a subtree of their own.
pub const SLICE: u64 = 4096;
/// Most siblings that a slice of an object has: a pack's 2^14 slices.
pub const MAX_SIBLINGS: usize = 14;

/// A slice, and what is beside the way from it to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceProof {
    /// Its bytes.
    pub slice: Vec<u8>,
    /// Chaining values of the subtrees beside the way, the lowest first.
    pub siblings: Vec<[u8; 32]>,
}

/// Slices of an object of so many bytes.
pub const fn slices(length: u64) -> u64 {
    length.div_ceil(SLICE)
}

impl SliceProof {
    /// The proof for a slice of an object; none where there is no such slice.
    pub fn of(object: &[u8], number: u64) -> Option<Self> {
        let length = object.len() as u64;
        let way = way(length, number)?;
        let siblings = way.iter().rev().map(|step| chaining_value(part(object, step.beside, step.beside_len), step.beside)).collect();
        let at = number * SLICE;
        Some(Self { slice: part(object, at, SLICE.min(length - at)).to_vec(), siblings })
    }

    /// Whether it proves slice `number` of the object with this id and length.
    pub fn holds(&self, id: &[u8; 32], length: u64, number: u64) -> bool {
        let Some(way) = way(length, number) else { return false };
        let at = number * SLICE;
        if self.slice.len() as u64 != SLICE.min(length - at) || self.siblings.len() != way.len() {
            return false;
        }
        let Some((top, below)) = way.split_first() else { return blake3::hash(&self.slice) == *id };
        let (last, lower) = self.siblings.split_last().expect("as many as steps of the way");
        let reached = below.iter().rev().zip(lower).fold(chaining_value(&self.slice, at), |reached, (step, beside)| {
            let (left, right) = step.sides(&reached, beside);
            merge_subtrees_non_root(left, right, Mode::Hash)
        });
        let (left, right) = top.sides(&reached, last);
        merge_subtrees_root(left, right, Mode::Hash) == *id
    }
}

/// One step down from a subtree to the half with the slice.
struct Step {
    /// Where the other half begins, and its length.
    beside: u64,
    beside_len: u64,
    /// Whether the other half is the left one.
    beside_is_left: bool,
}

impl Step {
    /// Both halves in order.
    fn sides<'a>(&self, reached: &'a ChainingValue, beside: &'a ChainingValue) -> (&'a ChainingValue, &'a ChainingValue) {
        if self.beside_is_left { (beside, reached) } else { (reached, beside) }
    }
}

/// The way from the root down to a slice; none where there is no such slice.
fn way(length: u64, number: u64) -> Option<Vec<Step>> {
    let at = number.checked_mul(SLICE).filter(|at| *at < length)?;
    let (mut start, mut len) = (0, length);
    let mut steps = Vec::new();
    while len > SLICE {
        let left = left_subtree_len(len);
        if at < start + left {
            steps.push(Step { beside: start + left, beside_len: len - left, beside_is_left: false });
            len = left;
        } else {
            steps.push(Step { beside: start, beside_len: left, beside_is_left: true });
            (start, len) = (start + left, len - left);
        }
    }
    Some(steps)
}

fn part(object: &[u8], at: u64, len: u64) -> &[u8] {
    let at = usize::try_from(at).expect("within a slice in memory");
    &object[at..at + usize::try_from(len).expect("within a slice in memory")]
}

fn chaining_value(bytes: &[u8], at: u64) -> ChainingValue {
    blake3::Hasher::new().set_input_offset(at).update(bytes).finalize_non_root()
}
