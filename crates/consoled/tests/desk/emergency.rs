//! A vaultd as far as emergencies go: opens to whoever shows a grant, and gives the files of one share to whoever has the password.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::Refusal;
use keepwell_api::grants::HEADER;
use keepwell_api::vault::{
    Done, EmergencyContent, EmergencyEntry, EmergencyFiles, EmergencyKey, EmergencyNow, EmergencyOpened, EmergencyShare, EmergencyState,
    File, Files, Outcome,
};

use super::{CANARY, SHARE, now};

pub const SECRET: &str = "AAAAA-BBBBB-CCCCC-DDDDD";
pub const CONTENT: &[u8] = b"<script>alert(3)</script> and what a patient's file says";

type Open = Arc<Mutex<Option<u64>>>;

pub fn routes() -> Router {
    Router::new()
        .route("/v1/emergency", get(state))
        .route("/v1/emergency/open", post(open))
        .route("/v1/emergency/close", post(close))
        .route("/v1/emergency/entry", post(entry))
        .route("/v1/emergency/files", post(files))
        .route("/v1/emergency/content", post(content))
        .with_state(Open::default())
}

fn shares() -> Vec<EmergencyShare> {
    let share = |name: &str, snapshot: &str| EmergencyShare {
        share: name.into(),
        snapshot: snapshot.into(),
        taken_at: now() - 1_500,
        outcome: Outcome::Complete,
    };
    // The first one can't be read any more.
    vec![share("ARCHIVE", "gone"), share("EHR", "a1"), share(SHARE, "a2")]
}

async fn state(State(is_open): State<Open>) -> Json<EmergencyState> {
    let open = is_open.lock().unwrap().map(|id| EmergencyNow {
        id,
        by: "owner".into(),
        opened_at: now() - 60,
        until: now() + 7_000,
        files_opened: 3,
        shares: shares(),
    });
    let ready = if open.is_some() { Vec::new() } else { shares() };
    Json(EmergencyState {
        open,
        ready,
        without_copy: vec!["BILLING".into()],
        to_review: vec![1],
        call: vec!["IT: Meyer, 040 <123456>".into()],
        frozen: None,
    })
}

async fn open(State(is_open): State<Open>, headers: HeaderMap) -> Response {
    if !headers.contains_key(HEADER) {
        return refused(StatusCode::FORBIDDEN, "grant-malformed");
    }
    *is_open.lock().unwrap() = Some(2);
    let opened = EmergencyOpened {
        id: 2,
        secret: SECRET.as_bytes().to_vec().into(),
        until: now() + 7_200,
        shares: shares(),
        without_copy: vec!["BILLING".into()],
    };
    Json(opened).into_response()
}

async fn close(State(is_open): State<Open>, headers: HeaderMap) -> Response {
    if !headers.contains_key(HEADER) {
        return refused(StatusCode::FORBIDDEN, "grant-malformed");
    }
    *is_open.lock().unwrap() = None;
    Json(Done {}).into_response()
}

fn refused(status: StatusCode, code: &str) -> Response {
    Refusal::text(status, code, "no").into_response()
}

fn allowed(is_open: &Open, key: &EmergencyKey) -> Result<(), Response> {
    match *is_open.lock().unwrap() {
        Some(id) if id == key.id && key.secret.as_ref() == SECRET.as_bytes() && key.from.is_some() => Ok(()),
        Some(id) if id == key.id => Err(refused(StatusCode::FORBIDDEN, "emergency-secret")),
        _ => Err(refused(StatusCode::FORBIDDEN, "emergency-closed")),
    }
}

fn file(name: &str, kind: &str) -> File {
    let size = (kind == "file").then_some(CONTENT.len() as u64);
    File { name: name.as_bytes().to_vec().into(), kind: kind.into(), size, changed_at: Some(1_600_000_000), inconsistent: false, gap: None }
}

async fn entry(State(is_open): State<Open>, Json(ask): Json<EmergencyEntry>) -> Response {
    if let Err(refusal) = allowed(&is_open, &ask.key) {
        return refusal;
    }
    match ask.snapshot.as_str() {
        "gone" => return refused(StatusCode::INTERNAL_SERVER_ERROR, "damaged"),
        known if shares().iter().all(|share| share.snapshot != known) => return refused(StatusCode::NOT_FOUND, "not-found"),
        _ => {}
    }
    let path = String::from_utf8_lossy(ask.path.as_ref()).into_owned();
    let name = path.rsplit('/').next().unwrap_or_default();
    match path.as_str() {
        "" | "letters" => Json(file(name, "folder")).into_response(),
        known if known == CANARY || known == "letters/evil.html" => Json(file(name, "file")).into_response(),
        "link" => Json(file(name, "symlink")).into_response(),
        _ => refused(StatusCode::NOT_FOUND, "no-path"),
    }
}

async fn files(State(is_open): State<Open>, Json(ask): Json<EmergencyFiles>) -> Response {
    if let Err(refusal) = allowed(&is_open, &ask.key) {
        return refusal;
    }
    let all = match ask.path.as_ref() {
        b"" => vec![file(CANARY, "file"), file("letters", "folder"), file("link", "symlink")],
        _ => vec![file("evil.html", "file")],
    };
    let after = ask.after.map(|after| after.as_ref().to_vec()).unwrap_or_default();
    let mut files: Vec<_> = all.into_iter().filter(|file| file.name.as_ref() > &after[..]).collect();
    let more = files.len() > 2;
    files.truncate(2);
    Json(Files { files, more }).into_response()
}

async fn content(State(is_open): State<Open>, body: Bytes) -> Response {
    let ask: EmergencyContent = serde_json::from_slice(&body).unwrap();
    match allowed(&is_open, &ask.key) {
        Ok(()) => {
            let start = (ask.offset as usize).min(CONTENT.len());
            let end = ask.length.map_or(CONTENT.len(), |length| (start + length as usize).min(CONTENT.len()));
            Bytes::from_static(&CONTENT[start..end]).into_response()
        }
        Err(refusal) => refusal,
    }
}
