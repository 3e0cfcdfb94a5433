//! Pairing, from both sides, and sending now. An owner's, with a new code; vaultd and replicad decide. An invitation is shown once and kept nowhere.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use keepwell_api::Base64;
use keepwell_api::grants::Verb;
use keepwell_api::offsite::{Invite, Invited, PORT, PairWith, Paired, SendNow};
use keepwell_api::vault::Done;

use crate::neighbours::Trouble;
use crate::pages::frame::{self, Frame};
use crate::pages::qr::Qr;
use crate::sessions::{Notice, locked};
use crate::view::{self, When};
use crate::visit::Visit;

const PAGE: &str = "/offsite";
/// The other box makes folders on all its disks. What takes longer goes on by itself.
const SOON: Duration = Duration::from_secs(20);
/// No more than this is typed as a room, in its unit.
const ROOM_MAX: u64 = 1_000_000;

/// Has it looked at once whether something is to be sent.
pub(crate) async fn send(visit: Visit) -> Response {
    let done = visit.granted::<Done>(Verb::RunNow, "/v1/offsite/send", &SendNow {}).await;
    visit.after(PAGE, done, "What is not at the second site yet is being sent.")
}

#[derive(Template)]
#[template(path = "offsite_invite.html")]
struct InvitePage {
    frame: Frame,
    error: Option<String>,
    place: String,
    port: u16,
    needs_code: bool,
}

#[derive(Template)]
#[template(path = "offsite_invited.html")]
struct InvitedPage {
    frame: Frame,
    invitation: String,
    qr: Option<Qr>,
    until: When,
    room: String,
}

/// The form that lets another box send its copies here.
pub(crate) async fn invite_form(visit: Visit) -> Response {
    show_invite(&visit, None)
}

fn show_invite(visit: &Visit, error: Option<String>) -> Response {
    visit.show(&InvitePage {
        frame: visit.frame("Keep copies for another box"),
        error,
        place: visit.app.settings.box_name.clone(),
        port: PORT,
        needs_code: visit.needs_code(Verb::OffsiteChange),
    })
}

/// Makes an invitation, and shows it.
pub(crate) async fn invite(visit: Visit) -> Response {
    let Some(quota_bytes) = room(&visit) else {
        visit.look_at(&["room"]);
        return show_invite(&visit, Some("The room is a whole number, of gigabytes or terabytes. Nobody was invited.".into()));
    };
    let ask = Invite {
        address: with_port(visit.form.text("address").trim()),
        quota_bytes,
        place: visit.form.text("place").trim().to_owned(),
        second_key: None,
    };
    match visit.granted::<Invited>(Verb::OffsiteChange, "/v1/offsite/invite", &ask).await {
        Ok(made) => {
            let invitation = String::from_utf8_lossy(made.invitation.as_ref()).into_owned();
            visit.show(&InvitedPage {
                frame: visit.frame("Invitation"),
                // Capitals alone make a smaller picture.
                qr: Qr::of(invitation.to_ascii_uppercase().as_bytes()),
                invitation,
                until: frame::times(&visit).at(made.expires_at),
                room: view::size(quota_bytes),
            })
        }
        Err(Trouble::SignedOut) => visit.go("/sign-in", None),
        Err(trouble) => {
            visit.blame(&trouble);
            show_invite(&visit, Some(trouble.to_string()))
        }
    }
}

fn room(visit: &Visit) -> Option<u64> {
    let unit = if visit.form.text("unit") == "gb" { 1_000_000_000 } else { 1_000_000_000_000 };
    visit.form.number::<u64>("room").filter(|room| (1..=ROOM_MAX).contains(room)).map(|room| room * unit)
}

/// With the usual port where none was typed.
fn with_port(address: &str) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| !host.ends_with(':') && port.parse::<u16>().is_ok());
    if has_port || address.is_empty() { address.to_owned() } else { format!("{address}:{PORT}") }
}

#[derive(Template)]
#[template(path = "offsite_pair.html")]
struct PairPage {
    frame: Frame,
    error: Option<String>,
    practice: String,
    needs_code: bool,
}

#[derive(Template)]
#[template(path = "offsite_paired.html")]
struct PairedPage {
    frame: Frame,
    place: String,
    words: String,
    key: String,
    room: String,
    days: u64,
}

/// The form that sends this box's copies to another one.
pub(crate) async fn pair_form(visit: Visit) -> Response {
    show_pair(&visit, None)
}

fn show_pair(visit: &Visit, error: Option<String>) -> Response {
    visit.show(&PairPage {
        frame: visit.frame("Pair with a second box"),
        error,
        practice: visit.app.settings.box_name.clone(),
        needs_code: visit.needs_code(Verb::OffsiteChange),
    })
}

/// Pairs with the box that made the invitation, and has people compare the words.
pub(crate) async fn pair(visit: Visit) -> Response {
    // Copied out of a message it may have been broken into lines.
    let invitation: String = visit.form.text("invitation").split_whitespace().collect();
    let ask = PairWith { invitation: Base64::from(invitation.into_bytes()), practice: visit.form.text("practice").trim().to_owned() };
    let asking = visit.clone();
    let mut asked = tokio::spawn(crate::passkey::along(async move {
        let person = asking.person()?;
        let who = (&person.session, asking.form.code());
        let done = asking.app.neighbours.granted_slowly::<Paired>(who, Verb::OffsiteChange, "/v1/offsite/pair", &ask).await;
        // Whoever has gone on by then is told on their next page.
        if let Err(trouble) = &done {
            locked(&person.kept).notice = Some(Notice { good: false, text: trouble.to_string() });
        }
        done
    }));
    match tokio::time::timeout(SOON, &mut asked).await {
        Ok(Ok(Ok(paired))) => visit.show(&PairedPage {
            frame: visit.frame("Compare four words"),
            place: view::name(paired.place.as_bytes()),
            words: paired.words,
            key: paired.name,
            room: view::size(paired.quota_bytes),
            days: paired.floor_s / 86_400,
        }),
        Ok(Ok(Err(Trouble::SignedOut))) => visit.go("/sign-in", None),
        Ok(Ok(Err(trouble))) => {
            let _ = visit.kept(|kept| kept.notice = None);
            let Some(words) = trouble.code().and_then(not_paired) else {
                visit.blame(&trouble);
                return show_pair(&visit, Some(trouble.to_string()));
            };
            visit.look_at(&["invitation"]);
            show_pair(&visit, Some(format!("{words} Nothing was changed.")))
        }
        Ok(Err(_)) => visit.after::<()>("/offsite/pair", Err(Trouble::Busy), ""),
        Err(_) => {
            let text = "The other box makes room for your copies. It shows here when it is ready, with four words to compare.".into();
            visit.go(PAGE, Some(Notice { good: true, text }))
        }
    }
}

/// Why two boxes were not paired, for people.
fn not_paired(code: &str) -> Option<&'static str> {
    Some(match code {
        "no-invitation" => "This is no invitation, or a character of it is wrong.",
        "own-invitation" => "This very box made that invitation. It has to be given at the other one.",
        "unreachable" => {
            "The other box can't be reached at the address in the invitation. Ask there: is it on, and does their network let others through to it?"
        }
        "other-key" => {
            "Something else answers at the address in the invitation, and not the box that made it. Ask there whether the address is right; \
             if it is, somebody stands between: tell whoever looks after your network."
        }
        "bad-invitation" => {
            "The other box does not take this invitation: it was used, is older than an hour, or that box was started again. Ask for a new one."
        }
        "not-paired" => "The other box could not take this one in. Ask the people there to look at its disks.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_added_and_no_other_replaced() {
        for (typed, meant) in [
            ("backup.example.org", "backup.example.org:8484"),
            ("backup.example.org:9000", "backup.example.org:9000"),
            ("203.0.113.7", "203.0.113.7:8484"),
            ("[2001:db8::7]", "[2001:db8::7]:8484"),
            ("[2001:db8::7]:9000", "[2001:db8::7]:9000"),
            ("backup:port", "backup:port:8484"),
            ("", ""),
        ] {
            assert_eq!(with_port(typed), meant);
        }
    }
}
