//! What every request goes through before a page sees it, and every answer before a browser does: which host was asked, from where a form was sent, who asks,
//! whether their role may; then the headers that keep a page to itself. Whoever adds a page can't forget any of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use keepwell_api::auth::{InSession, Session};

use crate::app::App;
use crate::form::Form;
use crate::listen::Ends;
use crate::neighbours::Trouble;
use crate::pages::{self, Page, Who};
use crate::passkey;
use crate::sessions::{self, Cookie, locked};
use crate::visit::{Asked, Person, Visit};

/// Longest form: 200 ticked files and a name are far below.
const BODY_MAX: usize = 64 << 10;
/// Longest wait for one.
const BODY_WAIT: Duration = Duration::from_secs(15);

/// Everything comes from here, nothing is embedded anywhere, nothing inline is run or styled.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                       frame-ancestors 'none'; require-trusted-types-for 'script'";

const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The one middleware.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let acts = request.method() == Method::POST;
    let mut answer = match admit(&app, request).await {
        Ok(request) => {
            let answer = passkey::watched(next.run(request)).await;
            if acts {
                pages::setup::progress::look_anew(&app);
            }
            answer
        }
        Err(refusal) => refusal,
    };
    keep_to_itself(answer.headers_mut());
    answer
}

/// Headers of every answer.
pub(crate) fn keep_to_itself(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Only what never changes under its name says otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// The host that was asked, if it is this box.
pub(crate) fn host_of(app: &App, parts: &Parts) -> Option<String> {
    let ends = parts.extensions.get::<Extension<Ends>>().map(|ends| ends.0).or_else(|| parts.extensions.get::<Ends>().copied());
    let local = ends.map(|ends| ends.local.ip().to_canonical());
    host(&parts.headers).filter(|host| is_ours(app, host, local))
}

async fn admit(app: &Arc<App>, request: Request) -> Result<Request, Response> {
    let (mut parts, body) = request.into_parts();
    let Some(host) = host_of(app, &parts) else {
        return Err(plain(StatusCode::MISDIRECTED_REQUEST, "This box is not called that. Use its name or address."));
    };
    let route = parts.extensions.get::<MatchedPath>().map(|route| route.as_str().to_owned()).unwrap_or_default();
    // A route that nobody decided on is not there.
    let Some(page) = pages::find(&route) else {
        return Err(pages::trouble::turned_away(app, StatusCode::NOT_FOUND, "Look at the address, or go on from the front page."));
    };
    let cookies = header_text(&parts.headers, header::COOKIE);
    let (cookie, visitor) = (cookies.and_then(Cookie::parse), cookies.and_then(Cookie::parse_visitor));
    let mut form = Form::default();
    if parts.method == Method::POST {
        if !is_sent_from(&parts.headers, &host) {
            return Err(plain(StatusCode::FORBIDDEN, "This was not sent from a page of this box. Nothing was done."));
        }
        form = read_form(body).await?;
        // A form may have been shown before its sender was known to be signed in.
        if ![&cookie, &visitor].into_iter().flatten().any(|cookie| app.sessions.is_form_token(cookie, form.raw("form"))) {
            // Mostly somebody whose page stayed open while they signed in anew elsewhere.
            let text = "This page is too old to be sent. Nothing was done. Go back, reload it, and try again.";
            return Err(pages::trouble::turned_away(app, StatusCode::FORBIDDEN, text));
        }
    } else if parts.method != Method::GET && parts.method != Method::HEAD {
        // What else may be asked is asked under /downtime (RFC 9110, section 15.5.6).
        return Err((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, POST")], "Not so.").into_response());
    }
    let person = match &cookie {
        Some(cookie) if page.who != Who::Asset => identify(app, cookie, page, is_persons(&parts)).await?,
        _ => None,
    };
    let (cookie, is_new) = match cookie.or(visitor) {
        Some(cookie) => (cookie, false),
        None => (Cookie::new().map_err(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "This failed."))?, true),
    };
    let acts = is_persons(&parts);
    let by_script = header_text(&parts.headers, HeaderName::from_static("sec-fetch-dest")) == Some("empty");
    let posted_to = (parts.method == Method::POST).then(|| parts.uri.path().to_owned());
    let visit = Visit::new(Arc::clone(app), page, (cookie, is_new), person, form, Asked { host, by_script, acts, posted_to });
    check_role(page, &visit)?;
    parts.extensions.insert(visit);
    Ok(Request::from_parts(parts, Body::empty()))
}

/// Who has this cookie, by authd's word of this moment.
async fn identify(app: &Arc<App>, cookie: &Cookie, page: &'static Page, acts: bool) -> Result<Option<Person>, Response> {
    let Some(kept) = app.sessions.find(cookie) else { return Ok(None) };
    let session = locked(&kept).session().clone();
    let route = if acts { "/v1/sessions/touch" } else { "/v1/sessions/check" };
    match app.neighbours.authd::<Session>(route, InSession { session: session.clone() }).await {
        Ok(known) => Ok(Some(Person { known, session, kept })),
        Err(Trouble::SignedOut) => {
            app.sessions.end(cookie);
            Ok(None)
        }
        Err(_) if page.who == Who::Anybody => Ok(None),
        Err(trouble) => Err(pages::trouble::standing_alone(app, page, &trouble)),
    }
}

/// Whether a person did this, and not a page by itself: that keeps nobody signed in.
fn is_persons(parts: &Parts) -> bool {
    let of = |name| header_text(&parts.headers, HeaderName::from_static(name));
    // Browsers that say nothing of it (Safari before 16.4) ask for pages in these words, and for what a script wants in others.
    let says_nothing = ["sec-fetch-user", "sec-fetch-dest", "sec-fetch-mode"].into_iter().all(|name| of(name).is_none());
    let opens_a_page = says_nothing && of("accept").is_some_and(|kinds| kinds.starts_with("text/html"));
    parts.method == Method::POST || of("sec-fetch-user") == Some("?1") || opens_a_page
}

fn check_role(page: &'static Page, visit: &Visit) -> Result<(), Response> {
    let roles = match page.who {
        Who::Asset | Who::Anybody => return Ok(()),
        Who::Roles(roles) => roles,
    };
    let Some(person) = visit.person_if_any() else {
        return Err(Redirect::to("/sign-in").into_response());
    };
    if roles.contains(&person.known.role) {
        return Ok(());
    }
    tracing::warn!(user = person.known.user, role = %person.known.role, page = page.path, "a page was refused: the role may not see it");
    Err(pages::trouble::refused(visit, roles))
}

/// What was asked, lower case, with its port.
fn host(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::HOST).iter();
    let host = all.next()?.to_str().ok()?;
    all.next().is_none().then(|| host.to_ascii_lowercase())
}

/// A page of somebody else's whose name leads to this box (DNS rebinding) gives that name here: only the box's own names are answered, and the very address
/// that was connected to.
fn is_ours(app: &App, host: &str, local: Option<IpAddr>) -> bool {
    let name = without_port(host);
    match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical()) == local || app.settings.addresses.contains(&address),
        Err(_) => app.settings.names.contains(name),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

/// Browsers say where a form comes from, and pages can't have them say otherwise (Fetch Metadata; RFC 6454). Without a word of that there is no form.
fn is_sent_from(headers: &HeaderMap, host: &str) -> bool {
    let site = header_text(headers, HeaderName::from_static("sec-fetch-site"));
    let origin = header_text(headers, header::ORIGIN);
    let origin_fits = origin.is_some_and(|origin| origin.strip_prefix("https://").is_some_and(|from| from.eq_ignore_ascii_case(host)));
    match site {
        // A page without referrer gives a form's origin as null.
        Some(site) => site == "same-origin" && (origin_fits || origin.is_none_or(|origin| origin == "null")),
        None => origin_fits,
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

async fn read_form(body: Body) -> Result<Form, Response> {
    match tokio::time::timeout(BODY_WAIT, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(bytes)) => Form::parse(&bytes).ok_or_else(too_much),
        Ok(Err(_)) => Err(too_much()),
        Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "This did not come in time. Nothing was done.")),
    }
}

fn too_much() -> Response {
    plain(StatusCode::PAYLOAD_TOO_LARGE, "This is more than a form can be. Nothing was done.")
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

/// For an answer to who came without a cookie.
pub(crate) fn with_visitor(mut answer: Response, cookie: &Cookie) -> Response {
    if let Ok(value) = HeaderValue::from_str(&cookie.visitor_header()) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

/// For an answer to who has signed in.
pub(crate) fn with_cookie(mut answer: Response, cookie: &Cookie) -> Response {
    if let Ok(value) = HeaderValue::from_str(&cookie.header()) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

/// For an answer to who signs out.
pub(crate) fn without_cookie(mut answer: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(&sessions::forget_header()) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn forms_come_from_here_or_not_at_all() {
        let from = |pairs: &[(&'static str, &'static str)]| is_sent_from(&headers(pairs), "box:8443");
        assert!(from(&[("origin", "https://box:8443")]));
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "https://BOX:8443")]));
        for bad in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://box:8443")],
            &[("origin", "https://box")],
            &[("origin", "https://evil")],
            &[("sec-fetch-site", "same-site"), ("origin", "https://box:8443")],
            &[("sec-fetch-site", "cross-site"), ("origin", "null")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil")],
        ] {
            assert!(!from(bad), "{bad:?}");
        }
    }

    #[test]
    fn hosts_without_their_port() {
        for (host, name) in
            [("box", "box"), ("box:443", "box"), ("[::1]:8443", "[::1]"), ("[::1]", "[::1]"), ("::1", "::1"), ("a:b", "a:b")]
        {
            assert_eq!(without_port(host), name);
        }
        assert_eq!(host(&headers(&[("host", "A:1")])).as_deref(), Some("a:1"));
    }
}
