//! Orders that shorten what a receiver promised this box (`docs/wire.md` 9): asked for in each round, checked, told. What is let go by one is no loss, and is not sent again. Cancels one when a person
//! wants it; gives none.

use std::collections::BTreeSet;

use hyper::{HeaderMap, Method, StatusCode};
use keepwell_api::hex;
use keepwell_api::offsite::{OrderState as State, OrderTold as Told, ReceiptTold, ReceiptsOf};
use keepwell_link::Caller;
use keepwell_wire::Receipt;
use keepwell_wire::shorten::{Cancel, CancelOrder, OrderId, OrderState, OrderTold, Orders, Right, What};
use serde::{Deserialize, Serialize};

use super::{Courier, SILENCE};
use crate::house::House;
use crate::orders::counts_at;
use crate::sender::{SendError, taken};
use crate::store::StoreError;

/// What is about to be let go is not asked for any more: the receiver reckons a moment that this box does not know. Seconds.
const SOON: u64 = 86_400;

/// What is known of orders from one start to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Heeded {
    /// The second organisation's key, as digits.
    pub(super) second_key: Option<String>,
    /// As they were told last.
    pub(super) orders: Vec<Told>,
    /// Elapsed seconds then.
    elapsed: u64,
    /// Snapshots that are about to be let go, as digits.
    leaving: BTreeSet<String>,
    /// Seconds for which everything is kept by an order that counts, or soon does.
    floor: Option<u64>,
    /// Snapshots that were let go by an order, as digits: they are not sent again.
    pub(super) gone: BTreeSet<String>,
}

impl Heeded {
    /// Whether an order let it go.
    pub(super) fn has_let_go(&self, manifest: &[u8; 32]) -> bool {
        !self.gone.is_empty() && self.gone.contains(&hex::encode(manifest))
    }

    /// The shortest time for which a receipt may promise.
    pub(super) fn floor(&self, agreed: u64) -> u64 {
        self.floor.map_or(agreed, |floor| floor.min(agreed))
    }

    /// Whether what a receipt is for is there, and stays for a while: it can be asked for.
    pub(super) fn lasts(&self, receipt: &Receipt) -> bool {
        let until = self.floor.map_or(receipt.kept_until, |floor| receipt.kept_until.min(receipt.elapsed.saturating_add(floor)));
        until > self.elapsed.saturating_add(SOON) && !self.leaving.contains(&hex::encode(&receipt.manifest.0))
    }
}

impl Courier {
    /// Asks which orders there are. Whether what is known of what it keeps is another now than before.
    pub(super) async fn heed(&self, house: &House, caller: &Caller) -> Result<bool, SendError> {
        let answered = caller.ask(Method::GET, "/v1/orders", HeaderMap::new(), bytes::Bytes::new()).await?;
        // One of before there were orders: nothing can be shortened there.
        if answered.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let orders = Orders::decode(&taken(answered)?).map_err(|error| SendError::Nonsense(error.to_string()))?;
        self.take_orders(house, &orders)
    }

    fn take_orders(&self, house: &House, orders: &Orders) -> Result<bool, SendError> {
        if !orders.orders.iter().all(|told| self.is_for_us(told, orders.second_key)) {
            return Err(SendError::Nonsense(
                "it tells of an order that was not signed for this box with the second organisation's key".into(),
            ));
        }
        let before = self.lock().notes.heeded.clone();
        let now = house.world.wall();
        let mut heeded = Heeded { gone: before.gone.clone(), elapsed: orders.elapsed, ..Heeded::default() };
        heeded.second_key = orders.second_key.map(|key| hex::encode(&key));
        heeded.orders = orders.orders.iter().map(|told| shown(told, now, orders.elapsed)).collect();
        for told in orders.orders.iter().filter(|told| told.state != OrderState::Cancelled) {
            let soon = told.state == OrderState::Counts || told.from <= orders.elapsed.saturating_add(SOON);
            match &told.signed.order.what {
                What::Snapshots(named) if told.state == OrderState::Counts => {
                    heeded.gone.extend(named.iter().map(|one| hex::encode(&one.0)))
                }
                What::Snapshots(named) if soon => heeded.leaving.extend(named.iter().map(|one| hex::encode(&one.0))),
                What::Floor(floor) if soon => heeded.floor = Some(heeded.floor.map_or(*floor, |known| known.min(*floor))),
                _ => {}
            }
        }
        let changed = (&heeded.leaving, &heeded.floor, &heeded.gone) != (&before.leaving, &before.floor, &before.gone);
        self.let_go(house, &heeded)?;
        self.lock().notes.heeded = heeded.clone();
        self.tell(house, &before, &heeded);
        Ok(changed)
    }

    /// Receipts bind nobody any more for what an order has let go: but for the newest one, which is never let go.
    fn let_go(&self, house: &House, heeded: &Heeded) -> Result<(), SendError> {
        let (gone, newest): (Vec<Receipt>, u64) = {
            let progress = self.lock();
            let newest = progress.last.map_or(0, |(number, _)| number);
            let gone = progress.signed.values().filter(|receipt| receipt.number != newest && heeded.has_let_go(&receipt.manifest.0));
            (gone.cloned().collect(), newest)
        };
        if gone.is_empty() {
            return Ok(());
        }
        tracing::info!(receiver = %self.name(), snapshots = gone.len(), newest, "an order counts: the other box has let these go");
        let numbers: Vec<u64> = gone.iter().map(|receipt| receipt.number).collect();
        house.store.drop_receipts(self.name(), &numbers).map_err(|error| SendError::Own(keepwell_api::error::chain(&error)))?;
        let mut progress = self.lock();
        for receipt in &gone {
            progress.signed.remove(&receipt.manifest.0);
        }
        Ok(())
    }

    fn is_for_us(&self, told: &OrderTold, second_key: Option<[u8; 32]>) -> bool {
        let order = &told.signed.order;
        let signed = second_key.zip(told.signed.signature);
        let signed = signed.is_some_and(|(key, signature)| keepwell_crypt::verify(&key, &order.encode(), &signature).is_ok());
        signed && order.vault.0 == self.row.vault && order.receiver == self.name()
    }

    /// What is new goes into the ledger.
    fn tell(&self, house: &House, before: &Heeded, heeded: &Heeded) {
        if before.second_key != heeded.second_key {
            let key = heeded.second_key.as_deref().unwrap_or("none");
            self.keep(
                house,
                &self.event(house, "second-key").with("key", key).with("before", before.second_key.as_deref().unwrap_or("none")),
            );
        }
        for order in &heeded.orders {
            let known = before.orders.iter().find(|known| known.id == order.id).map(|known| known.state);
            if known == Some(order.state) {
                continue;
            }
            let code = match order.state {
                State::Pending => "order-pending",
                State::Counts => "order-counts",
                State::Cancelled => "order-cancelled",
            };
            tracing::warn!(receiver = %self.name(), order = order.id, code, snapshots = order.snapshots, "an order to keep something for a shorter time");
            let event =
                self.event(house, code).with("order", &order.id).with("snapshots", order.snapshots).with("counts-at", order.counts_at);
            self.keep(house, &order.floor_s.map_or(event.clone(), |floor| event.with("floor", floor)));
        }
    }

    /// Cancels an order there.
    pub(crate) async fn cancel(&self, house: &House, id: OrderId) -> Result<(), SendError> {
        let caller = Caller::connect(&self.row.address, &house.identity, self.name(), SILENCE).await?;
        let cancel = Cancel { id, vault: keepwell_format::VaultId(self.row.vault), receiver: self.name() };
        let body = CancelOrder { cancel, right: Right::Tenant }.encode();
        self.lock().notes.contact_at = Some(house.world.wall());
        taken(caller.ask(Method::POST, "/v1/orders/cancel", HeaderMap::new(), body.into()).await?)?;
        self.heed(house, &caller).await.map(drop)
    }

    /// What it has signed for and is bound by.
    pub(crate) fn receipts(&self, house: &House) -> Result<ReceiptsOf, StoreError> {
        let receipts = house.store.receipts(self.name())?;
        let elapsed = receipts.last().map_or(0, |(receipt, _)| receipt.elapsed).max(self.lock().notes.heeded.elapsed);
        let head = receipts.last().map(|(receipt, signature)| hex::encode(blake3::hash(&receipt.encode(signature)).as_bytes()));
        let one = |receipt: Receipt| ReceiptTold {
            number: receipt.number,
            snapshot: hex::encode(&receipt.manifest.0),
            share: None,
            received_at: receipt.received,
            elapsed: receipt.elapsed,
            kept_until: receipt.kept_until,
        };
        Ok(ReceiptsOf {
            receiver: self.name().to_string(),
            place: self.row.place.clone(),
            vault: hex::encode(&self.row.vault),
            elapsed,
            head,
            receipts: receipts.into_iter().map(|(receipt, _)| one(receipt)).collect(),
        })
    }

    /// Snapshots with a receipt whose objects can be asked for.
    pub(super) fn lasting(&self) -> BTreeSet<[u8; 32]> {
        let progress = self.lock();
        progress.signed.values().filter(|receipt| progress.notes.heeded.lasts(receipt)).map(|receipt| receipt.manifest.0).collect()
    }
}

fn shown(told: &OrderTold, now: i64, elapsed: u64) -> Told {
    let floor_s = if let What::Floor(floor) = told.signed.order.what { Some(floor) } else { None };
    let state = match told.state {
        OrderState::Pending => State::Pending,
        OrderState::Counts => State::Counts,
        OrderState::Cancelled => State::Cancelled,
    };
    let [oldest_at, newest_at] = told.came;
    let counts_at = counts_at(now, elapsed, told.from);
    let id = told.signed.order.id.to_string();
    Told { id, state, snapshots: told.snapshots, floor_s, given_at: told.given, counts_at, oldest_at, newest_at }
}
