//! Ways for messages as they are told: nothing secret; what became of the last message. And what is done on the worst day: whom to call, and that nothing is forgotten.

use keepwell_api::vault::{ChannelTold, EmergencyState};

use super::*;

const ROUTE: &str = "/v1/channels";

impl Stage {
    fn channels(&self) -> Vec<ChannelTold> {
        self.vaultd.get(ROUTE).unwrap()
    }

    fn worst_day(&self) -> EmergencyState {
        self.vaultd.get("/v1/emergency").unwrap()
    }

    fn is_task(&self) -> bool {
        let status: Value = self.vaultd.get("/v1/status").unwrap();
        status["incidents"].as_array().unwrap().iter().any(|one| one["duty"]["kind"] == "deletions" && one["closed_at"].is_null())
    }
}

#[test]
fn what_is_told_of_a_channel_holds_no_secret() {
    let stage = Stage::new();
    let mail = json!({ "kind": "email", "server": "mail.example.org", "port": 465, "tls": "implicit", "user": "box-user", "password": base64(b"hunter2"),
        "from": "box@example.org", "to": ["erika.mustermann@example.org", "it@example.net"] });
    let hook = json!({ "kind": "webhook", "url": "https://hooks.example.org:8443/T0/secret-path", "secret": base64(b"0123456789abcdef") });
    for (name, channel) in [("mail", mail), ("hook", hook)] {
        stage.ask(ROUTE, Verb::SettingsChange, &json!({ "name": name, "channel": channel })).unwrap();
    }
    let told = stage.channels();
    let of = |name: &str| told.iter().find(|one| one.name == name).unwrap().clone();
    assert_eq!((of("mail").to.as_str(), of("mail").digest), ("e…@example.org and 1 more, by mail.example.org:465", true));
    assert_eq!((of("hook").to.as_str(), of("hook").digest), ("https://hooks.example.org:8443/…", false));
    let text = serde_json::to_string(&told).unwrap();
    for secret in ["hunter2", "aHVudGVyMg", "erika", "box-user", "secret-path", "0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZg"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(stage.ask("/v1/channels/test", Verb::SettingsChange, &json!({ "name": "none" })).unwrap_err(), "not-found");
    stage.ask("/v1/channels/test", Verb::SettingsChange, &json!({ "name": "hook" })).unwrap();
    // Nobody sends here.
    stage.until("it was tried", || stage.channels().iter().any(|one| one.failure.as_deref() == Some("no-notifyd") && one.waiting == 1));
    stage.ask(ROUTE, Verb::SettingsChange, &json!({ "name": "hook", "channel": null })).unwrap();
    assert_eq!(stage.channels().iter().map(|one| &*one.name).collect::<Vec<_>>(), ["mail"]);
}

#[test]
fn whom_to_call_is_for_owners_to_say() {
    let stage = Stage::new();
    let lines = json!({ "lines": ["IT: Meyer, 040 123456", "Landlord: 040 654321"] });
    let technician = Grant { role: Role::Technician, ..grant(Verb::SettingsChange, &lines) };
    assert_eq!(stage.asked("/v1/emergency/call", &lines, &technician).unwrap_err(), "role");
    for bad in
        [json!({ "lines": ["a\nb"] }), json!({ "lines": [" "] }), json!({ "lines": vec!["x"; 13] }), json!({ "lines": ["x".repeat(121)] })]
    {
        assert_eq!(stage.ask("/v1/emergency/call", Verb::SettingsChange, &bad).unwrap_err(), "invalid");
    }
    stage.ask("/v1/emergency/call", Verb::SettingsChange, &lines).unwrap();
    assert_eq!(json!(stage.worst_day().call), lines["lines"]);
}

#[test]
fn a_freeze_is_a_task_until_somebody_who_may_ends_it() {
    let stage = Stage::new();
    let (freeze, thaw, body) = ("/v1/deletions/freeze", "/v1/deletions/thaw", json!({}));
    let by = |role, verb| Grant { role, ..grant(verb, &body) };
    for role in [Role::RestoreOnly, Role::Auditor, Role::Technician] {
        assert_eq!(stage.asked(freeze, &body, &by(role, Verb::DeletionsFreeze)).unwrap_err(), "role");
    }
    assert!(stage.worst_day().frozen.is_none() && !stage.is_task());
    for _ in 0..2 {
        stage.asked(freeze, &body, &by(Role::Operator, Verb::DeletionsFreeze)).unwrap();
    }
    assert!(stage.worst_day().frozen.is_some() && stage.is_task());
    assert_eq!(stage.asked(thaw, &body, &by(Role::Operator, Verb::DeletionsThaw)).unwrap_err(), "role");
    stage.asked(thaw, &body, &by(Role::Security, Verb::DeletionsThaw)).unwrap();
    assert!(stage.worst_day().frozen.is_none() && !stage.is_task());
    let events = keepwell_audit::read(&stage.folder.path().join("state/ledger"), 1, 10_000).unwrap();
    let phases = events.iter().filter(|one| one.event == keepwell_audit::Event::Deletion).filter_map(|one| one.field("phase").cloned());
    let word = |text: &str| keepwell_audit::Value::Text(text.into());
    assert_eq!(phases.collect::<Vec<_>>(), [word("deletions-frozen"), word("deletions-thawed")]);
}
