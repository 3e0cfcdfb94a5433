//! The second site: what of this box is there, how old that is and when it was proven; and what this box keeps for others. Pairing is [`acts`]; what a failure means, [`words`].

pub mod acts;
pub mod line;
pub mod sheet;
mod words;

use askama::Template;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::offsite::{Backlog, ChallengeTold, Offsite, ReceiverTold, STATE_NAME, Stands, TenantTold};
use keepwell_duties::words::duration;

use super::frame::{self, Frame};
use crate::neighbours::Trouble;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;
use words::Words;

/// Where vaultd says it.
pub(crate) const ROUTE: &str = "/v1/offsite";

#[derive(Template)]
#[template(path = "offsite.html")]
struct OffsitePage {
    frame: Frame,
    known: Result<Known, Trouble>,
    may_change: bool,
    needs_code: bool,
    may_send: bool,
}

/// As the page shows it.
struct Known {
    /// Name of this box's key among boxes.
    name: String,
    listening: Option<String>,
    /// Why others can't reach this box although they should.
    deaf: Option<String>,
    line: line::LineForm,
    receivers: Vec<Receiver>,
    tenants: Vec<Tenant>,
}

/// A box that keeps copies for this one.
struct Receiver {
    number: usize,
    place: String,
    mark: Mark,
    words: String,
    trouble: Option<Words>,
    facts: Vec<(&'static str, String)>,
    copies: Vec<Copy>,
    four_words: String,
    address: String,
    key: String,
}

/// A share there.
struct Copy {
    share: String,
    tier: u8,
    taken: Option<(When, String)>,
    mark: Mark,
}

/// A practice whose copies are kept here.
struct Tenant {
    number: usize,
    practice: String,
    mark: Mark,
    room: Option<(String, u64, u64)>,
    facts: Vec<(&'static str, String)>,
    four_words: String,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let told = visit.app.neighbours.get::<Offsite>(ROUTE).await;
    visit.show(&OffsitePage {
        frame: visit.frame("Second site").reloading(60),
        known: told.map(|told| known(told, &times, visit.app.settings.zone.iana_name())),
        may_change: visit.may(Verb::OffsiteChange),
        needs_code: visit.needs_code(Verb::OffsiteChange),
        may_send: visit.may(Verb::RunNow),
    })
}

fn known(told: Offsite, times: &Times, zone: Option<&str>) -> Known {
    Known {
        line: line::shown(&told.line, zone.unwrap_or("UTC")),
        name: told.name,
        listening: told.listening,
        deaf: told.not_listening.map(|why| view::name(why.as_bytes())),
        receivers: (1..).zip(&told.receivers).map(|(number, receiver)| Receiver { number, ..of_receiver(receiver, times) }).collect(),
        tenants: (1..).zip(&told.tenants).map(|(number, tenant)| of_tenant(number, tenant, times)).collect(),
    }
}

fn of_receiver(told: &ReceiverTold, times: &Times) -> Receiver {
    let place = view::name(told.place.as_bytes());
    let (mark, words) = stands(told, times);
    Receiver {
        number: 0,
        mark,
        words,
        trouble: told.failure.as_ref().map(|failure| words::of(failure, &place, times)),
        facts: facts(told, times),
        copies: told.tiers.iter().flat_map(|tier| copies(tier, times)).collect(),
        four_words: told.words.clone(),
        address: view::name(told.address.as_bytes()),
        key: told.name.clone(),
        place,
    }
}

fn stands(told: &ReceiverTold, times: &Times) -> (Mark, String) {
    let ago = told.verified_at.map_or_else(String::new, |at| times.ago(at));
    let mark = |status, icon, word| Mark { status, icon, word };
    match told.stands {
        Stands::Proven => (mark("ok", "tick", "Proven"), format!("All that is to be there is there: signed for, and proven {ago}.")),
        Stands::Overdue => {
            (mark("warn", "clock", "Overdue"), format!("The last proof is of {ago}. Work since then is in this building alone."))
        }
        Stands::Lost => (
            mark("bad", "cross", "Failed"),
            "It lost some of what it had signed for. All of that is here, and is sent there again by itself.".into(),
        ),
        Stands::NotYet if told.tiers.iter().all(|tier| tier.copies.is_empty()) => {
            (mark("warn", "clock", "Not proven"), "Nothing is there yet as a whole: one fire would still take all copies.".into())
        }
        Stands::NotYet => (mark("warn", "clock", "Not proven"), "Not all is there yet, or it did not prove yet that it is.".into()),
        Stands::Unknown => (view::UNKNOWN, "The box has just started and is looking what is to be there. This takes a minute.".into()),
    }
}

fn facts(told: &ReceiverTold, times: &Times) -> Vec<(&'static str, String)> {
    let moment = |at: i64| format!("{}, {}", times.at(at).text, times.ago(at));
    let mut facts = vec![
        ("Verified content", told.verified_at.map_or_else(|| "none as a whole yet".into(), moment)),
        ("Last answer", told.contact_at.map_or_else(|| "none since it was paired".into(), moment)),
        ("Still to be sent", left(told)),
    ];
    facts.extend(told.rate.map(|rate| ("Speed of late", format!("{} a second", view::size(rate)))));
    let held = told
        .held_to
        .filter(|_| told.busy)
        .map(|rate| format!("{} a second, by the hour's limit or for others that need the line", view::size(rate)));
    facts.extend(held.map(|held| ("Held back to", held)));
    facts.push(("Last challenge", told.challenge.as_ref().map_or_else(|| "not asked yet".into(), |one| challenge(one, times))));
    facts
        .push(("Receipts", format!("{}, each verified", view::count(told.receipts, "snapshot is signed for", "snapshots are signed for"))));
    facts.push(("Kept there", format!("each copy for {} at least", days(told.floor_s))));
    facts.push(("Room there", format!("{} at most", view::size(told.quota_bytes))));
    facts.push(("Paired", times.at(told.paired_at).text));
    facts
}

fn left(told: &ReceiverTold) -> String {
    let wait = view::count(told.waiting, "snapshot", "snapshots");
    match (told.waiting, told.backlog.bytes) {
        (0, _) => "nothing: all snapshots are there".into(),
        (_, 0) if told.busy => format!("{wait}; being looked at"),
        (_, 0) => wait,
        (_, bytes) => format!("{}{} for {wait}", view::size(bytes), forecast(&told.backlog)),
    }
}

fn forecast(backlog: &Backlog) -> String {
    let seconds = backlog.forecast_s.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
    seconds.map_or_else(String::new, |seconds| format!(", about {} at the speed of late,", duration(seconds)))
}

fn challenge(told: &ChallengeTold, times: &Times) -> String {
    let asked = view::count(told.asked, "sample", "samples");
    let found = match (told.lost, told.mended) {
        (0, _) => "all there".into(),
        (lost, mended) if mended >= lost => format!("{} lost, and sent again", view::count(lost, "piece was", "pieces were")),
        (lost, _) => format!("{} lost, not sent again yet", view::count(lost, "piece is", "pieces are")),
    };
    let before = told.lost_at.filter(|_| told.lost == 0).map(|at| format!(". It had lost something {}", times.at(at).text));
    format!("{}: {asked}, {found}{}", times.at(told.at).text, before.unwrap_or_default())
}

fn days(seconds: u64) -> String {
    view::count(seconds / 86_400, "day", "days")
}

/// What people call a share; the box's own state is none.
fn share(name: &str) -> String {
    if name == STATE_NAME { "Settings of this box".into() } else { view::name(name.as_bytes()) }
}

fn copies(tier: &keepwell_api::offsite::TierOffsite, times: &Times) -> Vec<Copy> {
    let there = tier.copies.iter().map(|copy| Copy {
        share: share(&copy.share),
        tier: tier.tier,
        taken: Some((times.at(copy.taken_at), duration(i64::try_from(copy.age_s).unwrap_or(i64::MAX)))),
        mark: if copy.late {
            Mark { status: "warn", icon: "clock", word: "Overdue" }
        } else {
            Mark { status: "ok", icon: "tick", word: "Signed for" }
        },
    });
    let absent = tier.without_copy.iter().map(|name| Copy {
        share: share(name),
        tier: tier.tier,
        taken: None,
        mark: Mark { status: "warn", icon: "clock", word: "Not there yet" },
    });
    absent.chain(there).collect()
}

fn of_tenant(number: usize, told: &TenantTold, times: &Times) -> Tenant {
    let mark = match told.fills_percent() {
        None => view::UNKNOWN,
        Some(percent) if percent >= 100 => Mark { status: "bad", icon: "slash", word: "Full" },
        Some(_) if told.is_nearly_full() => Mark { status: "warn", icon: "alert", word: "Nearly full" },
        Some(_) => Mark { status: "ok", icon: "tick", word: "Has room" },
    };
    let room =
        told.used_bytes.map(|used| (format!("{} of {} used", view::size(used), view::size(told.quota_bytes)), used, told.quota_bytes));
    let came = told.received_at.map_or_else(|| "nothing yet".into(), |at| format!("{}, {}", times.at(at).text, times.ago(at)));
    let snapshots = told.snapshots.map_or_else(|| "can't be said: its folders can't be used now".into(), view::number);
    Tenant {
        number,
        practice: view::name(told.practice.as_bytes()),
        mark,
        room,
        facts: vec![("Last received", came), ("Snapshots", snapshots), ("Since", times.at(told.since).text)],
        four_words: told.words.clone(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn told(more: Value) -> ReceiverTold {
        let mut told = json!({
            "name": "ab", "place": "The other house", "address": "a:1", "words": "w x y z", "paired_at": NOW - 900_000, "quota_bytes": 2_000_000_000_000_u64,
            "floor_s": 7_776_000, "busy": false, "receipts": 1, "rate": null, "waiting": 0, "stands": "proven", "verified_at": NOW - 7_300, "tiers": [],
            "backlog": { "tier": null, "bytes": 0, "forecast_s": 0 }, "contact_at": NOW - 600, "failure": null, "challenge": null,
        });
        told.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(told).expect("a receiver")
    }

    #[test]
    fn what_is_left_is_said_as_far_as_it_is_known() {
        let times = Times::new(TimeZone::UTC, NOW);
        let left = |more| of_receiver(&told(more), &times).facts.into_iter().find(|(name, _)| *name == "Still to be sent").expect("it").1;
        assert_eq!(left(json!({})), "nothing: all snapshots are there");
        let backlog = |bytes: u64, forecast: Option<u64>| json!({ "waiting": 3, "backlog": { "tier": null, "bytes": bytes, "forecast_s": forecast } });
        assert_eq!(left(backlog(3_100_000_000, Some(14_400))), "3.1 GB, about 4 hours at the speed of late, for 3 snapshots");
        assert_eq!(left(backlog(3_100_000_000, None)), "3.1 GB for 3 snapshots");
        assert_eq!(left(backlog(0, None)), "3 snapshots");
    }

    #[test]
    fn only_what_is_proven_looks_good() {
        let times = Times::new(TimeZone::UTC, NOW);
        for (stands, status) in [("proven", "ok"), ("overdue", "warn"), ("not-yet", "warn"), ("lost", "bad"), ("unknown", "muted")] {
            let of = of_receiver(&told(json!({ "stands": stands })), &times);
            assert_eq!(of.mark.status, status, "{stands}");
        }
        let challenge = |lost: u64, mended: u64| challenge(&ChallengeTold { at: NOW, asked: 4_603, lost, mended, lost_at: None }, &times);
        assert_eq!(challenge(0, 0), "today, 08:00: 4,603 samples, all there");
        assert_eq!(challenge(1, 0), "today, 08:00: 4,603 samples, 1 piece is lost, not sent again yet");
        assert_eq!(challenge(4, 4), "today, 08:00: 4,603 samples, 4 pieces were lost, and sent again");
    }
}
