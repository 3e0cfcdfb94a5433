//! Orders that shorten what was promised (`docs/wire.md` 9), as far as what is kept decides about them. Who gave them, and whether they may, others have found out before.

use std::collections::BTreeSet;

use keepwell_wire::Receipt;
use keepwell_wire::shorten::{OrderId, Shorten, What};

use super::{Moment, Tenant};
use crate::keeping::Stamp;

/// Between taking an order and the moment from which it counts, in elapsed seconds: seven days, in which anybody who has a key cancels it.
pub const WAIT: u64 = 7 * 86_400;
/// An order can be given for so long at most after it was made, in elapsed seconds.
const GOOD_FOR: u64 = 90 * 86_400;

/// An order that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortened {
    /// Its name.
    pub id: OrderId,
    /// From when it counts, in elapsed seconds.
    pub from: u64,
    /// What it comes to.
    pub what: Ordered,
}

/// What an order comes to at this receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The snapshots of these receipts go. By number, so that a snapshot that is sent once more has a promise of its own.
    Receipts(BTreeSet<u64>),
    /// Everything is kept for so many seconds.
    Floor(u64),
}

/// Why an order is not taken. Nothing is shortened, and it is not used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOrder {
    /// Too old, or made for a time too far away.
    #[error("the order could be given until {expires} s of this box's time, and it is {elapsed} s; an order is good for 90 days at most")]
    Over {
        /// What it says.
        expires: u64,
        /// Now.
        elapsed: u64,
    },
    /// The receipt that it begins from.
    #[error("no receipt of this box is the one from which the order begins: it was made for another state of what is kept here")]
    OtherHead,
    /// Something that it names.
    #[error("a snapshot that the order names is not kept here, or came after the order was made")]
    NoSnapshot,
    /// It would shorten nothing.
    #[error("all is kept for {floor} s already, and an order makes that shorter, never longer")]
    NotShorter {
        /// As it is.
        floor: u64,
    },
}

impl NoOrder {
    /// The word of the protocol.
    pub fn code(self) -> &'static str {
        match self {
            Self::Over { .. } => "order-over",
            Self::OtherHead => "other-head",
            Self::NoSnapshot => "no-snapshot",
            Self::NotShorter { .. } => "not-shorter",
        }
    }
}

impl Tenant {
    /// What an order comes to here, and the receipts of what it is about. Takes nothing up.
    pub fn look_at(&self, order: &Shorten, now: Moment) -> Result<(Ordered, Vec<Receipt>), NoOrder> {
        let ahead = order.expires.checked_sub(now.elapsed).filter(|ahead| (1..=GOOD_FOR).contains(ahead));
        ahead.ok_or(NoOrder::Over { expires: order.expires, elapsed: now.elapsed })?;
        let is_head = |receipt: &Receipt, signature: &[u8; 64]| *blake3::hash(&receipt.encode(signature)).as_bytes() == order.head;
        let head = self.sets.values().rev().find(|set| is_head(&set.record.receipt, &set.record.signature)).ok_or(NoOrder::OtherHead)?;
        let last = head.record.receipt.number;
        match &order.what {
            What::Snapshots(named) => {
                let known = |id| self.signed_for.get(id).filter(|number| **number <= last).and_then(|number| self.sets.get(number));
                let receipts = named.iter().map(|id| known(id).map(|set| set.record.receipt.clone()).ok_or(NoOrder::NoSnapshot));
                let receipts: Vec<Receipt> = receipts.collect::<Result<_, _>>()?;
                Ok((Ordered::Receipts(receipts.iter().map(|receipt| receipt.number).collect()), receipts))
            }
            What::Floor(floor) => {
                let now_kept = self.floor(now);
                if *floor >= now_kept {
                    return Err(NoOrder::NotShorter { floor: now_kept });
                }
                let later = now.elapsed.saturating_add(WAIT);
                let over = |receipt: &&Receipt| receipt.elapsed.saturating_add(*floor) <= later && receipt.kept_until > later;
                Ok((Ordered::Floor(*floor), self.sets.values().map(|set| &set.record.receipt).filter(over).cloned().collect()))
            }
        }
    }

    /// An order was taken: it counts from its moment on.
    pub fn shorten(&mut self, order: Shortened) {
        self.shortened.retain(|known| known.id != order.id);
        self.shortened.push(order);
    }

    /// An order was cancelled.
    pub fn keep_all_the_same(&mut self, id: OrderId) {
        self.shortened.retain(|known| known.id != id);
    }

    /// Whether an order has begun to count whose receipts are still here: it is time to look what is over.
    pub fn has_ordered(&self, now: Moment) -> bool {
        self.ordered(now).any(|number| self.sets.contains_key(&number) && !self.is_newest(number))
    }

    /// Seconds for which what comes now is kept.
    pub(super) fn floor(&self, now: Moment) -> u64 {
        let floors = self.counting(now).filter_map(|order| if let Ordered::Floor(floor) = order.what { Some(floor) } else { None });
        floors.chain([self.terms.keeping.floor()]).min().unwrap_or_default()
    }

    /// Until when a receipt's snapshot is kept.
    pub(super) fn stamp(&self, receipt: &Receipt, now: Moment) -> Stamp {
        Stamp {
            number: receipt.number,
            received: receipt.elapsed,
            kept_until: receipt.kept_until.min(receipt.elapsed.saturating_add(self.floor(now))),
            ordered: self.ordered(now).any(|number| number == receipt.number),
        }
    }

    fn ordered(&self, now: Moment) -> impl Iterator<Item = u64> {
        self.counting(now)
            .filter_map(|order| if let Ordered::Receipts(numbers) = &order.what { Some(numbers) } else { None })
            .flatten()
            .copied()
    }

    fn is_newest(&self, number: u64) -> bool {
        self.sets.keys().next_back() == Some(&number)
    }

    fn counting(&self, now: Moment) -> impl Iterator<Item = &Shortened> {
        self.shortened.iter().filter(move |order| order.from <= now.elapsed)
    }
}
