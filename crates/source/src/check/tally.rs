//! Counts of a check. Holds a bounded number of gaps.

use std::collections::BTreeMap;

use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind};

use super::{CheckReport, Seen};

/// Gaps kept with their keys: the first in the order of keys.
const GAPS_KEPT: usize = 100;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    files: u64,
    folders: u64,
    others: u64,
    pub(super) bytes: u64,
    streams: u64,
    read_bytes: u64,
    changed: u64,
    /// By the number of the reason in the format.
    gaps: BTreeMap<u8, (GapReason, u64)>,
    first_gaps: BTreeMap<Key, Gap>,
    pub(super) ended: Option<Gap>,
}

impl Tally {
    pub(super) fn entries(&self) -> u64 {
        self.files + self.folders + self.others
    }

    /// Counts an entry of the walk.
    pub(super) fn take(&mut self, walked: &Walked) {
        match walked.node.kind {
            Kind::File => self.files += 1,
            Kind::Folder => self.folders += 1,
            _ => self.others += 1,
        }
        self.bytes = self.bytes.saturating_add(walked.size);
        if let Some(gap) = &walked.node.gap {
            self.gap(&walked.key, gap);
        }
    }

    /// Counts what came of looking at an entry's content.
    pub(super) fn seen(&mut self, key: &Key, seen: &Seen) {
        self.streams += seen.streams;
        self.read_bytes += seen.read_bytes;
        self.changed += u64::from(seen.changed);
        if let Some(gap) = &seen.gap {
            self.gap(key, gap);
        }
    }

    pub(super) fn report(self, report: &mut CheckReport, read: bool) {
        (report.files, report.folders, report.others, report.bytes) = (self.files, self.folders, self.others, self.bytes);
        (report.streams, report.changed, report.ended) = (self.streams, self.changed, self.ended);
        report.read_bytes = read.then_some(self.read_bytes);
        report.gaps = self.gaps.into_values().collect();
        report.first_gaps = self.first_gaps.into_iter().collect();
    }

    fn gap(&mut self, key: &Key, gap: &Gap) {
        self.gaps.entry(gap.reason as u8).or_insert((gap.reason, 0)).1 += 1;
        if self.first_gaps.len() < GAPS_KEPT || self.first_gaps.last_key_value().is_some_and(|(last, _)| key < last) {
            self.first_gaps.insert(key.clone(), gap.clone());
        }
        if self.first_gaps.len() > GAPS_KEPT {
            self.first_gaps.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_gaps_in_order_are_kept_and_all_are_counted() {
        let mut tally = Tally::default();
        let gap = Gap { reason: GapReason::Read, text: String::new() };
        for n in (0..300).rev() {
            tally.gap(&Key::from_path(format!("{n:03}").as_bytes()).unwrap(), &gap);
        }
        let mut report = CheckReport::default();
        tally.report(&mut report, false);
        assert_eq!(report.gaps, [(GapReason::Read, 300)]);
        assert_eq!(report.first_gaps.len(), GAPS_KEPT);
        assert_eq!(report.first_gaps[99].0.to_string(), "099");
        assert!(!report.is_whole());
    }
}
