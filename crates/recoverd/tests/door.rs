//! What is asked of recoverd before it asks anybody: a box that has a vault, a slip in the code, papers of another vault, an address where nobody is. Nothing is begun by any of it.

#![expect(clippy::unwrap_used, reason = "tests end where something is not as they made it")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use keepwell_api::disks::Serial;
use keepwell_api::recovery::{BeginRecovery, GoOn, RecoveryBegun, RecoveryPhase, RecoveryStatus};
use keepwell_api::vault::{Done, PoolMaking, PoolPhase};
use keepwell_api::{Base64, Callers, Client, ClientError};
use keepwell_crypt::{KitFile, KitSeed, split};
use keepwell_format::VaultId;
use keepwell_recover::Patience;
use keepwell_recoverd::service::routes;
use keepwell_recoverd::work::Work;
use keepwell_wire::{KeyName, PlaceCode};

const VAULT: VaultId = VaultId([5; 16]);

type Making = Arc<Mutex<PoolMaking>>;

fn serve(socket: &Path, routes: Router) {
    let listener = keepwell_api::listen(socket).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(keepwell_api::serve(listener, routes)).unwrap();
    });
}

/// recoverd beside a vaultd that says this of its pool.
struct Door {
    folder: tempfile::TempDir,
    making: Making,
    recoverd: Client,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let making = Arc::new(Mutex::new(of(PoolPhase::None, None)));
        let said = async |State(making): State<Making>| Json(making.lock().unwrap().clone());
        serve(&at("vaultd"), Router::new().route("/v1/pool/recovery", get(said)).with_state(Arc::clone(&making)));
        let work = Work::new(&at("state"), &at("vaultd"), Patience::default());
        std::fs::create_dir(at("state")).unwrap();
        serve(&at("recoverd"), routes(Arc::new(work), Callers::only([nix::unistd::geteuid().as_raw()])));
        let recoverd = Client::new("keepwell-recoverd", at("recoverd"), Duration::from_secs(120));
        let door = Self { folder, making, recoverd };
        let end = Instant::now() + Duration::from_secs(60);
        while door.recoverd.get::<RecoveryStatus>("/v1/recovery").is_err() {
            assert!(Instant::now() < end, "it does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        door
    }

    /// The word of the refusal.
    fn refused(&self, place: &str, papers: [Base64; 2]) -> String {
        let order = BeginRecovery { place: place.into(), address: None, papers };
        match self.recoverd.post::<RecoveryBegun>("/v1/recovery", &order) {
            Err(ClientError::Refused(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    fn vaultd_says(&self, phase: PoolPhase, recovering: Option<VaultId>) {
        *self.making.lock().unwrap() = of(phase, recovering);
    }
}

fn of(phase: PoolPhase, recovering: Option<VaultId>) -> PoolMaking {
    PoolMaking { phase, disks: Vec::new(), ready: Vec::new(), failed: None, recovering: recovering.map(|vault| vault.to_string()) }
}

fn papers(vault: VaultId) -> [Base64; 2] {
    let [one, two, _] = split(&KitSeed::from_bytes([7; 32]), 3, &mut |bytes| bytes.fill(9));
    [one, two].map(|share| KitFile { vault: vault.0, set: 3, share }.lines().as_bytes().to_vec().into())
}

/// At a port where nobody listens: tcpmux.
fn place() -> String {
    PlaceCode { vault: VAULT, receiver: KeyName([4; 32]), address: "127.0.0.1:1".into() }.to_text()
}

#[test]
fn what_is_wrong_is_told_before_anybody_is_asked() {
    let (door, place) = (Door::new(), place());
    assert_eq!(door.refused(&place[1..], papers(VAULT)), "no-place");
    assert_eq!(door.refused(&place, [b"no paper".to_vec().into(), papers(VAULT)[0].clone()]), "paper");
    assert_eq!(door.refused(&place, papers(VaultId([6; 16]))), "other-vault");
    assert_eq!(door.refused(&place, papers(VAULT)), "unreachable");
    let status: RecoveryStatus = door.recoverd.get("/v1/recovery").unwrap();
    assert_eq!((status.phase, status.place), (RecoveryPhase::Idle, None));
    let go = GoOn { disks: vec![Serial::parse("S1").unwrap()] };
    assert!(
        matches!(door.recoverd.post::<Done>("/v1/recovery/go", &go), Err(ClientError::Refused(refusal)) if refusal.code == "nothing-waits")
    );
    assert_eq!(std::fs::read_dir(door.folder.path().join("state")).unwrap().count(), 0, "no key was made, and nothing is kept");
}

#[test]
fn a_box_that_has_a_vault_asks_nobody_for_one() {
    let (door, place) = (Door::new(), place());
    for (phase, recovering, code) in [
        (PoolPhase::There, None, "has-vault"),
        (PoolPhase::Begun, None, "has-vault"),
        (PoolPhase::Making, None, "has-vault"),
        (PoolPhase::Begun, Some(VaultId([6; 16])), "other-vault"),
        // Its own is gone on with, and then nobody is there.
        (PoolPhase::Begun, Some(VAULT), "unreachable"),
    ] {
        door.vaultd_says(phase, recovering);
        assert_eq!(door.refused(&place, papers(VAULT)), code, "{phase:?} {recovering:?}");
    }
}
