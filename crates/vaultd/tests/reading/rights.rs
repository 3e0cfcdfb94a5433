//! An account that can do more than read is taken with a reason or not at all; whatever changes about a share's way in is looked at again.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{May, Rights, Share, ShareChecked};
use serde_json::{Value, json};

use crate::Stage;

const WHY: &str = "the vendor's program allows no other account";

impl Stage {
    fn add(&self, name: &str, user: &str, why: Option<&str>) -> Result<Value, String> {
        let location = format!("smb://{user}@server/{name}");
        self.ask("/v1/shares", Verb::SharesAdd, &json!({ "name": name, "location": location, "tier": "one", "may_write": why }))
    }

    fn reason(&self, name: &str) -> Option<String> {
        let shares = self.vaultd.get::<Vec<Share>>("/v1/shares").unwrap();
        shares.into_iter().find(|share| share.name == name).unwrap().may_write
    }

    /// Reasons in the ledger, oldest first.
    fn reasons(&self) -> Vec<String> {
        let records = keepwell_audit::read(&self.folder.path().join("state/ledger"), 1, 10_000).unwrap();
        let text = |value: &keepwell_audit::Value| if let keepwell_audit::Value::Text(text) = value { text.clone() } else { String::new() };
        records.iter().filter_map(|record| record.field("may-write").map(text)).collect()
    }
}

#[test]
fn a_check_says_what_the_server_says_and_keeps_nothing() {
    let stage = Stage::new();
    let check = |location: &str| stage.ask("/v1/shares/check", Verb::SharesAdd, &json!({ "location": location }));
    let checked = |location: &str| serde_json::from_value::<ShareChecked>(check(location).unwrap()).unwrap();
    let writer = checked("smb://writer@server/x");
    assert_eq!(
        (writer.rights, writer.may.as_slice(), writer.changeable, writer.asked),
        (Rights::CanWrite, &[May::Add, May::Delete][..], 4, 9)
    );
    assert_eq!(
        (checked("smb://reader@server/x").rights, checked("smb://nobody-knows@server/x").rights),
        (Rights::ReadOnly, Rights::Unknown)
    );
    assert_eq!(check("/etc").unwrap_err(), "invalid");
    let wrong = json!({ "location": "smb://reader@server/x", "password": keepwell_api::Base64(b"wrong".to_vec().into()) });
    assert_eq!(stage.ask("/v1/shares/check", Verb::SharesAdd, &wrong).unwrap_err(), "password");
    assert_eq!(
        stage.ask("/v1/shares/check", Verb::RunNow, &json!({ "location": "smb://reader@server/x" })).unwrap_err(),
        "grant-other-verb"
    );
    assert!(stage.vaultd.get::<Vec<Share>>("/v1/shares").unwrap().is_empty());
}

#[test]
fn an_account_that_can_write_takes_a_reason_which_is_kept() {
    let stage = Stage::new();
    for user in ["writer", "nobody-knows"] {
        assert_eq!(stage.add("EHR", user, None).unwrap_err(), "can-write", "{user}");
        assert_eq!(stage.add("EHR", user, Some("because")).unwrap_err(), "invalid", "{user}");
    }
    let id = stage.add("EHR", "writer", Some(WHY)).unwrap()["id"].clone();
    // One that can only read needs none, and none is kept.
    stage.add("scans", "reader", Some(WHY)).unwrap();
    assert_eq!((stage.reason("EHR").as_deref(), stage.reason("scans")), (Some(WHY), None));
    assert_eq!(stage.reasons(), [WHY]);
    // What has nothing to do with the way in asks nobody.
    let change = |body: Value| stage.ask("/v1/shares/change", Verb::SharesChange, &body);
    change(json!({ "id": id, "paused": true })).unwrap();
    // Another folder of the same account goes on; another account is another matter.
    change(json!({ "id": id, "location": "smb://writer@server/EHR/2026" })).unwrap();
    change(json!({ "id": id, "location": "smb://reader@server/EHR" })).unwrap();
    assert_eq!(stage.reason("EHR"), None);
    assert_eq!(change(json!({ "id": id, "location": "smb://writer@server/EHR" })).unwrap_err(), "can-write");
    change(json!({ "id": id, "location": "smb://writer@server/EHR", "may_write": WHY })).unwrap();
    assert_eq!((stage.reason("EHR").as_deref(), stage.reasons().len()), (Some(WHY), 3));
}
