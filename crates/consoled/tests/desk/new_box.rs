//! A vaultd of a box on its first day: nothing is there but what somebody made, and each step happens when a test says so.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::grants::{HEADER, digest};
use keepwell_api::vault::{
    Counts, Done, File, Files, Outcome, PoolMaking, PoolPhase, RestoreState, Run, Share, Snapshot, Tier, Unready, VaultState,
};
use keepwell_api::{Refusal, hex};
use keepwell_duties::Status;
use serde_json::{Value, json};

use super::keyd::Keyd;
use super::{facts, now};

const ID: &str = "00000000000000a1";
const SNAPSHOT: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
pub const CONTENT: &str = "as it was";
/// The one file that can come back; the others were not read, or are empty.
pub const FILE: &str = "lab <b>7<b>.hl7";

#[derive(Clone)]
pub struct NewBox(Arc<Mutex<Inner>>);

struct Inner {
    keyd: Keyd,
    pool: bool,
    refuses: bool,
    share: bool,
    run: Option<Option<Outcome>>,
    test: Option<Option<Outcome>>,
    done: Vec<(String, Value)>,
}

impl NewBox {
    pub fn new(keyd: Keyd) -> Self {
        let inner = Inner { keyd, pool: false, refuses: false, share: false, run: None, test: None, done: Vec::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Disks can't be made ready.
    pub fn refuses(&self, refuses: bool) {
        self.0.lock().unwrap().refuses = refuses;
    }

    /// A share was added.
    pub fn gets_a_share(&self) {
        self.0.lock().unwrap().share = true;
    }

    /// Its backup goes on, or is over.
    pub fn backup(&self, outcome: Option<Outcome>) {
        self.0.lock().unwrap().run = Some(outcome);
    }

    /// The test that was begun is over.
    pub fn test_ends(&self, outcome: Outcome) {
        self.0.lock().unwrap().test = Some(Some(outcome));
    }

    /// What was done with a good grant: verb and request.
    pub fn done(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().done.clone()
    }

    pub fn routes(&self) -> Router {
        Router::new()
            .route("/v1/offsite", get(|| async { Json(super::offsite::none()) }))
            .route("/v1/status", get(status))
            .route("/v1/vault", get(vault))
            .route("/v1/pool", get(pool).post(make_pool))
            .route("/v1/disks", get(disks))
            .route("/v1/shares", get(shares).post(add_share))
            .route("/v1/runs", get(runs).post(begin_run))
            .route("/v1/restores", get(restores))
            .route("/v1/test-restores", post(begin_test))
            .route("/v1/snapshots", post(snapshots))
            .route("/v1/files", post(files))
            .route("/v1/files/content", post(content))
            .with_state(self.clone())
    }

    fn taken(&self, headers: &HeaderMap, body: &Bytes) -> Result<Value, Response> {
        let grant = headers.get(HEADER).and_then(|grant| grant.to_str().ok()?.split_once(' '));
        match grant {
            Some((verb, arguments)) if arguments == hex::encode(&digest(body)) => {
                let request: Value = serde_json::from_slice(body).unwrap();
                self.0.lock().unwrap().done.push((verb.to_owned(), request.clone()));
                Ok(request)
            }
            _ => Err(Refusal::text(StatusCode::FORBIDDEN, "grant-malformed", "no").into_response()),
        }
    }
}

async fn status() -> Json<Status> {
    Json(facts::untried(now()))
}

async fn vault(State(new): State<NewBox>) -> Json<VaultState> {
    let pool = new.0.lock().unwrap().pool;
    let unready = Unready { code: "no-pool".into(), text: "there is no pool yet".into() };
    Json(VaultState { vault: pool.then(|| "1".repeat(32)), unready: (!pool).then_some(unready), ..VaultState::default() })
}

async fn pool(State(new): State<NewBox>) -> Json<PoolMaking> {
    let phase = if new.0.lock().unwrap().pool { PoolPhase::There } else { PoolPhase::None };
    Json(PoolMaking { phase, disks: Vec::new(), ready: Vec::new(), failed: None, recovering: None })
}

async fn make_pool(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = new.taken(&headers, &body) {
        return refusal;
    }
    let mut inner = new.0.lock().unwrap();
    if inner.refuses {
        return Refusal::text(StatusCode::CONFLICT, "own-disk", "the box runs from this disk; nothing was touched").into_response();
    }
    inner.pool = true;
    inner.keyd.gets_a_vault();
    Json(Done {}).into_response()
}

async fn disks(State(new): State<NewBox>) -> Json<Value> {
    let pool = new.0.lock().unwrap().pool;
    let disk = |n: u8, standing: Value| {
        let member = pool && standing["kind"] != "own";
        json!({
            "pool_name": member.then(|| format!("disk{n}")), "membership": if member { "member" } else { "none" },
            "disk": { "serial": format!("ZA1B2C3{n}"), "device": "sda", "wwn": null, "model": "Seagate IronWolf 4 TB", "bus": "sata",
                      "size_bytes": 4_000_787_030_016_u64, "rotational": true, "removable": false, "notes": [], "standing": standing,
                      "health": { "verdict": "healthy", "reasons": [], "polled_at": now(), "temperature_celsius": 34, "power_on_hours": 4,
                                  "wear_percent": null, "self_test_remaining_percent": null },
                      "job": null, "first_seen": now(), "last_seen": now() }
        })
    };
    let disks = [
        disk(1, json!({ "kind": "blank" })),
        disk(2, json!({ "kind": "foreign", "what": "NTFS <i>" })),
        disk(3, json!({ "kind": "own", "why": "system" })),
    ];
    Json(json!({ "disks": disks, "diskd_silent": null, "to_mend": 0 }))
}

fn run(outcome: Option<Outcome>) -> Run {
    Run {
        id: 1,
        share: ID.into(),
        started_at: now() - 60,
        finished_at: outcome.map(|_| now()),
        outcome,
        snapshot: None,
        code: None,
        why: (outcome == Some(Outcome::Failed)).then(|| "the server refused the password".into()),
        counts: Counts {
            files: 1_204,
            read_bytes: 3_100_000,
            gaps: if outcome == Some(Outcome::Partial) { 3 } else { 0 },
            ..Counts::default()
        },
    }
}

async fn shares(State(new): State<NewBox>) -> Json<Vec<Share>> {
    let inner = new.0.lock().unwrap();
    let good = matches!(inner.run, Some(Some(Outcome::Complete | Outcome::Partial)));
    let share = json!({ "id": ID, "name": "EHR", "location": "smb://backup@server/ehr", "tier": Tier::One, "paused": false, "added_at": now(),
                        "running": if inner.run == Some(None) { json!(1) } else { Value::Null },
                        "last": inner.run.filter(Option::is_some).map(run), "newest_copy_at": good.then(now), "next_due": now() });
    let share: Share = serde_json::from_value(share).unwrap();
    Json(if inner.share { vec![share] } else { Vec::new() })
}

async fn add_share(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = new.taken(&headers, &body) {
        return refusal;
    }
    new.gets_a_share();
    Json(json!({ "id": ID })).into_response()
}

async fn runs(State(new): State<NewBox>) -> Json<Vec<Run>> {
    Json(new.0.lock().unwrap().run.map(run).into_iter().collect())
}

async fn begin_run(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = new.taken(&headers, &body) {
        return refusal;
    }
    new.backup(None);
    Json(json!({ "id": 1 })).into_response()
}

async fn restores(State(new): State<NewBox>) -> Json<Vec<RestoreState>> {
    let test = |outcome: Option<Outcome>| RestoreState {
        id: 1,
        by: "owner".into(),
        started_at: now(),
        finished_at: outcome.map(|_| now()),
        outcome,
        files: 299,
        compared: 299,
        differing: if outcome == Some(Outcome::Partial) { 2 } else { 0 },
        ..RestoreState::default()
    };
    Json(new.0.lock().unwrap().test.map(test).into_iter().collect())
}

async fn begin_test(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = new.taken(&headers, &body) {
        return refusal;
    }
    new.0.lock().unwrap().test = Some(None);
    Json(json!({ "id": 1 })).into_response()
}

async fn snapshots(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    let held = |n: i64, id: &str, outcome| Snapshot {
        id: id.into(),
        share: "EHR".into(),
        taken_at: now() - n,
        outcome,
        counts: Counts::default(),
    };
    match new.taken(&headers, &body) {
        Ok(_) => Json(vec![held(60, SNAPSHOT, Outcome::Complete), held(0, &"0".repeat(32), Outcome::Held)]).into_response(),
        Err(refusal) => refusal,
    }
}

async fn files(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match new.taken(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    assert_eq!(request["snapshot"], SNAPSHOT, "nothing is looked for in a copy that is held");
    let file = |name: &str, size: u64, gap: Option<&str>| File {
        name: name.as_bytes().to_vec().into(),
        kind: "file".into(),
        size: Some(size),
        changed_at: Some(now()),
        inconsistent: false,
        gap: gap.map(str::to_owned),
    };
    let folder = |name: &str| File { kind: "folder".into(), size: None, ..file(name, 0, None) };
    let path: keepwell_api::Base64 = serde_json::from_value(request["path"].clone()).unwrap();
    let files = match path.as_ref() {
        b"" => vec![folder("empty"), folder("letters"), file("locked.mdb", 5, Some("denied"))],
        b"letters" => vec![folder("none"), folder("2026")],
        b"letters/2026" => vec![file(FILE, CONTENT.len() as u64, None), file("nothing.txt", 0, None)],
        _ => Vec::new(),
    };
    Json(Files { files, more: false }).into_response()
}

async fn content(State(new): State<NewBox>, headers: HeaderMap, body: Bytes) -> Response {
    match new.taken(&headers, &body) {
        Ok(_) => CONTENT.into_response(),
        Err(refusal) => refusal,
    }
}
