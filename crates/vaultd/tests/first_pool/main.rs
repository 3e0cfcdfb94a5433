//! The first pool of a box, by vaultd's route: diskd and keyd are scripts that fail where a test wants them to. Whatever was cut, asked again it ends as one whole pool.

#![expect(clippy::unwrap_used, reason = "tests end where something is not as they made it")]

mod keys;
mod recovery;
#[path = "../stage/mod.rs"]
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path as Route, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::disks::{Bus, Disk, DiskDetail, Disks, Health, Mounted, Serial, Standing};
use keepwell_api::grants::{Role, SigningKey, Verb};
use keepwell_api::keys::{InPool, NewVault, OpenVault, ToStore, VaultMade};
use keepwell_api::vault::{BoxDisks, LogRecord, Membership, PoolMaking, PoolPhase, VaultState};
use keepwell_api::{Client, ClientError, Refusal};
use keepwell_format::VaultId;
use keepwell_format::keys::Slots;
use keepwell_storage::{Access, Layout, Pool, PoolIds, disk_at};
use keepwell_vaultd::Household;
use keepwell_vaultd::appliance::Appliance;
use keepwell_vaultd::bays::Diskd;
use keepwell_vaultd::service::routes;
use keys::{keyring, keys_of};
use serde_json::{Value, json};
use stage::{authd, config, grant, mine, serve};
use tempfile::TempDir;

/// What diskd and keyd have, what they were asked to do, and what of it fails.
struct Script {
    folder: PathBuf,
    disks: Vec<Disk>,
    asked: Vec<String>,
    fails: String,
    made: Option<(String, VaultMade)>,
    /// Slots that the pool is to get, and those that it said it has.
    newer: Option<Slots>,
    stored: Vec<Slots>,
    claimed: bool,
}

type Shared = Arc<Mutex<Script>>;

impl Script {
    fn plug(&mut self, serial: &str) {
        let disk = json!({
            "serial": serial, "device": format!("sd{serial}"), "wwn": null, "model": "Disk", "bus": Bus::Sata, "size_bytes": 4_u64 << 40,
            "rotational": true, "removable": false, "notes": [], "standing": Standing::Blank, "health": Health::unknown("x", "x"), "job": null,
            "first_seen": 0, "last_seen": 0,
        });
        self.disks.push(serde_json::from_value(disk).unwrap());
    }

    fn disk(&mut self, serial: &str) -> &mut Disk {
        self.disks.iter_mut().find(|disk| disk.serial.as_str() == serial).unwrap()
    }

    fn mounted(&self, serial: &str) -> Standing {
        Standing::Prepared {
            disk: format!("id-{serial}"),
            mounted_at: Some(self.folder.join(serial).display().to_string()),
            unreadable: None,
        }
    }

    /// Notes what is asked; whether it fails.
    fn fails(&mut self, what: String) -> bool {
        let fails = what == self.fails;
        self.asked.push(what);
        fails
    }
}

fn failed() -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Grants, and whether somebody owns the box.
fn authd_of(socket: &Path, script: Shared) -> SigningKey {
    let status = async |State(script): State<Shared>| {
        let claimed = script.lock().unwrap().claimed;
        Json(json!({ "boot": "", "public_key": "", "users": 0, "claimed": claimed }))
    };
    authd(socket, Router::new().route("/v1/status", get(status)).with_state(script))
}

fn diskd(script: Shared) -> Router {
    let all = async |State(script): State<Shared>| Json(Disks { disks: script.lock().unwrap().disks.clone(), unnamed: Vec::new() });
    Router::new().route("/v1/disks", get(all)).route("/v1/disks/{serial}/{verb}", post(have)).with_state(script)
}

async fn have(State(script): State<Shared>, Route((serial, verb)): Route<(String, String)>) -> Response {
    let mut script = script.lock().unwrap();
    if script.fails(format!("{verb} {serial}")) {
        return failed();
    }
    let at = script.folder.join(&serial);
    match verb.as_str() {
        "prepare" => {
            let _ = fs::remove_dir_all(&at);
            if script.fails != format!("vanish {serial}") {
                fs::create_dir_all(&at).unwrap();
            }
            script.disk(&serial).standing = Standing::Prepared { disk: format!("id-{serial}"), mounted_at: None, unreadable: None };
        }
        "unmount" => {
            script.disk(&serial).standing = Standing::Prepared { disk: format!("id-{serial}"), mounted_at: None, unreadable: None }
        }
        "mount" => {
            script.disk(&serial).standing = script.mounted(&serial);
            return Json(Mounted { disk: format!("id-{serial}"), at: at.display().to_string() }).into_response();
        }
        _ => {}
    }
    let disk = script.disk(&serial).clone();
    Json(DiskDetail { disk, polls: Vec::new(), short_test_at: None, long_test_at: None, certificate: None }).into_response()
}

fn keyd(script: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(key_status))
        .route("/v1/vaults", post(new_vault))
        .route("/v1/vaults/{vault}/stored", post(stored))
        .route("/v1/open", post(open))
        .route("/v1/vaults/{vault}/first-kit/{paper}", get(paper_question).post(paper))
        .route("/v1/vaults/{vault}/first-kit/{paper}/confirm", post(paper_confirmed))
        .route("/v1/first-kit", post(kit_again))
        .with_state(script)
}

fn no(code: &str) -> Response {
    Refusal::text(StatusCode::CONFLICT, code, "no").into_response()
}

/// Paper 1 can be printed, and no other.
async fn paper_question(Route((_, paper)): Route<(String, u8)>) -> Response {
    no(if paper == 1 { "not-printed" } else { "out-of-turn" })
}

async fn paper(State(script): State<Shared>, Route((_, paper)): Route<(String, u8)>) -> Response {
    if script.lock().unwrap().fails(format!("paper {paper}")) { failed() } else { "the paper".into_response() }
}

async fn paper_confirmed(State(script): State<Shared>) -> Response {
    if script.lock().unwrap().fails("confirm".into()) {
        no("wrong-word")
    } else {
        Json(json!({ "left": [], "slots": "c2xvdHM=" })).into_response()
    }
}

async fn kit_again(State(script): State<Shared>) -> Json<Value> {
    script.lock().unwrap().fails("again".into());
    Json(json!({ "set": 2, "replaces": 1 }))
}

async fn key_status(State(script): State<Shared>) -> Json<Value> {
    let script = script.lock().unwrap();
    let vault = |(vault, _): &(String, VaultMade)| {
        let paper = json!({ "keeper": "", "confirmed_at": null, "rehearsed_at": null });
        json!({
            "vault": vault, "owner": "", "test": false, "epoch": 1, "open": true, "set": 1, "made_at": 0, "papers": [paper, paper, paper],
            "pending_set": null, "to_store": script.newer.is_some(), "invalid_sets": [],
        })
    };
    let vaults: Vec<Value> = script.made.iter().map(vault).collect();
    let phase = if vaults.is_empty() { "new" } else { "open" };
    Json(
        json!({ "phase": phase, "locked": null, "keeper": "tpm", "sealed": null, "box_id": null, "public_key": null, "warnings": [], "vaults": vaults }),
    )
}

async fn new_vault(State(script): State<Shared>, Json(request): Json<NewVault>) -> Response {
    let mut script = script.lock().unwrap();
    assert!(!request.test && request.passphrase.is_none());
    if script.fails(format!("keys {}", request.owner)) {
        return failed();
    }
    let made = script.made.get_or_insert_with(|| (request.vault.clone(), keys_of(&request.vault)));
    assert_eq!(made.0, request.vault, "one box, one first vault");
    Json(made.1.clone()).into_response()
}

async fn open(State(script): State<Shared>, Json(request): Json<OpenVault>) -> Response {
    let mut script = script.lock().unwrap();
    let given = script.made.as_ref().is_some_and(|(vault, made)| *vault == request.vault && made.keyring == request.keyring);
    assert!(given, "the pool has what keyd made");
    if script.fails("open".into()) { failed() } else { keyring().into_response() }
}

async fn stored(State(script): State<Shared>, Json(request): Json<InPool>) -> Json<ToStore> {
    let mut script = script.lock().unwrap();
    let there = Slots::decode(request.slots.as_ref()).unwrap();
    script.newer.take_if(|newer| newer.revision == there.revision);
    script.stored.push(there);
    Json(ToStore { slots: script.newer.as_ref().map(|slots| slots.encode().into()) })
}

/// A box that came out of its carton, with blank disks A, B and C.
struct Carton {
    folder: TempDir,
    script: Shared,
    authd: SigningKey,
    vaultd: Client,
    household: Option<Household>,
}

impl Carton {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (folder_of_disks, fails) = (at("disks"), String::new());
        let mut script = Script {
            folder: folder_of_disks,
            disks: vec![],
            asked: vec![],
            fails,
            made: None,
            newer: None,
            stored: vec![],
            claimed: false,
        };
        for serial in ["A", "B", "C"] {
            script.plug(serial);
        }
        let script = Arc::new(Mutex::new(script));
        let authd = authd_of(&at("authd"), Arc::clone(&script));
        serve(&at("keyd"), keyd(Arc::clone(&script)), mine());
        serve(&at("diskd"), diskd(Arc::clone(&script)), mine());
        let appliance = Appliance::start(config(folder.path(), Some(Diskd { socket: at("diskd"), has_pool: true }))).unwrap();
        let household = Some(Household::start(&appliance).unwrap());
        serve(&at("vaultd"), routes(appliance, mine()), mine());
        let vaultd = Client::new("keepwell-vaultd", at("vaultd"), Duration::from_secs(60));
        let carton = Self { folder, script, authd, vaultd, household };
        carton.until("it is seen to be new", |carton| carton.making().phase == PoolPhase::None);
        carton
    }

    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !condition(self) {
            assert!(Instant::now() < end, "{what}: {:?}", self.making());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn create(&self, serials: &[&str]) -> Result<Value, String> {
        self.create_as(Role::Owner, &order(serials))
    }

    fn create_as(&self, role: Role, body: &Value) -> Result<Value, String> {
        let grant = keepwell_api::grants::Grant { role, ..grant(Verb::DisksChange, body) };
        match self.vaultd.showing(grant.sign(&self.authd)).post::<Value>("/v1/pool", body) {
            Ok(answer) => Ok(answer),
            Err(ClientError::Refused(refusal)) => Err(refusal.code),
            Err(error) => panic!("{error}"),
        }
    }

    fn fail_at(&self, what: &str) {
        what.clone_into(&mut self.script.lock().unwrap().fails);
    }

    /// How often it was asked.
    fn asked(&self, what: &str) -> usize {
        self.script.lock().unwrap().asked.iter().filter(|asked| **asked == what).count()
    }

    fn making(&self) -> PoolMaking {
        self.vaultd.get("/v1/pool").unwrap()
    }

    fn members(&self) -> Vec<String> {
        let disks: BoxDisks = self.vaultd.get("/v1/disks").unwrap();
        disks.disks.into_iter().filter(|disk| disk.membership == Membership::Member).filter_map(|disk| disk.pool_name).collect()
    }

    fn disk(&self, serial: &str) -> PathBuf {
        self.folder.path().join("disks").join(serial)
    }
}

impl Drop for Carton {
    fn drop(&mut self) {
        self.household.take().into_iter().for_each(Household::end);
    }
}

fn order(serials: &[&str]) -> Value {
    let disks: Vec<Value> = serials.iter().map(|serial| json!({ "serial": serial, "typed_serial": serial })).collect();
    json!({ "disks": disks, "owner": "Dr. Example" })
}

fn is_whole(carton: &Carton, members: &[&str]) {
    carton.until("the disks are known by their serial numbers", |carton| carton.members() == members);
    let vault: VaultState = carton.vaultd.get("/v1/vault").unwrap();
    assert!(vault.unready.is_none() && vault.degraded_objects == 0, "{vault:?}");
    assert_eq!((carton.making().phase, carton.making().disks), (PoolPhase::There, vec![]));
}

#[test]
fn a_box_gets_its_first_pool_and_no_second_one() {
    let carton = Carton::new();
    let status: Value = carton.vaultd.get("/v1/status").unwrap();
    assert_eq!(status["incidents"], json!([]), "a box that has no pool yet lacks none");
    assert_eq!(carton.create_as(Role::Operator, &order(&["A"])).unwrap_err(), "role");
    for (body, code) in [
        (json!({ "disks": [{ "serial": "A", "typed_serial": "B" }] }), "wrong-serial"),
        (order(&["A", "A"]), "invalid"),
        (order(&[]), "invalid"),
        (json!({ "disks": [{ "serial": "A", "typed_serial": "A" }], "data": 2, "parity": 1 }), "invalid"),
        (json!({ "disks": [{ "serial": "A", "typed_serial": "A" }], "data": 1 }), "invalid"),
        (order(&["A", "X"]), "not-found"),
    ] {
        assert_eq!(carton.create_as(Role::Owner, &body).unwrap_err(), code, "{body}");
    }
    assert!(!carton.script.lock().unwrap().asked.iter().any(|asked| asked.starts_with("prepare")), "nothing was erased");
    carton.create(&["A", "B", "C"]).unwrap();
    is_whole(&carton, &["A", "B", "C"]);
    assert_eq!(carton.asked("keys Dr. Example"), 1);
    assert_eq!(carton.create(&["A", "B", "C"]).unwrap_err(), "pool-exists");
    let pool: Vec<_> = ["A", "B", "C"].map(|serial| disk_at(serial, &carton.disk(serial))).to_vec();
    assert_eq!(Pool::open(pool, Access::Read).unwrap().layout(), Layout { k: 2, m: 1 });
}

#[test]
fn what_was_cut_goes_on_where_it_was() {
    let carton = Carton::new();
    // Before anything was erased.
    carton.fail_at("keys Dr. Example");
    carton.create(&["A", "B", "C"]).unwrap_err();
    assert_eq!((carton.making().phase, carton.asked("prepare A")), (PoolPhase::Begun, 0));
    // One disk of three.
    carton.fail_at("prepare B");
    carton.create(&["A", "B", "C"]).unwrap_err();
    assert!(carton.making().failed.is_some(), "whoever comes later is told why");
    carton.until("what stands ready is told", |carton| carton.making().ready == ["A", "C"].map(|serial| Serial::parse(serial).unwrap()));
    assert_eq!((carton.asked("prepare A"), carton.asked("prepare C")), (1, 1));
    // The labels are there, and the keys can't be opened.
    carton.fail_at("open");
    carton.create(&["A", "B", "C"]).unwrap_err();
    assert_eq!(carton.making().phase, PoolPhase::Begun);
    assert_eq!(carton.create(&["A", "B"]).unwrap_err(), "other-disks", "from here on nothing is erased");
    carton.fail_at("");
    // The steward may have opened it by now.
    let done = carton.create(&["A", "B", "C"]);
    assert!(done.is_ok() || done == Err("pool-exists".into()), "{done:?}");
    is_whole(&carton, &["A", "B", "C"]);
    assert_eq!(["A", "B", "C"].map(|serial| carton.asked(&format!("prepare {serial}"))), [1, 2, 1]);
}

/// The program was killed between two labels: those disks hold nothing else, and are prepared again.
#[test]
fn labels_on_some_disks_are_made_again() {
    let carton = Carton::new();
    carton.fail_at("prepare C");
    carton.create(&["A", "B", "C"]).unwrap_err();
    carton.until("A and B stand ready", |carton| carton.making().ready.len() == 2);
    let vault: VaultId = carton.script.lock().unwrap().made.as_ref().unwrap().0.parse().unwrap();
    half_made(vault, &carton.disk("A"));
    carton.fail_at("");
    assert_eq!(carton.create(&["B", "C"]).unwrap_err(), "other-disks", "A would be in the way of the pool");
    carton.create(&["A", "B", "C"]).unwrap();
    is_whole(&carton, &["A", "B", "C"]);
    assert_eq!(["A", "B"].map(|serial| carton.asked(&format!("prepare {serial}"))), [2, 1]);
}

fn half_made(vault: VaultId, disk: &Path) {
    let (other, third) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disks = vec![disk_at("A", disk), disk_at("B", other.path()), disk_at("C", third.path())];
    drop(Pool::create(disks, PoolIds { vault: vault.0, disks: vec![[1; 16], [2; 16], [3; 16]] }, Layout { k: 2, m: 1 }).unwrap());
}

#[test]
fn a_disk_of_another_pool_is_never_taken() {
    let carton = Carton::new();
    fs::create_dir_all(carton.disk("B")).unwrap();
    half_made(VaultId([7; 16]), &carton.disk("B"));
    let standing = carton.script.lock().unwrap().mounted("B");
    carton.script.lock().unwrap().disk("B").standing = standing;
    for serials in [&["A", "B"][..], &["A"], &["B"]] {
        assert_eq!(carton.create(serials).unwrap_err(), "pool-exists", "{serials:?}");
    }
    assert_eq!(carton.asked("prepare A") + carton.asked("prepare B"), 0);
}

/// Its label was lost, and it may be all that is left of a practice.
#[test]
fn a_disk_with_data_that_no_label_explains_is_refused_however_often_it_is_asked_for() {
    let carton = Carton::new();
    fs::create_dir_all(carton.disk("B")).unwrap();
    fs::write(carton.disk("B").join("shard"), "data").unwrap();
    let standing = carton.script.lock().unwrap().mounted("B");
    carton.script.lock().unwrap().disk("B").standing = standing;
    let refused = || {
        for serials in [&["B"][..], &["B"], &["A", "B"], &["A", "B"]] {
            assert_eq!(carton.create(serials).unwrap_err(), "in-pool", "{serials:?}");
        }
    };
    refused();
    assert_eq!(carton.making().disks, [], "nothing was begun");
    carton.fail_at("keys Dr. Example");
    carton.create(&["A", "C"]).unwrap_err();
    carton.fail_at("");
    refused();
    assert_eq!(["prepare A", "prepare B", "unmount B"].map(|what| carton.asked(what)), [0; 3]);
    assert_eq!(fs::read(carton.disk("B").join("shard")).unwrap(), b"data");
}

/// The program was killed before the first label: what is on the disks came from this very plan.
#[test]
fn what_a_cut_left_without_a_label_is_made_again() {
    let carton = Carton::new();
    carton.fail_at("vanish B");
    carton.create(&["A", "B"]).unwrap_err();
    fs::write(carton.disk("A").join("half"), "").unwrap();
    fs::create_dir_all(carton.disk("B")).unwrap();
    carton.fail_at("");
    carton.create(&["A", "B"]).unwrap();
    is_whole(&carton, &["A", "B"]);
    assert_eq!(["A", "B"].map(|serial| carton.asked(&format!("prepare {serial}"))), [2, 1]);
}

#[test]
fn new_key_slots_reach_the_pool_by_themselves() {
    let carton = Carton::new();
    carton.fail_at("open");
    carton.create(&["A", "B"]).unwrap_err();
    let newer = {
        let mut script = carton.script.lock().unwrap();
        let mut slots = Slots::decode(script.made.as_ref().unwrap().1.slots.as_ref()).unwrap();
        slots.revision += 1;
        script.newer = Some(slots.clone());
        slots
    };
    carton.fail_at("");
    carton.until("the pool has them", |carton| carton.script.lock().unwrap().stored.last().is_some_and(|slots| *slots == newer));
}

/// Who asks for a paper, and what becomes of it.
fn kit(carton: &Carton, role: Role, what: &str, body: &Value) -> Result<String, String> {
    let verb = if what == "confirm" { Verb::SettingsChange } else { Verb::KitPrint };
    let grant = keepwell_api::grants::Grant { role, ..grant(verb, body) };
    let vaultd = carton.vaultd.showing(grant.sign(&carton.authd));
    match vaultd.post_for_bytes(&format!("/v1/kit/{what}"), body) {
        Ok(page) => Ok(String::from_utf8(page.to_vec()).unwrap()),
        Err(ClientError::Refused(refusal)) => Err(refusal.code),
        Err(error) => panic!("{error}"),
    }
}

/// Of the ledger: who did what with the kit.
fn kit_records(carton: &Carton) -> Vec<String> {
    let body = json!({ "from": 1, "limit": 1000 });
    let grant = grant(Verb::LogRead, &body);
    let records: Vec<LogRecord> = carton.vaultd.showing(grant.sign(&carton.authd)).post("/v1/log", &body).unwrap();
    let told = records.into_iter().filter_map(|record| {
        let what = record.fields.get("what")?.as_str()?.strip_prefix("kit-")?.to_owned();
        Some(format!("{} {what} {}", record.actor, record.fields.get("paper").cloned().unwrap_or_default()))
    });
    told.collect()
}

#[test]
fn a_paper_comes_for_an_owners_grant_and_is_in_the_ledger_before() {
    let carton = Carton::new();
    carton.create(&["A"]).unwrap();
    let vault = carton.vaultd.get::<VaultState>("/v1/vault").unwrap().vault.unwrap();
    let print = |paper: u8, vault: &str| json!({ "vault": vault, "paper": paper, "format": "text", "keeper": "Ann" });
    let words = json!({ "vault": vault, "paper": 1, "words": vec!["YQ=="; 6] });
    assert_eq!(kit(&carton, Role::Operator, "print", &print(1, &vault)).unwrap_err(), "role");
    assert_eq!(kit(&carton, Role::Operator, "confirm", &words).unwrap_err(), "role");
    assert_eq!(kit(&carton, Role::Owner, "print", &print(1, &"0".repeat(32))).unwrap_err(), "not-found");
    assert_eq!(kit(&carton, Role::Owner, "print", &print(2, &vault)).unwrap_err(), "out-of-turn");
    assert!(carton.asked("paper 1") == 0 && kit_records(&carton).is_empty(), "what does not come out is not told as if it did");
    carton.fail_at("paper 1");
    kit(&carton, Role::Owner, "print", &print(1, &vault)).unwrap_err();
    assert_eq!(kit_records(&carton), ["olga printed 1"], "before it comes out");
    carton.fail_at("confirm");
    assert_eq!(kit(&carton, Role::Owner, "print", &print(1, &vault)).unwrap(), "the paper");
    assert_eq!(kit(&carton, Role::Owner, "confirm", &words).unwrap_err(), "wrong-word");
    carton.fail_at("");
    let confirmed: Value = serde_json::from_str(&kit(&carton, Role::Owner, "confirm", &words).unwrap()).unwrap();
    assert_eq!(confirmed, json!({ "left": [], "slots": null }), "key slots are for the pool alone");
    kit(&carton, Role::Owner, "again", &json!({ "vault": vault })).unwrap();
    assert_eq!(kit_records(&carton), ["olga printed 1", "olga printed 1", "olga confirmed 1", "olga again null"]);
}
