//! A certificate of the practice's own in place of the box's, for owners. It is looked at first, then authd asks for the second factor and records it, then it is shown to whoever connects. The key
//! is never shown again.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use keepwell_api::auth::ConsoleCertificate;
use keepwell_api::grants::Verb;

use super::frame::{self, Frame};
use crate::certificate::Uploaded;
use crate::neighbours::Trouble;
use crate::passkey::host_name;
use crate::view::When;
use crate::visit::Visit;

const PAGE: &str = "/settings/certificate";

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    frame: Frame,
    error: Option<String>,
    now: Option<Shown>,
    names: String,
    fingerprint: String,
    needs_code: bool,
}

struct Shown {
    names: String,
    until: When,
    over: bool,
    fingerprint: String,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    show(&visit, None)
}

fn show(visit: &Visit, error: Option<String>) -> Response {
    let times = frame::times(visit);
    let told = visit.app.uploaded.as_ref().and_then(|uploaded| uploaded.told());
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visit.show_with(
        status,
        &CertificatePage {
            frame: visit.frame("Certificate"),
            error,
            now: told.map(|told| Shown {
                names: told.names.join(", "),
                until: times.at(told.until),
                over: told.until < visit.app.reckoning.now().span().0,
                fingerprint: told.fingerprint,
            }),
            names: visit.app.settings.names.iter().cloned().collect::<Vec<_>>().join(", "),
            fingerprint: visit.app.settings.authority.1.clone(),
            needs_code: visit.needs_code(Verb::UsersManage),
        },
    )
}

/// What whoever opens the box by the name that was asked has to compare, and until when; none where the box's own is shown.
pub(crate) fn shown_by_name(visit: &Visit) -> Option<(String, When)> {
    let (uploaded, name) = (visit.app.uploaded.as_ref()?, host_name(&visit.host)?);
    let told = uploaded.told_for(name, visit.app.reckoning.now())?;
    Some((told.fingerprint, frame::times(visit).at(told.until)))
}

/// Takes another one, or the box's own again.
pub(crate) async fn change(visit: Visit) -> Response {
    let Some(uploaded) = visit.app.uploaded.clone() else { return visit.after::<()>(PAGE, Err(Trouble::Busy), "") };
    if visit.form.text("what") == "own" {
        return own_again(&visit, &uploaded).await;
    }
    let (chain, key) = (visit.form.secret("chain"), visit.form.secret("secret"));
    let fingerprint = match uploaded.check(chain.as_ref(), key.as_ref(), visit.app.reckoning.now()) {
        Ok(told) => told.fingerprint,
        Err(why) => {
            visit.look_at(if why.is_of_key() { &["secret"] } else { &["chain"] });
            return show(&visit, Some(format!("{why} Nothing was changed.")));
        }
    };
    if let Err(trouble) = recorded(&visit, Some(fingerprint)).await {
        return visit.after::<()>(PAGE, Err(trouble), "");
    }
    match uploaded.replace(chain.as_ref(), key.as_ref(), visit.app.reckoning.now()) {
        Ok(Ok(())) => visit.after(PAGE, Ok(()), "Whoever opens this box by that name sees the new certificate from now on."),
        Ok(Err(why)) => show(&visit, Some(format!("{why} Nothing was changed."))),
        Err(error) => failed(&visit, &error, "The certificate could not be kept on the box's own disk. The log has the attempt."),
    }
}

async fn own_again(visit: &Visit, uploaded: &Uploaded) -> Response {
    if let Err(trouble) = recorded(visit, None).await {
        return visit.after::<()>(PAGE, Err(trouble), "");
    }
    match uploaded.remove() {
        Ok(()) => visit.after(PAGE, Ok(()), "The box shows its own certificate again. The key was deleted."),
        Err(error) => failed(visit, &error, "The certificate could not be deleted from the box's own disk. The log has the attempt."),
    }
}

/// authd has the last word, and the ledger has it from there.
async fn recorded(visit: &Visit, fingerprint: Option<String>) -> Result<(), Trouble> {
    let ask = ConsoleCertificate { session: visit.person()?.session.clone(), code: visit.form.code(), fingerprint };
    visit.app.neighbours.authd::<serde_json::Value>("/v1/console-certificate", ask).await.map(drop)
}

fn failed(visit: &Visit, error: &crate::error::ConsoleError, text: &str) -> Response {
    tracing::error!(error = error as &dyn std::error::Error, "a certificate can't be kept or deleted");
    show(visit, Some(text.into()))
}
