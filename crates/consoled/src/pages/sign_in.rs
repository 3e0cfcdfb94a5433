//! In and out. Passwords and codes go to authd and are kept nowhere.

use askama::Template;
use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use keepwell_api::auth::{InSession, SignIn, SignedIn, Status};
use keepwell_api::grants::Role;
use keepwell_api::{keys, state_locked};

use super::certificate::shown_by_name;
use super::frame::{self, Frame};
use super::setup::progress;
use crate::guard;
use crate::listen::Ends;
use crate::neighbours::{self, Trouble};
use crate::passkey::host_name;
use crate::sessions::locked;
use crate::view::When;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    error: Option<String>,
    user: String,
    /// What is said of a box without an owner, and whether it can be claimed.
    unclaimed: Option<(&'static str, bool)>,
    /// What the box's clock says, where it is doubted.
    doubted: Option<When>,
    fingerprint: String,
    by_name: Option<(String, When)>,
}

/// The form; who is signed in has no need of it.
pub(crate) async fn page(visit: Visit) -> Response {
    if visit.person_if_any().is_some() {
        return visit.go("/", None);
    }
    show(&visit, None).await
}

/// Signs somebody in, under a new cookie.
pub(crate) async fn sign_in(visit: Visit, ends: Option<Extension<Ends>>) -> Response {
    let user = visit.form.text("user").to_owned();
    let request = SignIn {
        user: user.clone(),
        password: visit.form.secret("password"),
        code: visit.form.code().unwrap_or_default(),
        // Wrong attempts count by computer.
        from: ends.map(|ends| ends.peer.ip().to_string()),
    };
    let signed_in = match visit.app.neighbours.knock::<SignedIn>("/v1/sign-in", request).await {
        Ok(signed_in) => signed_in,
        Err(trouble) => return show(&visit, Some(trouble)).await,
    };
    // What this browser had before is over, so nobody can have planted it.
    if let Some(before) = visit.app.sessions.end(visit.cookie()) {
        let session = locked(&before).session().clone();
        end_at_authd(&visit, session).await;
    }
    // Who has a box to set up goes on with that.
    let first = match signed_in.role {
        Role::Owner if progress::open_at(&visit.app).await.is_some() => "/setup",
        _ => "/",
    };
    match visit.app.sessions.begin(&user, signed_in, visit.now()) {
        Ok(cookie) => guard::with_cookie(visit.go(first, None), &cookie),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "nobody can be signed in");
            show(&visit, Some(Trouble::Busy)).await
        }
    }
}

/// Ends the session here and at authd.
pub(crate) async fn sign_out(visit: Visit) -> Response {
    if let Some(kept) = visit.app.sessions.end(visit.cookie()) {
        let session = locked(&kept).session().clone();
        end_at_authd(&visit, session).await;
    }
    guard::without_cookie(visit.go("/sign-in", None))
}

/// What authd does not hear of ends there by itself.
async fn end_at_authd(visit: &Visit, session: keepwell_api::Base64) {
    if let Err(trouble) = visit.app.neighbours.authd::<serde_json::Value>("/v1/sign-out", InSession { session }).await {
        tracing::warn!(error = &trouble as &dyn std::error::Error, "authd could not be told that a session is over");
    }
}

async fn show(visit: &Visit, trouble: Option<Trouble>) -> Response {
    let status = match trouble {
        None => StatusCode::OK,
        Some(Trouble::Refused(_)) => StatusCode::UNAUTHORIZED,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let Some(trouble) = &trouble {
        visit.blame(trouble);
    }
    let error = trouble.map(|trouble| match trouble {
        Trouble::Refused(refusal) if refusal.code == "sign-in-wait" => neighbours::sentence(&refusal),
        Trouble::Refused(_) => {
            "Name, password or code is not right, or too many wrong attempts came before. Which of these is not told. After five wrong ones, wait 15 minutes.".into()
        }
        other => other.to_string(),
    });
    let known = visit.app.neighbours.ask_authd::<Status>("/v1/status").await;
    let unclaimed = match &known {
        Ok(status) if !status.claimed => {
            Some(without_owner(status.claimable, visit.app.neighbours.ask_keyd("/v1/status").await.ok().as_ref()))
        }
        _ => None,
    };
    // Whether anybody has one for this name: who it is, nobody at the door is told.
    let host = host_name(&visit.host);
    let has_passkeys = known.as_ref().is_ok_and(|status| host.is_some_and(|host| status.passkey_hosts.iter().any(|one| one == host)));
    let page = SignInPage {
        frame: Frame { passkey: has_passkeys.then_some("yes"), ..visit.frame("Sign in") },
        error,
        user: visit.form.text("user").to_owned(),
        unclaimed,
        doubted: visit.app.is_clock_doubted().then(|| frame::times(visit).full(visit.now())),
        fingerprint: visit.app.settings.authority.1.clone(),
        by_name: shown_by_name(visit),
    };
    visit.show_with(status, &page)
}

/// What holds of a box without an owner, by what authd would do and by its keys. Its own screen shows a code only where there is something to be claimed.
fn without_owner(claimable: bool, keys: Option<&keys::Status>) -> (&'static str, bool) {
    let is_without_state = |keys: &keys::Status| keys.locked.as_ref().is_some_and(|why| why.code == state_locked::CODE);
    match keys {
        Some(keys) if is_without_state(keys) => (
            "This box is without its own state in this start, so it knows none of its people. Its own screen says why, and what to do.",
            false,
        ),
        Some(keys) if keys.by_papers => (
            "Two papers opened the backups of this box. Its people come back with them within a minute: then sign in as before. Where none do, its own screen says how it is claimed.",
            true,
        ),
        Some(keys) if claimable || keys.may_be_claimed() => {
            ("Nobody owns this box yet. It is claimed with the code on its own screen.", true)
        }
        Some(_) => (
            "This box has a vault, but none of its people. The backups are unharmed. Two papers of the recovery kit, typed at its own screen, bring them back.",
            false,
        ),
        None => ("This box knows none of its people, and does not say how its keys are. Its own screen says what to do.", false),
    }
}
