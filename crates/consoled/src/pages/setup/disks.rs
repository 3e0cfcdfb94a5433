//! The step of the disks: what is in the bays, and the first pool made of those whose serial numbers were typed. Erases nothing that was not typed; diskd has the
//! last word on each disk.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use keepwell_api::disks::{Disk, Serial, Standing};
use keepwell_api::grants::Verb;
use keepwell_api::vault::{BoxDisks, CreatePool, Done, FirstDisk, Membership, PoolMaking, PoolPhase};

use super::progress::{Fact, Progress, Stage};
use super::{Rung, rungs};
use crate::neighbours::Trouble;
use crate::pages::frame::Frame;
use crate::pages::runs::capital;
use crate::sessions::{Notice, locked};
use crate::view::{self, Mark};
use crate::visit::Visit;

const PAGE: &str = "/setup/disks";
/// What is refused is refused within this; what takes longer is under way.
const SOON: Duration = Duration::from_secs(3);

#[derive(Template)]
#[template(path = "setup_disks.html")]
struct DisksPage {
    frame: Frame,
    steps: Vec<Rung>,
    pool: Result<State, Trouble>,
    error: Option<String>,
    owner: String,
    needs_code: bool,
    done: bool,
}

/// What the page is about.
enum State {
    /// There is a pool.
    There(Vec<Bay>),
    /// It is being made: disks that are ready, of how many.
    Making(usize, usize),
    /// It is to be made of these.
    Choose(Vec<Bay>, Option<Begun>),
}

/// It was begun, and came to nothing: why, if that is known.
struct Begun(Option<String>);

struct Bay {
    number: usize,
    title: String,
    serial: String,
    facts: String,
    note: String,
    mark: Mark,
    /// Whether it may be taken.
    free: bool,
    typed: String,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    show(&visit, None).await
}

async fn show(visit: &Visit, error: Option<String>) -> Response {
    let (progress, pool) = tokio::join!(Progress::of(&visit.app), state(visit));
    let frame = visit.frame("Set up: disks");
    let owner = visit.form.some("owner").unwrap_or_else(|| visit.app.settings.box_name.clone());
    visit.show(&DisksPage {
        frame: if matches!(pool, Ok(State::Making(..))) { frame.reloading(5) } else { frame },
        steps: rungs(&progress, Stage::Disks),
        pool,
        error,
        owner,
        needs_code: visit.needs_code(Verb::DisksChange),
        done: progress.at(Stage::Disks) == Fact::Done,
    })
}

async fn state(visit: &Visit) -> Result<State, Trouble> {
    let box_ = &visit.app.neighbours;
    let (disks, making) = tokio::join!(box_.get::<BoxDisks>("/v1/disks"), box_.get::<PoolMaking>("/v1/pool"));
    let making = making?;
    if making.phase == PoolPhase::Making {
        return Ok(State::Making(making.ready.len(), making.disks.len()));
    }
    let disks = disks?;
    let begun = (making.phase == PoolPhase::Begun).then_some(Begun(making.failed));
    if let (Some(why), PoolPhase::None | PoolPhase::Begun) = (&disks.diskd_silent, making.phase) {
        tracing::debug!(why, "diskd is silent");
        return Ok(State::Choose(Vec::new(), begun));
    }
    let there = making.phase == PoolPhase::There;
    let shown = disks.disks.iter().filter(|one| !there || one.membership != Membership::None);
    let bays = (1..).zip(shown).filter_map(|(number, one)| {
        let name = one.pool_name.as_deref();
        one.disk.as_ref().map(|disk| bay(number, disk, (name, one.membership), &visit.form))
    });
    Ok(match making.phase {
        PoolPhase::There => State::There(bays.collect()),
        _ => State::Choose(bays.collect(), begun),
    })
}

fn bay(number: usize, disk: &Disk, (name, membership): (Option<&str>, Membership), form: &crate::form::Form) -> Bay {
    let (free, note) = standing(&disk.standing);
    let serial = disk.serial.to_string();
    Bay {
        number,
        title: name.map_or_else(|| format!("Disk {number}"), view_name),
        facts: format!("{}, {}, {}", view::name(disk.model.as_bytes()), view::size(disk.size_bytes), disk.bus),
        note,
        mark: view::of_verdict(disk.health.verdict),
        free: free && membership == Membership::None,
        typed: typed(form).find(|(known, _)| *known == serial).map_or_else(String::new, |(_, typed)| typed.to_owned()),
        serial,
    }
}

fn view_name(name: &str) -> String {
    view::name(name.as_bytes())
}

/// Whether a disk may be taken, and what there is to say of it first.
fn standing(standing: &Standing) -> (bool, String) {
    match standing {
        Standing::Blank => (true, "Nothing is on it.".into()),
        Standing::Foreign { what } => (true, format!("Something is on it ({}). All of that would be gone.", view_name(what))),
        Standing::OtherBox { name, .. } => {
            (true, format!("It holds copies of another box, {}. Take it only if nobody needs these any more.", view_name(name)))
        }
        Standing::Prepared { .. } => (true, "This box has made it ready already.".into()),
        Standing::Spoilt { why } => {
            (true, format!("What Keepwell wrote on it does not hold ({}). All of it would be gone.", view_name(why)))
        }
        Standing::Own { .. } => (false, "The box itself runs from it. It is never touched.".into()),
        Standing::Busy { by } => (false, format!("Something else uses it: {}.", view_name(by))),
        Standing::Unread { why, .. } => (false, capital(&view_name(why))),
        Standing::Absent => (false, "It is not connected.".into()),
    }
}

/// Serial numbers of the page, and what was typed beside each.
fn typed(form: &crate::form::Form) -> impl Iterator<Item = (&str, &str)> {
    form.all("serial").zip(form.all("erase").map(str::trim))
}

/// The disks that were typed; what is wrong with what was typed, else.
fn chosen(form: &crate::form::Form) -> Result<Vec<FirstDisk>, String> {
    let mut disks = Vec::new();
    for (serial, typed) in typed(form).filter(|(_, typed)| !typed.is_empty()) {
        let of = typed.strip_prefix("ERASE").filter(|rest| rest.starts_with(' ')).map(str::trim);
        let (Some(serial), true) = (Serial::parse(serial), of == Some(serial)) else {
            return Err(format!(
                "Beside serial number {}, type ERASE, a blank, and that number, as on the disk's sticker. Nothing was touched.",
                view_name(serial)
            ));
        };
        disks.push(FirstDisk { typed_serial: serial.to_string(), serial });
    }
    if disks.is_empty() {
        Err("Type ERASE and the serial number beside each disk that the box is to use. Nothing was touched.".into())
    } else {
        Ok(disks)
    }
}

/// Makes the pool.
pub(crate) async fn make(visit: Visit) -> Response {
    let disks = match chosen(&visit.form) {
        Ok(disks) => disks,
        Err(why) => return show(&visit, Some(why)).await,
    };
    let ask = CreatePool { disks, data: None, parity: None, owner: visit.form.some("owner") };
    let asking = visit.clone();
    let mut asked = tokio::spawn(crate::passkey::along(async move {
        let person = asking.person()?;
        let who = (&person.session, asking.form.code());
        let done = asking.app.neighbours.granted_slowly::<Done>(who, Verb::DisksChange, "/v1/pool", &ask).await;
        // Whoever has gone on by then is told on their next page.
        if let Err(trouble) = &done {
            locked(&person.kept).notice = Some(Notice { good: false, text: trouble.to_string() });
        }
        done
    }));
    match tokio::time::timeout(SOON, &mut asked).await {
        Ok(Ok(Ok(_))) => visit.after(PAGE, Ok(()), "The disks are ready. All copies on them are encrypted."),
        Ok(Ok(Err(trouble))) => {
            let _ = visit.kept(|kept| kept.notice = None);
            visit.blame(&trouble);
            show(&visit, Some(trouble.to_string())).await
        }
        Ok(Err(_)) => visit.after::<()>(PAGE, Err(Trouble::Busy), ""),
        Err(_) => visit.go(PAGE, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    #[test]
    fn a_disk_is_taken_only_with_the_word_and_its_very_number() {
        let disks = |body: &str| {
            let chosen = chosen(&Form::parse(body.as_bytes()).expect("a form"));
            chosen.map(|disks| disks.iter().map(|disk| disk.serial.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(disks("serial=A1&erase=ERASE+A1&serial=B2&erase=&serial=C3&erase=+ERASE++C3+"), Ok(vec!["A1".into(), "C3".into()]));
        for bad in
            ["", "serial=A1&erase=", "serial=A1&erase=ERASE", "serial=A1&erase=A1", "serial=A1&erase=ERASEA1", "serial=A1&erase=erase+A1"]
        {
            assert!(disks(bad).is_err(), "{bad}");
        }
        // One that is right does not carry a wrong one along; nor is a number moved to another disk.
        assert!(disks("serial=A1&erase=ERASE+A1&serial=B2&erase=ERASE+A1").is_err());
    }
}
