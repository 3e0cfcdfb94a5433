//! Numbers that a source gives out: packs, snapshots and tombstones have one each, and it only rises. A box that comes after it goes on from the highest, so whoever could sign for the last number there is
//! would leave none. Pure.

use keepwell_format::{Manifest, PackSeq, Tombstone};

use crate::refused::Refused;

/// No honest source leaps so far, and nobody gets to the end of 2^63 in such leaps.
const LEAP: u64 = 1 << 32;

/// The highest ones that are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) pack: u64,
    /// Of those that were signed for.
    pub(crate) snapshot: u64,
    pub(crate) tombstone: u64,
}

impl Numbers {
    pub(crate) fn check_pack(self, seq: PackSeq) -> Result<(), Refused> {
        follows(seq.0, self.pack)
    }

    pub(crate) fn check_manifest(self, manifest: &Manifest) -> Result<(), Refused> {
        let needs = manifest.needs.ranges().last().map_or(0, |range| range.end);
        follows(manifest.sequence, self.snapshot).and_then(|()| follows(needs, self.pack))
    }

    pub(crate) fn check_tombstone(self, tombstone: &Tombstone) -> Result<(), Refused> {
        let gone = tombstone.gone.iter().map(|gone| gone.sequence).max().unwrap_or(0);
        follows(tombstone.sequence, self.tombstone)
            .and_then(|()| follows(tombstone.packs, self.pack))
            .and_then(|()| follows(gone, self.snapshot))
    }
}

fn follows(number: u64, highest: u64) -> Result<(), Refused> {
    if number <= highest.saturating_add(LEAP) { Ok(()) } else { Err(Refused::Leap { number, highest }) }
}
