//! Orders that shorten what this box promised a tenant (`docs/wire.md` 9). Takes one that two organisations gave: the one with two papers of the kit that was paired, the other one with the key that was
//! pinned at the invitation. An order is durable before it is answered, and used up for ever. Must never shorten anything at once.

use keepwell_api::hex;
use keepwell_api::offsite::{OrderState as State, OrderTold as Told};
use keepwell_offsite::{Ordered, Shortened, Tenant, WAIT};
use keepwell_wire::KeyName;
use keepwell_wire::pairing::Between;
use keepwell_wire::recover::RecoverRequest;
use keepwell_wire::shorten::{CancelOrder, GiveOrder, MAX_TOLD, OrderId, OrderSecret, OrderState, OrderTold, Orders, Right, SignedOrder};

use crate::error::Error;
use crate::house::{House, lock};
use crate::receiver::{NotNow, NotTaken};
use crate::store::{Happened, OrderRow, TenantRow};

/// Orders of one tenant that may be pending at a time.
const MOST_PENDING: usize = 4;

type Taken = Result<Result<Orders, NotTaken>, NotNow>;

/// What only two papers can answer: those of a kit that was paired, and of none that came later. Whoever took over the box could have sent slots with a kit of their own, which may fetch things and must
/// not shorten them.
pub(crate) fn challenge(house: &House, between: &Between, request: &RecoverRequest) -> Result<Option<Vec<u8>>, NotNow> {
    let mut bytes = [0; 32];
    house.world.random(&mut bytes).map_err(failed)?;
    let secret = OrderSecret::from_bytes(bytes);
    let Ok(sealed) = keepwell_crypt::wrap_for_recipient(&request.recipient, &secret.payload()) else { return Ok(None) };
    let tenants = house.store.tenants().map_err(failed)?;
    if tenants.iter().any(|row| row.vault == request.vault.0 && row.recipients.contains(&request.recipient)) {
        lock(&house.orders).add(between.exporter, request.vault, secret, house.steady());
    }
    Ok(Some(sealed))
}

/// Takes an order.
pub(crate) fn take(house: &House, between: &Between, given: &GiveOrder) -> Taken {
    // Held until it is taken: two that come at once come one after the other.
    let mut open = lock(&house.orders);
    let (order, bytes) = (&given.signed.order, given.signed.order.encode());
    let Some(asked) = open.remove(&between.exporter, house.steady()) else { return Ok(Err(bad_proof())) };
    if !asked.secret.is_proven(between, &bytes, &given.proof) {
        house.refused(between.source, "order");
        return Ok(Err(bad_proof()));
    }
    let Some(row) = tenant(house, asked.vault.0)? else { return Ok(Err(bad_proof())) };
    house.tick().map_err(failed)?;
    let taken = house.receiver.with(KeyName(row.name), |tenant, now| {
        if let Err(no) = may(house, &row, &given.signed)? {
            return Ok(Err(no));
        }
        let (what, receipts) = match tenant.look_at(order, now) {
            Ok(found) => found,
            Err(no) => return Ok(Err(NotTaken { code: no.code(), message: format!("{no}; nothing is kept for a shorter time") })),
        };
        let came = receipts.iter().map(|receipt| receipt.received);
        let (receipts_named, floor) = match &what {
            Ordered::Receipts(numbers) => (numbers.iter().copied().collect(), None),
            Ordered::Floor(floor) => (Vec::new(), Some(*floor)),
        };
        let new = OrderRow {
            id: order.id.0,
            vault: row.vault,
            signed: hex::encode(&given.signed.encode()),
            state: State::Pending,
            from: now.elapsed.saturating_add(WAIT),
            given: now.wall,
            receipts: receipts_named,
            floor,
            snapshots: receipts.len() as u64,
            came: [came.clone().min().unwrap_or(0), came.max().unwrap_or(0)],
        };
        house.store.put_order(&new, &event(house, "order-taken", &row, &new)).map_err(failed)?;
        tenant.shorten(Shortened { id: order.id, from: new.from, what });
        tracing::warn!(tenant = %KeyName(row.name), order = %order.id, snapshots = new.snapshots, "an order was taken: in seven days, something is kept for a shorter time");
        told(house, &row, &[new]).map(Ok)
    });
    // Its disks are away.
    let taken = taken.ok_or(NotNow)??;
    if let Err(no) = &taken {
        let refused = Happened::new(house.world.wall(), "order-refused").with("tenant", KeyName(row.name)).with("order", order.id);
        house.note(&refused.with("why", no.code));
    }
    Ok(taken)
}

/// What speaks against an order, whatever is kept.
fn may(house: &House, row: &TenantRow, signed: &SignedOrder) -> Result<Result<(), NotTaken>, NotNow> {
    let order = &signed.order;
    let no = |code, message: &str| Ok(Err(NotTaken { code, message: format!("{message}; nothing is kept for a shorter time") }));
    if order.vault.0 != row.vault {
        return no("other-vault", "the order is for another vault than that of these papers");
    }
    if order.receiver != house.identity.name() {
        return no("other-receiver", "the order is for another box than this one");
    }
    let Some(second) = row.second() else {
        return no("no-second-key", "no second organisation was named when the boxes were paired, so what is here only ever ages out");
    };
    let agreed = signed.signature.is_some_and(|signature| keepwell_crypt::verify(&second, &order.encode(), &signature).is_ok());
    if !agreed {
        return no("one-signature", "the second organisation has not signed the order, or with another key than the one that was named");
    }
    let known = house.store.orders(row.vault).map_err(failed)?;
    if let Some(known) = known.iter().find(|known| known.id == order.id.0) {
        return no(
            "order-used",
            match known.state {
                State::Pending => "this order was given before, and is pending",
                State::Counts => "this order was given before, and counts since",
                State::Cancelled => "this order was given before, and was cancelled: an order is good once",
            },
        );
    }
    if known.iter().filter(|known| known.state == State::Pending).count() >= MOST_PENDING {
        return no("too-many-orders", "as many orders are pending as may be");
    }
    Ok(Ok(()))
}

/// Cancels an order that does not count yet.
pub(crate) fn cancel(house: &House, between: &Between, cancelled: &CancelOrder) -> Taken {
    let mut open = lock(&house.orders);
    let (cancel, bytes) = (&cancelled.cancel, cancelled.cancel.encode());
    let row = tenant(house, cancel.vault.0)?.filter(|_| cancel.receiver == house.identity.name());
    let by = match &cancelled.right {
        Right::Tenant => row.as_ref().filter(|row| row.name == between.source.0).map(|_| "box"),
        Right::Papers(proof) => {
            let asked = open.remove(&between.exporter, house.steady()).filter(|asked| asked.vault == cancel.vault);
            asked.filter(|asked| asked.secret.is_proven(between, &bytes, proof)).map(|_| "papers")
        }
        Right::Second(signature) => {
            let second = row.as_ref().and_then(TenantRow::second);
            second.filter(|second| keepwell_crypt::verify(second, &bytes, signature).is_ok()).map(|_| "second-key")
        }
    };
    let (Some(row), Some(by)) = (row, by) else { return Ok(Err(bad_proof())) };
    let done = house.receiver.with(KeyName(row.name), |tenant, _| {
        let known = house.store.orders(row.vault).map_err(failed)?.into_iter().find(|known| known.id == cancel.id.0);
        match known {
            Some(known) if known.state == State::Pending => {
                let gone = OrderRow { state: State::Cancelled, ..known };
                house.store.put_order(&gone, &event(house, "order-cancelled", &row, &gone).with("by", by)).map_err(failed)?;
                tenant.keep_all_the_same(cancel.id);
                tracing::info!(order = %cancel.id, by, "an order was cancelled: all is kept as was promised");
                told(house, &row, &[gone]).map(Ok)
            }
            Some(known) if known.state == State::Cancelled => told(house, &row, &[known]).map(Ok),
            Some(_) => Ok(Err(NotTaken { code: "no-order", message: "the order counts already: what it named has been let go".into() })),
            None => Ok(Err(NotTaken { code: "no-order", message: "no such order is pending here".into() })),
        }
    });
    done.ok_or(NotNow)?
}

/// All that is to be said to a tenant.
pub(crate) fn of_key(house: &House, name: KeyName) -> Result<Option<Orders>, NotNow> {
    let tenants = house.store.tenants().map_err(failed)?;
    let Some(row) = tenants.iter().find(|row| row.name == name.0) else { return Ok(None) };
    told(house, row, &newest(house.store.orders(row.vault).map_err(failed)?)).map(Some)
}

/// Those that are pending, and of the others the newest ones.
fn newest(mut orders: Vec<OrderRow>) -> Vec<OrderRow> {
    orders.sort_by_key(|order| (order.state == State::Pending, order.given));
    let first = orders.len().saturating_sub(MAX_TOLD);
    orders.split_off(first)
}

fn told(house: &House, row: &TenantRow, orders: &[OrderRow]) -> Result<Orders, NotNow> {
    let one = |order: &OrderRow| {
        let state = match order.state {
            State::Pending => OrderState::Pending,
            State::Counts => OrderState::Counts,
            State::Cancelled => OrderState::Cancelled,
        };
        let signed = signed(order).ok_or(NotNow)?;
        Ok(OrderTold { signed, state, from: order.from, given: order.given, snapshots: order.snapshots, came: order.came })
    };
    let orders = orders.iter().map(one).collect::<Result<_, _>>()?;
    Ok(Orders { second_key: row.second(), elapsed: house.elapsed_of(row), orders })
}

fn signed(order: &OrderRow) -> Option<SignedOrder> {
    let digits = order.signed.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().and_then(hex::decode::<1>).map(|[byte]| byte));
    SignedOrder::decode(&digits.collect::<Option<Vec<u8>>>()?).ok()
}

/// For the people at this box.
pub(crate) fn of_tenant(house: &House, row: &TenantRow) -> Result<Vec<Told>, Error> {
    let (elapsed, now) = (house.elapsed_of(row), house.world.wall());
    let one = |order: OrderRow| Told {
        id: OrderId(order.id).to_string(),
        state: order.state,
        snapshots: order.snapshots,
        floor_s: order.floor,
        given_at: order.given,
        counts_at: counts_at(now, elapsed, order.from),
        oldest_at: order.came[0],
        newest_at: order.came[1],
    };
    Ok(newest(house.store.orders(row.vault)?).into_iter().map(one).collect())
}

/// About when so many seconds will have gone by, for people.
pub(crate) fn counts_at(now: i64, elapsed: u64, from: u64) -> i64 {
    let seconds = |elapsed: u64| i64::try_from(elapsed).unwrap_or(i64::MAX);
    now.saturating_add(seconds(from).saturating_sub(seconds(elapsed)))
}

/// Has a tenant that is opened know its orders.
pub(crate) fn shorten(house: &House, row: &TenantRow, tenant: &mut Tenant) -> Result<(), Error> {
    for order in house.store.orders(row.vault)?.into_iter().filter(|order| order.state != State::Cancelled) {
        let what = order.floor.map_or_else(|| Ordered::Receipts(order.receipts.iter().copied().collect()), Ordered::Floor);
        tenant.shorten(Shortened { id: OrderId(order.id), from: order.from, what });
    }
    Ok(())
}

/// Orders that count now, and did not yet.
pub(crate) fn due(house: &House, row: &TenantRow) -> Vec<OrderRow> {
    let elapsed = house.elapsed_of(row);
    let orders = house.store.orders(row.vault).unwrap_or_else(|error| {
        tracing::error!(error = keepwell_api::error::chain(&error), "orders can't be read: nothing is kept for a shorter time meanwhile");
        Vec::new()
    });
    orders.into_iter().filter(|order| order.state == State::Pending && order.from <= elapsed).collect()
}

/// What they named has been let go.
pub(crate) fn have_counted(house: &House, row: &TenantRow, orders: Vec<OrderRow>) {
    for order in orders {
        let counts = OrderRow { state: State::Counts, ..order };
        if let Err(error) = house.store.put_order(&counts, &event(house, "order-counts", row, &counts)) {
            tracing::error!(error = keepwell_api::error::chain(&error), "that an order counts could not be kept; it is tried again");
        }
    }
}

fn tenant(house: &House, vault: [u8; 16]) -> Result<Option<TenantRow>, NotNow> {
    Ok(house.store.tenants().map_err(failed)?.into_iter().find(|row| row.vault == vault))
}

fn event(house: &House, code: &'static str, row: &TenantRow, order: &OrderRow) -> Happened {
    let now = house.world.wall();
    let event = Happened::new(now, code).with("tenant", KeyName(row.name)).with("order", OrderId(order.id));
    let event = event.with("snapshots", order.snapshots).with("counts-at", counts_at(now, house.elapsed_of(row), order.from));
    match order.floor {
        Some(floor) => event.with("floor", floor),
        None => event,
    }
}

fn bad_proof() -> NotTaken {
    let message = "no challenge on this connection, it is used or over, or the proof is wrong; nothing was changed".to_owned();
    NotTaken { code: "bad-proof", message }
}

fn failed(error: impl std::error::Error) -> NotNow {
    tracing::error!(error = keepwell_api::error::chain(&error), "an order could not be looked at; nothing is kept for a shorter time");
    NotNow
}
