//! The disks: what each is to the box, and how it is. What is done with them is [`acts`].

pub mod acts;
mod picture;

use askama::Template;
use axum::response::Response;
use keepwell_api::disks::Standing;
use keepwell_api::vault::{BoxDisk, BoxDisks, Membership};

use super::frame::{self, Frame};
use super::runs::capital;
use crate::app::HowItIs;
use crate::neighbours::Trouble;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;
use picture::Picture;

#[derive(Template)]
#[template(path = "disks.html")]
struct DisksPage {
    frame: Frame,
    disks: Result<Known, Trouble>,
    room: Option<(String, u64, u64)>,
    redundant: Option<bool>,
}

/// The box's disks, as the page shows them.
struct Known {
    picture: Option<Picture>,
    members: Vec<Bay>,
    others: Vec<Bay>,
    silent: Option<String>,
    to_mend: u64,
}

struct Bay {
    name: String,
    what: String,
    mark: Mark,
    model: String,
    serial: String,
    facts: String,
    reasons: Vec<String>,
    asked: Option<When>,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let (disks, status) = tokio::join!(visit.app.neighbours.get::<BoxDisks>("/v1/disks"), visit.app.status());
    let pool = match &status {
        HowItIs::Now(status) => status.pool,
        HowItIs::Silent(..) => None,
    };
    visit.show(&DisksPage {
        frame: visit.frame("Disks").reloading(60),
        disks: disks.map(|disks| known(&disks, &times, lit(&visit).as_deref())),
        room: pool.map(|pool| {
            let text = format!("{} free of {}", view::size(pool.free_bytes), view::size(pool.total_bytes));
            (text, pool.total_bytes.saturating_sub(pool.free_bytes), pool.total_bytes)
        }),
        redundant: pool.map(|pool| pool.redundant),
    })
}

/// The serial number of the disk whose light somebody let blink just now.
fn lit(visit: &Visit) -> Option<String> {
    let now = visit.now();
    visit.kept(|kept| kept.lit.clone()).ok().flatten().filter(|(_, until)| *until > now).map(|(serial, _)| serial)
}

fn drawn(disks: &[BoxDisk], lit: Option<&str>) -> Option<Picture> {
    picture::picture(disks.iter().map(|disk| (disk, mark(disk))), lit)
}

/// How a disk stands.
fn mark(disk: &BoxDisk) -> Mark {
    match (disk.membership, &disk.disk) {
        (Membership::Missing, Some(of)) if of.standing.unreadable().is_some() => {
            Mark { status: "bad", icon: "broken", word: "Can't be read" }
        }
        (Membership::Missing, _) => Mark { status: "bad", icon: "broken", word: "Missing" },
        (_, None) => view::UNKNOWN,
        (_, Some(of)) => view::of_verdict(of.health.verdict),
    }
}

fn known(disks: &BoxDisks, times: &Times, lit: Option<&str>) -> Known {
    let (members, others): (Vec<_>, Vec<_>) = disks.disks.iter().partition(|disk| disk.membership != Membership::None);
    Known {
        picture: drawn(&disks.disks, lit),
        members: members.into_iter().map(|disk| bay(disk, times)).collect(),
        others: others.into_iter().map(|disk| bay(disk, times)).collect(),
        silent: disks.diskd_silent.as_deref().map(capital),
        to_mend: disks.to_mend,
    }
}

fn bay(disk: &BoxDisk, times: &Times) -> Bay {
    let name = disk.pool_name.clone().unwrap_or_else(|| "Not in use".into());
    let what = match disk.membership {
        Membership::Member => "Holds copies.",
        Membership::Missing if disk.disk.as_ref().is_some_and(|of| of.standing.unreadable().is_some()) => {
            "It holds copies, which can't be read now."
        }
        Membership::Missing => "The box waits for it: it holds copies, and is not there.",
        Membership::Leaving => "Its copies are moving to the others. Leave it in until that is done.",
        Membership::None => "Holds no copies of this box.",
    };
    let mark = mark(disk);
    let Some(of) = &disk.disk else {
        let (model, serial, facts, asked) = (String::new(), String::new(), String::new(), None);
        return Bay { name, what: what.into(), mark, model, serial, facts, reasons: Vec::new(), asked };
    };
    let mut facts: Vec<_> = of.bay.map(|bay| format!("Bay {bay}")).into_iter().collect();
    facts.push(format!("{}, {}", view::size(of.size_bytes), of.bus));
    facts.extend(of.health.temperature_celsius.map(|degrees| format!("{degrees} °C")));
    facts.extend(of.health.power_on_hours.map(|hours| format!("{} hours", view::number(hours))));
    facts.extend(of.health.wear_percent.map(|part| format!("{part} % worn")));
    let state = match (&disk.membership, &of.standing) {
        (Membership::None, Standing::Blank) => " It is blank.",
        (Membership::Missing, standing) if standing.unreadable().is_some() => {
            " It is connected, but its file system can't be read. While enough other disks are there nothing is lost. The box tries again by itself; if this stays, \
             replace it. Don't erase it while another disk is missing."
        }
        (Membership::None, Standing::Prepared { unreadable: Some(_), mounted_at: None, .. }) => {
            " It is a disk of this box whose file system can't be read. Don't erase it while the box waits for a disk."
        }
        (Membership::None, Standing::Own { .. }) => " The box itself runs from it.",
        (Membership::None, Standing::Foreign { .. } | Standing::OtherBox { .. }) => {
            " Something else is on it. Nothing touches that, unless somebody types that this very disk is to be erased."
        }
        _ => "",
    };
    Bay {
        name,
        what: format!("{what}{state}"),
        mark,
        model: view::name(of.model.as_bytes()),
        serial: of.serial.to_string(),
        facts: facts.join(", "),
        reasons: of.health.reasons.iter().map(|reason| capital(&reason.text)).collect(),
        asked: of.health.polled_at.map(|at| times.at(at)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::{Value, json};

    use super::*;

    fn lacking(standing: Value) -> Bay {
        let disk = serde_json::from_value(json!({
            "pool_name": "S1", "membership": "missing",
            "disk": { "serial": "S1", "device": "sda", "wwn": null, "model": "m", "bus": "sata", "size_bytes": 1, "rotational": true, "removable": false,
                "notes": [], "standing": standing, "health": { "verdict": "healthy", "reasons": [] }, "job": null, "first_seen": 0, "last_seen": 0 },
        }));
        bay(&disk.expect("a disk"), &Times::new(TimeZone::UTC, 0))
    }

    #[test]
    fn a_disk_that_is_connected_is_not_called_missing() {
        let torn = lacking(json!({ "kind": "prepared", "disk": "d", "mounted_at": null, "unreadable": "Structure needs cleaning" }));
        assert!(
            torn.mark.word == "Can't be read" && torn.what.contains("is connected") && !torn.what.contains("not there"),
            "{}",
            torn.what
        );
        let gone = lacking(json!({ "kind": "absent" }));
        assert!(gone.mark.word == "Missing" && gone.what.contains("not there"), "{}", gone.what);
    }
}
