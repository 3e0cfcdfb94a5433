//! The JSON API of the box for programs elsewhere: vaultd's routes under `/api`, for who shows a token in place of a grant. Gives no right itself: authd says whose the
//! token is and grants what it is for, vaultd checks that again. No cookie counts here, so no page of anybody can use it through somebody's browser.

mod limits;
mod relay;
mod shapes;
pub mod table;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::any;
use keepwell_api::auth::{AskGrant, CheckToken, Granted, Token};
use keepwell_api::client::MOST_BYTES;
use keepwell_api::grants::{Verb, allows, digest, needs_person};
use keepwell_api::server::REQUEST;
use keepwell_api::vault::{ChangeShare, Share};
use keepwell_api::{Base64, Refusal, hex};
use keepwell_duties::Policy;
use zeroize::Zeroizing;

use crate::app::App;
use crate::guard;
use limits::{beyond, limited, sees_all};
use relay::{Relay, Sent, collected};
use table::{Answer, ByContent, EVENTS, Route, Told, Who};

/// Where its description is, for anybody.
pub const DESCRIPTION: &str = "/api/v1/openapi.json";

/// Longest request.
const BODY_MAX: usize = 256 << 10;
/// Longest wait for one.
const BODY_WAIT: Duration = Duration::from_secs(15);

#[derive(Debug)]
struct Api {
    app: Arc<App>,
    relay: Arc<Relay>,
}

/// All of it, under `/api`.
pub fn routes(app: Arc<App>) -> Router {
    let relay = Arc::new(Relay::new(app.neighbours.authd_socket(), app.neighbours.vaultd_socket()));
    Router::new().route("/api/{*path}", any(answer)).with_state(Arc::new(Api { app, relay }))
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response<Body> {
    let mut answer = handle(&api, request).await.unwrap_or_else(refused);
    guard::keep_to_itself(answer.headers_mut());
    answer
}

fn refused(refusal: Refusal) -> Response<Body> {
    let unknown = refusal.status == StatusCode::UNAUTHORIZED.as_u16();
    let mut answer = refusal.into_response();
    if unknown {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

async fn handle(api: &Api, request: Request) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    if guard::host_of(&api.app, &parts).is_none() {
        return Err(no(StatusCode::MISDIRECTED_REQUEST, "host", "this box is not called that: use its name or address"));
    }
    if parts.uri.path() == DESCRIPTION && parts.method == Method::GET {
        return Ok(([(header::CONTENT_TYPE, "application/json")], shapes::description()).into_response());
    }
    let (route, at) = match table::find(&parts.method, parts.uri.path()) {
        Ok(found) => found,
        Err(methods) if methods.is_empty() => return Err(no(StatusCode::NOT_FOUND, "not-found", "there is no such route")),
        Err(methods) => return Ok(other_method(&methods)),
    };
    let shown = shown(&parts.headers).ok_or_else(no_token)?;
    let token: Token = api.relay.knock(CheckToken { token: shown.clone() }).await?;
    match route.who {
        Who::Told(roles, verbs, told) => {
            let may = roles.contains(&token.role) && (verbs.is_empty() || verbs.iter().any(|verb| token.verbs.contains(verb)));
            if !may {
                return Err(not_allowed(&token, route));
            }
            tell(api, route, (&token, shown), told, with_query(route, at, parts.uri.query())?).await
        }
        Who::Granted(_) | Who::ByContent(_) => {
            let body = read(&parts.headers, body).await?;
            act(api, route, at, (&token, shown), body, most_bytes(&parts.headers)?).await
        }
    }
}

/// What vaultd tells without a grant.
async fn tell(api: &Api, route: &Route, (token, shown): (&Token, Base64), told: Told, at: String) -> Result<Response<Body>, Refusal> {
    let all = sees_all(token, told);
    if !all && told == Told::Nothing {
        return Err(beyond());
    }
    if matches!(route.answer, Answer::Flow(EVENTS)) {
        let place = api.relay.listener(&token.name)?;
        let answer = passed_on(api.relay.vaultd(Sent::get(at), place).await?).await;
        return Ok(api.relay.watched(answer, shown));
    }
    // What is told without a grant is told at once: metrics too.
    let place = api.relay.place(false).await?;
    let answer = api.relay.vaultd(Sent::get(at), place).await?;
    if all || !answer.status().is_success() {
        return Ok(passed_on(answer).await);
    }
    let known = limited(&api.relay, token, told, answer.into_body()).await?;
    Ok(axum::Json(known).into_response())
}

/// What takes a grant: for the very bytes that came.
async fn act(
    api: &Api,
    route: &Route,
    at: String,
    (token, shown): (&Token, Base64),
    body: Zeroizing<Vec<u8>>,
    max_bytes: Option<u64>,
) -> Result<Response<Body>, Refusal> {
    let place = api.relay.place(matches!(route.answer, Answer::Flow(_))).await?;
    let verb = match route.who {
        Who::Granted(verb) => verb,
        Who::ByContent(ByContent::Tier) => change_verb(api, &body).await?,
        Who::ByContent(ByContent::Policy) => policy_verb(api, &body).await?,
        Who::Told(..) => return Err(not_allowed(token, route)),
    };
    if !token.verbs.contains(&verb) || !allows(token.role, verb) || needs_person(verb) {
        return Err(not_allowed(token, route));
    }
    let mut ask = AskGrant::in_session(Base64::default(), verb, hex::encode(&digest(&body)), max_bytes);
    ask.token = Some(shown);
    let (granted, place) = api.relay.authd::<Granted>("/v1/grants", ask, place).await?;
    let sent = Sent { method: Method::POST, at, grant: Some(granted.grant), body };
    Ok(passed_on(api.relay.vaultd(sent, place).await?).await)
}

/// As vaultd decides it; what it can't read it refuses itself.
async fn change_verb(api: &Api, body: &[u8]) -> Result<Verb, Refusal> {
    let Ok(change) = serde_json::from_slice::<ChangeShare>(body) else { return Ok(Verb::SharesChange) };
    let shares: Vec<Share> = api.relay.known("/v1/shares").await?;
    Ok(shares.into_iter().find(|share| share.id == change.id).map_or(Verb::SharesChange, |share| change.verb(share.tier)))
}

async fn policy_verb(api: &Api, body: &[u8]) -> Result<Verb, Refusal> {
    let Ok(wanted) = serde_json::from_slice::<Policy>(body) else { return Ok(Verb::PolicyChange) };
    let policies: Vec<Policy> = api.relay.known("/v1/policies").await?;
    let loosens = policies.iter().any(|now| now.tier == wanted.tier && now.is_loosened_by(&wanted));
    Ok(if loosens { Verb::PolicyLoosen } else { Verb::PolicyChange })
}

/// vaultd's answer with those headers that say what it is. A refusal that its HTTP layer wrote in plain text becomes one like all others.
async fn passed_on(answer: Response<Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !parts.status.is_success() && !is_json {
        let why = collected(body, 4 << 10).await.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
        return no(parts.status, "malformed", &why).into_response();
    }
    let mut answer = Response::builder().status(parts.status);
    for name in [header::CONTENT_TYPE.as_str(), header::CONTENT_LENGTH.as_str(), REQUEST] {
        if let Some(value) = parts.headers.get(name) {
            answer = answer.header(name, value);
        }
    }
    answer.body(body).expect("a status and headers that came are ones that go")
}

/// RFC 6750, section 2.1; only what can be a token is looked up.
fn shown(headers: &HeaderMap) -> Option<Base64> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (kind, token) = all.next()?.to_str().ok()?.split_once(' ')?;
    let good = kind.eq_ignore_ascii_case("bearer")
        && token.len() == 46
        && token.starts_with("kw_")
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    (good && all.next().is_none()).then(|| token.as_bytes().to_vec().into())
}

fn with_query(route: &Route, at: String, query: Option<&str>) -> Result<String, Refusal> {
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !route.query().contains(&&*name) || value.len() > 64 {
            return Err(no(StatusCode::BAD_REQUEST, "malformed", "the query has something that this route does not know"));
        }
        kept.append_pair(&name, &value);
    }
    let kept = kept.finish();
    Ok(if kept.is_empty() { at } else { format!("{at}?{kept}") })
}

fn most_bytes(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let wanted = headers.get(MOST_BYTES).map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    let malformed = || no(StatusCode::BAD_REQUEST, "malformed", "keepwell-most-bytes is no number");
    wanted.map(|bytes| bytes.ok_or_else(malformed)).transpose()
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "malformed", "a request is application/json"));
    }
    match tokio::time::timeout(BODY_WAIT, collected(body, BODY_MAX)).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => {
            Err(no(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the request is longer than 256 KiB, or broke off; nothing was done"))
        }
        Err(_) => Err(no(StatusCode::REQUEST_TIMEOUT, "too-slow", "the request did not come in time; nothing was done")),
    }
}

fn other_method(methods: &[&'static Method]) -> Response<Body> {
    let mut answer = no(StatusCode::METHOD_NOT_ALLOWED, "method", "this route takes another method").into_response();
    let allowed = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

fn no_token() -> Refusal {
    no(StatusCode::UNAUTHORIZED, "no-token", "this needs a token: Authorization: Bearer kw_...")
}

fn not_allowed(token: &Token, route: &Route) -> Refusal {
    tracing::warn!(token = token.name, role = %token.role, route = route.path, "a token that is not for this was refused");
    no(StatusCode::FORBIDDEN, "not-allowed", "this token is not for this; nothing was done")
}

fn no(status: StatusCode, code: &str, text: &str) -> Refusal {
    Refusal::text(status, code, text)
}
