//! The collapse guard: tells a source that has lost much, or is another than before, from one that has changed. Pure.
//! A snapshot of such a source is kept but held: it is never the latest, and never what later runs build on.

use keepwell_format::manifest::{Outcome, Statistics};

use crate::snapshot::Snapshot;

/// Below this many files a share may shrink as it likes, but not to nothing.
const FEW_FILES: u64 = 20;
/// Parts in ten that may not be gone from one accepted snapshot to the next.
const LOSS_TENTHS: u64 = 3;

/// The last snapshot of this name that is not held.
pub(crate) fn accepted<'a>(snapshots: &'a [Snapshot], name: &str) -> Option<&'a Snapshot> {
    snapshots.iter().rfind(|snapshot| snapshot.body.name == name && snapshot.body.outcome != Outcome::Held)
}

/// Why a run is not to be accepted without a person's word, if it is not. `met`: paths of the last accepted snapshot's files that are there
/// still, where that is known.
pub(super) fn collapse(before: Option<&Snapshot>, identity: &str, now: &Statistics, met: Option<u64>) -> Option<String> {
    let body = &before?.body;
    if body.identity != identity {
        let why = "this is not the source that was backed up under this name before: its server, share or volume is another one";
        return Some(why.to_owned());
    }
    shrunk(body.statistics.files, now.files).or_else(|| swapped(body.statistics.files, met))
}

fn swapped(before: u64, met: Option<u64>) -> Option<String> {
    let others = before >= FEW_FILES && met == Some(0);
    others.then(|| format!("the source holds files, but not one of the {before} that the last accepted snapshot holds"))
}

fn shrunk(before: u64, now: u64) -> Option<String> {
    if before > 0 && now == 0 {
        return Some(format!("the source holds no files; the last accepted snapshot holds {before}"));
    }
    let gone = before.saturating_sub(now);
    let much = before >= FEW_FILES && u128::from(gone) * 10 > u128::from(before) * u128::from(LOSS_TENTHS);
    much.then(|| format!("{gone} of the {before} files of the last accepted snapshot are gone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_may_not_vanish_and_nothing_may_become_of_something() {
        let held = [(1, 0), (19, 0), (20, 13), (1000, 699), (u64::MAX, 1)];
        let accepted = [(0, 0), (0, 5), (19, 1), (20, 14), (1000, 700), (1000, 5000), (1, u64::MAX)];
        held.iter().for_each(|(before, now)| assert!(shrunk(*before, *now).is_some(), "{before} to {now}"));
        accepted.iter().for_each(|(before, now)| assert_eq!(shrunk(*before, *now), None, "{before} to {now}"));
    }

    #[test]
    fn files_may_be_exchanged_but_not_all_of_them() {
        assert!(swapped(20, Some(0)).is_some() && swapped(5000, Some(0)).is_some());
        assert!([(19, Some(0)), (20, Some(1)), (5000, Some(3)), (5000, None)].iter().all(|(before, met)| swapped(*before, *met).is_none()));
    }
}
