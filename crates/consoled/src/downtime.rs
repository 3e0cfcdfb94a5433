//! The downtime share on the practice's network: WebDAV (RFC 4918, reading alone) and plain pages at `/downtime/`, while emergency access is open. Who has its password reads;
//! nobody is signed in here, and no cookie counts. vaultd decides about every request, and keeps the log. Never writes, and never gives a file that a browser would run.

mod address;
mod file;
mod guests;
mod listing;
mod properties;
mod tree;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use keepwell_api::vault::{EMERGENCY_USER, EmergencyKey};
use keepwell_api::{Base64, ClientError, Refusal};
use zeroize::Zeroizing;

use crate::app::App;
use crate::guard;
use crate::listen::Ends;
use tree::{Door, Tree};

/// Where it is.
pub(crate) const AT: &str = "/downtime";
/// What may be asked; each only reads.
const METHODS: &str = "GET, HEAD, OPTIONS, PROPFIND";

/// All of it.
pub fn routes(app: Arc<App>) -> Router {
    let door = Arc::new(Door::new(app));
    Router::new().route(AT, any(answer)).route("/downtime/", any(answer)).route("/downtime/{*path}", any(answer)).with_state(door)
}

async fn answer(State(door): State<Arc<Door>>, request: Request) -> Response {
    let mut answer = handle(&door, request).await.unwrap_or_else(|refusal| refusal);
    let is_file = answer.extensions_mut().remove::<file::IsFile>().is_some();
    guard::keep_to_itself(answer.headers_mut());
    if is_file {
        file::keep_from_running(answer.headers_mut());
    }
    answer
}

/// What a request's body says is not looked at: all that is asked stands in its head.
async fn handle(door: &Arc<Door>, request: Request) -> Result<Response, Response> {
    let (parts, _) = request.into_parts();
    if guard::host_of(&door.app, &parts).is_none() {
        return Err(told(StatusCode::MISDIRECTED_REQUEST, "This box is not called that. Use its name or address."));
    }
    let is_listing = parts.method.as_str() == "PROPFIND";
    if !is_listing && ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method) {
        let text = "Copies are read here, and nothing is changed. Nothing was done.";
        return Err((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, METHODS)], text).into_response());
    }
    let path = address::path(parts.uri.path()).ok_or_else(|| told(StatusCode::BAD_REQUEST, "This is no path."))?;
    let tree = admitted(door, &parts).await?;
    if parts.method == Method::OPTIONS {
        return Ok((StatusCode::OK, [(header::ALLOW, METHODS), (header::HeaderName::from_static("dav"), "1")]).into_response());
    }
    let found = tree.find(&path).await.map_err(|error| refused(&error))?;
    if is_listing {
        return properties::told(tree, &path, found, &parts.headers);
    }
    if found.is_folder() {
        return listing::page(&tree, &path, parts.uri.query()).await.map_err(|error| refused(&error));
    }
    file::sent(tree, &path, &found, &parts).await
}

/// What is open, for who knows its password.
async fn admitted(door: &Arc<Door>, parts: &Parts) -> Result<Tree, Response> {
    let secret = password(&parts.headers).ok_or_else(unknown)?;
    let from = parts.extensions.get::<Ends>().map(|ends| ends.peer.ip().to_canonical());
    let known = door.guests.opening(&secret);
    // Who has shown the password once is kept waiting by nobody who guesses, at whatever address.
    if known.is_none() && !door.guests.tries(from, Instant::now()) {
        return Err(told(
            StatusCode::TOO_MANY_REQUESTS,
            "These were too many wrong passwords. Nothing is shown for a minute; then try again.",
        ));
    }
    let tree = shown(door, secret, from, known).await;
    let is_wrong = matches!(&tree, Err(ClientError::Refused(no)) if ["emergency-secret", "emergency-closed"].contains(&no.code.as_str()));
    match known {
        Some(opening) if is_wrong => door.guests.forget(opening),
        None if !is_wrong => door.guests.takes_back(from),
        _ => {}
    }
    tree.map_err(|error| refused(&error))
}

async fn shown(door: &Arc<Door>, secret: Base64, from: Option<IpAddr>, known: Option<u64>) -> Result<Tree, ClientError> {
    let over = || ClientError::Refused(Refusal::text(StatusCode::FORBIDDEN, "emergency-closed", "nothing is open"));
    let open = door.state(known.is_some()).await?.open.ok_or_else(over)?;
    let key = EmergencyKey { id: open.id, secret, from };
    let tree = Tree::new(Arc::clone(door), key, &open);
    // Before so much as the name of a share is told.
    if known != Some(open.id) {
        tree.knock().await?;
        door.guests.remember(open.id, &tree.key.secret);
    }
    Ok(tree)
}

/// The password of `Authorization: Basic` (RFC 7617), if the user is the one there is.
fn password(headers: &HeaderMap) -> Option<Base64> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = shown.split_once(' ')?;
    let decoded: Base64 = serde_json::from_value(serde_json::Value::String(encoded.trim().to_owned())).ok()?;
    let (user, password) = std::str::from_utf8(decoded.as_ref()).ok()?.split_once(':')?;
    let fits = scheme.eq_ignore_ascii_case("basic") && user.trim().eq_ignore_ascii_case(EMERGENCY_USER) && password.len() <= 256;
    fits.then(|| Base64(Zeroizing::new(password.as_bytes().to_vec())))
}

fn refused(error: &ClientError) -> Response {
    match error {
        ClientError::Refused(refusal) => match refusal.code.as_str() {
            "emergency-secret" => unknown(),
            "emergency-closed" => closed(),
            "no-path" | "not-found" | "no-snapshot" | "invalid" => {
                told(StatusCode::NOT_FOUND, "There is no such file or folder in these copies.")
            }
            "gap" | "no-file" => told(StatusCode::FORBIDDEN, "This could not be read when it was backed up."),
            _ => told(StatusCode::SERVICE_UNAVAILABLE, "The box is busy, or its vault is not open. Try again in a minute."),
        },
        _ => told(
            StatusCode::SERVICE_UNAVAILABLE,
            "The box's engine does not answer. Copies are not touched by that. Try again in a minute.",
        ),
    }
}

fn unknown() -> Response {
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"Downtime share\", charset=\"UTF-8\"")];
    let text = "The user is downtime, and the password the one that was shown when emergency access was opened.";
    (StatusCode::UNAUTHORIZED, ask, text).into_response()
}

fn closed() -> Response {
    told(
        StatusCode::FORBIDDEN,
        "Emergency access is closed. Whoever is responsible can open it again, in the console or at the box's own screen.",
    )
}

fn told(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_one_user_has_a_password_here() {
        let of = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            password(&headers).map(|password| password.as_ref().to_vec())
        };
        // downtime:a:b, Downtime:x, olga:x
        assert_eq!(of("Basic ZG93bnRpbWU6YTpi").as_deref(), Some(&b"a:b"[..]));
        assert_eq!(of("basic RG93bnRpbWU6eA==").as_deref(), Some(&b"x"[..]));
        for bad in ["Basic b2xnYTp4", "Bearer ZG93bnRpbWU6YTpi", "Basic", "Basic %%%", "Basic ZG93bnRpbWU="] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
