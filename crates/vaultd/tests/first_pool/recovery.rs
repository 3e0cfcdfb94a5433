//! The pool for a vault that comes back from another box: nothing but blank disks, and read-only until it is there.

use std::fs;

use keepwell_api::ClientError;
use keepwell_api::disks::{Serial, Standing};
use keepwell_api::grants::Verb;
use keepwell_api::recovery::{COMING, PoolPlaces, RecoverPool};
use keepwell_api::vault::{PoolPhase, VaultState};
use keepwell_format::keys::{Keyring, Slots};
use keepwell_storage::{Access, Pool, disk_at};
use keepwell_vault::create_with;
use serde_json::{Value, json};

use super::keys::keys_of;
use super::stage::grant;
use super::{Carton, is_whole};

impl Carton {
    fn recover(&self, vault: &str, serials: &[&str]) -> Result<PoolPlaces, String> {
        let disks = serials.iter().map(|serial| Serial::parse(serial).unwrap()).collect();
        match self.vaultd.post("/v1/pool/recovery", &RecoverPool { vault: vault.into(), disks }) {
            Ok(places) => Ok(places),
            Err(ClientError::Refused(refusal)) => Err(refusal.code),
            Err(error) => panic!("{error}"),
        }
    }

    fn is_marked(&self, serial: &str) -> bool {
        self.disk(serial).join(COMING).exists()
    }

    fn unready(&self) -> String {
        let vault: VaultState = self.vaultd.get("/v1/vault").unwrap();
        vault.unready.map_or_else(String::new, |unready| unready.code)
    }
}

const COMES: &str = "00112233445566778899aabbccddeeff";

#[test]
fn a_vault_that_comes_back_gets_blank_disks_and_is_read_only_until_it_is_there() {
    let carton = Carton::new();
    carton.script.lock().unwrap().claimed = true;
    assert_eq!(carton.recover(COMES, &["A", "B", "C"]).unwrap_err(), "claimed");
    carton.script.lock().unwrap().claimed = false;
    carton.script.lock().unwrap().disk("B").standing = Standing::Foreign { what: "ntfs".into() };
    assert_eq!(carton.recover(COMES, &["A", "B", "C"]).unwrap_err(), "not-blank");
    assert_eq!(carton.recover(COMES, &[]).unwrap_err(), "invalid");
    assert_eq!((carton.making().phase, carton.asked("prepare A")), (PoolPhase::None, 0), "nothing was begun");
    carton.script.lock().unwrap().disk("B").standing = Standing::Blank;
    // Cut, and gone on with.
    carton.fail_at("prepare B");
    carton.recover(COMES, &["A", "B", "C"]).unwrap_err();
    assert_eq!((carton.making().phase, carton.making().recovering.as_deref()), (PoolPhase::Begun, Some(COMES)));
    assert!(!carton.is_marked("A"));
    carton.fail_at("");
    let places = carton.recover(COMES, &["A", "B", "C"]).unwrap();
    assert_eq!(places.disks.iter().map(|(serial, _)| serial.as_str()).collect::<Vec<_>>(), ["A", "B", "C"]);
    assert!(["A", "B", "C"].iter().all(|serial| carton.is_marked(serial)));
    assert_eq!(carton.recover(COMES, &[]).unwrap(), places, "asked again, it is the same");
    assert_eq!(carton.recover("ff112233445566778899aabbccddeeff", &[]).unwrap_err(), "other-vault");
    assert_eq!(carton.create(&["A", "B", "C"]).unwrap_err(), "recovering", "no owner makes another pool of it");
    assert_eq!(carton.asked("keys Dr. Example"), 0, "no keys are made for it");
    // What recoverd writes: first of all what opens it.
    let made = keys_of(COMES);
    let disks = || ["A", "B", "C"].map(|serial| disk_at(serial, &carton.disk(serial))).to_vec();
    let pool = Pool::open(disks(), Access::Write).unwrap();
    let (slots, ring) = (Slots::decode(made.slots.as_ref()).unwrap(), Keyring::decode(made.keyring.as_ref()).unwrap());
    create_with(&pool, &slots, &ring).unwrap();
    carton.script.lock().unwrap().made = Some((COMES.into(), made));
    carton.until("it is seen that it comes", |carton| carton.unready() == COMING);
    let grant = grant(Verb::SnapshotsList, &json!({})).sign(&carton.authd);
    let snapshots = || carton.vaultd.showing(grant.clone()).post::<Value>("/v1/snapshots", &json!({}));
    carton.until("it can be read while somebody else writes it", |_| snapshots().is_ok());
    let status: Value = carton.vaultd.get("/v1/status").unwrap();
    assert_eq!(status["incidents"], json!([]), "that it is not there yet is no failure");
    // A disk that was away when the marks went has one still.
    drop(pool);
    for serial in ["A", "B"] {
        fs::remove_file(carton.disk(serial).join(COMING)).unwrap();
    }
    carton.until("it is opened when it is there", |carton| carton.unready().is_empty());
    is_whole(&carton, &["A", "B", "C"]);
    assert_eq!(carton.making().recovering, None);
    assert_eq!(carton.recover(COMES, &["A"]).unwrap_err(), "pool-exists");
}
