//! What boxes elsewhere owe this one, and what is to be told of those that this one keeps for: judged at each look, by what replicad says. Judges only; when it is said, and to whom, the watch
//! and its incidents decide.

use std::collections::BTreeMap;

use keepwell_api::offsite::{Event, OrderState, OrderTold, Receiver, Status, TenantTold};
use keepwell_duties::{At, Book, Duty, DutyKind, Numbers};

use super::ShareHere;
use super::content::{Content, LATE};
use crate::appliance::Appliance;

/// A place's name as a sentence takes it: other people chose it.
const NAME_MAX: usize = 60;

/// Rounds are an hour apart. Who has not spoken the protocol for so long, seconds, does not happen to be cut in the middle of a word.
const STUBBORN: i64 = 2 * 3_600;

/// Rounds are an hour apart: who has not answered for so long, seconds, can't be reached.
const REACHED: i64 = LATE / 4;

/// What a look makes of a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Kept, as of then.
    Kept(i64),
    /// Broken: why, and what was counted.
    Broken(&'static str, Numbers),
    /// Nothing new can be said.
    Silent,
}

/// Looks at all of them. As long as replicad has not heard what is to be sent, what is there says nothing.
pub(crate) fn look(appliance: &Appliance, status: &Status, shares: &BTreeMap<String, ShareHere>, now: i64) {
    let mut seen = Vec::new();
    for (place, receiver) in names(status.receivers.iter().map(|one| (one.place.as_str(), one.name.as_str(), one))) {
        seen.extend(of_receiver(&place, receiver, status.handed_over.then_some(shares), now));
    }
    for (practice, tenant) in names(status.tenants.iter().map(|one| (one.practice.as_str(), one.vault.as_str(), one))) {
        seen.push((Duty::room_of_tenant(&practice), of_tenant(tenant, now)));
        seen.push((Duty::orders_of_tenant(&practice), orders("tenant", &tenant.orders, now)));
    }
    appliance.watch.elsewhere(seen, appliance);
}

/// What happened where other boxes come in, and somebody has to look at: taken from the event that goes into the ledger.
pub(crate) fn door(event: &Event) -> Option<&'static str> {
    match (event.code.as_str(), event.fields.get("why").map(String::as_str)) {
        ("tenant-replaced", _) => Some("replaced"),
        ("tenant-refused", Some("papers")) => Some("papers"),
        ("tenant-refused", Some("replaced")) => Some("returned"),
        ("tenant-refused", Some("order")) => Some("order"),
        ("tenant-refused", _) => Some("invitation"),
        _ => None,
    }
}

/// How bad it is, of two that nobody has looked at yet.
pub(crate) fn worse(one: &'static str, other: &str) -> bool {
    let weight = |code| ["invitation", "order", "papers", "returned", "replaced"].iter().position(|known| *known == code);
    weight(one) > weight(other)
}

/// Each by a name of its own that can stand in a sentence; two places of one name are told apart by their keys.
fn names<'a, T: 'a>(all: impl Iterator<Item = (&'a str, &'a str, T)>) -> Vec<(String, T)> {
    let named: Vec<(String, &str, T)> = all.map(|(name, key, of)| (shown(name), key, of)).collect();
    let count = named.iter().fold(BTreeMap::<String, usize>::new(), |mut count, (name, ..)| {
        *count.entry(name.clone()).or_default() += 1;
        count
    });
    let own = |name: String, key: &str| if count[&name] > 1 { format!("{name} ({})", key.get(..8).unwrap_or(key)) } else { name };
    named.into_iter().map(|(name, key, of)| (own(name, key), of)).collect()
}

fn shown(name: &str) -> String {
    let hidden =
        |c: &char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let name: String = name.chars().filter(|c| !hidden(c)).take(NAME_MAX).collect();
    let name = name.trim();
    if name.is_empty() { "The other box".into() } else { name.to_owned() }
}

fn of_receiver(place: &str, receiver: &Receiver, shares: Option<&BTreeMap<String, ShareHere>>, now: i64) -> Vec<(Duty, Seen)> {
    let heard_at = receiver.contact_at.unwrap_or(receiver.paired_at).min(now);
    let duty = |kind| Duty::of_peer(kind, place);
    let code = receiver.failure.as_ref().map(|failure| failure.code.as_str());
    let content = shares.map(|shares| Content::of(receiver, shares, now));
    let of_content = |judge: fn(&Content, bool, i64) -> Seen| {
        // While it can't be reached that is what is told, and not what follows from it.
        let reached = now <= heard_at.saturating_add(REACHED);
        content.as_ref().map_or(Seen::Silent, |content| judge(content, reached, now))
    };
    vec![
        (duty(DutyKind::OffsiteContact), contact(code, heard_at, now)),
        (duty(DutyKind::OffsiteReceipts), faultless(code, heard_at)),
        (duty(DutyKind::OffsiteRoom), room(code, heard_at)),
        (duty(DutyKind::OffsiteLoss), loss(receiver, now)),
        (duty(DutyKind::OffsiteOrders), orders("pending", &receiver.orders, heard_at)),
        (duty(DutyKind::OffsiteCopy), of_content(copy)),
    ]
}

/// A line that is down ends no alarm: only the right box, at the other end, does.
fn contact(code: Option<&str>, heard_at: i64, now: i64) -> Seen {
    match code {
        Some("handshake") if now > heard_at.saturating_add(STUBBORN) => Seen::Broken("handshake", Numbers::new()),
        Some("other-key") => Seen::Broken("other-key", Numbers::new()),
        Some("replaced") => Seen::Broken("replaced", Numbers::new()),
        Some("stranger") => Seen::Broken("stranger", Numbers::new()),
        Some("ended") => Seen::Broken("ended", Numbers::new()),
        Some("unreachable" | "cut" | "handshake" | "own") => Seen::Silent,
        _ => Seen::Kept(heard_at),
    }
}

fn faultless(code: Option<&str>, heard_at: i64) -> Seen {
    match code {
        Some("nonsense") => Seen::Broken("nonsense", Numbers::new()),
        // A whole round, with all its receipts.
        None => Seen::Kept(heard_at),
        _ => Seen::Silent,
    }
}

fn room(code: Option<&str>, heard_at: i64) -> Seen {
    match code {
        Some("quota") => Seen::Broken("quota", Numbers::new()),
        Some("full") => Seen::Broken("full", Numbers::new()),
        None => Seen::Kept(heard_at),
        _ => Seen::Silent,
    }
}

/// Found by a challenge, or by a survey since. What was sent again is over when the next challenge finds nothing.
fn loss(receiver: &Receiver, now: i64) -> Seen {
    let Some(challenge) = &receiver.challenge else { return Seen::Silent };
    let count = |objects: u64| vec![("objects".to_owned(), i64::try_from(objects).unwrap_or(i64::MAX))];
    let since = challenge.lost_at.is_some_and(|lost_at| lost_at >= challenge.at);
    match (challenge.lost, challenge.lost.saturating_sub(challenge.mended)) {
        (_, missing @ 1..) => Seen::Broken("lost", count(missing)),
        (lost @ 1.., 0) => Seen::Broken("mended", count(lost)),
        (0, 0) if since => Seen::Broken("mended", count(0)),
        (0, 0) => Seen::Kept(challenge.at.min(now)),
    }
}

fn copy(content: &Content, reached: bool, now: i64) -> Seen {
    let age = |since: i64| ("age_s".to_owned(), now.saturating_sub(since));
    let never = content.awaited.iter().filter(|due| **due < now).count();
    let late = |at: i64| now > at.saturating_add(LATE);
    match &content.challenge {
        _ if never > 0 => Seen::Broken("never", vec![("shares".into(), i64::try_from(never).unwrap_or(i64::MAX))]),
        _ if !reached => Seen::Silent,
        _ if late(content.oldest) => Seen::Broken("overdue", vec![age(content.oldest)]),
        Some(challenge) if late(challenge.at) => Seen::Broken("unproven", vec![age(challenge.at)]),
        Some(challenge) => Seen::Kept(content.oldest.min(challenge.at).min(now)),
        None => Seen::Silent,
    }
}

/// Somebody has to look before it counts. When it does, or was cancelled, that is over.
fn orders(code: &'static str, orders: &[OrderTold], seen_at: i64) -> Seen {
    let pending = orders.iter().filter(|order| order.state == OrderState::Pending);
    match pending.clone().map(|order| order.counts_at).min() {
        None => Seen::Kept(seen_at),
        Some(counts_at) => {
            let count = i64::try_from(pending.count()).unwrap_or(i64::MAX);
            Seen::Broken(code, vec![("orders".into(), count), ("counts_at".into(), counts_at)])
        }
    }
}

fn of_tenant(tenant: &TenantTold, now: i64) -> Seen {
    match tenant.fills_percent().map(|percent| i64::try_from(percent).unwrap_or(i64::MAX)) {
        Some(percent) if tenant.is_nearly_full() => Seen::Broken("tenant", vec![("percent".into(), percent)]),
        Some(_) => Seen::Kept(now),
        None => Seen::Silent,
    }
}

/// Takes over what a look saw: these are owed, and no others of the kind. In the hour after a start, what got old by that alone is no failure yet.
pub(crate) fn enter(book: &mut Book, seen: Vec<(Duty, Seen)>, now: At) {
    let others = |duty: &Duty| duty.kind.is_offsite() && duty.kind != DutyKind::OffsiteDoor && !seen.iter().any(|(known, _)| known == duty);
    let gone: Vec<Duty> = book.owed().iter().map(|owed| owed.duty.clone()).filter(others).collect();
    gone.iter().for_each(|duty| book.drop(duty));
    for (duty, seen) in seen {
        book.owe(duty.clone(), now);
        match seen {
            Seen::Kept(at) => book.prove(&duty, At(at), Numbers::new()),
            Seen::Broken("overdue" | "unproven", _) if book.is_in_grace(now) => {}
            Seen::Broken(code, numbers) => book.fail(&duty, now, code, numbers),
            Seen::Silent => {}
        }
    }
}

#[cfg(test)]
mod tests;
