//! What a source sends next: what matters most first, so that a line that is cut has carried the best it could. Pure.

use std::collections::BTreeSet;

use keepwell_format::SnapshotId;
use keepwell_wire::Class;
use keepwell_wire::snapshots::PackRef;

/// A snapshot that has to get to the second site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// It.
    pub manifest: SnapshotId,
    /// Bytes of its manifest.
    pub length: u64,
    /// Of the manifests of the vault.
    pub sequence: u64,
    /// Whose it is: which share.
    pub share: String,
    /// How much the share matters, from 1.
    pub tier: u8,
    /// What it needs, by ascending seq.
    pub packs: Vec<PackRef>,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send an object.
    Put {
        /// What it is.
        class: Class,
        /// Its id.
        id: [u8; 32],
        /// Its bytes.
        length: u64,
    },
    /// Ask for the receipt of a snapshot, of which everything is there now.
    Accept(SnapshotId),
}

/// All that is to do, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Steps, the next one first.
    pub steps: Vec<Step>,
}

impl Backlog {
    /// What is to do for these snapshots, where `there` says what the receiver has, and `signed` for what it has signed.
    ///
    /// The newest snapshot of every share comes first, by tier; then the ones before them, the newest first. What is shared is sent once, with the first that needs it.
    pub fn of(mut offers: Vec<Offer>, there: impl Fn(Class, &[u8; 32]) -> bool, signed: impl Fn(SnapshotId) -> bool) -> Self {
        offers.sort_by_key(|offer| std::cmp::Reverse(offer.sequence));
        let mut shares = BTreeSet::new();
        let (mut newest, older): (Vec<Offer>, Vec<Offer>) = offers.into_iter().partition(|offer| shares.insert(offer.share.clone()));
        newest.sort_by_key(|offer| offer.tier);
        let mut steps = Vec::new();
        let mut sent = BTreeSet::new();
        for offer in newest.into_iter().chain(older).filter(|offer| !signed(offer.manifest)) {
            let packs = offer.packs.iter().map(|pack| (Class::Pack, pack.id.0, pack.length));
            let objects = packs.chain([(Class::Manifest, offer.manifest.0, offer.length)]);
            let open = objects.filter(|(class, id, _)| !there(*class, id) && sent.insert((*class, *id)));
            steps.extend(open.map(|(class, id, length)| Step::Put { class, id, length }));
            steps.push(Step::Accept(offer.manifest));
        }
        Self { steps }
    }

    /// Bytes that are still to be sent, all or until the receipt of this snapshot.
    pub fn bytes(&self, until: Option<SnapshotId>) -> u64 {
        let before = self.steps.iter().take_while(|step| until.is_none_or(|until| **step != Step::Accept(until)));
        before.map(|step| if let Step::Put { length, .. } = step { *length } else { 0 }).sum()
    }
}

#[cfg(test)]
mod tests {
    use keepwell_format::{PackId, PackSeq};

    use super::*;

    fn offer(share: &str, tier: u8, sequence: u64, packs: &[u8]) -> Offer {
        let pack = |n: &u8| PackRef { seq: PackSeq(u64::from(*n)), id: PackId([*n; 32]), length: 1000 };
        let id = u8::try_from(100 + sequence).unwrap();
        Offer { manifest: SnapshotId([id; 32]), length: 10, sequence, share: share.into(), tier, packs: packs.iter().map(pack).collect() }
    }

    fn order(backlog: &Backlog) -> Vec<u8> {
        backlog
            .steps
            .iter()
            .map(|step| match step {
                Step::Put { id, .. } => id[0],
                Step::Accept(manifest) => manifest.0[0],
            })
            .collect()
    }

    #[test]
    fn what_matters_most_comes_first_and_nothing_twice() {
        let offers = vec![
            offer("images", 3, 1, &[1, 2]),
            offer("records", 1, 2, &[3]),
            offer("images", 3, 3, &[1, 2, 4]),
            offer("records", 1, 4, &[3, 5]),
            offer("letters", 2, 5, &[6]),
        ];
        let backlog = Backlog::of(offers.clone(), |_, _| false, |_| false);
        assert_eq!(order(&backlog), [3, 5, 104, 104, 6, 105, 105, 1, 2, 4, 103, 103, 102, 102, 101, 101]);
        assert_eq!(backlog.bytes(Some(SnapshotId([104; 32]))), 2010);
        assert_eq!(backlog.bytes(None), 6050);

        let there = |class: Class, id: &[u8; 32]| class == Class::Pack && [1, 3].contains(&id[0]);
        let rest = Backlog::of(offers, there, |manifest| manifest.0[0] == 105);
        assert_eq!(order(&rest), [5, 104, 104, 2, 4, 103, 103, 102, 102, 101, 101]);
    }
}
