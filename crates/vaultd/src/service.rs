//! vaultd's routes: who may ask, what needs a grant, requests to verbs and back. Decides nothing about data.
//!
//! Work blocks (disks, the ledger, other programs), so it runs beside the runtime, never on it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use keepwell_api::grants::{Grant, Verb};
use keepwell_api::{Callers, Ending, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::appliance::Appliance;
use crate::doors::Place;
use crate::error::VaultdError;
use crate::{
    address, channels, checking, disks, download, emergency, events, freezing, kit, metrics, offsite, reading, restore, settling, support,
    told, trial, verbs,
};

type Shared = Arc<Appliance>;

/// Most runs in one answer.
const RUNS_MAX: u32 = 1_000;

/// All routes, for these callers alone. What is told without a grant names no file.
pub fn routes(appliance: Shared, callers: Callers) -> Router {
    let open = Router::new()
        .route("/v1/vault", get(async |state: State<Shared>| free(state, |appliance| Ok(told::vault(appliance))).await))
        .route("/v1/status", get(async |state: State<Shared>| free(state, told::status).await))
        .route("/v1/shares", get(async |state: State<Shared>| free(state, told::shares).await))
        .route("/v1/runs", get(runs))
        .route("/v1/runs/{id}", get(run))
        .route(
            "/v1/restores",
            get(async |state: State<Shared>| free(state, |appliance| Ok(appliance.state.restores(false, RUNS_MAX)?)).await),
        )
        .route("/v1/restores/{id}", get(one_restore))
        .route("/v1/channels", get(async |state: State<Shared>| free(state, channels::told).await))
        .route("/v1/policies", get(async |state: State<Shared>| free(state, verbs::policies).await))
        .route("/v1/log/verify", get(async |state: State<Shared>| free(state, verbs::verify_log).await))
        .route("/v1/disks", get(async |state: State<Shared>| free(state, disks::told).await))
        .route("/v1/pool", get(async |state: State<Shared>| free(state, disks::making).await))
        .route("/v1/offsite", get(async |state: State<Shared>| free(state, offsite::told).await))
        .route("/v1/offsite/receipts", get(async |state: State<Shared>| free(state, offsite::receipts).await))
        .route("/v1/events", get(events))
        .route("/v1/kit/{paper}", get(kit_question))
        .route("/v1/emergency", get(async |state: State<Shared>| free(state, emergency::told).await))
        .route("/v1/emergency/entry", shown(emergency::entry))
        .route("/v1/emergency/files", shown(emergency::files))
        .route("/v1/emergency/content", post(emergency_content))
        .route("/metrics", get(metrics_page));
    let granted = Router::new()
        .route("/v1/shares/check", act(Verb::SharesAdd, checking::check))
        .route("/v1/shares/change", post(change_share))
        .route("/v1/shares/remove", act(Verb::SharesRemove, verbs::remove_share))
        .route("/v1/runs/cancel", act(Verb::RunCancel, verbs::cancel_run))
        .route("/v1/restores/resume", act(Verb::Restore, restore::resume))
        .route("/v1/restores/cancel", act(Verb::Restore, verbs::cancel_restore))
        .route("/v1/snapshots", act(Verb::SnapshotsList, reading::snapshots))
        .route("/v1/snapshots/compare", act(Verb::FilesList, reading::compare))
        .route("/v1/files", act(Verb::FilesList, reading::files))
        .route("/v1/files/search", act(Verb::FilesList, reading::search))
        .route("/v1/files/versions", act(Verb::FilesList, reading::versions))
        .route("/v1/runs/gaps", act(Verb::FilesList, reading::gaps))
        .route("/v1/files/content", post(content))
        .route("/v1/files/zip", post(zip))
        .route("/v1/clock/confirm", act(Verb::SettingsChange, settling::confirm))
        .route("/v1/test-restores", act(Verb::TestRestore, trial::start))
        .route("/v1/support-bundle", act(Verb::SupportBundle, support::bundle))
        .route("/v1/log", act(Verb::LogRead, verbs::read_log))
        .route("/v1/channels", act(Verb::SettingsChange, channels::set))
        .route("/v1/channels/test", act(Verb::SettingsChange, channels::test))
        .route("/v1/incidents/acknowledge", act(Verb::IncidentsAcknowledge, verbs::acknowledge))
        .route("/v1/shares", act(Verb::SharesAdd, verbs::add_share))
        .route("/v1/runs", act(Verb::RunNow, verbs::run_now))
        .route("/v1/restores", act(Verb::Restore, verbs::restore))
        .route("/v1/pool", act(Verb::DisksChange, disks::create))
        .route("/v1/kit/print", post(kit_print))
        .route("/v1/kit/confirm", act(Verb::SettingsChange, kit::confirm))
        .route("/v1/kit/again", act(Verb::KitPrint, kit::again))
        .route("/v1/disks/add", act(Verb::DisksChange, disks::add))
        .route("/v1/disks/outward", act(Verb::DisksChange, disks::prepare_outward))
        .route("/v1/address", act(Verb::SettingsChange, address::note))
        .route("/v1/disks/remove", act(Verb::DisksChange, disks::remove))
        .route("/v1/disks/locate", act(Verb::DisksTest, disks::locate))
        .route("/v1/disks/self-test", act(Verb::DisksTest, disks::self_test))
        .route("/v1/emergency/open", act(Verb::EmergencyOpen, emergency::open))
        .route("/v1/emergency/close", post(close_emergency))
        .route("/v1/emergency/call", act(Verb::SettingsChange, emergency::set_call))
        .route("/v1/deletions/freeze", act(Verb::DeletionsFreeze, freezing::freeze))
        .route("/v1/deletions/thaw", act(Verb::DeletionsThaw, freezing::thaw))
        .route("/v1/offsite/invite", act(Verb::OffsiteChange, offsite::invite))
        .route("/v1/offsite/pair", act(Verb::OffsiteChange, offsite::pair))
        .route("/v1/offsite/unpair", act(Verb::OffsiteChange, offsite::unpair))
        .route("/v1/offsite/end", act(Verb::OffsiteChange, offsite::end))
        .route("/v1/offsite/cancel-order", act(Verb::OffsiteChange, offsite::cancel_order))
        .route("/v1/offsite/line", act(Verb::OffsiteChange, offsite::line::change))
        .route("/v1/offsite/send", act(Verb::RunNow, offsite::send))
        .route("/v1/offsite/prove", act(Verb::RunNow, offsite::prove))
        .route("/v1/policies", post(set_policy));
    // recoverd is this program's user: what it writes to the pool is this one's when it is there.
    let own = Callers::only([nix::unistd::geteuid().as_raw()]).guard(
        Router::new()
            .route("/v1/pool/recovery", get(async |state: State<Shared>| free(state, disks::making).await).post(recover_pool))
            .with_state(Arc::clone(&appliance)),
    );
    callers.guard(open.merge(granted).with_state(appliance)).merge(own)
}

/// A route for something that takes a grant for this verb.
fn act<A, T>(verb: Verb, work: fn(&Arc<Appliance>, &Grant, A) -> Result<T, VaultdError>) -> MethodRouter<Shared>
where
    A: DeserializeOwned + 'static,
    T: Serialize + Send + 'static,
{
    post(move |state, headers, body| granted(state, verb, headers, body, work))
}

/// A route for who shows the secret of an emergency in place of a grant.
fn shown<A, T>(work: fn(&Arc<Appliance>, A) -> Result<T, VaultdError>) -> MethodRouter<Shared>
where
    A: DeserializeOwned + 'static,
    T: Serialize + Send + 'static,
{
    post(async move |State(appliance): State<Shared>, body: Bytes| {
        let done = beside_refusing(move || work(&appliance, parsed(&body)?).map_err(|error| Refusal::from(&error)));
        done.await.map(Json).into_response()
    })
}

async fn emergency_content(State(appliance): State<Shared>, ending: Extension<Ending>, body: Bytes) -> Response {
    let found = beside_refusing(move || {
        let order = parsed(&body)?;
        let place = appliance.doors.emergency().map_err(|error| Refusal::from(&error))?;
        emergency::content(&appliance, order, place).map_err(|error| Refusal::from(&error))
    });
    found.await.and_then(|found| found.flow(ending.0).map_err(|error| Refusal::from(&error))).into_response()
}

/// Who may open it may close it, and so may who looks after incidents.
async fn close_emergency(State(appliance): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let done = beside_refusing(move || {
        let either = (Verb::EmergencyOpen, Verb::IncidentsAcknowledge);
        let grant = appliance.gate.admit_either(&appliance, either, &headers, &body)?;
        emergency::close(&appliance, &grant, parsed(&body)?).map_err(|error| Refusal::from(&error))
    });
    done.await.map(Json).into_response()
}

async fn change_share(state: State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    granted_for(state, verbs::change_verb, headers, body, verbs::change_share).await
}

async fn set_policy(state: State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    granted_for(state, verbs::policy_verb, headers, body, verbs::set_policy).await
}

async fn recover_pool(State(appliance): State<Shared>, body: Bytes) -> Response {
    let done = beside_refusing(move || disks::recover(&appliance, &parsed(&body)?).map_err(|error| Refusal::from(&error)));
    done.await.map(Json).into_response()
}

async fn kit_question(state: State<Shared>, Path(paper): Path<u8>) -> Response {
    free(state, move |appliance| kit::question(appliance, paper)).await
}

async fn kit_print(State(appliance): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let page = beside_refusing(move || {
        let (grant, order) = admitted(&appliance, Verb::KitPrint, &headers, &body)?;
        kit::print(&appliance, &grant, order).map_err(|error| Refusal::from(&error))
    });
    page.await.into_response()
}

async fn content(state: State<Shared>, ending: Extension<Ending>, headers: HeaderMap, body: Bytes) -> Response {
    sent(state, headers, body, download::one_file, |file| file.flow(ending.0)).await
}

async fn zip(state: State<Shared>, ending: Extension<Ending>, headers: HeaderMap, body: Bytes) -> Response {
    sent(state, headers, body, download::several, |several| several.flow(ending.0)).await
}

/// What takes a grant to download: looked for beside the runtime, then sent.
async fn sent<A: DeserializeOwned + 'static, T: Send + 'static>(
    State(appliance): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
    find: fn(&Arc<Appliance>, &Grant, A, Place) -> Result<T, VaultdError>,
    send: impl FnOnce(T) -> Result<Response, VaultdError>,
) -> Response {
    let found = beside_refusing(move || {
        // Before the grant is used up.
        let place = appliance.doors.download().map_err(|error| Refusal::from(&error))?;
        let (grant, order) = admitted(&appliance, Verb::Download, &headers, &body)?;
        find(&appliance, &grant, order, place).map_err(|error| Refusal::from(&error))
    });
    found.await.and_then(|found| send(found).map_err(|error| Refusal::from(&error))).into_response()
}

async fn events(State(appliance): State<Shared>, ending: Extension<Ending>) -> Response {
    events::follow(appliance, ending.0).await.map_err(|error| Refusal::from(&error)).into_response()
}

#[derive(Debug, Deserialize)]
struct WhichRuns {
    share: Option<String>,
    #[serde(default = "fifty")]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

async fn runs(state: State<Shared>, Query(which): Query<WhichRuns>) -> Response {
    free(state, move |appliance| verbs::runs(appliance, which.share.as_deref(), which.limit.min(RUNS_MAX))).await
}

async fn run(state: State<Shared>, Path(id): Path<u64>) -> Response {
    free(state, move |appliance| verbs::run(appliance, id)).await
}

async fn one_restore(state: State<Shared>, Path(id): Path<u64>) -> Response {
    free(state, move |appliance| verbs::one_restore(appliance, id)).await
}

async fn metrics_page(State(appliance): State<Shared>) -> Response {
    let page = beside(move || {
        Ok::<_, VaultdError>(metrics::page(&told::status(&appliance)?, appliance.state.unsent()?, appliance.watch.glance().strangers))
    })
    .await;
    page.map(|page| ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page)).into_response()
}

/// What anybody may ask who may ask at all.
async fn free<T: Serialize + Send + 'static>(
    State(appliance): State<Shared>,
    verb: impl FnOnce(&Appliance) -> Result<T, VaultdError> + Send + 'static,
) -> Response {
    beside(move || verb(&appliance)).await.map(Json).into_response()
}

/// What takes a grant for these very bytes.
async fn granted<A: DeserializeOwned, T: Serialize + Send + 'static>(
    state: State<Shared>,
    verb: Verb,
    headers: HeaderMap,
    body: Bytes,
    work: impl FnOnce(&Arc<Appliance>, &Grant, A) -> Result<T, VaultdError> + Send + 'static,
) -> Response {
    granted_for(state, move |_, _| verb, headers, body, work).await
}

/// As [`granted`], where the request itself says what it takes.
async fn granted_for<A: DeserializeOwned, T: Serialize + Send + 'static>(
    State(appliance): State<Shared>,
    verb: impl FnOnce(&Appliance, &[u8]) -> Verb + Send + 'static,
    headers: HeaderMap,
    body: Bytes,
    work: impl FnOnce(&Arc<Appliance>, &Grant, A) -> Result<T, VaultdError> + Send + 'static,
) -> Response {
    let done = beside_refusing(move || {
        let verb = verb(&appliance, &body);
        let (grant, arguments) = admitted(&appliance, verb, &headers, &body)?;
        work(&appliance, &grant, arguments).map_err(|error| Refusal::from(&error))
    });
    done.await.map(Json).into_response()
}

/// The grant that was shown, used up, and what it is for.
fn admitted<A: DeserializeOwned>(appliance: &Appliance, verb: Verb, headers: &HeaderMap, body: &[u8]) -> Result<(Grant, A), Refusal> {
    let grant = appliance.gate.admit(appliance, verb, headers, body)?;
    Ok((grant, parsed(body)?))
}

fn parsed<A: DeserializeOwned>(body: &[u8]) -> Result<A, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", &error))
}

async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, VaultdError> + Send + 'static) -> Result<T, Refusal> {
    beside_refusing(move || work().map_err(|error| Refusal::from(&error))).await
}

async fn beside_refusing<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    let broken = "vaultd failed at this request; see its log. Nothing that was there is lost";
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    let done = done.unwrap_or_else(|_| Err(Refusal::text(StatusCode::INTERNAL_SERVER_ERROR, "broken", broken)));
    done.inspect_err(|refusal| tracing::warn!(code = refusal.code, "a request was not carried out"))
}
