//! The second site, as people ask for it: how it stands, who is invited, with whom this box is paired. What crosses, replicad does; whether it may, and what the log says of it, is
//! decided here.

mod content;
pub(crate) mod line;
pub(crate) mod promises;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keepwell_api::grants::Grant;
use keepwell_api::hex;
use keepwell_api::offsite::{
    Backlog, CancelOrder, CopyOffsite, EndTenant, Invite, Invited, Offsite, PLACE_NAME, Pair, PairWith, Paired, ProveNow, Receipts,
    Receiver, ReceiverTold, SendNow, Stands, Status, TierOffsite, Unpair,
};
use keepwell_api::vault::Done;
use keepwell_api::{Client, ClientError};
use keepwell_audit::{Event, Value};
use keepwell_duties::Standing;
use keepwell_format::VaultId;
use keepwell_wire::{KeyName, PlaceCode};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::{keeping, place};
use content::Content;

const PATIENCE: Duration = Duration::from_secs(30);
/// The other box has to make folders on all its disks.
const PAIRING: Duration = Duration::from_secs(110);
const TIERS: [u8; 3] = [1, 2, 3];

type Answer<T> = Result<T, VaultdError>;

pub(crate) fn replicad(appliance: &Appliance) -> Client {
    Client::new("keepwell-replicad", &appliance.config.replicad, PATIENCE)
}

/// How it stands.
pub(crate) fn told(appliance: &Appliance) -> Answer<Offsite> {
    let status: Status = replicad(appliance).get("/v1/status").map_err(VaultdError::of_replicad)?;
    let shares = shares(appliance)?;
    let now = appliance.clock.believed();
    let known = status.handed_over;
    let vault = appliance.engine.vault().ok().map(|vault| vault.id());
    Ok(Offsite {
        receivers: status
            .receivers
            .iter()
            .map(|receiver| ReceiverTold {
                code: vault.and_then(|vault| code(vault, receiver)),
                ..of_receiver(receiver, known, &shares, now)
            })
            .collect(),
        name: status.name,
        listening: status.listening,
        not_listening: status.not_listening,
        line: line::set(appliance)?,
        tenants: status.tenants,
    })
}

/// Lets another box send its backups here.
pub(crate) fn invite(appliance: &Arc<Appliance>, grant: &Grant, order: Invite) -> Answer<Invited> {
    let quota = Value::Number(i64::try_from(order.quota_bytes).unwrap_or(i64::MAX));
    record(appliance, grant, "offsite-invitation", vec![("quota-bytes".into(), quota)])?;
    replicad(appliance).post("/v1/invitations", &order).map_err(VaultdError::of_replicad)
}

/// Sends this box's backups to the one that made the invitation.
pub(crate) fn pair(appliance: &Arc<Appliance>, grant: &Grant, order: PairWith) -> Answer<Paired> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    record(appliance, grant, "offsite-pairing", Vec::new())?;
    let order = Pair { invitation: order.invitation, practice: order.practice, slots: vault.slots()?.encode().into() };
    let paired: Paired = replicad(appliance).within(PAIRING).post("/v1/pair", &order).map_err(VaultdError::of_replicad)?;
    let fields = vec![("receiver".into(), Value::Text(paired.name.clone()))];
    record(appliance, grant, "offsite-paired", fields)?;
    // It has to survive this box from now on; what can't be asked now is asked soon.
    if let Ok(status) = replicad(appliance).get::<Status>("/v1/status") {
        place::remember(appliance, &status)?;
    }
    appliance.changed();
    Ok(paired)
}

/// Has it looked at once whether something is to be sent.
pub(crate) fn send(appliance: &Arc<Appliance>, _: &Grant, _: SendNow) -> Answer<Done> {
    crate::handing::hand_over(appliance)?;
    replicad(appliance).post::<Done>("/v1/send", &SendNow {}).map_err(VaultdError::of_replicad)
}

/// Has those that keep for this box prove now that they have what they signed for.
pub(crate) fn prove(appliance: &Arc<Appliance>, _: &Grant, _: ProveNow) -> Answer<Done> {
    crate::handing::hand_over(appliance)?;
    replicad(appliance).post::<Done>("/v1/prove", &ProveNow {}).map_err(VaultdError::of_replicad)
}

/// Has an order cancelled that is pending at a box that keeps for this one.
pub(crate) fn cancel_order(appliance: &Arc<Appliance>, grant: &Grant, order: CancelOrder) -> Answer<Done> {
    let fields = vec![("receiver".into(), Value::Text(order.receiver.clone())), ("order".into(), Value::Text(order.order.clone()))];
    record(appliance, grant, "offsite-order-cancelled", fields)?;
    replicad(appliance).within(PAIRING).post::<Done>("/v1/orders/cancel", &order).map_err(VaultdError::of_replicad)
}

/// Sends nothing more to a box that keeps for this one. It keeps what it promised.
pub(crate) fn unpair(appliance: &Arc<Appliance>, grant: &Grant, order: Unpair) -> Answer<Done> {
    record(appliance, grant, "offsite-unpaired", vec![("receiver".into(), Value::Text(order.receiver.clone()))])?;
    let done = replicad(appliance).post::<Done>("/v1/unpair", &order).map_err(VaultdError::of_replicad)?;
    place::forget(appliance, &order.receiver)?;
    appliance.changed();
    Ok(done)
}

/// Takes nothing more from a box that this one keeps for. What is kept ages out.
pub(crate) fn end(appliance: &Arc<Appliance>, grant: &Grant, order: EndTenant) -> Answer<Done> {
    record(appliance, grant, "offsite-tenant-ended", vec![("vault".into(), Value::Text(order.vault.clone()))])?;
    let done = replicad(appliance).post::<Done>("/v1/end", &order).map_err(VaultdError::of_replicad)?;
    appliance.changed();
    Ok(done)
}

/// What other boxes have signed for, for whoever makes an order.
pub(crate) fn receipts(appliance: &Appliance) -> Answer<Receipts> {
    let mut receipts: Receipts = replicad(appliance).get("/v1/receipts").map_err(VaultdError::of_replicad)?;
    // As long as the vault is locked, nobody can say of which shares they are.
    if let Ok(vault) = appliance.engine.vault() {
        let names: BTreeMap<String, String> =
            vault.snapshots()?.into_iter().map(|snapshot| (snapshot.id.to_string(), snapshot.body.name)).collect();
        for receipt in receipts.receivers.iter_mut().flat_map(|of| &mut of.receipts) {
            receipt.share = names.get(&receipt.snapshot).cloned();
        }
    }
    Ok(receipts)
}

/// For the page that says whether anything could be restored today; none where there is no second site.
pub(crate) fn standing(status: &Status, shares: &BTreeMap<String, ShareHere>, now: i64) -> Option<Standing> {
    // Of several, the best one: each of them has all of it.
    let each = status.receivers.iter().map(|receiver| Content::of(receiver, shares, now).standing(now));
    each.min_by_key(|standing| match standing {
        Standing::Proven { .. } => 0,
        Standing::NeverProven { .. } => 1,
        Standing::Overdue { .. } => 2,
        Standing::Failed { .. } | Standing::Unknown => 3,
    })
}

/// A share, and what this box calls it.
pub(crate) struct ShareHere {
    pub(crate) name: String,
    pub(crate) tier: u8,
    added_at: i64,
    /// When the run of its newest good copy began.
    newest: Newest,
}

/// The newest good copy of a share here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    None,
    /// Of then.
    At(i64),
    /// There is one; of when, nobody keeps.
    Some,
}

/// By id; the box's own state is one of the first tier, and whose place it took one of the last.
pub(crate) fn shares(appliance: &Appliance) -> Answer<BTreeMap<String, ShareHere>> {
    let own = ShareHere { name: keeping::NAME.to_owned(), tier: 1, added_at: 0, newest: Newest::Some };
    let of = appliance.state.shares()?.into_iter().map(|row| {
        let newest = row.clock.last_good.map_or(Newest::None, |at| Newest::At(at.0));
        (row.id.0, ShareHere { tier: row.tier.number(), added_at: row.added_at, newest, name: row.name })
    });
    let place = ShareHere { name: PLACE_NAME.to_owned(), tier: 3, added_at: 0, newest: Newest::None };
    Ok(of.chain([(keeping::NAME.to_owned(), own), (PLACE_NAME.to_owned(), place)]).collect())
}

fn of_receiver(receiver: &Receiver, known: bool, shares: &BTreeMap<String, ShareHere>, now: i64) -> ReceiverTold {
    let content = Content::of(receiver, shares, now);
    let tiers = TIERS.into_iter().map(|tier| of_tier(receiver, tier, shares, now));
    let tiers = tiers.filter(|tier| !tier.copies.is_empty() || !tier.without_copy.is_empty());
    ReceiverTold {
        name: receiver.name.clone(),
        place: receiver.place.clone(),
        address: receiver.address.clone(),
        words: receiver.words.clone(),
        code: None,
        paired_at: receiver.paired_at,
        quota_bytes: receiver.quota_bytes,
        floor_s: receiver.floor_s,
        busy: receiver.busy,
        receipts: receiver.receipts,
        waiting: receiver.waiting,
        stands: if known { content.stands(now) } else { Stands::Unknown },
        verified_at: content.verified_at().filter(|_| known),
        tiers: tiers.collect(),
        backlog: backlog(receiver, None),
        rate: receiver.rate,
        held_to: receiver.held_to,
        contact_at: receiver.contact_at,
        failure: receiver.failure.clone(),
        challenge: receiver.challenge.clone(),
        second_key: receiver.second_key.clone(),
        orders: receiver.orders.clone(),
    }
}

/// What a new box is told of it after a fire.
fn code(vault: VaultId, receiver: &Receiver) -> Option<String> {
    let receiver_key = KeyName(hex::decode(&receiver.name)?);
    Some(PlaceCode { vault, receiver: receiver_key, address: receiver.address.clone() }.to_text())
}

fn of_tier(receiver: &Receiver, tier: u8, shares: &BTreeMap<String, ShareHere>, now: i64) -> TierOffsite {
    let of = |signed: &keepwell_api::offsite::Signed| {
        let share = shares.get(&signed.share).map_or_else(|| signed.share.clone(), |share| share.name.clone());
        let age_s = u64::try_from(now - signed.taken_at).unwrap_or(0);
        let late = shares.get(&signed.share).is_some_and(|share| content::is_late(receiver, signed.taken_at, share, now));
        let (snapshot, taken_at, received_at) = (signed.snapshot.clone(), signed.taken_at, signed.received_at);
        CopyOffsite { share, snapshot, taken_at, age_s, late, received_at }
    };
    let mut copies: Vec<CopyOffsite> = receiver.signed.iter().filter(|signed| signed.tier == tier).map(of).collect();
    copies.sort_by_key(|copy| std::cmp::Reverse(copy.taken_at));
    let lacks = |(id, share): &(&String, &ShareHere)| {
        share.tier == tier && share.newest != Newest::None && !receiver.signed.iter().any(|signed| signed.share == **id)
    };
    let without_copy = shares.iter().filter(lacks).map(|(_, share)| share.name.clone()).collect();
    TierOffsite { tier, copies, without_copy, backlog: backlog(receiver, Some(tier)) }
}

fn backlog(receiver: &Receiver, tier: Option<u8>) -> Backlog {
    let found = receiver.backlog.iter().find(|backlog| backlog.tier == tier);
    found.cloned().unwrap_or(Backlog { tier, bytes: 0, forecast_s: Some(0) })
}

fn record(appliance: &Appliance, grant: &Grant, what: &str, mut fields: Vec<(String, Value)>) -> Answer<()> {
    fields.insert(0, ("what".to_owned(), Value::Text(what.to_owned())));
    appliance.record(&grant.user, Event::SettingChanged, fields)
}

impl VaultdError {
    /// What replicad says, in its own words.
    pub(crate) fn of_replicad(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => {
                let text = std::iter::once(refusal.error).chain(refusal.causes).collect::<Vec<_>>().join(": ");
                Self::Disk { code: refusal.code, text }
            }
            other => Self::Replicad(other),
        }
    }
}
