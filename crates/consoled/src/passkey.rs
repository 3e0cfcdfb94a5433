//! What a browser's passkey is to sign, on its way from authd to the page that asked for it. A form that comes with `?` and the host as its code does nothing: whatever page it was for, authd's
//! question is the answer, as JSON. The console believes nothing of it, and can't make it up.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::response::{IntoResponse, Response};
use keepwell_api::Refusal;
use keepwell_api::auth::PasskeyAsked;
use keepwell_api::grants::Verb;

use crate::pages::tokens;

type Slot = Arc<Mutex<Option<PasskeyAsked>>>;

tokio::task_local! {
    /// What authd asked in this request.
    static ASKED: Slot;
}

/// A request's answer, or what authd asked while it was made.
pub(crate) async fn watched(run: impl Future<Output = Response>) -> Response {
    let slot = Slot::default();
    let answer = ASKED.scope(Arc::clone(&slot), run).await;
    let asked = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    asked.map_or(answer, |asked| shown(&asked))
}

/// The same request, in a task of its own.
pub(crate) fn along<F: Future>(run: F) -> impl Future<Output = F::Output> {
    ASKED.scope(ASKED.try_with(Arc::clone).unwrap_or_default(), run)
}

/// authd refused because it asks.
pub(crate) fn note(refusal: &Refusal) {
    let asked = refusal.causes.first().and_then(|cause| serde_json::from_str(cause).ok());
    let _ = ASKED.try_with(|slot| *slot.lock().unwrap_or_else(PoisonError::into_inner) = asked);
}

/// Whether it did in this request: then nothing else is to be said.
pub(crate) fn is_asked() -> bool {
    ASKED.try_with(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).is_some()).unwrap_or(false)
}

/// The host without its port, where passkeys go with it: browsers take none on bare addresses.
pub(crate) fn host_name(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = name.starts_with('[') || name.contains(':') || name.parse::<IpAddr>().is_ok();
    (!is_address && !name.is_empty()).then_some(name)
}

fn shown(asked: &PasskeyAsked) -> Response {
    let PasskeyAsked { challenge, rp_id, allow, act } = asked;
    Json(serde_json::json!({ "challenge": challenge, "rp": rp_id, "allow": allow, "act": act, "words": words(act) })).into_response()
}

/// What is signed, for the person who signs it.
fn words(act: &str) -> &str {
    match act.parse::<Verb>() {
        // authd asks for all of these by one name.
        Ok(Verb::UsersManage) => "change people, programs, the certificate, the sealed code, or passkeys",
        Ok(verb) => tokens::does(verb),
        Err(_) => match act {
            "password-changed" => "change your password",
            "recovery-codes-made" => "make new recovery codes",
            "authenticator-asked" => "take another authenticator",
            "passkey-asked" => "add a passkey",
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_go_with_names() {
        assert_eq!([host_name("localhost:8443"), host_name("box.lan")], [Some("localhost"), Some("box.lan")]);
        for bad in ["127.0.0.1:8443", "127.0.0.1", "[::1]:8443", "[::1]", "::1", ""] {
            assert_eq!(host_name(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn what_authd_asks_is_the_answer_of_whatever_page() {
        let refusal =
            |causes: Vec<String>| Refusal { causes, ..Refusal::text(axum::http::StatusCode::UNAUTHORIZED, "passkey-asked", "no") };
        let asked = r#"{"challenge":"AQ","rp_id":"box.lan","allow":["Ag"],"act":"restore"}"#.to_owned();
        let page = |causes: Vec<String>| async {
            let inside = along(async move { note(&refusal(causes)) });
            tokio::spawn(inside).await.unwrap();
            let word = if is_asked() { "asked" } else { "page" };
            word.into_response()
        };
        let body = |answer: Response| async { axum::body::to_bytes(answer.into_body(), 4096).await.unwrap() };
        let answer: serde_json::Value = serde_json::from_slice(&body(watched(page(vec![asked])).await).await).unwrap();
        assert_eq!((&answer["rp"], &answer["words"], &answer["allow"][0]), (&"box.lan".into(), &"restore to shares".into(), &"Ag".into()));
        assert_eq!(body(watched(page(vec!["no".into()])).await).await, "page");
        assert!(!is_asked());
    }
}
