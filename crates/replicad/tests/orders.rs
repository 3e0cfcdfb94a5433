//! Two organisations together, and nobody else, have a receiver keep something for a shorter time: seven days after they said so, unless anybody with a key cancels it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fire;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fire::{Content, Home, Keeper, VAULT, new_pool, noise, send_all_with, until};
use hyper::{HeaderMap, Method};
use keepwell_api::hex;
use keepwell_api::offsite::{CancelOrder as CancelHere, EndTenant, Offered, Offers, OrderState, TenantTold, Unpair};
use keepwell_crypt::{KitFile, Secret, Signer, combine, kit_recipient, unwrap_with_seed};
use keepwell_format::{SnapshotId, VaultId};
use keepwell_link::{Caller, Identity};
use keepwell_offsite::{Reading, WAIT};
use keepwell_recover::shorten::{Canceller, cancel, give};
use keepwell_recover::{Papers, RecoverError};
use keepwell_replicad::house::House;
use keepwell_replicad::world::World;
use keepwell_wire::recover::RecoverRequest;
use keepwell_wire::shorten::{Cancel, GiveOrder, OrderId, OrderSecret, Orders, Shorten, SignedOrder, What};
use keepwell_wire::{KeyName, pairing::Between};

const SILENCE: Duration = Duration::from_secs(120);
const OTHER: VaultId = VaultId([8; 16]);

/// A machine whose time goes by when the test says so. Its random numbers are those of the real one.
#[derive(Default)]
struct Machine(AtomicU64);

impl Machine {
    fn goes_on(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl World for Machine {
    fn wall(&self) -> i64 {
        // A clock that nobody believes.
        self.0.load(Ordering::Relaxed).cast_signed() * 1000
    }

    fn reading(&self) -> Reading {
        Reading { boot: [1; 16], since_boot: self.0.load(Ordering::Relaxed) }
    }

    fn random(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        keepwell_replicad::world::System::new()?.random(bytes)
    }
}

fn second(n: u8) -> Signer {
    Signer::from_seed(&Secret::from_bytes([n; 32]))
}

/// A practice and its box, all of which is at the keeper's.
struct Practice {
    home: Home,
    sender: Arc<House>,
}

impl Practice {
    async fn new(folder: &Path, vault: VaultId, keeper: &Keeper, second_key: Option<&Signer>) -> Self {
        let content = Content::from([
            ("letters", vec![("a letter", noise(&format!("letter {vault}"), 300_000))]),
            ("records", vec![("patients", noise(&format!("patients {vault}"), 300_000))]),
        ]);
        let at = |what: &str| folder.join(format!("{}-{what}", vault.0[0]));
        let home = Home::make(&at("home"), vault, &content, &[("records", 1), ("letters", 2)]);
        let key = second_key.map(|signer| hex::encode(&signer.verify_key()));
        let sender = send_all_with(key, &home, &at("state"), keeper).await;
        Self { home, sender }
    }

    fn papers(&self) -> Papers {
        Papers::new(self.home.paper(0), self.home.paper(2)).unwrap()
    }

    /// An order that names the snapshot of a share, as the box makes it. Letters come last: their snapshot is the newest one there, which never goes.
    fn order(&self, id: u8, share: &str) -> Shorten {
        let known = self.sender.receipts().unwrap().receivers.remove(0);
        let named = self.home.offers.iter().find(|offer| offer.share == share).unwrap();
        assert!(known.receipts.iter().any(|receipt| receipt.snapshot == named.snapshot));
        Shorten {
            id: OrderId([id; 16]),
            vault: VaultId(hex::decode(&known.vault).unwrap()),
            receiver: KeyName(hex::decode(&known.receiver).unwrap()),
            head: hex::decode(&known.head.unwrap()).unwrap(),
            expires: known.elapsed + 14 * 86_400,
            what: What::Snapshots(vec![SnapshotId(hex::decode(&named.snapshot).unwrap())]),
        }
    }

    /// What it knows of its orders, when it has asked.
    async fn knows(&self, state: OrderState) {
        until("the box has heard of it", || {
            self.sender.send_now();
            let told = self.sender.status().unwrap().receivers[0].clone();
            told.orders.iter().any(|order| order.state == state).then_some(())
        })
        .await;
    }
}

fn signed(order: &Shorten, by: &Signer) -> SignedOrder {
    SignedOrder { order: order.clone(), signature: Some(by.sign(&order.encode())) }
}

fn of_vault(keeper: &Keeper, vault: VaultId) -> TenantTold {
    let wanted = hex::encode(&vault.0);
    keeper.house.status().unwrap().tenants.into_iter().find(|tenant| tenant.vault == wanted).unwrap()
}

fn code(answer: Result<Orders, RecoverError>) -> String {
    match answer.unwrap_err() {
        RecoverError::NoOrder { code, .. } => code,
        other => panic!("{other}"),
    }
}

async fn post(caller: &Caller, path: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    let answered = caller.ask(Method::POST, path, HeaderMap::new(), body.into()).await.unwrap();
    let code = answered.headers.get("keepwell-code").map_or("", |code| code.to_str().unwrap());
    (code.to_owned(), answered.body.to_vec())
}

/// What the papers open of a challenge.
async fn secret(caller: &Caller, vault: VaultId, papers: [KitFile; 2]) -> OrderSecret {
    let seed = combine(&papers[0].share, &papers[1].share).unwrap();
    let request = RecoverRequest { vault, recipient: kit_recipient(&seed) };
    let (_, challenge) = post(caller, "/v1/orders/challenge", request.encode()).await;
    OrderSecret::of_payload(&unwrap_with_seed(&seed, &challenge).unwrap()).unwrap()
}

fn two(home: &Home) -> [KitFile; 2] {
    [home.paper(0), home.paper(1)]
}

struct Scene {
    folder: tempfile::TempDir,
    machine: Arc<Machine>,
    keeper: Keeper,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        drop(new_pool(&folder.path().join("elsewhere"), VaultId([9; 16])));
        let machine = Arc::new(Machine::default());
        let keeper = Self::keeper(folder.path(), &machine).await;
        Self { folder, machine, keeper }
    }

    async fn keeper(folder: &Path, machine: &Arc<Machine>) -> Keeper {
        let world: Arc<dyn World> = Arc::clone(machine) as Arc<dyn World>;
        Keeper::start_in(world, &folder.join("keeper-state"), &folder.join("elsewhere")).await
    }

    /// The keeper's program is killed and started. Its first look at what is over is done when this returns.
    async fn starts_again(self) -> Self {
        let Self { folder, machine, keeper } = self;
        keeper.kill().await;
        let keeper = Self::keeper(folder.path(), &machine).await;
        Self { folder, machine, keeper }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_organisation_alone_or_a_replay_shortens_nothing() {
    let mut scene = Scene::new().await;
    let (first, other) = (second(21), second(22));
    let mine = Practice::new(scene.folder.path(), VAULT, &scene.keeper, Some(&first)).await;
    let theirs = Practice::new(scene.folder.path(), OTHER, &scene.keeper, Some(&other)).await;
    let address = scene.keeper.address.clone();
    let order = mine.order(1, "letters");
    let give_mine = async |order: &SignedOrder| give(&address, order, &mine.papers()).await;

    // The second organisation has not signed, another one has, it has signed something else.
    assert_eq!(code(give_mine(&SignedOrder { order: order.clone(), signature: None }).await), "one-signature");
    assert_eq!(code(give_mine(&signed(&order, &other)).await), "one-signature");
    let another = signed(&Shorten { expires: order.expires - 1, ..order.clone() }, &first);
    assert_eq!(code(give_mine(&SignedOrder { order: order.clone(), ..another }).await), "one-signature");
    // The papers of another practice, and of a kit that nobody paired with this vault's name on them.
    assert_eq!(code(give(&address, &signed(&order, &first), &theirs.papers()).await), "other-vault");
    let forged = |n: usize| {
        let lines = theirs.home.paper(n).lines().replace(&OTHER.to_string(), &VAULT.to_string());
        KitFile::parse(&lines).unwrap()
    };
    assert_eq!(code(give(&address, &signed(&order, &first), &Papers::new(forged(0), forged(1)).unwrap()).await), "bad-proof");
    // Made for another box, for another state, too long ago.
    let here = scene.keeper.name();
    let fresh = Identity::of(&Identity::make().unwrap()).unwrap();
    let caller = Caller::connect(&address, &fresh, here, SILENCE).await.unwrap();
    let elsewhere = Shorten { receiver: KeyName([1; 32]), ..order.clone() };
    let proof = secret(&caller, VAULT, two(&mine.home)).await.proof(caller.ordering(), &elsewhere.encode());
    let body = GiveOrder { signed: signed(&elsewhere, &first), proof }.encode();
    assert_eq!(post(&caller, "/v1/orders", body).await.0, "other-receiver");
    assert_eq!(code(give_mine(&signed(&Shorten { head: [0; 32], ..order.clone() }, &first)).await), "other-head");
    assert_eq!(code(give_mine(&signed(&Shorten { expires: 0, ..order.clone() }, &first)).await), "order-over");
    let unknown = Shorten { what: What::Snapshots(vec![SnapshotId([5; 32])]), ..order.clone() };
    assert_eq!(code(give_mine(&signed(&unknown, &first)).await), "no-snapshot");
    // A proof for another order, on another connection, or again.
    let known = secret(&caller, VAULT, two(&mine.home)).await;
    let body = GiveOrder { signed: signed(&order, &first), proof: known.proof(caller.ordering(), &unknown.encode()) }.encode();
    assert_eq!(post(&caller, "/v1/orders", body).await.0, "bad-proof");
    let known = secret(&caller, VAULT, two(&mine.home)).await;
    let elsewhere = Between { exporter: [1; 32], ..*caller.ordering() };
    let body = GiveOrder { signed: signed(&order, &first), proof: known.proof(&elsewhere, &order.encode()) }.encode();
    assert_eq!(post(&caller, "/v1/orders", body).await.0, "bad-proof");
    let body = GiveOrder { signed: signed(&order, &first), proof: known.proof(caller.ordering(), &order.encode()) }.encode();
    assert_eq!(post(&caller, "/v1/orders", body).await.0, "bad-proof", "the challenge was used up");
    assert!(of_vault(&scene.keeper, VAULT).orders.is_empty(), "none of it used the order up");

    // Both: it is taken, once.
    let taken = give_mine(&signed(&order, &first)).await.unwrap();
    assert_eq!((taken.orders.len(), taken.orders[0].from - taken.elapsed, taken.orders[0].snapshots), (1, WAIT, 1));
    assert_eq!(code(give_mine(&signed(&order, &first)).await), "order-used");
    // Who has no key of this practice cancels nothing.
    let cancelled = Cancel { id: order.id, vault: VAULT, receiver: here };
    assert_eq!(code(cancel(&address, cancelled, Canceller::Second(&other)).await), "bad-proof");
    assert_eq!(code(cancel(&address, cancelled, Canceller::Papers(&theirs.papers())).await), "bad-proof");
    assert!(theirs.sender.cancel_order(&CancelHere { receiver: here.to_string(), order: order.id.to_string() }).await.is_err());
    mine.knows(OrderState::Pending).await;
    // After a start it is pending still, and used up for ever. A connection keeps the disks of before open.
    drop(caller);
    scene = scene.starts_again().await;
    let address = scene.keeper.address.clone();
    assert_eq!(code(give(&address, &signed(&order, &first), &mine.papers()).await), "order-used");
    let by_papers = cancel(&address, cancelled, Canceller::Papers(&mine.papers())).await.unwrap();
    assert_eq!(by_papers.orders.len(), 1);
    assert!(cancel(&address, cancelled, Canceller::Second(&first)).await.is_ok(), "and once more is no harm");
    assert_eq!(code(give(&address, &signed(&order, &first), &mine.papers()).await), "order-used", "also after it was cancelled");
    let next = mine.order(2, "letters");
    give(&address, &signed(&next, &first), &mine.papers()).await.unwrap();
    cancel(&address, Cancel { id: next.id, ..cancelled }, Canceller::Second(&first)).await.unwrap();
    let none = Cancel { id: OrderId([99; 16]), ..cancelled };
    assert_eq!(code(cancel(&address, none, Canceller::Second(&first)).await), "no-order");

    // Months later all is there.
    scene.machine.goes_on(60 * 86_400);
    let scene = scene.starts_again().await;
    for vault in [VAULT, OTHER] {
        assert_eq!(of_vault(&scene.keeper, vault).snapshots, Some(3), "{vault}");
    }
    assert!(of_vault(&scene.keeper, VAULT).orders.iter().all(|order| order.state == OrderState::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_ordered_goes_after_seven_days_and_is_no_loss() {
    let scene = Scene::new().await;
    let first = second(21);
    let mine = Practice::new(scene.folder.path(), VAULT, &scene.keeper, Some(&first)).await;
    let theirs = Practice::new(scene.folder.path(), OTHER, &scene.keeper, None).await;
    let address = scene.keeper.address.clone();
    assert_eq!(code(give(&address, &signed(&theirs.order(1, "records"), &first), &theirs.papers()).await), "no-second-key");
    mine.sender.send_now();
    let order = mine.order(1, "records");
    give(&address, &signed(&order, &first), &mine.papers()).await.unwrap();
    mine.knows(OrderState::Pending).await;
    let told = mine.sender.status().unwrap().receivers[0].clone();
    assert_eq!(told.second_key, Some(hex::encode(&first.verify_key())));
    assert_eq!((told.orders.len(), told.orders[0].snapshots, told.receipts), (1, 1, 3));
    let codes = |house: &House| house.events_after(0).unwrap().into_iter().map(|event| event.code).collect::<Vec<_>>();
    assert!(codes(&mine.sender).contains(&"order-pending".into()) && codes(&scene.keeper.house).contains(&"order-taken".into()));

    // A moment before: nothing is gone, and what is about to go is asked for no more.
    scene.machine.goes_on(WAIT - 10);
    let asked = || mine.sender.status().unwrap().receivers[0].challenge.clone();
    let proven = async || {
        let before = mine.sender.events_after(0).unwrap().iter().filter(|event| event.code == "challenge").count();
        mine.sender.prove_now();
        until("a challenge ends", || {
            (mine.sender.events_after(0).unwrap().iter().filter(|event| event.code == "challenge").count() > before).then_some(())
        })
        .await;
        asked().unwrap()
    };
    assert_eq!(proven().await.lost, 0);
    assert_eq!(of_vault(&scene.keeper, VAULT).snapshots, Some(3));

    scene.machine.goes_on(10);
    until("it counts", || (of_vault(&scene.keeper, VAULT).snapshots == Some(2)).then_some(())).await;
    mine.knows(OrderState::Counts).await;
    assert_eq!(proven().await.lost, 0, "what was let go is no loss");
    let told = mine.sender.status().unwrap().receivers[0].clone();
    assert_eq!((told.receipts, told.waiting, told.failure), (2, 0, None), "and is not sent again");
    assert_eq!(of_vault(&scene.keeper, VAULT).snapshots, Some(2));
    assert_eq!(of_vault(&scene.keeper, OTHER).snapshots, Some(3), "nobody else has lost anything");
    assert!(!codes(&mine.sender).contains(&"loss".into()) && codes(&mine.sender).contains(&"order-counts".into()));
    assert!(codes(&scene.keeper.house).contains(&"order-counts".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_box_cancels_what_its_people_did_not_mean() {
    let scene = Scene::new().await;
    let first = second(21);
    let mine = Practice::new(scene.folder.path(), VAULT, &scene.keeper, Some(&first)).await;
    let order = mine.order(1, "records");
    let floor = Shorten { id: OrderId([2; 16]), what: What::Floor(86_400), ..order.clone() };
    for order in [&order, &floor] {
        give(&scene.keeper.address, &signed(order, &first), &mine.papers()).await.unwrap();
    }
    mine.knows(OrderState::Pending).await;
    let receiver = scene.keeper.name().to_string();
    for order in [&order, &floor] {
        mine.sender.cancel_order(&CancelHere { receiver: receiver.clone(), order: order.id.to_string() }).await.unwrap();
    }
    let told = mine.sender.status().unwrap().receivers[0].clone();
    assert!(told.orders.len() == 2 && told.orders.iter().all(|order| order.state == OrderState::Cancelled), "{:?}", told.orders);
    for wrong in [
        CancelHere { receiver: receiver.clone(), order: "00".repeat(16) },
        CancelHere { receiver: "00".repeat(32), order: order.id.to_string() },
    ] {
        assert!(mine.sender.cancel_order(&wrong).await.is_err());
    }
    scene.machine.goes_on(30 * 86_400);
    let scene = scene.starts_again().await;
    assert_eq!(of_vault(&scene.keeper, VAULT).snapshots, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_ended_ages_out_and_is_none_then() {
    let scene = Scene::new().await;
    let mine = Practice::new(scene.folder.path(), VAULT, &scene.keeper, None).await;
    let theirs = Practice::new(scene.folder.path(), OTHER, &scene.keeper, None).await;
    let folders = || {
        let tenants = (1..=2).map(|n| scene.folder.path().join(format!("elsewhere/disk-{n}/tenants")));
        tenants.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(folders().len(), 4);
    scene.keeper.house.end(&EndTenant { vault: hex::encode(&VAULT.0) }).unwrap();
    assert!(scene.keeper.house.end(&EndTenant { vault: "00".repeat(16) }).is_err());
    // Nothing newer is taken, and what is there is proven as before.
    let mut offers = mine.home.offers.clone();
    let newer = {
        let vault = mine.home.open();
        let given = keepwell_vault::GivenFiles::new("records").with_bytes("patients", noise("newer", 200_000).into());
        let options =
            keepwell_vault::BackupOptions { name: "records".into(), level: 1, reread: keepwell_vault::Reread::NONE, intended: true };
        vault.backup(&given, &options, &keepwell_vault::NoProgress).unwrap().snapshot.to_string()
    };
    offers.push(Offered { snapshot: newer, share: "records".into(), tier: 1, taken_at: 99 });
    mine.sender.hand_over(Offers { snapshots: offers }).unwrap();
    let receiver = || mine.sender.status().unwrap().receivers[0].clone();
    until("it is told", || receiver().failure.filter(|failure| failure.code == "ended")).await;
    mine.sender.prove_now();
    assert_eq!(until("what is there is proven", || receiver().challenge).await.lost, 0);
    assert_eq!((of_vault(&scene.keeper, VAULT).snapshots, of_vault(&scene.keeper, OTHER).snapshots), (Some(3), Some(3)));
    // The one that sends leaves: the other one is told nothing.
    let unpair = Unpair { receiver: scene.keeper.name().to_string() };
    theirs.sender.unpair(&unpair).unwrap();
    assert!(theirs.sender.unpair(&unpair).is_err() && theirs.sender.status().unwrap().receivers.is_empty());
    drop(theirs);
    let again =
        House::start(&scene.folder.path().join("8-state"), &scene.folder.path().join("8-home"), Arc::new(Machine::default())).unwrap();
    assert!(again.status().unwrap().receivers.is_empty() && again.receipts().unwrap().receivers.is_empty(), "for good");

    // Three years: no promise is left. Who was not ended keeps its newest.
    scene.machine.goes_on(1_100 * 86_400);
    let scene = scene.starts_again().await;
    scene.machine.goes_on(2 * 3600);
    until("it is no tenant any more", || (scene.keeper.house.status().unwrap().tenants.len() == 1).then_some(())).await;
    assert_eq!(of_vault(&scene.keeper, OTHER).snapshots.map(|count| count > 0), Some(true));
    let left = (1..=2).map(|n| scene.folder.path().join(format!("elsewhere/disk-{n}/tenants")));
    let left: Vec<_> = left.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, vec![std::ffi::OsString::from(hex::encode(&OTHER.0)); 2], "its folders are gone, and nobody else's");
}
