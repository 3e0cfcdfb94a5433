//! A vaultd with a small practice in it. What takes a grant takes only the bytes that the grant is for; what it was asked to do is written down.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::grants::{HEADER, digest};
use keepwell_api::outflow::outflow;
use keepwell_api::vault::{
    Counts, File, Files, Found, FoundFiles, Gap, Gaps, LogRecord, LogVerdict, Outcome, RestoreState, Run, Share, Snapshot, Tier,
    VaultState, Version, Versions,
};
use keepwell_api::{Base64, Refusal, hex};
use keepwell_duties::{Policy, Status};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{CANARY, facts, offsite};

pub const SNAPSHOT: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

#[derive(Clone)]
pub struct Vaultd(Arc<Mutex<Inner>>);

struct Inner {
    now: i64,
    status: Status,
    done: Vec<(String, Value)>,
    restores: Vec<RestoreState>,
    offsite: Value,
    happened: broadcast::Sender<()>,
}

impl Vaultd {
    pub fn new(now: i64) -> Self {
        let restores = vec![restore(1, now, Some(Outcome::Partial)), restore(2, now, None)];
        Self(Arc::new(Mutex::new(Inner {
            now,
            status: facts::practice(now),
            done: Vec::new(),
            restores,
            offsite: offsite::both(now, &[offsite::receiver(now)]),
            happened: broadcast::channel(8).0,
        })))
    }

    pub fn says(&self, status: Status) {
        self.0.lock().unwrap().status = status;
    }

    /// How the second site stands.
    pub fn has_offsite(&self, offsite: Value) {
        self.0.lock().unwrap().offsite = offsite;
    }

    /// A restore is over, or not yet.
    pub fn ends(&self, id: u64, outcome: Option<Outcome>) {
        let mut inner = self.0.lock().unwrap();
        let at = inner.now;
        let restore = inner.restores.iter_mut().find(|restore| restore.id == id).unwrap();
        (restore.outcome, restore.finished_at) = (outcome, outcome.map(|_| at));
    }

    /// What was done, with a good grant: verb and request.
    pub fn done(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().done.clone()
    }

    /// Something changed, for whoever listens.
    pub fn happens(&self) {
        let _ = self.0.lock().unwrap().happened.send(());
    }

    pub fn routes(&self) -> Router {
        Router::new()
            .route("/v1/status", get(status))
            .route("/v1/vault", get(vault))
            .route("/v1/shares", get(shares).post(act))
            .route("/v1/shares/change", post(act))
            .route("/v1/shares/remove", post(act))
            .route("/v1/runs", get(runs).post(started))
            .route("/v1/runs/{id}", get(one_run))
            .route("/v1/runs/cancel", post(act))
            .route("/v1/runs/gaps", post(gaps))
            .route("/v1/restores", get(restores).post(begin_restore))
            .route("/v1/restores/{id}", get(one_restore))
            .route("/v1/restores/cancel", post(act))
            .route("/v1/snapshots", post(snapshots))
            .route("/v1/files", post(files))
            .route("/v1/files/search", post(search))
            .route("/v1/files/versions", post(versions))
            .route("/v1/files/content", post(content))
            .route("/v1/files/zip", post(zip))
            .route("/v1/incidents/acknowledge", post(act))
            .route("/v1/policies", get(policies).post(act))
            .route("/v1/channels", get(channels).post(act))
            .route("/v1/channels/test", post(act))
            .route("/v1/emergency/call", post(act))
            .route("/v1/deletions/freeze", post(act))
            .route("/v1/deletions/thaw", post(act))
            .route("/v1/log", post(log))
            .route("/v1/log/verify", get(verify))
            .route("/v1/disks", get(disks))
            .route("/v1/disks/locate", post(act))
            .route("/v1/disks/add", post(act))
            .route("/v1/test-restores", post(started))
            .route("/v1/offsite", get(offsite_told))
            .route("/v1/offsite/invite", post(invite))
            .route("/v1/offsite/pair", post(pair))
            .route("/v1/offsite/line", post(act))
            .route("/v1/offsite/send", post(act))
            .route("/v1/events", get(events))
            .with_state(self.clone())
            .merge(super::emergency::routes())
    }

    /// Whether the grant is for these very bytes; which verb it is for is in it.
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Response> {
        let refused = |code| Err(Refusal::text(StatusCode::FORBIDDEN, code, "no").into_response());
        let Some((verb, arguments)) = headers.get(HEADER).and_then(|grant| grant.to_str().ok()?.split_once(' ')) else {
            return refused("grant-malformed");
        };
        if arguments != hex::encode(&digest(body)) {
            return refused("grant-other-arguments");
        }
        let request: Value = serde_json::from_slice(body).unwrap();
        self.0.lock().unwrap().done.push((verb.to_owned(), request.clone()));
        Ok(request)
    }

    fn granted<T: Serialize>(&self, headers: &HeaderMap, body: &Bytes, answer: impl FnOnce(Value, i64) -> T) -> Response {
        match self.take(headers, body) {
            Ok(request) => Json(answer(request, self.now())).into_response(),
            Err(refusal) => refusal,
        }
    }

    fn now(&self) -> i64 {
        self.0.lock().unwrap().now
    }
}

async fn status(State(vaultd): State<Vaultd>) -> Json<Status> {
    Json(vaultd.0.lock().unwrap().status.clone())
}

async fn vault() -> Json<VaultState> {
    Json(VaultState { boot: "0".repeat(32), vault: Some("1".repeat(32)), snapshots: 412, ..VaultState::default() })
}

fn run(id: u64, now: i64) -> Run {
    let outcome = [Outcome::Complete, Outcome::Partial, Outcome::Held, Outcome::Failed, Outcome::Complete][id as usize % 5];
    let under_way = id == 9;
    Run {
        id,
        share: facts::SHARES[id as usize % 4].0.into(),
        started_at: now - 86_400 * (12 - id as i64).max(0) - 1_500,
        finished_at: (!under_way).then(|| now - 86_400 * (12 - id as i64).max(0) - 1_260),
        outcome: (!under_way).then_some(outcome),
        snapshot: (!under_way && outcome != Outcome::Failed).then(|| SNAPSHOT.into()),
        code: (outcome == Outcome::Failed).then(|| "password".into()),
        why: (outcome == Outcome::Failed).then(|| "the server refused the password".into()),
        counts: Counts {
            entries: 431_022,
            files: 412_806,
            content_bytes: 812_000_000_000,
            read_bytes: 1_204_000_000,
            stored_bytes: 310_000_000,
            gaps: if outcome == Outcome::Partial { 3 } else { 0 },
            inconsistent: 2,
        },
    }
}

async fn shares(State(vaultd): State<Vaultd>) -> Json<Vec<Share>> {
    let now = vaultd.now();
    let share = |(at, (id, name, _)): (usize, &(&str, &str, _))| Share {
        id: (*id).into(),
        name: (*name).into(),
        location: "smb://backup@server/share".into(),
        tier: [Tier::One, Tier::Two, Tier::Two, Tier::One, Tier::Three][at],
        paused: at == 4,
        added_at: now - 60 * 86_400,
        running: (at == 0).then_some(9),
        last: (at < 4).then(|| run(5 + at as u64, now)),
        newest_copy_at: (at < 4).then(|| now - 1_500),
        next_due: Some(now + 2_100),
        may_write: None,
    };
    Json(facts::SHARES.iter().enumerate().map(share).collect())
}

async fn runs(State(vaultd): State<Vaultd>) -> Json<Vec<Run>> {
    let now = vaultd.now();
    Json((1..=9).rev().map(|id| run(id, now)).collect())
}

async fn one_run(State(vaultd): State<Vaultd>, Path(id): Path<u64>) -> Response {
    match id {
        1..=9 => Json(run(id, vaultd.now())).into_response(),
        _ => Refusal::text(StatusCode::NOT_FOUND, "not-found", "there is no such run").into_response(),
    }
}

fn restore(id: u64, now: i64, outcome: Option<Outcome>) -> RestoreState {
    RestoreState {
        id,
        snapshot: SNAPSHOT.into(),
        to: "smb://writer@server/share/back".into(),
        by: "owner".into(),
        started_at: now - 3_000,
        finished_at: outcome.map(|_| now - 2_880),
        outcome,
        why: None,
        dry_run: false,
        files: 1_201,
        written_bytes: 3_100_000_000,
        compared: 1_201,
        differing: 0,
        missing: 3,
        skipped: 0,
        ..RestoreState::default()
    }
}

async fn restores(State(vaultd): State<Vaultd>) -> Json<Vec<RestoreState>> {
    Json(vaultd.0.lock().unwrap().restores.clone())
}

async fn one_restore(State(vaultd): State<Vaultd>, Path(id): Path<u64>) -> Response {
    match vaultd.0.lock().unwrap().restores.iter().find(|restore| restore.id == id) {
        Some(restore) => Json(restore.clone()).into_response(),
        None => Refusal::text(StatusCode::NOT_FOUND, "not-found", "there is no such restore").into_response(),
    }
}

/// Done before anybody can look.
async fn begin_restore(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match vaultd.take(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let mut inner = vaultd.0.lock().unwrap();
    let id = inner.restores.len() as u64 + 1;
    let mut state = restore(id, inner.now, Some(Outcome::Complete));
    (state.dry_run, state.missing, state.to) = (request["dry_run"].as_bool().unwrap(), 0, request["to"].as_str().unwrap().to_owned());
    state.skipped = 2;
    inner.restores.push(state);
    Json(json!({ "id": id })).into_response()
}

async fn started(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |_, _| json!({ "id": 9 }))
}

async fn act(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(
        &headers,
        &body,
        |request, _| if request.get("location").is_some() { json!({ "id": facts::SHARES[0].0 }) } else { json!({}) },
    )
}

async fn channels() -> Json<Value> {
    let told = |name, kind, to, digest, failed: Option<i64>| {
        json!({ "name": name, "kind": kind, "to": to, "digest": digest, "waiting": failed.is_some() as u64, "delivered_at": 1_767_571_200,
            "failed_at": failed, "failure": failed.map(|_| "auth") })
    };
    let mail = told("mail", "email", "c…@praxis.example, by mail.praxis.example:465", true, None);
    Json(json!([mail, told("hook", "webhook", "https://hooks.example.org/…", false, Some(1_767_571_300))]))
}

async fn snapshots(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |request, now| {
        let share = request["share"].as_str().unwrap_or("EHR").to_owned();
        let one = |n: i64| Snapshot {
            id: if n == 0 { SNAPSHOT.into() } else { format!("{n:032x}") },
            share: share.clone(),
            taken_at: now - n * 21_600 - 1_500,
            outcome: [Outcome::Complete, Outcome::Complete, Outcome::Partial, Outcome::Complete, Outcome::Held][n as usize % 5],
            counts: run(5, now).counts,
        };
        (0..60).map(one).collect::<Vec<_>>()
    })
}

/// How long files are in a snapshot: the older, the shorter.
pub fn size_in(snapshot: &str) -> u64 {
    48_214 - if snapshot == SNAPSHOT { 0 } else { 1_000 * u64::from_str_radix(snapshot, 16).unwrap() }
}

fn file(name: &str, kind: &str, now: i64) -> File {
    File {
        name: name.as_bytes().to_vec().into(),
        kind: kind.into(),
        size: (kind == "file").then_some(48_214),
        changed_at: Some(now - 8 * 86_400),
        inconsistent: name.contains("open"),
        gap: name.contains("locked").then(|| "the server denied access".into()),
    }
}

async fn files(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |request, now| {
        let limit = request["limit"].as_u64().unwrap() as usize;
        let mut files = vec![file("2025", "folder", now), file("2026", "folder", now), file(CANARY, "file", now)];
        files.extend([file("report open.docx", "file", now), file("locked.mdb", "file", now)]);
        if request["after"].is_null() {
            files.extend((0..300).map(|n| file(&format!("scan {n:04}.tif"), "file", now)));
        }
        for file in files.iter_mut().filter(|file| file.kind == "file") {
            file.size = Some(size_in(request["snapshot"].as_str().unwrap()));
        }
        let more = files.len() > limit;
        files.truncate(limit);
        Files { files, more }
    })
}

async fn search(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |_, now| FoundFiles {
        found: vec![Found { folder: b"2026/letters".to_vec().into(), file: file(CANARY, "file", now) }],
        ..FoundFiles::default()
    })
}

async fn versions(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |_, now| {
        let version = |n: i64| Version {
            snapshot: format!("{:032x}", n + 1),
            taken_at: now - n * 86_400,
            first_taken_at: now - n * 86_400 - 40_000,
            snapshots: 4,
            file: (n != 2).then(|| File { size: Some(size_in(&format!("{:032x}", n + 1))), ..file(CANARY, "file", now - n * 86_400) }),
        };
        Versions { versions: (0..4).map(version).collect(), more: false }
    })
}

async fn content(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    match vaultd.take(&headers, &body) {
        Ok(request) => "x".repeat(size_in(request["snapshot"].as_str().unwrap()) as usize).into_response(),
        Err(refusal) => refusal,
    }
}

async fn zip(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    match vaultd.take(&headers, &body) {
        Ok(_) => "the file's content".into_response(),
        Err(refusal) => refusal,
    }
}

async fn gaps(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |_, _| {
        let gap = |name: &str| Gap { path: format!("2026/{name}").into_bytes().into(), why: "the server denied access".into() };
        Gaps { gaps: vec![gap(CANARY), gap("locked.mdb"), gap("x")], total: 3 }
    })
}

async fn policies() -> Json<Vec<Policy>> {
    Json(keepwell_duties::Tier::ALL.map(Policy::of).to_vec())
}

async fn log(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    vaultd.granted(&headers, &body, |request, now| {
        let (from, limit) = (request["from"].as_u64().unwrap(), request["limit"].as_u64().unwrap());
        let record = |seq: u64| LogRecord {
            seq,
            at: now - 60 * (431 - seq as i64),
            actor: ["owner", "vaultd", "operator"][seq as usize % 3].into(),
            event: ["sign-in", "run-finished", "grant-used"][seq as usize % 3].into(),
            fields: [("share".to_owned(), json!("00000000000000a1")), ("entries".to_owned(), json!(431_022))].into(),
        };
        (from..(from + limit).min(431)).map(record).collect::<Vec<_>>()
    })
}

async fn verify() -> Json<LogVerdict> {
    Json(LogVerdict { records: 431, head: Some((430, "ab".repeat(32))), faults: Vec::new() })
}

async fn disks(State(vaultd): State<Vaultd>) -> Json<Value> {
    let now = vaultd.now();
    let disk = |n: u8, membership: &str, verdict: &str, reasons: Value| {
        json!({
            "pool_name": if membership == "none" { Value::Null } else { json!(format!("disk{n}")) },
            "membership": membership,
            "disk": if membership == "missing" { Value::Null } else { json!({
                "serial": format!("ZA1B2C3{n}"), "device": "sda", "wwn": null, "bay": (n < 4).then_some(n), "model": "Seagate IronWolf 4 TB", "bus": "sata",
                "size_bytes": 4_000_787_030_016_u64, "rotational": true, "removable": false, "notes": [],
                "standing": { "kind": if membership == "none" { "blank" } else { "prepared" }, "disk": "1".repeat(32), "mounted_at": null },
                "health": { "verdict": verdict, "reasons": reasons, "polled_at": now - 900, "temperature_celsius": 34,
                            "power_on_hours": 18_400, "wear_percent": null, "self_test_remaining_percent": null },
                "job": null, "first_seen": now - 60 * 86_400, "last_seen": now }) }
        })
    };
    let worn = json!([{ "weight": "suspect", "code": "pending-sectors", "text": "12 places can't be read", "damage": true }]);
    Json(json!({
        "disks": [disk(1, "member", "healthy", json!([])), disk(2, "leaving", "suspect", worn), disk(3, "missing", "unknown", json!([])),
                  disk(4, "none", "healthy", json!([]))],
        "diskd_silent": null, "to_mend": 214
    }))
}

async fn offsite_told(State(vaultd): State<Vaultd>) -> Json<Value> {
    Json(vaultd.0.lock().unwrap().offsite.clone())
}

async fn invite(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    let invitation = Base64::from(offsite::INVITATION.as_bytes().to_vec());
    vaultd.granted(&headers, &body, |_, now| json!({ "invitation": invitation, "expires_at": now + 3_600 }))
}

/// Takes the one invitation that there is.
async fn pair(State(vaultd): State<Vaultd>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match vaultd.take(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let typed: Base64 = serde_json::from_value(request["invitation"].clone()).unwrap();
    if !typed.as_ref().eq_ignore_ascii_case(offsite::INVITATION.as_bytes()) {
        return Refusal::text(StatusCode::CONFLICT, "no-invitation", "the other box can't be paired with this text: checksum")
            .into_response();
    }
    let paired = json!({ "name": offsite::KEY, "place": super::SHARE, "words": "ocean ladder quick violin", "quota_bytes": 2_000_000_000_000_u64, "floor_s": 7_776_000 });
    Json(paired).into_response()
}

async fn events(State(vaultd): State<Vaultd>) -> Response {
    let (out, body) = outflow(None);
    let mut happened = vaultd.0.lock().unwrap().happened.subscribe();
    tokio::spawn(async move {
        while out.put("event: status\ndata: {\"kind\":\"status\",\"at\":1}\n\n").await.is_ok() {
            if happened.recv().await.is_err() {
                break;
            }
        }
    });
    body.into_response()
}
