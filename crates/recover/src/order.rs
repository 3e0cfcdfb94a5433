//! What comes first, so that a practice that waits has what it needs most. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use keepwell_api::offsite::{PLACE_NAME, STATE_NAME};
use keepwell_format::manifest::Outcome;
use keepwell_vault::Snapshot;
use keepwell_wire::snapshots::PackRef;

/// Packs that are still to come, by number.
pub(crate) type Missing = BTreeMap<u64, PackRef>;
/// How much each share matters, from 1, by its name.
pub(crate) type Tiers = BTreeMap<String, u8>;

/// Of what nobody said a tier.
const LAST: u8 = u8::MAX;

/// Sorts: the box's own state, which says the tiers; then the newest accepted snapshot of each share, by tier and, within one, what takes least first; then all others, the newest first.
/// Answers how many of them come before the others.
pub(crate) fn sort(snapshots: &mut Vec<Snapshot>, tiers: &Tiers, missing: &Missing) -> usize {
    snapshots.sort_by_key(|snapshot| Reverse((snapshot.sequence, snapshot.id)));
    let mut shares = BTreeSet::new();
    let (mut newest, older): (Vec<Snapshot>, Vec<Snapshot>) =
        std::mem::take(snapshots).into_iter().partition(|snapshot| is_a_share(snapshot) && shares.insert(snapshot.body.name.clone()));
    newest.sort_by_cached_key(|snapshot| (rank(&snapshot.body.name, tiers), bytes(snapshot, missing), snapshot.body.name.clone()));
    let first = newest.len();
    snapshots.extend(newest.into_iter().chain(older));
    first
}

/// Or the box's own state. Whose place an earlier recovery took is of no use by now.
fn is_a_share(snapshot: &Snapshot) -> bool {
    snapshot.body.outcome != Outcome::Held && snapshot.body.name != PLACE_NAME
}

fn rank(name: &str, tiers: &Tiers) -> u8 {
    if name == STATE_NAME { 0 } else { tiers.get(name).copied().unwrap_or(LAST) }
}

/// Packs that a snapshot needs and that are still to come.
pub(crate) fn lacking(snapshot: &Snapshot, missing: &Missing) -> Vec<PackRef> {
    snapshot.needs.ranges().iter().flat_map(|range| missing.range(range.clone())).map(|(_, pack)| *pack).collect()
}

fn bytes(snapshot: &Snapshot, missing: &Missing) -> u64 {
    snapshot.needs.ranges().iter().flat_map(|range| missing.range(range.clone())).map(|(_, pack)| pack.length).sum()
}

#[cfg(test)]
mod tests {
    use keepwell_format::manifest::SeqRanges;
    use keepwell_format::{PackId, PackSeq, SnapshotId};

    use super::*;
    use crate::fixture::body;

    fn snapshot(name: &str, sequence: u64, packs: std::ops::Range<u64>, outcome: Outcome) -> Snapshot {
        let mut needs = SeqRanges::new();
        packs.for_each(|seq| needs.insert(PackSeq(seq)));
        let id = SnapshotId([u8::try_from(sequence).unwrap(); 32]);
        Snapshot { id, sequence, previous: SnapshotId([0; 32]), received: 0, needs, body: body(name, outcome) }
    }

    #[test]
    fn the_state_then_the_newest_by_tier_then_the_rest() {
        let missing: Missing = (0..20).map(|seq| (seq, PackRef { seq: PackSeq(seq), id: PackId([0; 32]), length: 10 })).collect();
        let done = Outcome::Complete;
        let mut snapshots = vec![
            snapshot("images", 1, 0..10, done),
            snapshot("records", 2, 10..12, done),
            snapshot("letters", 3, 12..13, Outcome::Partial),
            snapshot(STATE_NAME, 4, 13..14, done),
            snapshot("images", 5, 0..11, done),
            snapshot("records", 6, 10..15, done),
            snapshot("records", 7, 15..16, Outcome::Held),
            snapshot(PLACE_NAME, 8, 16..17, done),
        ];
        let order = |snapshots: &[Snapshot]| snapshots.iter().map(|one| one.sequence).collect::<Vec<_>>();
        assert_eq!(sort(&mut snapshots, &Tiers::new(), &missing), 4);
        assert_eq!(order(&snapshots), [4, 3, 6, 5, 8, 7, 2, 1], "without tiers, what takes least first");
        let tiers = Tiers::from([("images".into(), 1), ("records".into(), 1), ("letters".into(), 2)]);
        sort(&mut snapshots, &tiers, &missing);
        assert_eq!(order(&snapshots), [4, 6, 5, 3, 8, 7, 2, 1]);
        let here = Missing::new();
        assert!(lacking(&snapshots[0], &here).is_empty());
        assert_eq!(lacking(&snapshots[0], &missing).len(), 1);
    }
}
