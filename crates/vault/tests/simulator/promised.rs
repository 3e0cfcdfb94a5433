//! What a simulated run was promised: which snapshots there are, by their sequence, and which are forgotten.

use std::collections::BTreeSet;

use keepwell_format::Outcome;
use keepwell_vault::{Snapshot, Vault};

use crate::random::Random;
use crate::tree::Tree;
use crate::world::difference;

/// Holds at one moment. Snapshots that were begun after it may be there or not.
#[derive(Clone, Default)]
pub(crate) struct Promised {
    /// So many snapshots were acknowledged.
    pub(crate) made: usize,
    /// Of these it was acknowledged that they are forgotten.
    pub(crate) forgotten: BTreeSet<u64>,
    /// This one is being forgotten: it may show or not.
    pub(crate) forgetting: Option<u64>,
}

impl Promised {
    /// What is wrong with what a vault shows. `trees` are what the snapshots hold, the first one's first.
    pub(crate) fn broken(&self, vault: &Vault, trees: &[Tree]) -> Option<String> {
        let snapshots = match vault.snapshots() {
            Ok(snapshots) => snapshots,
            Err(error) => return Some(format!("the snapshots can't be listed: {error:?}")),
        };
        let shown: BTreeSet<u64> = snapshots.iter().map(|snapshot| snapshot.sequence).collect();
        if let Some(back) = self.forgotten.intersection(&shown).next() {
            return Some(format!("snapshot {back} was forgotten and shows again"));
        }
        let must = |number: &u64| !self.forgotten.contains(number) && self.forgetting != Some(*number);
        if let Some(lost) = (1..=self.made as u64).filter(must).find(|number| !shown.contains(number)) {
            return Some(format!("snapshot {lost} was promised, there are {shown:?}"));
        }
        let wrong = |snapshot: &Snapshot| {
            let tree = trees.get(snapshot.sequence as usize - 1)?;
            difference(vault, snapshot, tree).map(|wrong| format!("snapshot {}: {wrong}", snapshot.sequence))
        };
        snapshots.iter().find_map(wrong)
    }
}

/// A snapshot that may be forgotten, if there is one.
pub(crate) fn forgettable(vault: &Vault, random: &mut Random) -> Option<Snapshot> {
    let mut accepted = vault.snapshots().unwrap();
    accepted.retain(|snapshot| snapshot.body.outcome != Outcome::Held);
    accepted.pop();
    (!accepted.is_empty()).then(|| random.pick(&accepted).clone())
}
