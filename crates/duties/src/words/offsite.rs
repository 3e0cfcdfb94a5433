//! The sentences about boxes elsewhere: one that keeps copies for this one, and those that this one keeps for.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::duration;
use crate::duty::DutyKind;
use crate::incident::Incident;

/// `name` is what people call the place or the practice.
pub(super) fn words(incident: &Incident, name: &str, number: &dyn Fn(&str) -> i64) -> [String; 3] {
    let code = incident.code.as_str();
    match incident.duty.kind {
        DutyKind::OffsiteContact => contact(code, name, &duration(number("age_s"))),
        DutyKind::OffsiteCopy => copy(code, name, &duration(number("age_s")), number("shares")),
        DutyKind::OffsiteLoss => loss(code, name, number("objects")),
        DutyKind::OffsiteRoom => room(code, name, number("percent")),
        DutyKind::OffsiteOrders => orders(code, name, number("orders"), &day(number("counts_at"))),
        DutyKind::OffsiteDoor => door(code),
        _ => [
            format!("{name} answers and signs what can't be right"),
            "What it signed for before still counts; nothing newer is taken for safe there".into(),
            "Have both boxes run the same release. If it stays, do not rely on that box, and pair with another".into(),
        ],
    }
}

fn contact(code: &str, place: &str, age: &str) -> [String; 3] {
    match code {
        "other-key" => [
            format!("Something else answers at the address of {place}: it has not the key that you paired with"),
            "Nothing was sent to it, and nothing is lost; nothing newer gets to the second site meanwhile".into(),
            format!("Call the people at {place}. If that box was not changed, somebody stands between: tell whoever looks after your network"),
        ],
        "replaced" => [
            format!("{place} says that another box took the place of this one, with two papers of your kit"),
            "What is there stays there; this box can neither send nor read there any more".into(),
            "If none of you set up a new box, two papers are in wrong hands: look for yours now, and call whoever is responsible for security"
                .into(),
        ],
        "handshake" => [
            format!("Something answers at the address of {place} that does not speak as that box does"),
            "Nothing was sent to it, and nothing is lost; nothing newer gets to the second site meanwhile".into(),
            "Have both boxes run the same release. If they do, somebody may stand between: tell whoever looks after your network".into(),
        ],
        "ended" => [
            format!("{place} takes no newer copies of this practice any more"),
            "What is there stays for as long as was promised, and two papers bring it back until then; newer copies are in this building alone"
                .into(),
            "Ask the people there. Pair with another box, and then leave this one".into(),
        ],
        "stranger" => [
            format!("{place} does not know this box any more"),
            "Nothing newer goes there, and what was there may be gone; all is here".into(),
            "Ask the people there what was done to that box; then pair the two again".into(),
        ],
        _ => [
            format!("{place} was not reached for {age}"),
            "What is there stays there; newer copies are in this building alone".into(),
            "Ask the people there: is that box on, and does it have internet? It is tried again by itself".into(),
        ],
    }
}

fn copy(code: &str, place: &str, age: &str, shares: i64) -> [String; 3] {
    let shares = if shares == 1 { "One share".into() } else { format!("{shares} shares") };
    match code {
        "never" => [
            format!("{shares} never got to {place} as a whole"),
            "One fire would take all copies of that".into(),
            "See on the page Second site how much is left; a first copy may be too large for the line".into(),
        ],
        "unproven" => [
            format!("{place} has not proven for {age} that it still has what it signed for"),
            "Copies are there; nothing shows that they can be read".into(),
            "See on the page Second site what keeps it".into(),
        ],
        _ => [
            format!("The copies at {place} are {age} old, older than they should be"),
            "After a fire, work since then would be lost; all is here".into(),
            "See on the page Second site how much is left to send, and what keeps it".into(),
        ],
    }
}

fn loss(code: &str, place: &str, objects: i64) -> [String; 3] {
    let pieces = match objects {
        ..=0 => "pieces".to_owned(),
        1 => "one piece".to_owned(),
        several => format!("{several} pieces"),
    };
    match code {
        "mended" => [
            format!("{place} had lost {pieces} that it had signed for; they were sent again"),
            "Both places are complete".into(),
            "Ask there how the disks of that box are. If it comes again, do not rely on it".into(),
        ],
        _ => [
            format!("{place} lost {pieces} that it had signed for"),
            "All is here; what is there has holes until they were sent again".into(),
            "Nothing yet: they are sent again by themselves. If it stays, ask there how the disks are".into(),
        ],
    }
}

fn room(code: &str, name: &str, percent: i64) -> [String; 3] {
    match code {
        "tenant" => [
            format!("{name} fills {percent} % of the room that it has on this box"),
            "Your own copies are not touched. When it is full, newer copies of theirs are refused, and nothing is removed".into(),
            format!("Tell {name}, or invite them once more with more room"),
        ],
        "full" => [
            format!("The disks at {name} are full"),
            "What is there stays there; newer copies are in this building alone".into(),
            "Ask the people there to add a disk".into(),
        ],
        _ => [
            format!("The room that this practice has at {name} is full"),
            "What is there stays there; newer copies are in this building alone".into(),
            "Ask the people there to invite this box once more, with more room".into(),
        ],
    }
}

fn orders(code: &str, name: &str, orders: i64, day: &str) -> [String; 3] {
    let ordered = if orders == 1 { "An order".into() } else { format!("{orders} orders") };
    match code {
        "tenant" => [
            format!("{ordered} came to keep copies of {name} for a shorter time than this box promised, signed by both organisations"),
            format!("Until {day} all of it is kept; from then on, what was ordered counts. Your own copies are not touched"),
            format!("Call {name}: do they know of it? They can cancel it at their box until {day}"),
        ],
        _ => [
            format!(
                "{ordered} came to {name} to keep copies of this practice for a shorter time than was promised, with two papers of your kit and the second organisation's key"
            ),
            format!("Until {day} all of it is kept there; from then on, what was ordered is let go. All is here"),
            format!(
                "If you did not mean it, cancel it before {day}: 'keepwell offsite cancel'. Then two of your papers are in wrong hands: \
                 call whoever is responsible for security"
            ),
        ],
    }
}

fn day(at: i64) -> String {
    let civil = Timestamp::from_second(at).map(|moment| TimeZone::UTC.to_datetime(moment).date());
    civil.map_or_else(|_| "a day that is not known".into(), |date| date.to_string())
}

fn door(code: &str) -> [String; 3] {
    match code {
        "replaced" => [
            "A new box took the place of one that this box keeps copies for, with two papers of its kit".into(),
            "Your own copies are not touched. All that is kept for that practice can be fetched by the new box, and by the old one no more"
                .into(),
            "Call that practice. If they did not set up a new box, somebody has their papers".into(),
        ],
        "order" => [
            "Somebody ordered this box to keep a practice's copies for a shorter time, and did not have its papers".into(),
            "It was refused; all is kept as was promised".into(),
            "Call the practices that this box keeps copies for. If none of them tried it, tell whoever looks after your network".into(),
        ],
        "returned" => [
            "A box called that has no place here any more: another one took it, with two papers of the kit".into(),
            "It was refused; nothing was given out, and nothing that is kept was touched".into(),
            "Call that practice. If their old box still runs, it has to be switched off; if it does not, somebody has its key".into(),
        ],
        "papers" => [
            "A box tried to take the place of one that this box keeps copies for, and did not have its papers".into(),
            "It was refused; nothing was given out".into(),
            "Call the practices that this box keeps copies for. If none of them tried it, tell whoever looks after your network".into(),
        ],
        _ => [
            "A box tried to pair with this one, without a good invitation".into(),
            "It was refused; nothing was changed".into(),
            "If it was one of yours, make a new invitation. If not, take this to say that you saw it".into(),
        ],
    }
}
