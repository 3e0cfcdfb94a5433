//! Nobody gets anything that reads, restores, changes or deletes without a grant for that very request; every refusal is in the ledger. authd is a key and a socket here, so
//! that grants of every kind of wrongness can be made.

#![expect(clippy::unwrap_used, reason = "tests end where something is not as they made it")]

mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keepwell_api::grants::{Grant, Role, Scope, SigningKey, Verb, allows, digest, takes_scope};
use keepwell_api::vault::{Cancel, LogVerdict};
use keepwell_api::{Callers, Client, ClientError};
use keepwell_vaultd::appliance::Appliance;
use keepwell_vaultd::service::routes;
use serde_json::{Value, json};
use stage::{authd, config, grant, mine, now, serve, uid};
use tempfile::TempDir;

/// Every granted route, the verb that it wants, and a body that can be parsed.
fn granted() -> Vec<(&'static str, Verb, Value)> {
    vec![
        ("/v1/shares", Verb::SharesAdd, json!({ "name": "EHR", "location": "smb://u@h/s", "tier": "one" })),
        ("/v1/shares/check", Verb::SharesAdd, json!({ "location": "smb://u@h/s" })),
        ("/v1/shares/change", Verb::SharesChange, json!({ "id": "00", "paused": true })),
        ("/v1/shares/remove", Verb::SharesRemove, json!({ "id": "00" })),
        ("/v1/runs", Verb::RunNow, json!({ "share": "00" })),
        ("/v1/runs/cancel", Verb::RunCancel, json!({ "id": 1 })),
        ("/v1/restores", Verb::Restore, json!({ "snapshot": "latest", "to": "smb://u@h/s" })),
        ("/v1/restores/cancel", Verb::Restore, json!({ "id": 1 })),
        ("/v1/snapshots", Verb::SnapshotsList, json!({})),
        ("/v1/files", Verb::FilesList, json!({ "snapshot": "latest", "limit": 10 })),
        ("/v1/files/content", Verb::Download, json!({ "snapshot": "latest", "path": "" })),
        ("/v1/files/zip", Verb::Download, json!({ "snapshot": "latest", "paths": [""] })),
        ("/v1/files/search", Verb::FilesList, json!({ "snapshot": "latest", "text": "YWJj", "limit": 10 })),
        ("/v1/files/versions", Verb::FilesList, json!({ "share": "EHR", "path": "" })),
        ("/v1/snapshots/compare", Verb::FilesList, json!({ "older": "latest", "newer": "latest", "limit": 10 })),
        ("/v1/runs/gaps", Verb::FilesList, json!({ "run": 1 })),
        ("/v1/clock/confirm", Verb::SettingsChange, json!({ "at": 1 })),
        ("/v1/test-restores", Verb::TestRestore, json!({})),
        ("/v1/support-bundle", Verb::SupportBundle, json!({})),
        ("/v1/log", Verb::LogRead, json!({ "from": 1, "limit": 10 })),
        ("/v1/channels", Verb::SettingsChange, json!({ "name": "mail", "channel": null })),
        ("/v1/channels/test", Verb::SettingsChange, json!({ "name": "mail" })),
        ("/v1/emergency/call", Verb::SettingsChange, json!({ "lines": [] })),
        ("/v1/deletions/freeze", Verb::DeletionsFreeze, json!({})),
        ("/v1/deletions/thaw", Verb::DeletionsThaw, json!({})),
        ("/v1/incidents/acknowledge", Verb::IncidentsAcknowledge, json!({ "id": 1 })),
        ("/v1/kit/print", Verb::KitPrint, json!({ "vault": "00", "paper": 1, "format": "text", "keeper": "Ann" })),
        ("/v1/kit/confirm", Verb::SettingsChange, json!({ "vault": "00", "paper": 1, "words": vec!["YQ=="; 6] })),
        ("/v1/kit/again", Verb::KitPrint, json!({ "vault": "00" })),
        ("/v1/disks/add", Verb::DisksChange, json!({ "serial": "S1", "typed_serial": "S1" })),
        ("/v1/disks/outward", Verb::DisksChange, json!({ "serial": "S1", "typed_serial": "S1" })),
        ("/v1/address", Verb::SettingsChange, json!({ "address": "192.0.2.9/24" })),
        ("/v1/disks/remove", Verb::DisksChange, json!({ "pool_name": "S1" })),
        ("/v1/disks/locate", Verb::DisksTest, json!({ "serial": "S1", "seconds": 9 })),
        ("/v1/disks/self-test", Verb::DisksTest, json!({ "serial": "S1", "kind": "short" })),
        ("/v1/offsite/invite", Verb::OffsiteChange, json!({ "address": "h:1", "quota_bytes": 1, "place": "p" })),
        ("/v1/offsite/pair", Verb::OffsiteChange, json!({ "invitation": "YQ==", "practice": "p" })),
        ("/v1/offsite/line", Verb::OffsiteChange, json!({ "courteous": true, "hours": [], "tz": "UTC" })),
        ("/v1/offsite/send", Verb::RunNow, json!({})),
        ("/v1/offsite/prove", Verb::RunNow, json!({})),
        ("/v1/policies", Verb::PolicyChange, json!("no policy")),
    ]
}

const FREE: [&str; 8] =
    ["/v1/vault", "/v1/status", "/v1/shares", "/v1/runs", "/v1/restores", "/v1/policies", "/v1/log/verify", "/v1/disks"];

/// vaultd on a socket, and what authd would be.
struct Stage {
    folder: TempDir,
    authd: SigningKey,
    vaultd: Client,
}

impl Stage {
    fn new(callers: Callers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let authd = authd(&at("authd"), axum::Router::new());
        let config = config(folder.path(), None);
        let appliance: Arc<Appliance> = Appliance::start(config).unwrap();
        serve(&at("vaultd"), routes(appliance, callers), mine());
        let vaultd = Client::new("keepwell-vaultd", at("vaultd"), Duration::from_secs(30));
        Self { folder, authd, vaultd }
    }

    /// The code of the refusal, or none.
    fn ask(&self, route: &str, body: &Value, shown: String) -> Option<String> {
        match self.vaultd.showing(shown).post::<Value>(route, body) {
            Ok(_) => None,
            Err(ClientError::Refused(refusal)) => Some(refusal.code),
            Err(error) => panic!("{route}: {error}"),
        }
    }

    /// How often each code of a refusal is in the ledger.
    fn refused(&self) -> BTreeMap<String, u64> {
        let mut count = BTreeMap::new();
        for record in keepwell_audit::read(&self.folder.path().join("state/ledger"), 1, 10_000).unwrap() {
            if record.event == keepwell_audit::Event::Refusal
                && let Some(keepwell_audit::Value::Text(code)) = record.field("code")
            {
                *count.entry(code.clone()).or_default() += 1;
            }
        }
        count
    }
}

#[test]
fn without_a_good_grant_nothing_is_done() {
    let stage = Stage::new(mine());
    let everything = granted();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut refused = |route: &str, body: &Value, shown: String, code: &str| {
        assert_eq!(stage.ask(route, body, shown).as_deref(), Some(code), "{route}");
        *expected.entry(code.to_owned()).or_default() += 1;
    };
    for (route, verb, body) in &everything {
        let good = || grant(*verb, body);
        refused(route, body, String::new(), "grant-malformed");
        refused(route, body, "Zm9yZ2Vk".into(), "grant-malformed");
        refused(route, body, good().sign(&SigningKey::from_bytes(&[4; 32])), "grant-forged");
        refused(route, body, Grant { expires_at: now() - 60, ..good() }.sign(&stage.authd), "grant-expired");
        refused(route, body, Grant { expires_at: now() + 3_600, ..good() }.sign(&stage.authd), "grant-expired");
        refused(route, body, Grant { boot: [8; 16], ..good() }.sign(&stage.authd), "grant-other-boot");
        refused(route, body, Grant { arguments: digest(b"{}x"), ..good() }.sign(&stage.authd), "grant-other-arguments");
        let (_, other, _) = everything.iter().find(|(_, other, _)| other != verb).unwrap();
        refused(route, body, Grant { verb: *other, ..good() }.sign(&stage.authd), "grant-other-verb");
        // A limit to shares that the verb knows nothing of.
        if !takes_scope(*verb) {
            let shares = Scope::new(vec!["EHR".into()]).unwrap();
            refused(route, body, Grant { shares, ..good() }.sign(&stage.authd), "scope");
        }
        if let Some(role) = Role::ALL.iter().find(|role| !allows(**role, *verb)) {
            refused(route, body, Grant { role: *role, ..good() }.sign(&stage.authd), "role");
        }
    }
    // Of a flood, the first have a record each.
    let (recorded, asked) = (stage.refused(), expected.values().sum::<u64>());
    assert!(asked > 100 && (30..=60).contains(&recorded.values().sum::<u64>()), "{asked} asked: {recorded:?}");
    assert!(recorded.iter().all(|(code, count)| expected.get(code).is_some_and(|expected| count <= expected)), "{recorded:?}");
    let verdict: LogVerdict = stage.vaultd.get("/v1/log/verify").unwrap();
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
}

#[test]
fn a_grant_is_good_once() {
    let stage = Stage::new(mine());
    let body = serde_json::to_value(Cancel { id: 1 }).unwrap();
    let shown = grant(Verb::RunCancel, &body).sign(&stage.authd);
    assert_eq!(stage.ask("/v1/runs/cancel", &body, shown.clone()).as_deref(), Some("not-found"));
    assert_eq!(stage.ask("/v1/runs/cancel", &body, shown).as_deref(), Some("grant-used"));
}

#[test]
fn what_needs_the_vault_says_why_it_is_not_open() {
    let stage = Stage::new(mine());
    for (route, verb, body) in granted().into_iter().filter(|(route, ..)| matches!(*route, "/v1/shares" | "/v1/snapshots" | "/v1/files")) {
        let shown = grant(verb, &body).sign(&stage.authd);
        assert_eq!(stage.ask(route, &body, shown).as_deref(), Some("starting"), "{route}");
    }
}

#[test]
fn a_user_who_may_not_ask_gets_nothing_at_all() {
    let stage = Stage::new(Callers::only([uid() + 1]));
    for route in FREE {
        let refused = stage.vaultd.get::<Value>(route).unwrap_err();
        assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == "not-you"), "{route}: {refused}");
    }
    for (route, verb, body) in granted() {
        let shown = grant(verb, &body).sign(&stage.authd);
        assert_eq!(stage.ask(route, &body, shown).as_deref(), Some("not-you"), "{route}");
    }
}

#[test]
fn what_is_free_is_told_to_those_who_may_ask() {
    let stage = Stage::new(mine());
    for route in FREE {
        stage.vaultd.get::<Value>(route).unwrap();
    }
}
