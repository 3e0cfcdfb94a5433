//! Access in an emergency: who opens and closes it, what it shows and to whom, what stands in the ledger of it.

use keepwell_api::vault::{EmergencyOpened, EmergencyState};

use super::*;

const ROUTE: &str = "/v1/emergency/open";

impl Stage {
    fn with_shares() -> Self {
        let stage = Self::new();
        for (name, tier) in [("practice", "one"), ("empty", "one"), ("other", "two")] {
            let body = json!({ "name": name, "location": "nfs://127.0.0.1:1/nowhere", "tier": tier });
            stage.ask("/v1/shares", Verb::SharesAdd, &body).unwrap();
        }
        stage
    }

    fn open(&self) -> EmergencyOpened {
        let opened = self.ask(ROUTE, Verb::EmergencyOpen, &json!({ "reason": "the server burns", "hours": 2 })).unwrap();
        serde_json::from_value(opened).unwrap()
    }

    fn emergency(&self) -> EmergencyState {
        self.vaultd.get("/v1/emergency").unwrap()
    }

    fn shown(&self, route: &str, body: &Value) -> Result<Value, String> {
        refused(self.vaultd.post::<Value>(route, body))
    }

    fn bytes(&self, body: &Value) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        refused(self.vaultd.post_for_stream("/v1/emergency/content", body, &mut out)).map(|_| out)
    }

    /// Codes of open incidents with the kind of their duty.
    fn incidents(&self) -> Vec<(u64, String)> {
        let status: Value = self.vaultd.get("/v1/status").unwrap();
        let of = |incident: &Value| (incident["id"].as_u64().unwrap(), incident["duty"]["kind"].as_str().unwrap().to_owned());
        status["incidents"].as_array().unwrap().iter().map(of).filter(|(_, kind)| kind.starts_with("emergency")).collect()
    }
}

fn key(opened: &EmergencyOpened) -> Value {
    json!({ "id": opened.id, "secret": opened.secret })
}

fn at(key: &Value, snapshot: &str, path: &[u8]) -> Value {
    json!({ "key": key, "snapshot": snapshot, "path": base64(path) })
}

#[test]
fn what_is_opened_is_the_last_good_copy_of_tier_one_and_all_that_is_read_is_logged() {
    let stage = Stage::with_shares();
    let opened = stage.open();
    assert_eq!(opened.shares.iter().map(|share| (&*share.share, &share.snapshot)).collect::<Vec<_>>(), [("practice", &stage.second)]);
    assert_eq!(opened.without_copy, ["empty"]);
    assert!((now() + 7_100..=now() + 7_201).contains(&opened.until));
    assert_eq!(stage.incidents().len(), 1, "people are told before anything is given");
    let key = key(&opened);
    let listed = stage.shown("/v1/emergency/files", &json!({ "key": key, "snapshot": stage.second, "limit": 10 })).unwrap();
    assert_eq!(
        listed["files"].as_array().unwrap().iter().map(|file| text(&file["name"])).collect::<Vec<_>>(),
        [b"letters".to_vec(), b"new.txt".to_vec(), b"scan.dcm".to_vec()]
    );
    assert_eq!(stage.shown("/v1/emergency/entry", &at(&key, &stage.second, b"scan.dcm")).unwrap()["size"], LARGE);
    let (large, scan) = (noise(LARGE), at(&key, &stage.second, b"scan.dcm"));
    assert!(stage.bytes(&scan).unwrap() == large);
    for (offset, length) in [(0, 1), (0, LARGE - 1), (1, LARGE), (5 << 20, 9 << 20), (LARGE - 3, 2), (LARGE, 5), (usize::MAX >> 1, 1)] {
        let mut part = scan.clone();
        (part["offset"], part["length"]) = (json!(offset), json!(length));
        let (start, end) = (offset.min(LARGE), offset.saturating_add(length).min(LARGE));
        assert!(stage.bytes(&part).unwrap() == large[start..end], "{offset} {length}");
    }
    let mut elsewhere = scan.clone();
    elsewhere["key"]["from"] = json!("10.0.0.7");
    assert!(stage.bytes(&elsewhere).is_ok());
    assert_eq!(
        stage.retrieved(),
        ["olga emergency-opened", "downtime emergency-files", "downtime emergency-content", "downtime emergency-content"]
    );
    assert_eq!(stage.emergency().open.unwrap().files_opened, 2);
    for (snapshot, path, code) in [
        (&stage.first, &b"scan.dcm"[..], "not-found"),
        (&stage.other, b"secret.txt", "not-found"),
        (&stage.own, b"users", "not-found"),
        (&stage.second, b"letters/../new.txt", "invalid"),
        (&stage.second, b"letters/open.doc", "gap"),
        (&stage.second, b"letters", "no-file"),
        (&stage.second, b"nothing", "no-path"),
    ] {
        assert_eq!(stage.bytes(&at(&key, snapshot, path)).unwrap_err(), code);
    }
    for (wrong, code) in [
        (json!({ "id": opened.id, "secret": base64(b"guess") }), "emergency-secret"),
        (json!({ "id": 7, "secret": opened.secret }), "emergency-closed"),
    ] {
        assert_eq!(stage.bytes(&at(&wrong, &stage.second, b"new.txt")).unwrap_err(), code);
        assert_eq!(stage.shown("/v1/emergency/files", &json!({ "key": wrong, "snapshot": stage.second, "limit": 10 })).unwrap_err(), code);
        assert_eq!(stage.shown("/v1/emergency/entry", &at(&wrong, &stage.second, b"")).unwrap_err(), code);
    }
    let typed = String::from_utf8(opened.secret.as_ref().to_vec()).unwrap().to_lowercase().replace('-', " ");
    let typed = json!({ "id": opened.id, "secret": base64(typed.as_bytes()) });
    assert_eq!(stage.bytes(&at(&typed, &stage.second, b"new.txt")).unwrap(), b"new", "as people type it");
}

#[test]
fn it_takes_a_right_to_open_and_closes_by_itself_or_by_who_looks_after_incidents() {
    let stage = Stage::with_shares();
    let body = json!({ "reason": "the server burns", "hours": 2 });
    for role in [Role::Operator, Role::RestoreOnly, Role::Auditor, Role::Technician] {
        let grant = Grant { role, ..grant(Verb::EmergencyOpen, &body) };
        assert_eq!(stage.asked(ROUTE, &body, &grant).unwrap_err(), "role");
    }
    for bad in [
        json!({ "reason": "no", "hours": 2 }),
        json!({ "reason": "the server burns", "hours": 5 }),
        json!({ "reason": "a\nb c", "hours": 1 }),
    ] {
        assert_eq!(stage.ask(ROUTE, Verb::EmergencyOpen, &bad).unwrap_err(), "invalid");
    }
    assert!(stage.emergency().open.is_none());
    let (first, second) = (stage.open(), stage.open());
    let read = |opened: &EmergencyOpened| stage.bytes(&at(&key(opened), &stage.second, b"new.txt"));
    assert_eq!(read(&first).unwrap_err(), "emergency-closed", "the one before is void");
    assert_eq!(read(&second).unwrap(), b"new");
    let close = json!({ "id": second.id });
    assert_eq!(stage.ask("/v1/emergency/close", Verb::FilesList, &close).unwrap_err(), "grant-other-verb");
    let technician = Grant { role: Role::Technician, ..grant(Verb::IncidentsAcknowledge, &close) };
    stage.asked("/v1/emergency/close", &close, &technician).unwrap();
    assert_eq!(read(&second).unwrap_err(), "emergency-closed");
    let third = stage.open();
    // As if its hours were over.
    let state = rusqlite::Connection::open(stage.folder.path().join("state/state.sqlite")).unwrap();
    let sql = "UPDATE documents SET content = json_set(content, '$.open.glass.lasts_s', 0) WHERE name = 'emergency'";
    assert_eq!(state.execute(sql, []).unwrap(), 1);
    assert_eq!(read(&third).unwrap_err(), "emergency-closed");
    stage.until("it is closed", || stage.emergency().to_review == [first.id, second.id, third.id]);
    assert!(stage.retrieved().contains(&"vaultd emergency-closed".to_owned()));
    let tasks = stage.incidents();
    assert_eq!(tasks.iter().map(|(_, kind)| &**kind).collect::<Vec<_>>(), ["emergency-review"; 3]);
    stage.ask("/v1/incidents/acknowledge", Verb::IncidentsAcknowledge, &json!({ "id": tasks[1].0 })).unwrap();
    stage.until("it was looked at", || stage.emergency().to_review.len() == 2 && stage.incidents().len() == 2);
}
