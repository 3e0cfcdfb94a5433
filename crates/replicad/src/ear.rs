//! Hears how a round goes on, for the courier and for people: what is left, receipts as they come, what a receiver has lost.

use std::collections::{HashMap, HashSet};

use keepwell_format::SnapshotId;
use keepwell_offsite::sampling::Known;
use keepwell_offsite::{Backlog, Offer};
use keepwell_wire::{Class, Receipt};

use crate::courier::Courier;
use crate::house::House;
use crate::own::Wanted;
use crate::sender::{Listener, SendError};

/// Of one round.
pub(crate) struct Ear<'a> {
    courier: &'a Courier,
    house: &'a House,
    /// Of what was handed over when the round began.
    version: u64,
    promised: HashSet<(Class, [u8; 32])>,
    /// Tier of the newest snapshot of each share.
    newest: HashMap<SnapshotId, u8>,
    /// Packs of each snapshot, and their bytes.
    sizes: HashMap<SnapshotId, (u64, u64)>,
}

impl<'a> Ear<'a> {
    pub(crate) fn new(
        courier: &'a Courier,
        house: &'a House,
        wanted: &[Wanted],
        version: u64,
        promised: &[Known],
        offers: Vec<Offer>,
    ) -> Self {
        let mut shares = HashSet::new();
        let first = wanted.iter().filter(|one| shares.insert(&one.offered.share));
        let size = |offer: &Offer| (offer.packs.len() as u64, offer.packs.iter().map(|pack| pack.length).sum());
        Self {
            courier,
            house,
            version,
            promised: promised.iter().map(|known| (known.class, known.id)).collect(),
            newest: first.map(|one| (SnapshotId(one.manifest), one.offered.tier)).collect(),
            sizes: offers.iter().map(|offer| (offer.manifest, size(offer))).collect(),
        }
    }
}

impl Listener for Ear<'_> {
    fn planned(&self, backlog: &Backlog) {
        self.courier.on_the_way(|way| way.plan(backlog, |manifest| self.newest.get(&manifest).copied()));
    }

    fn stored(&self, bytes: u64) {
        let limit = self.courier.pacer().rate();
        self.courier.on_the_way(|way| way.stored(bytes, limit));
    }

    fn signed(&self, receipt: &Receipt, signature: &[u8; 64]) -> Result<(), SendError> {
        if self.sizes.get(&receipt.manifest) != Some(&(receipt.packs, receipt.bytes)) {
            return Err(SendError::Nonsense("a receipt is for other packs than those of the snapshot".into()));
        }
        self.courier.take(self.house, receipt, signature)
    }

    fn is_promised(&self, class: Class, id: &[u8; 32]) -> bool {
        self.promised.contains(&(class, *id))
    }

    fn lost(&self, objects: &[(Class, [u8; 32])]) {
        tracing::error!(receiver = %self.courier.name(), lost = objects.len(), "the other box says that it has lost what it signed for; it is sent again");
        self.courier.has_lost(self.house.world.wall());
        self.courier.keep(self.house, &self.courier.event(self.house, "loss").with("objects", objects.len()));
    }

    fn goes_on(&self) -> bool {
        self.house.version() == self.version
    }
}
