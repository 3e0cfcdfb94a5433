//! A keyd with one vault and its first kit: a paper at a time, printed before it is confirmed, and never again afterwards. Its papers come by vaultd's routes, for a grant.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::grants::{HEADER, Verb, digest};
use keepwell_api::keys::{
    Keeper, Notice, PaperConfirmed, PaperFormat, PaperQuestion, PaperStatus, Phase, Reissued, Status, VaultStatus, WordPlace,
};
use keepwell_api::vault::{ConfirmKitPaper, KitAgain, PrintKitPaper};
use keepwell_api::{Refusal, hex};
use serde::de::DeserializeOwned;

/// What a page of a paper begins with here.
pub const PDF: &str = "%PDF-1.7 paper";

#[derive(Clone)]
pub struct Keyd(Arc<Mutex<Inner>>);

struct Inner {
    vault: bool,
    keepers: Vec<String>,
    /// Who was said to keep the paper that was printed last, and how often it was asked about.
    printed: Option<(String, u8)>,
    /// Started anew, so that nobody can print what was not confirmed.
    forgot: bool,
    /// Why it is locked.
    locked: Option<Notice>,
    by_papers: bool,
}

impl Keyd {
    /// All three papers exist.
    pub fn with_kit() -> Self {
        let keepers = ["Ann", "the bank", "Bob"].map(str::to_owned).to_vec();
        Self(Arc::new(Mutex::new(Inner { vault: true, keepers, printed: None, forgot: false, locked: None, by_papers: false })))
    }

    /// There is no vault yet.
    pub fn with_nothing() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            vault: false,
            keepers: Vec::new(),
            printed: None,
            forgot: false,
            locked: None,
            by_papers: false,
        })))
    }

    /// The pool was made.
    pub fn gets_a_vault(&self) {
        self.0.lock().unwrap().vault = true;
    }

    /// It was started anew.
    pub fn forgets(&self) {
        self.0.lock().unwrap().forgot = true;
    }

    /// It opens nothing, for this reason.
    pub fn is_locked(&self, code: &str) {
        self.0.lock().unwrap().locked = Some(Notice { code: code.into(), text: "why".into() });
    }

    /// Two papers opened it.
    pub fn takes_papers(&self) {
        let mut inner = self.0.lock().unwrap();
        (inner.locked, inner.by_papers) = (None, true);
    }

    /// Who keeps the papers that were confirmed.
    pub fn keepers(&self) -> Vec<String> {
        self.0.lock().unwrap().keepers.clone()
    }

    pub fn routes(&self) -> Router {
        Router::new().route("/v1/status", get(status)).with_state(self.clone())
    }

    /// What vaultd has it do.
    pub fn by_vaultd(&self) -> Router {
        Router::new()
            .route("/v1/kit/{paper}", get(question))
            .route("/v1/kit/print", post(print))
            .route("/v1/kit/confirm", post(confirm))
            .route("/v1/kit/again", post(again))
            .with_state(self.clone())
    }
}

/// The request, if a grant for this verb and these very bytes came with it.
fn taken<T: DeserializeOwned>(verb: Verb, headers: &HeaderMap, body: &[u8]) -> Result<T, Response> {
    let shown = headers.get(HEADER).and_then(|grant| grant.to_str().ok()).unwrap_or_default();
    match shown == format!("{verb} {}", hex::encode(&digest(body))) {
        true => Ok(serde_json::from_slice(body).unwrap()),
        false => Err(no(StatusCode::FORBIDDEN, "grant-malformed", "no")),
    }
}

/// The words of all papers.
pub fn word(row: u8, word: u8) -> String {
    format!("word-{row}-{word}")
}

fn places(asked: u8) -> [WordPlace; 6] {
    [1, 2, 3, 4, 5, 6].map(|n| WordPlace { row: n % 4 + 1, word: (n + asked) % 8 + 1 })
}

fn no(status: StatusCode, code: &str, text: &str) -> Response {
    Refusal::text(status, code, text).into_response()
}

async fn status(State(keyd): State<Keyd>) -> Json<Status> {
    let inner = keyd.0.lock().unwrap();
    let paper = |n: usize| PaperStatus {
        keeper: inner.keepers.get(n).cloned().unwrap_or_default(),
        confirmed_at: inner.keepers.get(n).map(|_| super::now()),
        ..PaperStatus::default()
    };
    let vault = VaultStatus {
        vault: "1".repeat(32),
        owner: "Elm Street Clinic".into(),
        test: true,
        epoch: 1,
        open: true,
        set: 7,
        made_at: super::now(),
        papers: [paper(0), paper(1), paper(2)],
        pending_set: None,
        to_store: false,
        invalid_sets: Vec::new(),
    };
    Json(Status {
        phase: if inner.locked.is_some() {
            Phase::Locked
        } else if inner.vault {
            Phase::Open
        } else {
            Phase::New
        },
        locked: inner.locked.clone(),
        keeper: Keeper::StandIn,
        sealed: None,
        box_id: None,
        public_key: None,
        warnings: Vec::new(),
        waiting: None,
        by_papers: inner.by_papers,
        vaults: if inner.vault { vec![vault] } else { Vec::new() },
    })
}

/// Whose turn it is, or why it is not.
fn turn(inner: &Inner, paper: u8) -> Result<(), Response> {
    let next = inner.keepers.len() as u8 + 1;
    if paper < next || inner.forgot {
        return Err(no(StatusCode::NOT_FOUND, "no-paper", "there is no such paper to print"));
    }
    if paper > next { Err(no(StatusCode::CONFLICT, "out-of-turn", "another paper comes first")) } else { Ok(()) }
}

async fn question(State(keyd): State<Keyd>, Path(paper): Path<u8>) -> Response {
    let inner = keyd.0.lock().unwrap();
    match (turn(&inner, paper), &inner.printed) {
        (Err(refusal), _) => refusal,
        (Ok(()), None) => no(StatusCode::CONFLICT, "not-printed", "it was not printed yet"),
        (Ok(()), Some((_, asked))) => Json(PaperQuestion { set: 7, places: places(*asked) }).into_response(),
    }
}

async fn print(State(keyd): State<Keyd>, headers: HeaderMap, body: Bytes) -> Response {
    let ask: PrintKitPaper = match taken(Verb::KitPrint, &headers, &body) {
        Ok(ask) => ask,
        Err(refusal) => return refusal,
    };
    let mut inner = keyd.0.lock().unwrap();
    if let Err(refusal) = turn(&inner, ask.paper) {
        return refusal;
    }
    inner.printed = Some((ask.keeper, 0));
    match ask.format {
        PaperFormat::Pdf => format!("{PDF} {}", ask.paper).into_response(),
        PaperFormat::Text => format!("paper {} of 3", ask.paper).into_response(),
    }
}

async fn again(State(keyd): State<Keyd>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = taken::<KitAgain>(Verb::KitPrint, &headers, &body) {
        return refusal;
    }
    let mut inner = keyd.0.lock().unwrap();
    if !inner.forgot {
        return no(StatusCode::FORBIDDEN, "not-you", "these papers can be printed still");
    }
    (inner.forgot, inner.printed) = (false, None);
    inner.keepers.clear();
    Json(Reissued { set: 8, replaces: 7 }).into_response()
}

async fn confirm(State(keyd): State<Keyd>, headers: HeaderMap, body: Bytes) -> Response {
    let ask: ConfirmKitPaper = match taken(Verb::SettingsChange, &headers, &body) {
        Ok(ask) => ask,
        Err(refusal) => return refusal,
    };
    let paper = ask.paper;
    let mut inner = keyd.0.lock().unwrap();
    if let Err(refusal) = turn(&inner, paper) {
        return refusal;
    }
    let Some((keeper, asked)) = inner.printed.clone() else { return no(StatusCode::CONFLICT, "not-printed", "it was not printed yet") };
    let typed = ask.words.iter().map(|word| String::from_utf8_lossy(word.as_ref()).into_owned());
    let wrong = typed.zip(places(asked)).find(|(typed, place)| *typed != word(place.row, place.word));
    if let Some((_, place)) = wrong {
        inner.printed = Some((keeper, asked + 1));
        let text = format!("row {}, word {} is not what paper {paper} says: look at the paper again", place.row, place.word);
        return no(StatusCode::UNPROCESSABLE_ENTITY, "wrong-word", &text);
    }
    (inner.printed, _) = (None, inner.keepers.push(keeper));
    Json(PaperConfirmed { left: (inner.keepers.len() as u8 + 1..=3).collect(), slots: None }).into_response()
}
