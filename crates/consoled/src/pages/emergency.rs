//! The worst day: opens the last good copies to be read on the practice's network, shows the password once, closes them again; and what to do, to be printed. Keeps no password.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{
    CloseEmergency, Deletions, Done, EMERGENCY_HOURS_MAX, EMERGENCY_USER, EmergencyNow, EmergencyOpened, EmergencyShare, EmergencyState,
    OpenEmergency,
};

use super::certificate::shown_by_name;
use super::frame::{self, Frame};
use super::trouble;
use crate::downtime::AT;
use crate::neighbours::Trouble;
use crate::view::{self, Times, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "emergency.html")]
struct EmergencyPage {
    frame: Frame,
    error: Option<String>,
    unknown: Option<String>,
    open: Option<OpenNow>,
    copies: Vec<(String, When)>,
    without: Vec<String>,
    to_review: bool,
    may_open: bool,
    may_restore: bool,
    needs_code: bool,
    /// Lines of whom to call.
    call: Vec<String>,
    /// Who froze deletions, and when.
    frozen: Option<(String, When)>,
    may_freeze: bool,
    may_thaw: bool,
    thaw_needs_code: bool,
    reason: String,
    hours: Vec<u8>,
    address: String,
    fingerprint: String,
    /// Of the practice's own certificate, and until when, where that is what this name leads to.
    by_name: Option<(String, When)>,
}

struct OpenNow {
    id: u64,
    by: String,
    since: When,
    until: When,
    files: String,
}

#[derive(Template)]
#[template(path = "emergency_opened.html")]
struct OpenedPage {
    frame: Frame,
    address: String,
    user: &'static str,
    password: String,
    until: When,
    copies: Vec<(String, When)>,
    without: Vec<String>,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    show(&visit, None, String::new()).await
}

async fn show(visit: &Visit, failed: Option<&Trouble>, reason: String) -> Response {
    let times = frame::times(visit);
    if let Some(trouble) = failed {
        visit.look_at(if trouble.code() == Some("invalid") { &["reason"] } else { &[] });
        visit.blame(trouble);
    }
    let (unknown, state) = match visit.app.neighbours.get::<EmergencyState>("/v1/emergency").await {
        Ok(state) => (None, state),
        Err(trouble) => (Some(trouble.to_string()), EmergencyState::default()),
    };
    let copies = state.open.as_ref().map_or(&state.ready, |open| &open.shares);
    let page = EmergencyPage {
        frame: visit.frame("Emergency"),
        error: failed.map(ToString::to_string),
        copies: copied(copies, &times),
        without: state.without_copy.iter().map(|name| view::name(name.as_bytes())).collect(),
        to_review: !state.to_review.is_empty(),
        may_open: visit.may(Verb::EmergencyOpen) && unknown.is_none(),
        may_restore: visit.may(Verb::Restore),
        needs_code: visit.needs_code(Verb::EmergencyOpen),
        open: state.open.as_ref().map(|open| open_now(open, &times)),
        frozen: state.frozen.as_ref().map(|frozen| (frozen.by.clone(), times.at(frozen.at))),
        call: state.call,
        may_freeze: visit.may(Verb::DeletionsFreeze) && unknown.is_none(),
        may_thaw: visit.may(Verb::DeletionsThaw) && unknown.is_none(),
        thaw_needs_code: visit.needs_code(Verb::DeletionsThaw),
        unknown,
        reason,
        hours: (1..=EMERGENCY_HOURS_MAX).rev().collect(),
        address: address(visit),
        fingerprint: visit.app.settings.authority.1.clone(),
        by_name: shown_by_name(visit),
    };
    let status = if failed.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    visit.show_with(status, &page)
}

fn open_now(open: &EmergencyNow, times: &Times) -> OpenNow {
    let files = view::count(open.files_opened, "file was opened", "files were opened");
    OpenNow { id: open.id, by: open.by.clone(), since: times.at(open.opened_at), until: times.at(open.until), files }
}

fn copied(shares: &[EmergencyShare], times: &Times) -> Vec<(String, When)> {
    shares.iter().map(|share| (view::name(share.share.as_bytes()), times.at(share.taken_at))).collect()
}

fn address(visit: &Visit) -> String {
    format!("https://{}{AT}/", visit.host)
}

/// Opens it, and shows the password this once.
pub(crate) async fn open(visit: Visit) -> Response {
    let reason = visit.form.text("reason").to_owned();
    let order = OpenEmergency { reason: reason.clone(), hours: visit.form.number("hours").unwrap_or(0) };
    let opened = match visit.granted::<EmergencyOpened>(Verb::EmergencyOpen, "/v1/emergency/open", &order).await {
        Ok(opened) => opened,
        Err(Trouble::SignedOut) => return trouble::failed(&visit, &Trouble::SignedOut),
        Err(trouble) => return show(&visit, Some(&trouble), reason).await,
    };
    let times = frame::times(&visit);
    visit.show(&OpenedPage {
        frame: visit.frame("Emergency access is open"),
        address: address(&visit),
        user: EMERGENCY_USER,
        password: String::from_utf8_lossy(opened.secret.as_ref()).into_owned(),
        until: times.at(opened.until),
        copies: copied(&opened.shares, &times),
        without: opened.without_copy.iter().map(|name| view::name(name.as_bytes())).collect(),
    })
}

/// Closes it.
pub(crate) async fn close(visit: Visit) -> Response {
    let order = CloseEmergency { id: visit.form.number("id").unwrap_or(0) };
    let done = visit.granted::<Done>(Verb::IncidentsAcknowledge, "/v1/emergency/close", &order).await;
    visit.after("/emergency", done, "Emergency access is closed. Under Incidents, say that what was read in it was meant.")
}

/// Forgets no old copy from now on.
pub(crate) async fn freeze(visit: Visit) -> Response {
    let done = visit.granted::<Done>(Verb::DeletionsFreeze, "/v1/deletions/freeze", &Deletions {}).await;
    visit.after("/emergency", done, "Deletions are frozen: no old copy is forgotten until somebody ends it. Everybody is told.")
}

/// Lets old copies be forgotten again.
pub(crate) async fn thaw(visit: Visit) -> Response {
    let done = visit.granted::<Done>(Verb::DeletionsThaw, "/v1/deletions/thaw", &Deletions {}).await;
    visit.after("/emergency", done, "Old copies are forgotten again, as was promised.")
}
