//! Pages that say why there is no other: refused, not there, nobody answers.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use keepwell_api::grants::Role;

use super::frame::{self, Frame};
use super::{Page, assets};
use crate::app::App;
use crate::neighbours::Trouble;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    frame: Frame,
    heading: &'static str,
    text: String,
    what_works: &'static str,
}

/// What keeps working when something does not.
const WORKS: &str = "Backups run by themselves and do not need this page. The front page says what is known, and since when.";

/// The role may not see it.
pub(crate) fn refused(visit: &Visit, roles: &[Role]) -> Response {
    let names: Vec<_> = roles.iter().map(|one| frame::role(*one).to_lowercase()).collect();
    let own = visit.role().map_or("", frame::role).to_lowercase();
    let text = format!("This page is for these roles: {}. You are signed in as {own}. Ask the owner if you need it.", names.join(", "));
    let page = TroublePage { frame: visit.frame("Not for your role"), heading: "Not for your role", text, what_works: "" };
    visit.show_with(StatusCode::FORBIDDEN, &page)
}

/// There is no such thing.
pub(crate) fn missing(visit: &Visit, text: &str) -> Response {
    let page = TroublePage { frame: visit.frame("Not found"), heading: "There is no such thing", text: text.to_owned(), what_works: "" };
    visit.show_with(StatusCode::NOT_FOUND, &page)
}

/// All of a page fails.
pub(crate) fn failed(visit: &Visit, trouble: &Trouble) -> Response {
    let (status, heading) = match trouble {
        Trouble::SignedOut => return visit.go("/sign-in", None),
        Trouble::Role => (StatusCode::FORBIDDEN, "Not for your role"),
        Trouble::Refused(refusal) if refusal.status == 404 => (StatusCode::NOT_FOUND, "There is no such thing"),
        Trouble::Refused(_) | Trouble::StepUp | Trouble::Typed(_) => (StatusCode::CONFLICT, "Not done"),
        Trouble::Silent | Trouble::NoAuthority | Trouble::NoKeys | Trouble::Busy | Trouble::Downloads => {
            (StatusCode::SERVICE_UNAVAILABLE, "Unknown")
        }
    };
    let page = TroublePage { frame: visit.frame("Unknown"), heading, text: trouble.to_string(), what_works: WORKS };
    visit.show_with(status, &page)
}

/// The same where not even who asks is known.
pub(crate) fn standing_alone(app: &Arc<App>, page: &'static Page, trouble: &Trouble) -> Response {
    tracing::debug!(page = page.path, "a page could not be shown");
    alone(app, StatusCode::SERVICE_UNAVAILABLE, "Unknown", trouble.to_string())
}

/// An address that is none, or a form that is not taken, before anybody asked who wants it.
pub(crate) fn turned_away(app: &Arc<App>, status: StatusCode, text: &str) -> Response {
    alone(app, status, if status == StatusCode::NOT_FOUND { "There is no such page" } else { "Not done" }, text.to_owned())
}

fn alone(app: &Arc<App>, status: StatusCode, heading: &'static str, text: String) -> Response {
    let frame = Frame {
        title: heading,
        box_name: app.settings.box_name.clone(),
        person: None,
        links: Vec::new(),
        notice: None,
        form: String::new(),
        css: assets::css_path(),
        js: assets::js_path(),
        passkey_js: assets::passkey_js_path(),
        passkey: None,
        as_of: String::new(),
        idle_s: None,
        live: false,
        reload_s: None,
    };
    match (TroublePage { frame, heading, text, what_works: "" }).render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => status.into_response(),
    }
}
