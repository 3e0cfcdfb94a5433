//! Which disks an object goes to, and in which layout. Decides; writes nothing.

use std::sync::Arc;

use super::{Entry, Pool};
use crate::disk::{Disk, DiskError, Space};
use crate::error::{PoolError, human_bytes};
use crate::label::Role;
use crate::layout::{Layout, SMALL};
use crate::object::{ObjectId, ObjectName, Spread};
use crate::shard::HEADER_LEN;

/// What is kept free on each disk, so that a full pool can still be restored from and tidied up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// 5 % of the disk, but at most 1 GiB: for folders on a disk that others use too.
    #[default]
    Modest,
    /// So many per cent of the disk.
    Percent(u8),
    /// So many bytes.
    Bytes(u64),
}

impl Reserve {
    /// Bytes kept free on a disk of this size.
    pub fn bytes(self, space: Space) -> u64 {
        let percent = |p: u8| (u128::from(space.total) * u128::from(p) / 100) as u64;
        match self {
            Self::Modest => percent(5).min(1 << 30),
            Self::Percent(p) => percent(p.min(100)),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// A disk that takes writes.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) slot: u8,
    pub(super) id: [u8; 16],
    pub(super) disk: Arc<dyn Disk>,
    /// Capacity in bytes; 0 when nobody asked.
    pub(super) total: u64,
}

impl Pool {
    /// The layout an object of `len` bytes is written in with the disks that take writes now: what to encode with before
    /// [`Pool::stage`]. For keyrings and slots see [`Pool::plan_spread`].
    pub fn plan(&self, len: usize) -> Layout {
        self.plan_spread(Spread::Layout, len)
    }

    /// As [`Pool::plan`], for either spread. With too few disks the answer is the full layout, and staging says what is wrong.
    pub fn plan_spread(&self, spread: Spread, len: usize) -> Layout {
        let writable = self.writable().len();
        self.layout_on(spread, len as u64, writable).unwrap_or_else(|| self.full_layout(spread, len as u64))
    }

    /// What an object has when nothing is missing.
    pub(super) fn full_layout(&self, spread: Spread, len: u64) -> Layout {
        let active = self.active().into_iter().filter(|active| *active).count();
        self.layout_on(spread, len, active).unwrap_or_else(|| self.layout())
    }

    pub(super) fn layout_on(&self, spread: Spread, len: u64, disks: usize) -> Option<Layout> {
        match spread {
            Spread::Everywhere => self.layout().fallback_everywhere(disks),
            Spread::Layout if len < SMALL => self.layout().fallback_small(disks),
            Spread::Layout => self.layout().fallback(disks),
        }
    }

    /// Whether an object has its full redundancy, as far as directories tell. A length that has not been read yet counts as
    /// small when it has whole copies: no reader needs more than that.
    pub(super) fn is_full(&self, name: ObjectName, entry: &Entry, active: &[bool]) -> bool {
        match (name.class.spread(), entry.len) {
            (Spread::Layout, None) => {
                [SMALL - 1, SMALL].into_iter().any(|len| entry.has_all(self.full_layout(Spread::Layout, len), active))
            }
            (spread, len) => entry.has_all(self.full_layout(spread, len.unwrap_or(0)), active),
        }
    }

    /// Disks that take writes, by slot.
    pub(super) fn writable(&self) -> Vec<Candidate> {
        let slots = self.slots();
        let candidate = |(slot, s): (u8, &super::Slot)| Some(Candidate { slot, id: s.id, disk: Arc::clone(s.writable()?), total: 0 });
        (0..).zip(slots.iter()).filter_map(candidate).collect()
    }

    /// Disks for a new object, preferred ones first. Fails when a disk is full that the widest layout needs: redundancy is not
    /// traded for space.
    pub(super) fn with_room(&self, id: ObjectId, spread: Spread, len: u64) -> Result<Vec<Candidate>, PoolError> {
        let (roomy, full) = self.room(id, spread, len);
        match full {
            Some((disk, space)) if self.layout_on(spread, len, roomy.len()) != self.layout_on(spread, len, self.writable().len()) => {
                Err(self.full_error(disk.disk.as_ref(), Some(space)))
            }
            _ => Ok(roomy),
        }
    }

    /// Disks that take writes and have room for a shard, the preferred ones for this object first (rendezvous hashing), and the
    /// first that is full.
    pub(super) fn room(&self, id: ObjectId, spread: Spread, len: u64) -> (Vec<Candidate>, Option<(Candidate, Space)>) {
        let (mut roomy, mut full) = (Vec::new(), None);
        let all = self.writable();
        let shard = self.layout_on(spread, len, all.len()).unwrap_or_else(|| self.layout()).shard_len(len) + HEADER_LEN as u64;
        for mut candidate in all {
            let space = candidate.disk.space();
            candidate.total = space.as_ref().map_or(0, |space| space.total);
            match space {
                Ok(space) if space.free < shard.saturating_add(self.reserve.bytes(space)) => {
                    full.get_or_insert((candidate, space));
                }
                Ok(_) => roomy.push(candidate),
                Err(error) => self.mark_failed(candidate.slot, error),
            }
        }
        rank(&mut roomy, id);
        (roomy, full)
    }

    pub(super) fn full_error(&self, disk: &dyn Disk, space: Option<Space>) -> PoolError {
        let space = space.or_else(|| disk.space().ok()).unwrap_or(Space { total: 0, free: 0 });
        let (free, reserve) = (human_bytes(space.free), human_bytes(self.reserve.bytes(space)));
        PoolError::Full { disk: disk.name().into(), free, reserve }
    }

    pub(super) fn too_few_writable(&self) -> PoolError {
        let slots = self.slots();
        let why = |s: &super::Slot| match &s.failed {
            Some(error) => format!("{} fails ({})", s.name, error.kind),
            None => {
                format!("{} is {}", s.name, if s.state == super::DiskState::DamagedLabel { "without a readable label" } else { "missing" })
            }
        };
        let members = slots.iter().filter(|s| s.role == Role::Active).count();
        let failures: Vec<String> = slots.iter().filter(|s| s.role == Role::Active && s.writable().is_none()).map(why).collect();
        PoolError::TooFewWritable {
            writable: members - failures.len(),
            members,
            layout: self.layout().to_string(),
            failures: failures.join(", "),
        }
    }

    /// What a failed write means: a full disk ends the run, any other failure only its disk.
    pub(super) fn after_failure(&self, slot: u8, disk: &dyn Disk, error: DiskError) -> Result<(), PoolError> {
        if error.kind == crate::disk::DiskErrorKind::Full {
            return Err(self.full_error(disk, None));
        }
        self.mark_failed(slot, error);
        Ok(())
    }
}

/// The order in which an object prefers disks (weighted rendezvous hashing: -ln(u) / weight ascending, with u from the hash of object and disk). Each object
/// has its own order, so data and parity are even over the disks; of two disks the one with twice the room is first twice as often.
pub(super) fn rank(disks: &mut [Candidate], object: ObjectId) {
    let cost = |candidate: &Candidate| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&object.0).update(&candidate.id);
        let first = hasher.finalize().as_bytes().iter().take(8).fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
        let uniform = (first as f64 + 1.0) / 2f64.powi(64);
        -uniform.ln() / candidate.total.max(1) as f64
    };
    let mut ranked: Vec<(f64, Candidate)> = disks.iter().map(|candidate| (cost(candidate), candidate.clone())).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    disks.iter_mut().zip(ranked).for_each(|(place, (_, candidate))| *place = candidate);
}
