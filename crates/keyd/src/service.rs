//! keyd's routes: who may ask for what, and requests to verbs and back.
//!
//! Decides nothing about keys. Verbs block (the TPM, Argon2, the disk), so they run one at a time beside the runtime, never on it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use keepwell_api::keys::{
    ConfirmPaper, InPool, NewVault, OpenVault, PaperConfirmed, PrintPaper, Rehearse, Reissue, SealAgain, Sign, Unlock, UnlockByKit,
};
use keepwell_api::{Caller, Callers, Refusal, wiped};
use serde::Serialize;

use crate::error::KeydError;
use crate::keeper::Keeper;
use crate::memory;

/// Users of the programs that may ask.
#[derive(Clone, Debug)]
pub struct Users {
    /// Set up the box and its vaults: they see the papers of a vault's first kit, and of no other.
    pub admins: Vec<u32>,
    /// What people do with papers, at the box's own screen: kits after the first, rehearsals, recovery.
    pub screen: Vec<u32>,
    /// Gets the keys of vaults.
    pub vaultd: u32,
    /// May have disk labels and erase certificates signed.
    pub diskd: Vec<u32>,
    /// The web console: may ask how the keys are, and nothing else.
    pub consoles: Vec<u32>,
}

type Shared = Arc<Mutex<Keeper>>;

/// All routes, each for its callers alone.
pub fn routes(keeper: Keeper, users: &Users) -> Router {
    let keeper = Arc::new(Mutex::new(keeper));
    let people = || users.admins.iter().chain(&users.screen).copied();
    let signers = || people().chain(users.diskd.iter().copied());
    let consoles = || users.consoles.iter().copied();
    let desk = Desk { screen: Callers::only(users.screen.iter().copied()), people: Callers::only(people()) };
    let vaultd = || Callers::only([users.vaultd]);
    let groups = [
        (Callers::only(signers().chain([users.vaultd]).chain(consoles())), Router::new().route("/v1/status", get(status))),
        (Callers::only(signers().chain([users.vaultd])), Router::new().route("/v1/identity", get(identity))),
        (Callers::only(people().chain([users.vaultd])), pool_routes()),
        (Callers::only(signers()), Router::new().route("/v1/identity/sign", post(sign))),
        (vaultd(), Router::new().route("/v1/open", post(open))),
        (vaultd(), first_kit_routes()),
        (Callers::only(people()), Router::new().route("/v1/seal-again", post(seal_again)).route("/v1/unlock", post(unlock))),
        (Callers::only(people().chain([users.vaultd])), Router::new().route("/v1/vaults", post(new_vault))),
        (Callers::only(people()), papers_routes()),
        (desk.screen.clone(), screen_routes()),
    ];
    let guarded = groups.into_iter().map(|(callers, routes)| callers.guard(routes.with_state(keeper.clone())));
    guarded.fold(Router::new(), Router::merge).layer(Extension(Arc::new(desk)))
}

/// What the pool has, and is to get.
fn pool_routes() -> Router<Shared> {
    Router::new().route("/v1/vaults/{vault}/slots", get(slots)).route("/v1/vaults/{vault}/stored", post(in_pool))
}

fn papers_routes() -> Router<Shared> {
    Router::new()
        .route("/v1/vaults/{vault}/papers/{paper}", get(question).post(print))
        .route("/v1/vaults/{vault}/papers/{paper}/confirm", post(confirm))
}

fn screen_routes() -> Router<Shared> {
    Router::new().route("/v1/unlock-by-kit", post(unlock_by_kit)).route("/v1/rehearse", post(rehearse)).route("/v1/reissue", post(reissue))
}

/// The first kit, until its last paper is confirmed: for people at the console, whose grants vaultd has looked at.
fn first_kit_routes() -> Router<Shared> {
    Router::new()
        .route("/v1/vaults/{vault}/first-kit/{paper}", get(first_question).post(first_print))
        .route("/v1/vaults/{vault}/first-kit/{paper}/confirm", post(first_confirm))
        .route("/v1/first-kit", post(first_again))
}

/// Who may see which papers: two of them are the vault's key.
struct Desk {
    /// Those of any kit.
    screen: Callers,
    /// These, and who sets vaults up: those of a kit that was not re-issued.
    people: Callers,
}

type Who = (Extension<Arc<Desk>>, ConnectInfo<Caller>);

/// Runs a verb where it may block, with the keys for itself.
async fn run<T: Send + 'static>(
    keeper: Shared,
    verb: impl FnOnce(&mut Keeper) -> Result<T, KeydError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(move || {
        // A verb that panicked left memory as it was between two of its steps; the disk is consistent at each.
        let done = verb(&mut keeper.lock().unwrap_or_else(PoisonError::into_inner));
        memory::wipe_stack();
        done
    });
    let done = done.await.map_err(|_| {
        Refusal::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken",
            "keyd failed at this request; see its log. Nothing that was there is lost",
        )
    })?;
    done.map_err(|error| {
        let refusal = Refusal::from(&error);
        match error {
            // May name a mistyped word of a paper: for whoever typed it, not for the log.
            KeydError::Paper(_) => tracing::warn!(code = refusal.code, "a request was not carried out"),
            error => tracing::warn!(code = refusal.code, error = &error as &dyn std::error::Error, "a request was not carried out"),
        }
        refusal
    })
}

/// As [`run`], answered in JSON.
async fn answer<T: Serialize + Send + 'static>(
    keeper: Shared,
    verb: impl FnOnce(&mut Keeper) -> Result<T, KeydError> + Send + 'static,
) -> Response {
    run(keeper, verb).await.map(Json).into_response()
}

async fn status(State(keeper): State<Shared>) -> Response {
    answer(keeper, |keeper| Ok(keeper.status())).await
}

async fn identity(State(keeper): State<Shared>) -> Response {
    answer(keeper, |keeper| keeper.identity()).await
}

async fn sign(State(keeper): State<Shared>, Json(request): Json<Sign>) -> Response {
    answer(keeper, move |keeper| keeper.sign(&request)).await
}

async fn open(State(keeper): State<Shared>, Json(request): Json<OpenVault>) -> Response {
    let opened = run(keeper, move |keeper| keeper.open(&request.vault, request.slots.as_ref(), request.keyring.as_ref())).await;
    opened.map(wiped).into_response()
}

async fn seal_again(State(keeper): State<Shared>, Json(request): Json<SealAgain>) -> Response {
    answer(keeper, move |keeper| keeper.seal_again(&request)).await
}

async fn new_vault(State(keeper): State<Shared>, (Extension(desk), ConnectInfo(caller)): Who, Json(request): Json<NewVault>) -> Response {
    let any = desk.people.admit(caller);
    answer(keeper, move |keeper| if any { keeper.new_vault(&request) } else { keeper.first_vault(&request) }).await
}

type Paper = Path<(String, u8)>;

async fn print(
    State(keeper): State<Shared>,
    (Extension(desk), ConnectInfo(caller)): Who,
    Path((vault, paper)): Paper,
    Json(request): Json<PrintPaper>,
) -> Response {
    let page = run(keeper, move |keeper| {
        if !desk.screen.admit(caller) && !keeper.prints_first_kit(&vault)? {
            return Err(KeydError::ScreenOnly);
        }
        keeper.print(&vault, paper, &request)
    });
    page.await.map(wiped).into_response()
}

async fn question(State(keeper): State<Shared>, Path((vault, paper)): Paper) -> Response {
    answer(keeper, move |keeper| keeper.question(&vault, paper)).await
}

async fn confirm(State(keeper): State<Shared>, Path((vault, paper)): Paper, Json(request): Json<ConfirmPaper>) -> Response {
    answer(keeper, move |keeper| confirmed(keeper, &vault, paper, &request)).await
}

/// What is no text is no word of the list either.
fn confirmed(keeper: &mut Keeper, vault: &str, paper: u8, request: &ConfirmPaper) -> Result<PaperConfirmed, KeydError> {
    keeper.confirm(vault, paper, &request.words.each_ref().map(|word| std::str::from_utf8(word.as_ref()).unwrap_or_default()))
}

async fn first_print(State(keeper): State<Shared>, Path((vault, paper)): Paper, Json(request): Json<PrintPaper>) -> Response {
    let page = run(keeper, move |keeper| keeper.first_kit(&vault).and_then(|()| keeper.print(&vault, paper, &request)));
    page.await.map(wiped).into_response()
}

async fn first_question(State(keeper): State<Shared>, Path((vault, paper)): Paper) -> Response {
    answer(keeper, move |keeper| keeper.first_kit(&vault).and_then(|()| keeper.question(&vault, paper))).await
}

async fn first_confirm(State(keeper): State<Shared>, Path((vault, paper)): Paper, Json(request): Json<ConfirmPaper>) -> Response {
    answer(keeper, move |keeper| {
        keeper.first_kit(&vault)?;
        // The pool gets them by the route that is for that.
        Ok(PaperConfirmed { slots: None, ..confirmed(keeper, &vault, paper, &request)? })
    })
    .await
}

async fn first_again(State(keeper): State<Shared>, Json(request): Json<Reissue>) -> Response {
    answer(keeper, move |keeper| keeper.first_kit_again(&request.vault)).await
}

async fn slots(State(keeper): State<Shared>, Path(vault): Path<String>) -> Response {
    answer(keeper, move |keeper| keeper.slots(&vault)).await
}

async fn in_pool(State(keeper): State<Shared>, Path(vault): Path<String>, Json(request): Json<InPool>) -> Response {
    answer(keeper, move |keeper| keeper.in_pool(&vault, &request)).await
}

async fn unlock(State(keeper): State<Shared>, Json(request): Json<Unlock>) -> Response {
    answer(keeper, move |keeper| keeper.unlock(request.passphrase.as_ref()).map(|()| keeper.status())).await
}

async fn unlock_by_kit(State(keeper): State<Shared>, Json(request): Json<UnlockByKit>) -> Response {
    answer(keeper, move |keeper| keeper.unlock_by_kit(&request)).await
}

async fn rehearse(State(keeper): State<Shared>, Json(request): Json<Rehearse>) -> Response {
    answer(keeper, move |keeper| keeper.rehearse(&request)).await
}

async fn reissue(State(keeper): State<Shared>, Json(request): Json<Reissue>) -> Response {
    answer(keeper, move |keeper| keeper.reissue(&request)).await
}
