//! An authd that knows one person of each role, called as the role is, with one password and one code for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::auth::{
    AddUser, AskGrant, BreakGlassCode, ByOwner, ChangeFactor, ChangeShares, CheckToken, ConfirmFactor, Enrol, Enrolled, Granted, InSession,
    MakeToken, PasskeyAsked, Revoke, Session, SetUp, SignIn, SignedIn, Status, Token, TokenMade, Tokens, User, UserState, Users,
};
use keepwell_api::grants::{Role, Scope, Verb, allows, needs_fresh_factor};
use keepwell_api::{Base64, Refusal};
use serde_json::Value;

use super::now;

pub const PASSWORD: &str = "correct horse battery staple";
pub const CODE: &str = "123456";

#[derive(Clone, Default)]
pub struct Authd(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    sessions: HashMap<Vec<u8>, (String, Role)>,
    tokens: HashMap<Vec<u8>, Token>,
    began: u64,
    touched: u64,
    /// From then on whatever is dangerous takes a code.
    stale: bool,
    /// Nobody has ever signed in.
    unclaimed: bool,
    /// Of who restores only.
    limit: Scope,
    /// What was asked for: user and verb.
    pub asked: Vec<(String, String)>,
}

impl Authd {
    /// Forgets everybody, as after a restart.
    pub fn forget(&self) {
        self.0.lock().unwrap().sessions.clear();
    }

    /// Nobody has shown a second factor lately.
    pub fn grow_stale(&self) {
        self.0.lock().unwrap().stale = true;
    }

    /// It has no owner.
    pub fn has_no_owner(&self) {
        self.0.lock().unwrap().unclaimed = true;
    }

    /// Who restores only may do so from these shares.
    pub fn limit(&self, shares: &[&str]) {
        self.0.lock().unwrap().limit = Scope::new(shares.iter().map(|name| (*name).to_owned()).collect()).unwrap();
    }

    /// Gives a program a token, called as its role is.
    pub fn give(&self, role: Role, verbs: &[Verb], shares: &[&str]) -> String {
        let mut inner = self.0.lock().unwrap();
        let shown = format!("kw_{:0>43}", inner.tokens.len());
        let token = Token {
            id: format!("{:016x}", inner.tokens.len()),
            name: role.to_string(),
            role,
            verbs: verbs.to_vec(),
            shares: Scope::new(shares.iter().map(|name| (*name).to_owned()).collect()).unwrap(),
            made_by: "owner".into(),
            made_at: now(),
            expires_at: now() + 86_400,
            last_used_at: None,
            revoked_at: None,
        };
        inner.tokens.insert(shown.clone().into_bytes(), token);
        shown
    }

    /// What grants were asked for.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().asked.clone()
    }

    /// How often somebody did something.
    pub fn touched(&self) -> u64 {
        self.0.lock().unwrap().touched
    }

    /// How many are signed in.
    pub fn signed_in(&self) -> usize {
        self.0.lock().unwrap().sessions.len()
    }

    pub fn routes(&self) -> Router {
        Router::new()
            .route("/v1/status", get(status))
            .route("/v1/sign-in", post(sign_in))
            .route("/v1/sign-out", post(sign_out))
            .route("/v1/sessions/check", post(check))
            .route("/v1/sessions/touch", post(touch))
            .route("/v1/grants", post(grant))
            .route("/v1/tokens/check", post(check_token))
            .route("/v1/users", get(users).post(add_user))
            .route("/v1/users/{name}/enrol", post(enrol))
            .route("/v1/users/{name}/disable", post(change))
            .route("/v1/users/{name}/reset", post(reset))
            .route("/v1/users/{name}/role", post(change_role))
            .route("/v1/users/{name}/shares", post(change_shares))
            .route("/v1/tokens", get(tokens).post(make_token))
            .route("/v1/tokens/{id}/revoke", post(revoke))
            .route("/v1/break-glass-code", post(seal))
            .route("/v1/authenticator", post(authenticator))
            .route("/v1/authenticator/confirm", post(confirm))
            .with_state(self.clone())
    }

    fn who(&self, session: &Base64) -> Option<(String, Role)> {
        self.0.lock().unwrap().sessions.get(session.as_ref()).cloned()
    }
}

fn no(status: StatusCode, code: &str) -> Response {
    Refusal::text(status, code, format!("no: {code}")).into_response()
}

/// As authd does it: nothing is done yet.
fn passkey_asked(host: &str, act: &str) -> Response {
    let rp_id = host.split(':').next().unwrap().to_owned();
    let asked = PasskeyAsked { challenge: "AQID".into(), rp_id, allow: vec!["BAUG".into()], act: act.to_owned() };
    Refusal { causes: vec![serde_json::to_string(&asked).unwrap()], ..Refusal::text(StatusCode::UNAUTHORIZED, "passkey-asked", "not yet") }
        .into_response()
}

async fn status(State(authd): State<Authd>) -> Json<Status> {
    Json(Status {
        boot: "0".repeat(32),
        public_key: "0".repeat(64),
        users: 6,
        claimed: !authd.0.lock().unwrap().unclaimed,
        claimable: false,
        break_glass: true,
        passkey_hosts: vec!["localhost".into()],
    })
}

async fn sign_in(State(authd): State<Authd>, Json(ask): Json<SignIn>) -> Response {
    if let Some(host) = ask.code.strip_prefix('?') {
        return passkey_asked(host, "sign-in");
    }
    let role: Option<Role> = ask.user.parse().ok();
    let (Some(role), true) = (role, ask.password.as_ref() == PASSWORD.as_bytes() && ask.code == CODE) else {
        return no(StatusCode::UNAUTHORIZED, "sign-in-refused");
    };
    let mut inner = authd.0.lock().unwrap();
    inner.began += 1;
    let mut session = vec![7; 32];
    session[..8].copy_from_slice(&inner.began.to_le_bytes());
    inner.sessions.insert(session.clone(), (ask.user, role));
    Json(SignedIn { session: session.into(), expires_at: now() + 43_200, idle_s: 600, role }).into_response()
}

async fn sign_out(State(authd): State<Authd>, Json(ask): Json<InSession>) -> Json<Value> {
    authd.0.lock().unwrap().sessions.remove(ask.session.as_ref());
    Json(Value::Null)
}

async fn check(State(authd): State<Authd>, Json(ask): Json<InSession>) -> Response {
    let Some((user, role)) = authd.who(&ask.session) else { return no(StatusCode::UNAUTHORIZED, "no-session") };
    let fresh_until = if authd.0.lock().unwrap().stale { 0 } else { now() + 200 };
    let (expires_at, idle_until, recovery_codes_left) = (now() + 43_000, now() + 600, 8);
    let shares = if role == Role::RestoreOnly { authd.0.lock().unwrap().limit.clone() } else { Scope::default() };
    let (people_until, papers_until, download_left) = (fresh_until, fresh_until, u64::MAX);
    Json(Session {
        user,
        role,
        expires_at,
        idle_until,
        fresh_until,
        people_until,
        papers_until,
        download_left,
        recovery_codes_left,
        shares,
        passkeys: Vec::new(),
    })
    .into_response()
}

async fn touch(state: State<Authd>, ask: Json<InSession>) -> Response {
    state.0.0.lock().unwrap().touched += 1;
    check(state, ask).await
}

async fn check_token(State(authd): State<Authd>, Json(ask): Json<CheckToken>) -> Response {
    match authd.0.lock().unwrap().tokens.get(ask.token.as_ref()) {
        Some(token) => Json(token.clone()).into_response(),
        None => no(StatusCode::UNAUTHORIZED, "no-token"),
    }
}

async fn grant(State(authd): State<Authd>, Json(ask): Json<AskGrant>) -> Response {
    if let Some(shown) = &ask.token {
        let mut inner = authd.0.lock().unwrap();
        let Some(token) = inner.tokens.get(shown.as_ref()).cloned() else { return no(StatusCode::UNAUTHORIZED, "no-token") };
        inner.asked.push((format!("token:{}", token.name), ask.verb.to_string()));
        let may = ask.session.as_ref().is_empty() && allows(token.role, ask.verb) && token.verbs.contains(&ask.verb);
        let grant = format!("{} {}", ask.verb, ask.arguments);
        return if may {
            Json(Granted { grant, expires_at: now() + 120 }).into_response()
        } else {
            no(StatusCode::FORBIDDEN, "not-allowed")
        };
    }
    let Some((user, role)) = authd.who(&ask.session) else { return no(StatusCode::UNAUTHORIZED, "no-session") };
    let mut inner = authd.0.lock().unwrap();
    inner.asked.push((user, ask.verb.to_string()));
    if !allows(role, ask.verb) {
        return no(StatusCode::FORBIDDEN, "not-allowed");
    }
    if let Some(host) = ask.code.as_deref().and_then(|code| code.strip_prefix('?')) {
        return passkey_asked(host, ask.verb.as_str());
    }
    if inner.stale && needs_fresh_factor(ask.verb, ask.max_bytes) && ask.code.as_deref() != Some(CODE) {
        return no(StatusCode::FORBIDDEN, "step-up");
    }
    Json(Granted { grant: format!("{} {}", ask.verb, ask.arguments), expires_at: now() + 120 }).into_response()
}

async fn users() -> Json<Users> {
    let state = |role| match role {
        Role::Auditor => UserState::LockedOut { until: now() + 600 },
        Role::Technician => UserState::Disabled,
        Role::Security => UserState::SetUp,
        _ => UserState::Active,
    };
    let user = |role: &Role| User {
        name: role.to_string(),
        role: *role,
        state: state(*role),
        added_at: now() - 90 * 86_400,
        signed_in_at: (*role != Role::Security).then(|| now() - 3 * 86_400),
        shares: Scope::default(),
        refused_from: u32::from(*role == Role::RestoreOnly),
        passkeys: Vec::new(),
    };
    Json(Users { users: Role::ALL.iter().map(user).collect() })
}

async fn add_user(State(authd): State<Authd>, Json(ask): Json<AddUser>) -> Response {
    match authd.who(&ask.session) {
        Some((_, Role::Owner)) => Json(set_up()).into_response(),
        _ => no(StatusCode::FORBIDDEN, "not-allowed"),
    }
}

fn set_up() -> SetUp {
    SetUp { code: b"ABCDE-FGHJK-MNPQR-STUVW".to_vec().into(), expires_at: now() + 7 * 86_400 }
}

async fn enrol(Path(_): Path<String>, Json(ask): Json<Enrol>) -> Response {
    if ask.code.as_ref() != b"ABCDE-FGHJK-MNPQR-STUVW" {
        return no(StatusCode::UNAUTHORIZED, "set-up-refused");
    }
    let codes = (0..10).map(|n| format!("abcd{n}-efgh{n}").into_bytes().into()).collect();
    Json(Enrolled {
        otpauth: b"otpauth://totp/Keepwell:Ann?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Keepwell".to_vec().into(),
        recovery_codes: codes,
    })
    .into_response()
}

async fn change(State(authd): State<Authd>, Path(_): Path<String>, Json(ask): Json<ByOwner>) -> Response {
    match authd.who(&ask.session) {
        Some((_, Role::Owner)) => Json(Value::Null).into_response(),
        _ => no(StatusCode::FORBIDDEN, "not-allowed"),
    }
}

async fn reset(State(authd): State<Authd>, Path(_): Path<String>, Json(ask): Json<ByOwner>) -> Response {
    match authd.who(&ask.session) {
        Some((_, Role::Owner)) => Json(set_up()).into_response(),
        _ => no(StatusCode::FORBIDDEN, "not-allowed"),
    }
}

async fn change_role(State(authd): State<Authd>, Path(_): Path<String>, Json(ask): Json<keepwell_api::auth::ChangeRole>) -> Response {
    match authd.who(&ask.session) {
        Some((_, Role::Owner)) => Json(Value::Null).into_response(),
        _ => no(StatusCode::FORBIDDEN, "not-allowed"),
    }
}

async fn change_shares(State(authd): State<Authd>, Path(_): Path<String>, Json(ask): Json<ChangeShares>) -> Response {
    owners(&authd, &ask.session, Value::Null)
}

fn owners<T: serde::Serialize>(authd: &Authd, session: &Base64, answer: T) -> Response {
    match authd.who(session) {
        Some((_, Role::Owner)) => Json(answer).into_response(),
        _ => no(StatusCode::FORBIDDEN, "not-allowed"),
    }
}

async fn tokens() -> Json<Tokens> {
    let token = Token {
        id: "00112233445566ff".into(),
        name: "Monitor".into(),
        role: Role::Technician,
        verbs: vec![Verb::RunNow],
        shares: Scope::default(),
        made_by: "owner".into(),
        made_at: now() - 86_400,
        expires_at: now() + 86_400,
        last_used_at: None,
        revoked_at: None,
    };
    let over = Token { id: "00".repeat(8), name: "Before".into(), revoked_at: Some(now() - 60), ..token.clone() };
    Json(Tokens { tokens: vec![token, over] })
}

async fn make_token(State(authd): State<Authd>, Json(ask): Json<MakeToken>) -> Response {
    let words: Vec<_> = ask.verbs.iter().map(Verb::to_string).collect();
    authd.0.lock().unwrap().asked.push((ask.role.to_string(), words.join(" ")));
    owners(&authd, &ask.session, TokenMade { id: "00".repeat(8), token: b"kw_made".to_vec().into(), expires_at: ask.expires_at })
}

async fn revoke(State(authd): State<Authd>, Path(id): Path<String>, Json(ask): Json<Revoke>) -> Response {
    if id != "00112233445566ff" {
        return no(StatusCode::NOT_FOUND, "unknown-token");
    }
    owners(&authd, &ask.session, Value::Null)
}

async fn seal(State(authd): State<Authd>, Json(ask): Json<ByOwner>) -> Response {
    owners(&authd, &ask.session, BreakGlassCode { code: b"ABCD-EFGH-JKMN-PQRS-TVWX-YZ01".to_vec().into(), made_at: now() })
}

async fn authenticator(Json(ask): Json<ChangeFactor>) -> Response {
    if ask.code != CODE {
        return no(StatusCode::UNAUTHORIZED, "wrong-proof");
    }
    enrol(Path(String::new()), Json(Enrol { code: b"ABCDE-FGHJK-MNPQR-STUVW".to_vec().into(), password: ask.password })).await
}

async fn confirm(Json(ask): Json<ConfirmFactor>) -> Response {
    if ask.code == CODE { Json(Value::Null).into_response() } else { no(StatusCode::UNAUTHORIZED, "wrong-code") }
}
