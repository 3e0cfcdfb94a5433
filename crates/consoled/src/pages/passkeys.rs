//! One's own passkeys: added, renamed, removed. The browser and authd deal with each other; the console passes on.

use askama::Template;
use axum::response::Response;
use keepwell_api::auth::{AddPasskey, BeginPasskey, ByOwner, PasskeyBegun, RenamePasskey};

use super::frame::{self, Frame};
use crate::passkey::host_name;
use crate::view::{Times, When};
use crate::visit::Visit;

const PAGE: &str = "/account";

/// One of somebody's.
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) added: When,
    pub(crate) used: Option<When>,
}

/// All of them.
pub(crate) fn rows(all: &[keepwell_api::auth::Passkey], times: &Times) -> Vec<Row> {
    let row = |(number, one): (usize, &keepwell_api::auth::Passkey)| Row {
        number,
        id: one.id.clone(),
        name: one.name.clone(),
        host: one.host.clone(),
        added: times.at(one.added_at),
        used: one.used_at.map(|at| times.at(at)),
    };
    all.iter().enumerate().map(row).collect()
}

#[derive(Template)]
#[template(path = "passkey.html")]
struct NewPage {
    frame: Frame,
    name: String,
    begun: PasskeyBegun,
}

/// Password and code first; then the page on which the browser makes one.
pub(crate) async fn begin(visit: Visit) -> Response {
    let Ok(session) = visit.person().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let host = host_name(&visit.host).map(|_| visit.host.to_string()).unwrap_or_default();
    let code = visit.form.code().unwrap_or_default();
    let ask = BeginPasskey { session, password: visit.form.secret("password"), code, host };
    match visit.app.neighbours.authd::<PasskeyBegun>("/v1/passkeys/begin", ask).await {
        Ok(begun) => {
            let frame = Frame { passkey: Some("new"), ..visit.frame("New passkey") };
            visit.show(&NewPage { frame, name: visit.form.text("name").to_owned(), begun })
        }
        Err(trouble) => visit.after::<()>(PAGE, Err(trouble), ""),
    }
}

/// What the browser made.
pub(crate) async fn add(visit: Visit) -> Response {
    let Ok(session) = visit.person().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let of = |name| visit.form.text(name).to_owned();
    let ask = AddPasskey { session, name: of("name"), client_data: of("client_data"), authenticator_data: of("authenticator_data") };
    let done = visit.app.neighbours.authd::<serde_json::Value>("/v1/passkeys", ask).await;
    visit.after(PAGE, done, "The passkey counts from now on: in place of a code, at this name of the box.")
}

/// Calls one otherwise.
pub(crate) async fn rename(visit: Visit) -> Response {
    let Ok(session) = visit.person().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let Some(id) = id(&visit) else { return visit.go(PAGE, None) };
    let ask = RenamePasskey { session, name: visit.form.text("called").to_owned() };
    let done = visit.app.neighbours.authd::<serde_json::Value>(format!("/v1/passkeys/{id}/rename"), ask).await;
    visit.after(PAGE, done, "It has the new name.")
}

/// Takes one of one's own away.
pub(crate) async fn remove(visit: Visit) -> Response {
    let Ok((session, own)) = visit.person().map(|person| (person.session.clone(), person.known.user.clone())) else {
        return visit.go("/sign-in", None);
    };
    let Some(id) = id(&visit) else { return visit.go(PAGE, None) };
    let route = super::people::route(&own, &format!("passkeys/{id}/remove"));
    let done = visit.app.neighbours.authd::<serde_json::Value>(route, ByOwner { session, code: visit.form.code() }).await;
    visit.after(PAGE, done, "The passkey proves nothing any more. Delete it on the device too.")
}

/// A passkey's number, as authd gave it.
pub(crate) fn id(visit: &Visit) -> Option<String> {
    visit.form.some("id").filter(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What the account page says of them.
pub(crate) fn of(visit: &Visit) -> Vec<Row> {
    let times = frame::times(visit);
    visit.person().map_or_else(|_| Vec::new(), |person| rows(&person.known.passkeys, &times))
}
