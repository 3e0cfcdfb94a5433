//! vaultd and the disks of its pool. diskd is a script here, on a socket of its own: folders stand for what it mounts, and the tests say how the disks are.

#![expect(clippy::unwrap_used, reason = "tests end where something is not as they made it")]

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
use keepwell_api::disks::{Bus, Disk, DiskDetail, Disks, Health, Mounted, Reason, Serial, Standing, Verdict};
use keepwell_api::grants::{SigningKey, Verb};
use keepwell_api::vault::{BoxDisk, BoxDisks, Membership, VaultState};
use keepwell_api::{Client, ClientError, Refusal};
use keepwell_format::keys::{ChunkSizes, KeyringBody};
use keepwell_format::{Epoch, VaultId};
use keepwell_storage::{Layout, Pool, PoolIds, disk_at};
use keepwell_vault::NewVault;
use keepwell_vaultd::Household;
use keepwell_vaultd::appliance::Appliance;
use keepwell_vaultd::bays::Diskd;
use keepwell_vaultd::service::routes;
use serde_json::{Value, json};
use stage::{authd, config, grant, mine, serve};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// What diskd would say, and what it was asked to do.
struct Script {
    folder: PathBuf,
    disks: Vec<Disk>,
    asked: Vec<String>,
    /// How often it was asked for all disks.
    looks: usize,
    silent: bool,
    /// A disk takes its time to be prepared.
    slow: bool,
    /// It is pulled while it is prepared.
    pulled: bool,
}

type Shared = Arc<Mutex<Script>>;

impl Script {
    fn plug(&mut self, serial: &str, standing: Standing) {
        let health = Health { verdict: Verdict::Healthy, reasons: Vec::new(), ..Health::unknown("x", "x") };
        let (wwn, model, bus, notes, job) = (None, "Disk".into(), Bus::Sata, Vec::new(), None);
        let (rotational, removable, size_bytes, first_seen, last_seen) = (true, false, 4 << 40, 0, 0);
        let serial = Serial::parse(serial).unwrap();
        let device = format!("sd{serial}");
        let disk = Disk {
            bay: None,
            serial,
            device,
            wwn,
            model,
            bus,
            size_bytes,
            rotational,
            removable,
            notes,
            standing,
            health,
            job,
            first_seen,
            last_seen,
        };
        self.disks.push(disk);
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

    fn says(&mut self, serial: &str, weight: Verdict, code: &str) {
        let reasons = vec![Reason { weight, code: code.into(), text: "In words.".into(), damage: false }];
        let health = &mut self.disk(serial).health;
        (health.verdict, health.reasons) = (weight, reasons);
    }
}

fn diskd(script: Shared) -> Router {
    Router::new().route("/v1/disks", get(all)).route("/v1/disks/{serial}/{verb}", post(have)).with_state(script)
}

async fn all(State(script): State<Shared>) -> Response {
    let mut script = script.lock().unwrap();
    script.looks += 1;
    if script.silent {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Json(Disks { disks: script.disks.clone(), unnamed: Vec::new() }).into_response()
}

async fn have(State(script): State<Shared>, Route((serial, verb)): Route<(String, String)>) -> Response {
    script.lock().unwrap().asked.push(format!("{verb} {serial}"));
    while verb == "prepare" && script.lock().unwrap().slow {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut script = script.lock().unwrap();
    let at = script.folder.join(&serial);
    match verb.as_str() {
        "prepare" if script.pulled => {
            script.disk(&serial).standing = Standing::Absent;
            return Refusal::text(StatusCode::CONFLICT, "changed", "it is no longer the one that was looked at").into_response();
        }
        "prepare" => {
            let _ = fs::remove_dir_all(&at);
            fs::create_dir_all(&at).unwrap();
            script.disk(&serial).standing = script.mounted(&serial);
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

/// vaultd with an open vault on disks A, B and C.
struct Stage {
    _folder: TempDir,
    script: Shared,
    authd: SigningKey,
    vaultd: Client,
    ledger: PathBuf,
    household: Option<Household>,
}

impl Stage {
    fn new(has_pool: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut script =
            Script { folder: at("disks"), disks: Vec::new(), asked: Vec::new(), looks: 0, silent: false, slow: false, pulled: false };
        make_vault(&at("disks"));
        for serial in ["A", "B", "C"] {
            let standing = script.mounted(serial);
            script.plug(serial, standing);
        }
        let script = Arc::new(Mutex::new(script));
        let authd = authd(&at("authd"), Router::new());
        serve(&at("keyd"), Router::new().route("/v1/open", post(async || keyring())), mine());
        serve(&at("diskd"), diskd(Arc::clone(&script)), mine());
        let diskd = has_pool.then(|| Diskd { socket: at("diskd"), has_pool });
        let config = config(folder.path(), diskd);
        let ledger = config.state.join("ledger");
        let appliance = Appliance::start(config).unwrap();
        let household = Some(Household::start(&appliance).unwrap());
        serve(&at("vaultd"), routes(appliance, mine()), mine());
        let vaultd = Client::new("keepwell-vaultd", at("vaultd"), Duration::from_secs(30));
        let stage = Self { _folder: folder, script, authd, vaultd, ledger, household };
        stage.until("the vault is open", |stage| stage.vaultd.get::<VaultState>("/v1/vault").unwrap().unready.is_none());
        stage
    }

    /// Waits for what is bound to come.
    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !condition(self) {
            assert!(Instant::now() < end, "{what}: {:?}", self.disks());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, route: &str, verb: Verb, body: &Value) -> Result<Value, String> {
        let grant = grant(verb, body);
        match self.vaultd.showing(grant.sign(&self.authd)).post::<Value>(route, body) {
            Ok(answer) => Ok(answer),
            Err(ClientError::Refused(refusal)) => Err(refusal.code),
            Err(error) => panic!("{route}: {error}"),
        }
    }

    fn change(&self, route: &str, body: &Value) -> Result<Value, String> {
        self.ask(route, Verb::DisksChange, body)
    }

    fn disks(&self) -> BoxDisks {
        self.vaultd.get("/v1/disks").unwrap()
    }

    fn membership(&self, serial: &str) -> Option<Membership> {
        self.disks().disks.iter().find(|disk| disk.pool_name.as_deref() == Some(serial)).map(|disk| disk.membership)
    }

    /// The state of a disk in the status, and the codes of open incidents about disks.
    fn state(&self, serial: &str) -> (String, Vec<String>) {
        let status: Value = self.vaultd.get("/v1/status").unwrap();
        let of = status["disks"].as_array().unwrap().iter().find(|disk| disk["name"] == serial).map(|disk| &disk["state"]);
        let is_disk = |incident: &&Value| incident["duty"]["kind"] == "disk";
        let codes = status["incidents"].as_array().unwrap().iter().filter(is_disk).map(|incident| text(&incident["code"])).collect();
        (of.map(text).unwrap_or_default(), codes)
    }

    fn records(&self, what: &str) -> Vec<String> {
        let text = |value: Option<&keepwell_audit::Value>| match value {
            Some(keepwell_audit::Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let records = keepwell_audit::read(&self.ledger, 1, 10_000).unwrap();
        let of = records.iter().filter(|record| text(record.field("what")) == what);
        of.map(|record| format!("{} {}", record.actor, text(record.field("serial")))).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.household.take().into_iter().for_each(Household::end);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn make_vault(folder: &Path) {
    let disks = ["A", "B", "C"].map(|name| {
        fs::create_dir_all(folder.join(name)).unwrap();
        disk_at(name, &folder.join(name))
    });
    let ids = PoolIds { vault: [9; 16], disks: vec![[1; 16], [2; 16], [3; 16]] };
    let pool = Pool::create(disks.to_vec(), ids, Layout::new(2, 1).unwrap()).unwrap();
    keepwell_vault::create(&pool, &NewVault::new(VaultId([9; 16])), &mut |bytes| getrandom::fill(bytes).unwrap()).unwrap();
}

/// As keyd would give it out: of any keys, because nothing is stored with those of the vault.
fn keyring() -> Vec<u8> {
    let key = |byte: u8| Zeroizing::new([byte; 32]);
    let chunk = ChunkSizes { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };
    let (blob_id_key, gear_key, page_key, signing_seed) = (key(1), key(2), key(3), key(4));
    KeyringBody { blob_id_key, gear_key, page_key, signing_seed, chunk, epochs: vec![(Epoch(1), key(5))] }.encode().to_vec()
}

#[test]
fn what_diskd_thinks_of_a_disk_is_told_and_is_an_incident_until_it_is_well() {
    let stage = Stage::new(true);
    stage.until("it is healthy", |stage| stage.state("B") == ("healthy".into(), vec![]));
    stage.script.lock().unwrap().says("B", Verdict::Suspect, "pending");
    stage.until("it is suspect", |stage| stage.state("B") == ("suspect".into(), vec!["suspect:pending".into()]));
    stage.script.lock().unwrap().says("B", Verdict::Failing, "self-test-failed");
    stage.until("it is worse", |stage| stage.state("B") == ("failing".into(), vec!["failing:self-test-failed".into()]));
    assert_eq!(stage.membership("B"), Some(Membership::Member), "with three disks of 2+1 it can't be emptied");
    // Who says nothing has not said that it is well.
    stage.script.lock().unwrap().silent = true;
    stage.until("nobody says how it is", |stage| stage.state("B").0 == "unknown");
    assert_eq!(stage.state("A").0, "unknown");
    assert_eq!(stage.state("B").1, ["failing:self-test-failed"]);
    assert!(stage.disks().diskd_silent.is_some() && stage.membership("A") == Some(Membership::Member));
    stage.script.lock().unwrap().silent = false;
    stage.script.lock().unwrap().says("B", Verdict::Healthy, "");
    stage.until("it is well", |stage| stage.state("B") == ("healthy".into(), vec![]));
}

#[test]
fn a_disk_that_goes_is_missing_and_one_that_comes_back_is_used() {
    let stage = Stage::new(true);
    stage.until("they are known by their serial numbers", |stage| stage.state("C").0 == "healthy");
    stage.script.lock().unwrap().disk("C").standing = Standing::Absent;
    stage.until("it is missing", |stage| stage.state("C") == ("missing".into(), vec!["missing".into()]));
    assert_eq!(stage.membership("C"), Some(Membership::Missing));
    assert!(stage.vaultd.get::<VaultState>("/v1/vault").unwrap().degraded_objects > 0);
    // It appears, and nobody has mounted it.
    stage.script.lock().unwrap().disk("C").standing = Standing::Prepared { disk: "id-C".into(), mounted_at: None, unreadable: None };
    stage.until("it is back", |stage| stage.state("C") == ("healthy".into(), vec![]));
    assert_eq!(stage.vaultd.get::<VaultState>("/v1/vault").unwrap().degraded_objects, 0);
    assert!(stage.script.lock().unwrap().asked.contains(&"mount C".to_owned()));
}

#[test]
fn a_disk_that_is_connected_and_can_not_be_read_is_told_as_that_and_left_to_diskd() {
    let stage = Stage::new(true);
    stage.until("they are known by their serial numbers", |stage| stage.state("C").0 == "healthy");
    let torn = |why: Option<&str>| Standing::Prepared { disk: "id-C".into(), mounted_at: None, unreadable: why.map(str::to_owned) };
    stage.script.lock().unwrap().disk("C").standing = torn(Some("Structure needs cleaning"));
    stage.until("it is told", |stage| stage.state("C") == ("unreadable".into(), vec!["unreadable".into()]));
    let told = stage.disks().disks.into_iter().find(|disk| disk.pool_name.as_deref() == Some("C")).unwrap();
    assert_eq!((told.membership, told.disk.unwrap().standing), (Membership::Missing, torn(Some("Structure needs cleaning"))));
    let looks = stage.script.lock().unwrap().looks;
    stage.until("it is looked at again and again", |stage| stage.script.lock().unwrap().looks >= looks + 3);
    assert_eq!(stage.script.lock().unwrap().asked, Vec::<String>::new(), "diskd tries by itself");
    // It was pulled and came back as it should be.
    stage.script.lock().unwrap().disk("C").standing = torn(None);
    stage.until("it is back", |stage| stage.state("C") == ("healthy".into(), vec![]));
    assert_eq!(stage.script.lock().unwrap().asked, ["mount C"]);
}

#[test]
fn a_disk_that_answers_each_read_with_an_error_is_told_once_and_not_as_missing() {
    let stage = Stage::new(true);
    stage.until("they are known by their serial numbers", |stage| stage.state("C").0 == "healthy");
    // Nothing of it can be read, so diskd can't know that it is this box's.
    let unread = |failed| Standing::Unread { why: "Input/output error".into(), failed };
    stage.script.lock().unwrap().disk("C").standing = unread(false);
    let looks = stage.script.lock().unwrap().looks;
    stage.until("it is asked for again", |stage| stage.script.lock().unwrap().looks >= looks + 3);
    assert_eq!(stage.membership("C"), Some(Membership::Member), "diskd was started again: nobody said that the disk is gone");
    stage.script.lock().unwrap().disk("C").standing = unread(true);
    stage.until("it is told", |stage| stage.state("C") == ("unreadable".into(), vec!["unreadable".into()]));
    let is_it = |disk: &BoxDisk| disk.pool_name.as_deref() == Some("C") || disk.disk.as_ref().is_some_and(|of| of.serial.as_str() == "C");
    let told: Vec<BoxDisk> = stage.disks().disks.into_iter().filter(is_it).collect();
    let [BoxDisk { pool_name: Some(_), membership: Membership::Missing, disk: Some(of) }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(of.standing, unread(true));
}

#[test]
fn a_disk_that_is_pulled_while_it_is_prepared_is_no_disk_of_the_pool_and_can_be_added_again() {
    let stage = Stage::new(true);
    stage.script.lock().unwrap().plug("D", Standing::Blank);
    stage.script.lock().unwrap().pulled = true;
    let add = || stage.change("/v1/disks/add", &json!({ "serial": "D", "typed_serial": "D" }));
    assert_eq!(add().unwrap_err(), "pulled");
    assert!(stage.membership("D").is_none() && stage.records("disk-added").is_empty());
    let mut script = stage.script.lock().unwrap();
    script.pulled = false;
    script.disk("D").standing = Standing::Foreign { what: "gpt".into() };
    drop(script);
    add().unwrap();
    assert_eq!(stage.membership("D"), Some(Membership::Member));
}

#[test]
fn a_disk_that_is_pulled_as_soon_as_it_has_joined_is_waited_for() {
    let stage = Stage::new(true);
    stage.script.lock().unwrap().plug("D", Standing::Blank);
    stage.change("/v1/disks/add", &json!({ "serial": "D", "typed_serial": "D" })).unwrap();
    stage.script.lock().unwrap().disk("D").standing = Standing::Absent;
    stage.until("it is missing", |stage| stage.state("D") == ("missing".into(), vec!["missing".into()]));
    assert_eq!(stage.membership("D"), Some(Membership::Missing));
    stage.script.lock().unwrap().disk("D").standing = Standing::Prepared { disk: "id-D".into(), mounted_at: None, unreadable: None };
    stage.until("it is back", |stage| stage.state("D") == ("healthy".into(), vec![]));
    stage.until("and gets its part", |stage| stage.disks().to_mend == 0);
}

#[test]
fn a_disk_joins_and_another_one_leaves() {
    let stage = Stage::new(true);
    stage.script.lock().unwrap().plug("D", Standing::Blank);
    let add = |serial: &str, typed: &str| stage.change("/v1/disks/add", &json!({ "serial": serial, "typed_serial": typed }));
    assert_eq!(add("D", "A").unwrap_err(), "wrong-serial");
    assert_eq!(add("X", "X").unwrap_err(), "not-found");
    assert_eq!(add("A", "A").unwrap_err(), "member");
    let remove = |name: &str| stage.change("/v1/disks/remove", &json!({ "pool_name": name }));
    assert_eq!(remove("A").unwrap_err(), "pool-refuses", "the layout needs three");
    assert!(stage.script.lock().unwrap().asked.is_empty() && stage.records("disk-added").is_empty(), "nothing was changed");
    add("D", "D").unwrap();
    assert_eq!(stage.membership("D"), Some(Membership::Member));
    assert_eq!(stage.script.lock().unwrap().asked, ["prepare D", "mount D"]);
    remove("A").unwrap();
    stage.until("it has left, and can be taken out", |stage| {
        stage.membership("A").is_none() && stage.script.lock().unwrap().asked.contains(&"unmount A".to_owned())
    });
    stage.until("nothing is left to be done", |stage| stage.disks().to_mend == 0);
    assert_eq!(stage.vaultd.get::<VaultState>("/v1/vault").unwrap().degraded_objects, 0);
    assert_eq!(stage.state("A"), (String::new(), vec![]), "nothing is owed to it any more");
    let recorded = ["disk-prepared", "disk-added", "disk-leaving", "disk-left"].map(|what| stage.records(what));
    assert_eq!(recorded, [vec!["olga D"], vec!["olga D"], vec!["olga A"], vec!["vaultd A"]]);
    // What has left may come in again, as if it were new.
    add("A", "A").unwrap();
    assert_eq!(stage.membership("A"), Some(Membership::Member));
}

#[test]
fn a_member_that_can_not_be_told_is_not_erased() {
    let stage = Stage::new(true);
    stage.until("they are known by their serial numbers", |stage| stage.state("C").0 == "healthy");
    // Its partition table can't be read any more, so diskd takes it for one that is free.
    stage.script.lock().unwrap().disk("C").standing = Standing::Blank;
    stage.until("it is missing", |stage| stage.membership("C") == Some(Membership::Missing));
    assert_eq!(stage.change("/v1/disks/add", &json!({ "serial": "C", "typed_serial": "C" })).unwrap_err(), "member");
    assert!(!stage.script.lock().unwrap().asked.contains(&"prepare C".to_owned()), "what the pool has on it may still be needed");
    stage.change("/v1/disks/add", &json!({ "serial": "C", "typed_serial": "C", "replaces": "C" })).unwrap();
    stage.until("it is as good as new", |stage| stage.membership("C") == Some(Membership::Member) && stage.disks().to_mend == 0);
}

#[test]
fn a_member_is_not_erased_to_leave_while_the_vault_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut script =
        Script { folder: at("disks"), disks: Vec::new(), asked: Vec::new(), looks: 0, silent: false, slow: false, pulled: false };
    // What is on them can't be read, so diskd takes both for free ones.
    script.plug("C", Standing::Blank);
    script.plug("P", Standing::Blank);
    script.plug("X", Standing::Blank);
    let script = Arc::new(Mutex::new(script));
    let authd = authd(&at("authd"), Router::new());
    serve(&at("diskd"), diskd(Arc::clone(&script)), mine());
    let config = config(folder.path(), Some(Diskd { socket: at("diskd"), has_pool: true }));
    fs::create_dir(&config.state).unwrap();
    let state = keepwell_vaultd::state::State::open(&config.state.join("state.sqlite")).unwrap();
    state.note("disks", &json!({ "an id": "C" })).unwrap();
    let plan = json!({ "vault": "00", "disks": ["P"], "data": 1, "parity": 0, "owner": "x", "pooled": true });
    state.note("first-pool", &plan).unwrap();
    // Nobody opens the vault.
    serve(&at("vaultd"), routes(Appliance::start(config).unwrap(), mine()), mine());
    let vaultd = Client::new("keepwell-vaultd", at("vaultd"), Duration::from_secs(30));
    let erase = |serial: &str| {
        let body = json!({ "serial": serial, "typed_serial": serial });
        let shown = grant(Verb::DisksChange, &body).sign(&authd);
        match vaultd.showing(shown).post::<Value>("/v1/disks/outward", &body) {
            Err(ClientError::Refused(refusal)) => refusal.code,
            other => format!("{other:?}"),
        }
    };
    assert_eq!([erase("C"), erase("P")], ["member", "member"]);
    assert!(script.lock().unwrap().asked.is_empty());
    erase("X");
    assert_eq!(script.lock().unwrap().asked, ["prepare-outward X"], "no disk of the pool");
}

#[test]
fn nobody_waits_behind_a_disk_that_is_prepared() {
    let stage = Stage::new(true);
    stage.until("they are known by their serial numbers", |stage| stage.state("C").0 == "healthy");
    stage.script.lock().unwrap().plug("D", Standing::Blank);
    stage.script.lock().unwrap().slow = true;
    std::thread::scope(|scope| {
        let added = scope.spawn(|| stage.change("/v1/disks/add", &json!({ "serial": "D", "typed_serial": "D" })));
        stage.until("it is being prepared", |stage| stage.script.lock().unwrap().asked.contains(&"prepare D".to_owned()));
        assert_eq!(stage.change("/v1/disks/remove", &json!({ "pool_name": "A" })).unwrap_err(), "busy");
        stage.script.lock().unwrap().slow = false;
        added.join().unwrap().unwrap();
    });
    assert_eq!((stage.membership("A"), stage.membership("D")), (Some(Membership::Member), Some(Membership::Member)));
}

#[test]
fn a_dead_disk_is_replaced() {
    let stage = Stage::new(true);
    stage.until("they are known by their serial numbers", |stage| stage.state("B").0 == "healthy");
    {
        let mut script = stage.script.lock().unwrap();
        script.disk("B").standing = Standing::Absent;
        script.plug("D", Standing::Blank);
    }
    stage.until("it is missing", |stage| stage.membership("B") == Some(Membership::Missing));
    let order = json!({ "serial": "D", "typed_serial": "D", "replaces": "B" });
    stage.change("/v1/disks/add", &order).unwrap();
    stage.until("the other one has its place", |stage| stage.membership("B").is_none() && stage.disks().to_mend == 0);
    assert_eq!(stage.vaultd.get::<VaultState>("/v1/vault").unwrap().degraded_objects, 0);
    stage.until("no incident is left", |stage| stage.state("D") == ("healthy".into(), vec![]));
}

#[test]
fn tests_and_lights_are_diskds() {
    let stage = Stage::new(true);
    stage.ask("/v1/disks/locate", Verb::DisksTest, &json!({ "serial": "A", "seconds": 9 })).unwrap();
    stage.ask("/v1/disks/self-test", Verb::DisksTest, &json!({ "serial": "B", "kind": "long" })).unwrap();
    assert_eq!(stage.script.lock().unwrap().asked, ["locate A", "self-test B"]);
    assert_eq!(stage.records("disk-self-test"), ["olga B"]);
}

#[test]
fn folders_are_nobodys_to_change() {
    let stage = Stage::new(false);
    stage.until("they are healthy", |stage| stage.state("A").0 == "healthy");
    assert_eq!(stage.change("/v1/disks/add", &json!({ "serial": "D", "typed_serial": "D" })).unwrap_err(), "no-diskd");
    assert_eq!(stage.change("/v1/disks/remove", &json!({ "pool_name": "A" })).unwrap_err(), "no-diskd");
    let test = json!({ "serial": "A", "kind": "short" });
    assert_eq!(stage.ask("/v1/disks/self-test", Verb::DisksTest, &test).unwrap_err(), "no-diskd");
    assert_eq!(stage.disks().disks.len(), 3);
    // A folder that goes and comes is noticed as well.
    let folder = stage.script.lock().unwrap().folder.clone();
    fs::rename(folder.join("C"), folder.join("../C")).unwrap();
    stage.until("it is missing", |stage| stage.state("C").0 == "missing");
    fs::rename(folder.join("../C"), folder.join("C")).unwrap();
    stage.until("it is back", |stage| stage.state("C").0 == "healthy");
}
