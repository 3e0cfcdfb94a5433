//! Memory of objects on their way: how much of it those that come may have, and pieces that are used again. Fresh memory costs more than all else that is done with an object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use keepwell_wire::KeyName;

use crate::house::lock;

/// Shorter pieces are not worth keeping.
const WORTH: usize = 1 << 20;

/// Bytes that uploads may have.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Of all of them together. The second half is for tenants that have none yet, so that nobody's uploads keep others waiting for ever.
    pub all: u64,
    /// Of one tenant.
    pub tenant: u64,
}

impl Default for MemoryLimits {
    /// A source has 64 MiB of objects under way, or one alone; with their redundancy they take twice as much at most.
    fn default() -> Self {
        Self { all: 384 << 20, tenant: 128 << 20 }
    }
}

/// What uploads have of their limits.
#[derive(Debug)]
pub(crate) struct Claims {
    limits: MemoryLimits,
    claimed: Mutex<HashMap<KeyName, u64>>,
}

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    of: Arc<Claims>,
    tenant: KeyName,
    bytes: u64,
}

impl Claims {
    pub(crate) fn new(limits: MemoryLimits) -> Arc<Self> {
        Arc::new(Self { limits, claimed: Mutex::default() })
    }

    /// Room for so many bytes; none when they are too many at the moment. A tenant that has none gets room for an object of any length.
    pub(crate) fn claim(self: &Arc<Self>, tenant: KeyName, bytes: u64) -> Option<Claim> {
        let mut claimed = lock(&self.claimed);
        let (all, own) = (claimed.values().sum::<u64>(), claimed.get(&tenant).copied().unwrap_or(0));
        let fits = match own {
            0 => all == 0 || all.saturating_add(bytes) <= self.limits.all,
            _ => own.saturating_add(bytes) <= self.limits.tenant && all.saturating_add(bytes) <= self.limits.all / 2,
        };
        if !fits {
            return None;
        }
        claimed.insert(tenant, own + bytes);
        Some(Claim { of: Arc::clone(self), tenant, bytes })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claimed = lock(&self.of.claimed);
        if let Some(own) = claimed.get_mut(&self.tenant) {
            *own -= self.bytes;
            if *own == 0 {
                claimed.remove(&self.tenant);
            }
        }
    }
}

/// Pieces of memory that lie ready.
#[derive(Debug)]
pub(crate) struct Buffers {
    most: usize,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    pieces: Vec<Vec<u8>>,
    /// Pieces of them that nobody has needed since somebody looked.
    idle: usize,
}

impl Buffers {
    /// Keeps pieces of so many bytes in all.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, free: Mutex::default() }
    }

    /// With room for so many bytes; where nobody knows how many (0), as much as there is. What is in it means nothing.
    pub(crate) fn lend(&self, length: usize) -> Vec<u8> {
        let mut free = lock(&self.free);
        let fits = |piece: &Vec<u8>| length == 0 || (length >= WORTH && (length..=2 * length).contains(&piece.capacity()));
        let Some(at) = free.pieces.iter().rposition(fits) else { return Vec::with_capacity(length) };
        free.idle = free.idle.min(at);
        free.pieces.remove(at)
    }

    pub(crate) fn give_back(&self, piece: Vec<u8>) {
        if piece.capacity() < WORTH {
            return;
        }
        let mut free = lock(&self.free);
        free.pieces.push(piece);
        while free.pieces.iter().map(Vec::capacity).sum::<usize>() > self.most {
            free.pieces.remove(0);
            free.idle = free.idle.saturating_sub(1);
        }
    }

    /// Lets go what nobody has needed since the last time.
    pub(crate) fn tidy(&self) {
        let mut free = lock(&self.free);
        let idle = free.idle;
        drop(free.pieces.drain(..idle));
        free.idle = free.pieces.len();
    }
}

/// Of somebody who gives it back by dropping it.
pub(crate) struct Lent {
    object: Vec<u8>,
    of: Arc<Buffers>,
}

impl Lent {
    /// An object in memory that was lent.
    pub(crate) fn bytes(object: Vec<u8>, of: &Arc<Buffers>) -> Bytes {
        Bytes::from_owner(Self { object, of: Arc::clone(of) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.object
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.give_back(std::mem::take(&mut self.object));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const A: KeyName = KeyName([1; 32]);
    const B: KeyName = KeyName([2; 32]);
    const C: KeyName = KeyName([3; 32]);

    #[test]
    fn one_tenant_has_its_share_and_leaves_half_to_those_who_have_nothing() {
        let claims = Claims::new(MemoryLimits { all: 200, tenant: 80 });
        let first = claims.claim(A, 60).unwrap();
        let second = claims.claim(A, 20).unwrap();
        assert!(claims.claim(A, 1).is_none(), "its own share");
        let other = claims.claim(B, 20).unwrap();
        assert!(claims.claim(B, 1).is_none(), "the half for those who have some");
        let third = claims.claim(C, 100).unwrap();
        assert!(claims.claim(KeyName([4; 32]), 1).is_none(), "and all of it");
        drop((first, second, third));
        assert!(claims.claim(B, 60).is_some());
        drop(other);
        let alone = claims.claim(A, 1000).unwrap();
        assert!(claims.claim(B, 1).is_none(), "an object of any length goes, alone");
        drop(alone);
        assert!(lock(&claims.claimed).is_empty());
    }

    #[test]
    fn what_is_given_back_is_lent_to_whoever_it_fits() {
        let buffers = Buffers::new(8 * WORTH);
        [3 * WORTH, 2 * WORTH, 100].into_iter().for_each(|length| buffers.give_back(Vec::with_capacity(length)));
        let pieces = |buffers: &Buffers| lock(&buffers.free).pieces.len();
        assert_eq!(pieces(&buffers), 2, "little ones are not worth it");
        drop(buffers.lend(100));
        drop(buffers.lend(4 * WORTH));
        assert_eq!(pieces(&buffers), 2, "nor are others worth a little one, or do for a long one");
        assert_eq!(buffers.lend(WORTH).capacity(), 2 * WORTH);
        assert_eq!(buffers.lend(0).capacity(), 3 * WORTH, "nobody knows how long it is");
        assert_eq!(pieces(&buffers), 0);
        let shared = Arc::new(buffers);
        drop(Lent::bytes(vec![7; WORTH], &shared).slice(5..9));
        assert_eq!(pieces(&shared), 1, "it comes back by itself");
    }

    #[test]
    fn no_more_is_kept_than_was_said_and_nothing_for_long() {
        let buffers = Buffers::new(8 * WORTH);
        (0..10).for_each(|_| buffers.give_back(Vec::with_capacity(2 * WORTH)));
        assert_eq!(lock(&buffers.free).pieces.len(), 4);
        buffers.tidy();
        let used = buffers.lend(2 * WORTH);
        buffers.give_back(used);
        buffers.tidy();
        assert_eq!(lock(&buffers.free).pieces.len(), 1, "the one that was used");
        buffers.tidy();
        assert_eq!(lock(&buffers.free).pieces.len(), 0);
    }
}
