//! authd's routes: which program may ask for what, and requests to verbs and back.
//!
//! Decides nothing about people. Verbs block (the disk, Argon2), so they run beside the runtime, never on it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use keepwell_api::auth::{
    AddPasskey, AddUser, AskBreakGlass, AskGrant, BeginPasskey, ByOwner, ChangeFactor, ChangePassword, ChangeRole, ChangeShares,
    CheckToken, Claim, ConfirmFactor, ConsoleCertificate, Enrol, InSession, MakeToken, MayClaim, RenamePasskey, Revoke, SignIn,
};
use keepwell_api::{Caller, Callers, Refusal};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::error::AuthError;
use crate::lockout::Origin;

/// Users of the programs that may ask.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Checks grants, writes the ledger, keeps a copy of the users.
    pub vaultd: u32,
    /// Relays what people prove. Has no right of its own.
    pub consoleds: Vec<u32>,
    /// The box's command line: as a console, and claims the box without a code.
    pub admins: Vec<u32>,
    /// The box's own screen: as the command line, shows the claim code, and unlocks users.
    pub screen: Vec<u32>,
}

type Shared = Arc<Authority>;

/// All routes, each for its callers alone.
pub fn routes(authority: Authority, programs: &Programs) -> Router {
    let authority = Arc::new(authority);
    let at_the_box = || programs.admins.iter().chain(&programs.screen).copied();
    let people = || at_the_box().chain(programs.consoleds.iter().copied());
    let everyone = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/key", get(key))
        .route("/v1/users", get(users))
        .route("/v1/tokens", get(tokens));
    let own = Own(Arc::new(Callers::only(at_the_box())));
    let screen = Router::new().route("/v1/users/{name}/unlock", post(unlock)).route("/v1/break-glass-grants", post(break_glass_grant));
    let claim_code = Router::new().route("/v1/claim-code", get(claim_code));
    let vaultd = Router::new()
        .route("/v1/export", get(export))
        .route("/v1/import", post(import))
        .route("/v1/events", get(events))
        .route("/v1/claims", post(claims));
    Callers::only(people().chain([programs.vaultd]))
        .guard(everyone.with_state(authority.clone()))
        .merge(Callers::only(people()).guard(people_routes().layer(Extension(own)).with_state(authority.clone())))
        .merge(Callers::only(at_the_box()).guard(claim_code.with_state(authority.clone())))
        .merge(Callers::only(programs.screen.iter().copied()).guard(screen.with_state(authority.clone())))
        .merge(Callers::only([programs.vaultd]).guard(vaultd.with_state(authority)))
}

fn people_routes() -> Router<Shared> {
    Router::new()
        .route("/v1/claim", post(claim))
        .route("/v1/sign-in", post(sign_in))
        .route("/v1/sign-out", post(sign_out))
        .route("/v1/sessions/check", post(check))
        .route("/v1/sessions/touch", post(touch))
        .route("/v1/password", post(password))
        .route("/v1/recovery-codes", post(recovery_codes))
        .route("/v1/authenticator", post(authenticator))
        .route("/v1/authenticator/confirm", post(confirm_authenticator))
        .route("/v1/passkeys/begin", post(begin_passkey))
        .route("/v1/passkeys", post(add_passkey))
        .route("/v1/passkeys/{id}/rename", post(rename_passkey))
        .route("/v1/users/{name}/passkeys/{id}/remove", post(remove_passkey))
        .route("/v1/console-certificate", post(console_certificate))
        .route("/v1/break-glass-code", post(break_glass_code))
        .route("/v1/grants", post(grant))
        .route("/v1/users", post(add_user))
        .route("/v1/users/{name}/enrol", post(enrol))
        .route("/v1/users/{name}/disable", post(disable))
        .route("/v1/users/{name}/reset", post(reset))
        .route("/v1/users/{name}/role", post(role))
        .route("/v1/users/{name}/shares", post(shares))
        .route("/v1/tokens", post(make_token))
        .route("/v1/tokens/check", post(check_token))
        .route("/v1/tokens/{id}/revoke", post(revoke_token))
}

/// Who asks from the box itself, and not from the network.
#[derive(Clone)]
struct Own(Arc<Callers>);

/// What says where a request comes from.
type Where = (Extension<Own>, ConnectInfo<Caller>);

fn origin((Extension(own), ConnectInfo(caller)): Where) -> Origin {
    if own.0.admit(caller) { Origin::Box } else { Origin::Console }
}

/// Runs a verb where it may block.
async fn run<T: Send + 'static>(
    authority: Shared,
    verb: impl FnOnce(&Authority) -> Result<T, AuthError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(move || verb(&authority)).await.map_err(|_| {
        Refusal::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken",
            "authd failed at this request; see its log. Nothing that was there is lost",
        )
    })?;
    done.map_err(|error| {
        let refusal = Refusal::from(&error);
        if matches!(error, AuthError::PasskeyAsked(_)) {
            tracing::debug!("a passkey was asked");
            return refusal;
        }
        tracing::warn!(code = refusal.code, error = &error as &dyn std::error::Error, "a request was not carried out");
        refusal
    })
}

/// As [`run`], answered in JSON.
async fn answer<T: Serialize + Send + 'static>(
    authority: Shared,
    verb: impl FnOnce(&Authority) -> Result<T, AuthError> + Send + 'static,
) -> Response {
    run(authority, verb).await.map(Json).into_response()
}

async fn status(State(authority): State<Shared>) -> Response {
    answer(authority, Authority::status).await
}

async fn key(State(authority): State<Shared>) -> Response {
    answer(authority, |authority| Ok(authority.key())).await
}

async fn claim_code(State(authority): State<Shared>) -> Response {
    answer(authority, Authority::claim_code).await
}

async fn claims(State(authority): State<Shared>, Json(request): Json<MayClaim>) -> Response {
    answer(authority, move |authority| {
        authority.claims(&request);
        Ok(())
    })
    .await
}

async fn claim(State(authority): State<Shared>, from: Where, Json(request): Json<Claim>) -> Response {
    answer(authority, move |authority| authority.claim(&request, origin(from))).await
}

async fn sign_in(State(authority): State<Shared>, from: Where, Json(request): Json<SignIn>) -> Response {
    answer(authority, move |authority| authority.sign_in(&request, origin(from))).await
}

async fn sign_out(State(authority): State<Shared>, Json(request): Json<InSession>) -> Response {
    answer(authority, move |authority| authority.sign_out(&request.session)).await
}

async fn check(State(authority): State<Shared>, Json(request): Json<InSession>) -> Response {
    answer(authority, move |authority| authority.check(&request.session)).await
}

async fn touch(State(authority): State<Shared>, Json(request): Json<InSession>) -> Response {
    answer(authority, move |authority| authority.touch(&request.session)).await
}

async fn password(State(authority): State<Shared>, from: Where, Json(request): Json<ChangePassword>) -> Response {
    answer(authority, move |authority| authority.change_password(&request, origin(from))).await
}

async fn recovery_codes(State(authority): State<Shared>, from: Where, Json(request): Json<ChangeFactor>) -> Response {
    answer(authority, move |authority| authority.new_recovery_codes(&request, origin(from))).await
}

async fn authenticator(State(authority): State<Shared>, from: Where, Json(request): Json<ChangeFactor>) -> Response {
    answer(authority, move |authority| authority.new_authenticator(&request, origin(from))).await
}

async fn confirm_authenticator(State(authority): State<Shared>, Json(request): Json<ConfirmFactor>) -> Response {
    answer(authority, move |authority| authority.confirm_authenticator(&request)).await
}

async fn begin_passkey(State(authority): State<Shared>, from: Where, Json(request): Json<BeginPasskey>) -> Response {
    answer(authority, move |authority| authority.begin_passkey(&request, origin(from))).await
}

async fn add_passkey(State(authority): State<Shared>, Json(request): Json<AddPasskey>) -> Response {
    answer(authority, move |authority| authority.add_passkey(&request)).await
}

async fn rename_passkey(State(authority): State<Shared>, Path(id): Path<String>, Json(request): Json<RenamePasskey>) -> Response {
    answer(authority, move |authority| authority.rename_passkey(&id, &request)).await
}

async fn remove_passkey(
    State(authority): State<Shared>,
    Path((name, id)): Path<(String, String)>,
    Json(request): Json<ByOwner>,
) -> Response {
    answer(authority, move |authority| authority.remove_passkey(&name, &id, &request)).await
}

async fn console_certificate(State(authority): State<Shared>, Json(request): Json<ConsoleCertificate>) -> Response {
    answer(authority, move |authority| authority.console_certificate(&request)).await
}

async fn break_glass_code(State(authority): State<Shared>, Json(request): Json<ByOwner>) -> Response {
    answer(authority, move |authority| authority.new_break_glass_code(&request)).await
}

async fn break_glass_grant(State(authority): State<Shared>, Json(request): Json<AskBreakGlass>) -> Response {
    answer(authority, move |authority| authority.break_glass_grant(&request)).await
}

async fn grant(State(authority): State<Shared>, Json(request): Json<AskGrant>) -> Response {
    answer(authority, move |authority| authority.grant(&request)).await
}

async fn users(State(authority): State<Shared>) -> Response {
    answer(authority, Authority::users).await
}

async fn add_user(State(authority): State<Shared>, Json(request): Json<AddUser>) -> Response {
    answer(authority, move |authority| authority.add_user(&request)).await
}

async fn enrol(State(authority): State<Shared>, Path(name): Path<String>, Json(request): Json<Enrol>) -> Response {
    answer(authority, move |authority| authority.enrol(&name, &request)).await
}

async fn disable(State(authority): State<Shared>, Path(name): Path<String>, Json(request): Json<ByOwner>) -> Response {
    answer(authority, move |authority| authority.disable(&name, &request)).await
}

async fn reset(State(authority): State<Shared>, Path(name): Path<String>, Json(request): Json<ByOwner>) -> Response {
    answer(authority, move |authority| authority.reset(&name, &request)).await
}

async fn shares(State(authority): State<Shared>, Path(name): Path<String>, Json(request): Json<ChangeShares>) -> Response {
    answer(authority, move |authority| authority.change_shares(&name, &request)).await
}

async fn unlock(State(authority): State<Shared>, Path(name): Path<String>) -> Response {
    answer(authority, move |authority| authority.unlock(&name)).await
}

async fn tokens(State(authority): State<Shared>) -> Response {
    answer(authority, Authority::tokens).await
}

async fn check_token(State(authority): State<Shared>, Json(request): Json<CheckToken>) -> Response {
    answer(authority, move |authority| authority.check_token(&request.token)).await
}

async fn make_token(State(authority): State<Shared>, Json(request): Json<MakeToken>) -> Response {
    answer(authority, move |authority| authority.make_token(&request)).await
}

async fn revoke_token(State(authority): State<Shared>, Path(id): Path<String>, Json(request): Json<Revoke>) -> Response {
    answer(authority, move |authority| authority.revoke_token(&id, &request.session)).await
}

async fn role(State(authority): State<Shared>, Path(name): Path<String>, Json(request): Json<ChangeRole>) -> Response {
    answer(authority, move |authority| authority.change_role(&name, &request)).await
}

async fn export(State(authority): State<Shared>) -> Response {
    run(authority, Authority::export).await.map(|bytes| Bytes::from_owner(Wiped(bytes))).into_response()
}

async fn import(State(authority): State<Shared>, body: Bytes) -> Response {
    answer(authority, move |authority| authority.import(&body)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn events(State(authority): State<Shared>, Query(After { after }): Query<After>) -> Response {
    answer(authority, move |authority| authority.events(after)).await
}

/// A body that is wiped when it was sent.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
