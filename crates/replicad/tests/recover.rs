//! After a fire: a blank box, two papers, an address and the name of a key.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fire;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fire::{Content, Home, Keeper, Noon, VAULT, holds, line, new_pool, noise, open, send_all, until};
use hyper::{HeaderMap, Method};
use keepwell_api::offsite::{KeptPlace, KeptReceiver, Offered, Offers, PLACE_FILE, PLACE_NAME, STATE_NAME, TakePlace};
use keepwell_crypt::{KitFile, combine, kit_recipient, unwrap_with_seed};
use keepwell_format::keys::Slots;
use keepwell_format::{Key, VaultId};
use keepwell_link::{Answered, Caller, Identity};
use keepwell_recover::{Joined, Listener, Order, Papers, Patience, RecoverError, Recovered, is_unfinished, recover};
use keepwell_replicad::house::House;
use keepwell_replicad::world::System;
use keepwell_storage::{Access, Class, Pool, PoolError, mounted_in};
use keepwell_vault::{IndexPlace, Snapshot, Unlock, Vault};
use keepwell_wire::KeyName;
use keepwell_wire::recover::{RecoverProof, RecoverRequest, RecoverSecret};
use keepwell_wire::survey::Survey;

const SILENCE: Duration = Duration::from_secs(120);

fn content() -> Content {
    let images = (0..10).map(|n| (["i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9"][n], noise(&format!("image {n}"), 3 << 20)));
    Content::from([
        ("images", images.collect()),
        ("letters", vec![("a letter", noise("letter", 600_000))]),
        ("records", vec![("patients", noise("patients", 5 << 20)), ("log", noise("log", 100_000))]),
    ])
}

const TIERS: [(&str, u8); 3] = [("images", 3), ("letters", 2), ("records", 1)];

/// What was whole, in order.
#[derive(Default)]
struct Heard {
    whole: Mutex<Vec<(String, usize)>>,
}

impl Listener for Heard {
    fn whole(&self, snapshot: &Snapshot, _: bool, lost: usize) {
        self.whole.lock().unwrap().push((snapshot.body.name.clone(), lost));
    }
}

fn patience() -> Patience {
    Patience { silence: SILENCE, first: Duration::from_millis(1), longest: Duration::from_millis(50), tries: 6 }
}

/// A pool that is there already, or a new one.
fn pool_in(folder: &Path, vault: VaultId) -> Result<Pool, PoolError> {
    if folder.join("disk-1").exists() { Pool::open(mounted_in(folder).unwrap(), Access::Write) } else { Ok(new_pool(folder, vault)) }
}

struct Blank {
    folder: tempfile::TempDir,
    papers: Papers,
    heard: Arc<Heard>,
    forgotten: bool,
}

impl Blank {
    fn new(papers: Papers) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), papers, heard: Arc::default(), forgotten: false }
    }

    async fn fetch(&self, address: &str, receiver: KeyName, until_first: bool) -> Result<Recovered, RecoverError> {
        let (folder, notes) = (self.folder.path(), self.folder.path().join("recover"));
        let order = Order {
            address,
            receiver,
            papers: &self.papers,
            notes: &notes,
            index: IndexPlace::Memory,
            forgotten: self.forgotten,
            until_first,
            patience: patience(),
            clock: Arc::new(Noon),
        };
        let heard: Arc<dyn Listener> = Arc::clone(&self.heard) as Arc<dyn Listener>;
        recover(&order, |vault| pool_in(&folder.join("disks"), vault), heard).await
    }

    /// What a killed run was writing is written, or not: nobody holds the disks any more.
    async fn is_free(&self) {
        let disks = self.folder.path().join("disks");
        let locked = || disks.exists() && matches!(Pool::open(mounted_in(&disks).unwrap(), Access::Write), Err(PoolError::Locked { .. }));
        until("the disks are free", || (!locked()).then_some(())).await;
    }

    fn is_unfinished(&self) -> bool {
        is_unfinished(&self.folder.path().join("recover"))
    }

    fn shares(&self) -> Vec<String> {
        self.heard.whole.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether all that was backed up is there, opened with these papers.
    fn has(&self, unlock: &Unlock, content: &Content) {
        let vault = open(&self.folder.path().join("disks"), unlock);
        for (name, files) in content {
            let snapshot = vault.resolve(&format!("{name}@latest")).unwrap();
            assert!(holds(&vault, &snapshot, files), "{name}");
        }
    }
}

fn papers(home: &Home) -> Papers {
    Papers::new(home.paper(0), home.paper(2)).unwrap()
}

/// A practice, all of which is at another box.
struct Practice {
    home: Home,
    keeper: Keeper,
    sender: Arc<House>,
    folder: tempfile::TempDir,
}

impl Practice {
    async fn new(content: &Content) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let home = Home::make(&at("home"), VAULT, content, &TIERS);
        drop(new_pool(&at("elsewhere"), VaultId([9; 16])));
        let keeper = Keeper::start(&at("keeper-state"), &at("elsewhere")).await;
        let sender = send_all(&home, &at("home-state"), &keeper).await;
        Self { home, keeper, sender, folder }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_comes_back_over_a_line_that_is_cut_twenty_times() {
    let content = content();
    let practice = Practice::new(&content).await;
    // In handshakes, in the proof, at the first byte of a pack, in the middle, and after a lot.
    let cuts: Vec<u64> = (0..20_u64).map(|n| [700, 1800, 2600, 300_000, 4 << 20][usize::try_from(n % 5).unwrap()] + n * 131).collect();
    let (address, passed, left) = line(practice.keeper.address.clone(), cuts).await;
    let blank = Blank::new(papers(&practice.home));
    let done = blank.fetch(&address, practice.keeper.name(), false).await.unwrap();
    assert_eq!((done.all, done.joined, done.snapshots, done.tiers), (true, Some(Joined::Now), 4, 3));
    assert!(done.damaged.is_empty() && done.unreadable.is_empty() && !blank.is_unfinished());
    assert_eq!(left.lock().unwrap().len(), 0, "each cut was one");
    assert_eq!(blank.shares(), [STATE_NAME, "records", "letters", "images"], "by tier, which the state says");
    blank.has(&practice.home.unlock(), &content);
    // What was under way at a cut comes again, and no more.
    let unique = {
        let pool = Pool::open(mounted_in(&blank.folder.path().join("disks")).unwrap(), Access::Read).unwrap();
        let length =
            |class| pool.objects(class).into_iter().map(|id| pool.len(keepwell_storage::ObjectName { class, id }).unwrap()).sum::<u64>();
        Class::ALL.into_iter().map(length).sum::<u64>()
    };
    let passed_before = passed.load(Ordering::Relaxed);
    assert!(passed_before < unique + 20 * (1 << 20), "{passed_before} bytes for {unique}");

    // The key lies sealed in the vault, and nowhere else. Again: nothing is to do, and nobody is asked.
    let notes = blank.folder.path().join("recover");
    let left = || std::fs::read_dir(&notes).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left(), ["finished"]);
    let again = || blank.fetch(&address, practice.keeper.name(), false);
    let done = again().await.unwrap();
    assert_eq!((done.all, done.before, done.joined), (true, true, None));
    // The end was cut: it is ended again.
    std::fs::write(notes.join("key.pem"), "a key").unwrap();
    std::fs::write(notes.join("unfinished"), "").unwrap();
    assert!(again().await.unwrap().before && !blank.is_unfinished());
    assert_eq!((left().len(), passed.load(Ordering::Relaxed)), (1, passed_before), "nobody was asked");

    // The lost box's key opens nothing any more.
    practice.sender.send_now();
    let told = until("the old key is refused", || {
        practice.sender.send_now();
        practice.sender.status().unwrap().receivers[0].failure.clone().filter(|failure| failure.code == "replaced")
    });
    told.await;
    let status = practice.keeper.house.status().unwrap();
    assert_eq!((status.tenants.len(), status.tenants[0].snapshots), (1, Some(4)), "nothing was removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_share_can_be_restored_while_the_rest_is_elsewhere() {
    let content = content();
    let practice = Practice::new(&content).await;
    let blank = Blank::new(papers(&practice.home));
    let (address, passed, _) = line(practice.keeper.address.clone(), Vec::new()).await;
    let done = blank.fetch(&address, practice.keeper.name(), true).await.unwrap();
    assert!(!done.all && blank.is_unfinished());
    assert_eq!(blank.shares(), [STATE_NAME, "records"]);
    let first = passed.load(Ordering::Relaxed);
    assert!(first < 8 << 20, "{first} bytes for the first share");
    {
        let vault = open(&blank.folder.path().join("disks"), &practice.home.unlock());
        let records = vault.resolve("records@latest").unwrap();
        assert!(holds(&vault, &records, &content["records"]));
        assert_eq!(vault.snapshots().unwrap().len(), 2, "no snapshot is shown before it is whole");
    }
    let done = blank.fetch(&address, practice.keeper.name(), false).await.unwrap();
    assert_eq!((done.all, done.joined), (true, Some(Joined::Before)));
    blank.has(&practice.home.unlock(), &content);
    let all = passed.load(Ordering::Relaxed);
    assert!(all < first + (33 << 20), "{all} bytes, {first} of them first: what was there did not come again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_gone_on_with() {
    let content = content();
    let practice = Practice::new(&content).await;
    let blank = Blank::new(papers(&practice.home));
    let (address, passed, _) = line(practice.keeper.address.clone(), Vec::new()).await;
    let name = practice.keeper.name();
    let mut unfinished = 0;
    for step in 1..=8_u64 {
        let target = step * (5 << 20);
        blank.is_free().await;
        let enough = until("more came", || (passed.load(Ordering::Relaxed) > target).then_some(()));
        tokio::select! {
            done = blank.fetch(&address, name, false) => assert!(done.unwrap().all),
            () = enough => unfinished += 1,
        }
    }
    assert!(unfinished >= 3, "{unfinished} kills");
    blank.is_free().await;
    let done = blank.fetch(&address, name, false).await.unwrap();
    assert!(done.all && !blank.is_unfinished());
    blank.has(&practice.home.unlock(), &content);
    let passed = passed.load(Ordering::Relaxed);
    assert!(passed < (36 << 20) + unfinished * (10 << 20), "{passed} bytes with {unfinished} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_papers_and_another_key_get_nothing() {
    let small = Content::from([("records", vec![("patients", noise("patients", 100_000))])]);
    let practice = Practice::new(&small).await;
    let (address, name) = (practice.keeper.address.as_str(), practice.keeper.name());
    let other = Home::make(&practice.folder.path().join("other"), VaultId([8; 16]), &small, &[]);
    // Of another vault, of two vaults, one paper twice.
    let blank = Blank::new(papers(&other));
    assert!(matches!(blank.fetch(address, name, false).await, Err(RecoverError::NotProven)));
    assert!(!blank.is_unfinished() && !blank.folder.path().join("disks").exists(), "nothing was begun");
    assert!(matches!(Papers::new(practice.home.paper(0), other.paper(1)), Err(RecoverError::TwoVaults { .. })));
    assert!(matches!(Papers::new(practice.home.paper(1), practice.home.paper(1)), Err(RecoverError::Papers(_))));
    // Of another kit, with this vault's name on it.
    let forged =
        |n: usize| KitFile::parse(&other.paper(n).lines().replace("08080808080808080808080808080808", &VAULT.to_string())).unwrap();
    let blank = Blank::new(Papers::new(forged(0), forged(1)).unwrap());
    assert!(matches!(blank.fetch(address, name, false).await, Err(RecoverError::NotProven)));
    // Whoever answers is another one than the paper says.
    let blank = Blank::new(papers(&practice.home));
    let link = blank.fetch(address, KeyName([1; 32]), false).await;
    assert!(matches!(&link, Err(RecoverError::Link(keepwell_link::LinkError::OtherKey { .. }))), "{link:?}");
    assert_eq!(practice.keeper.house.status().unwrap().tenants.len(), 1);
    assert!(practice.sender.status().unwrap().receivers[0].failure.is_none());
}

/// What the recovered vault says of the place that was taken.
fn place(vault: &Vault) -> KeptPlace {
    let places: Vec<_> = vault.snapshots().unwrap().into_iter().filter(|snapshot| snapshot.body.name == PLACE_NAME).collect();
    assert_eq!(places.len(), 1, "written once");
    let file = vault.open_file(&places[0], &Key::from_path(PLACE_FILE.as_bytes()).unwrap()).unwrap();
    let mut bytes = Vec::new();
    let whole = vault.read_file(&file, &mut |part| {
        bytes.extend_from_slice(part);
        ControlFlow::Continue(())
    });
    assert!(whole.unwrap().is_continue());
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_box_goes_on_in_the_lost_ones_place() {
    let small = Content::from([("records", vec![("patients", noise("patients", 100_000))])]);
    let practice = Practice::new(&small).await;
    let (address, name) = (practice.keeper.address.as_str(), practice.keeper.name());
    let before = practice.sender.status().unwrap().receivers[0].clone();
    let blank = Blank::new(papers(&practice.home));
    blank.fetch(address, name, true).await.unwrap();
    assert!(blank.fetch(address, name, false).await.unwrap().all);
    assert!(blank.fetch(address, name, false).await.unwrap().before);
    let disks = blank.folder.path().join("disks");
    let (kept, snapshots) = {
        let vault = open(&disks, &practice.home.unlock());
        (place(&vault), vault.snapshots().unwrap())
    };
    assert_eq!((&*kept.receiver, &*kept.address), (&*name.to_string(), address));
    // What the lost box's state says, and where it was found now.
    let receiver = KeptReceiver {
        name: before.name,
        receipt_key: before.receipt_key,
        address: kept.address,
        place: before.place,
        quota_bytes: before.quota_bytes,
        floor_s: before.floor_s,
        paired_at: before.paired_at,
    };
    let order = TakePlace { key: kept.key, vault: VAULT.to_string(), receiver };
    // A box that is known by its own key keeps that, on both sides.
    assert!(practice.sender.take_place(&order).is_err() && practice.keeper.house.take_place(&order).is_err());
    let state = blank.folder.path().join("state");
    let start = || House::start(&state, &disks, Arc::new(System::new().unwrap())).unwrap();
    {
        let house = start();
        let short = KeptReceiver { floor_s: 1, ..order.receiver.clone() };
        assert!(house.take_place(&TakePlace { receiver: short, ..order.clone() }).is_err() && !house.is_over());
        house.take_place(&order).unwrap();
        assert!(house.is_over() && house.status().unwrap().receivers.is_empty(), "nothing goes there with the key from before");
    }
    let house = start();
    house.take_place(&order).unwrap();
    assert!(!house.is_over(), "and once more is no harm");
    let status = house.status().unwrap();
    assert_eq!((status.receivers.len(), &*status.receivers[0].place), (1, "elsewhere"));
    assert_eq!(status.name, Identity::of(std::str::from_utf8(order.key.as_ref()).unwrap()).unwrap().name().to_string());
    let offered =
        |snapshot: &Snapshot| Offered { snapshot: snapshot.id.to_string(), share: snapshot.body.name.clone(), tier: 1, taken_at: 0 };
    house.hand_over(Offers { snapshots: snapshots.iter().map(offered).collect() }).unwrap();
    house.set_out();
    let all = snapshots.len() as u64;
    let passed = until("what was signed for is known, and the rest is there", || {
        let told = house.status().unwrap().receivers[0].clone();
        (told.receipts == all && told.waiting == 0).then_some(told.challenge).flatten()
    });
    assert_eq!(passed.await.lost, 0);
    assert_eq!(practice.keeper.house.status().unwrap().tenants.len(), 1, "the same practice");
}

fn fresh() -> Identity {
    Identity::of(&Identity::make().unwrap()).unwrap()
}

async fn post(caller: &Caller, path: &str, body: Vec<u8>) -> (u16, String, Answered) {
    let answered = caller.ask(Method::POST, path, HeaderMap::new(), body.into()).await.unwrap();
    let code = answered.headers.get("keepwell-code").map(|code| code.to_str().unwrap().to_owned()).unwrap_or_default();
    (answered.status.as_u16(), code, answered)
}

async fn is_let_in(address: &str, identity: &Identity, name: KeyName) -> String {
    let caller = Caller::connect(address, identity, name, SILENCE).await.unwrap();
    let survey = Survey { class: keepwell_wire::Class::Slots, prefixes: vec![keepwell_wire::Prefix::ALL] };
    post(&caller, "/v1/survey", survey.encode()).await.1
}

/// Asks for a challenge, and answers it.
async fn secret(caller: &Caller, home: &Home) -> RecoverSecret {
    let seed = combine(&home.paper(0).share, &home.paper(1).share).unwrap();
    let request = RecoverRequest { vault: VAULT, recipient: kit_recipient(&seed) };
    let (status, _, answered) = post(caller, "/v1/recover", request.encode()).await;
    assert_eq!(status, 200);
    RecoverSecret::of_payload(&unwrap_with_seed(&seed, &answered.body).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once_and_on_its_connection_alone() {
    let small = Content::from([("records", vec![("patients", noise("patients", 100_000))])]);
    let practice = Practice::new(&small).await;
    let (address, name) = (practice.keeper.address.as_str(), practice.keeper.name());
    let (thief, other) = (fresh(), fresh());
    let first = Caller::connect(address, &thief, name, SILENCE).await.unwrap();
    let second = Caller::connect(address, &thief, name, SILENCE).await.unwrap();
    let third = Caller::connect(address, &other, name, SILENCE).await.unwrap();
    let bad = |(status, code, _): (u16, String, Answered)| assert_eq!((status, &*code), (403, "bad-proof"));
    // Nothing was asked.
    bad(post(&first, "/v1/recover/proof", RecoverProof { vault: VAULT, proof: [0; 32] }.encode()).await);
    let known = secret(&first, &practice.home).await;
    let proof = RecoverProof { vault: VAULT, proof: known.proof(first.recovering()) }.encode();
    // The same key on another connection, another key on another one.
    bad(post(&second, "/v1/recover/proof", proof.clone()).await);
    bad(post(&third, "/v1/recover/proof", proof.clone()).await);
    // A wrong one uses the challenge up.
    bad(post(&first, "/v1/recover/proof", RecoverProof { vault: VAULT, proof: [1; 32] }.encode()).await);
    bad(post(&first, "/v1/recover/proof", proof).await);
    // A kit that nobody knows gets a challenge that nobody answers: even the one who has the kit.
    let unknown = keepwell_crypt::KitSeed::from_bytes([3; 32]);
    for vault in [VAULT, VaultId([1; 16])] {
        let request = RecoverRequest { vault, recipient: kit_recipient(&unknown) };
        let (status, _, answered) = post(&first, "/v1/recover", request.encode()).await;
        assert_eq!(status, 200);
        let opened = RecoverSecret::of_payload(&unwrap_with_seed(&unknown, &answered.body).unwrap()).unwrap();
        bad(post(&first, "/v1/recover/proof", RecoverProof { vault, proof: opened.proof(first.recovering()) }.encode()).await);
    }
    for body in [Vec::new(), RecoverRequest { vault: VAULT, recipient: "age1nonsense".into() }.encode()] {
        let (status, code, _) = post(&first, "/v1/recover", body).await;
        assert_eq!((status, &*code), (400, "malformed"));
    }
    assert_eq!(is_let_in(address, &thief, name).await, "stranger");
    assert_eq!(is_let_in(address, &other, name).await, "stranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_killed_before_it_answers_lets_in_exactly_one() {
    let small = Content::from([("records", vec![("patients", noise("patients", 100_000))])]);
    let practice = Practice::new(&small).await;
    let Practice { home, mut keeper, sender, folder } = practice;
    drop(sender);
    let (first, second) = (fresh(), fresh());
    let mut keys = Vec::new();
    for new in [&first, &second] {
        let (address, name) = (keeper.address.clone(), keeper.name());
        let caller = Caller::connect(&address, new, name, SILENCE).await.unwrap();
        let proof = RecoverProof { vault: VAULT, proof: secret(&caller, &home).await.proof(caller.recovering()) }.encode();
        // Its answer is not waited for: it may be killed before or after it took the place.
        drop(
            tokio::time::timeout(Duration::from_millis(3), caller.ask(Method::POST, "/v1/recover/proof", HeaderMap::new(), proof.into()))
                .await,
        );
        drop(caller);
        keeper.kill().await;
        keeper = Keeper::start(&folder.path().join("keeper-state"), &folder.path().join("elsewhere")).await;
        let (address, name) = (keeper.address.clone(), keeper.name());
        keys.push(new);
        let mut codes = Vec::new();
        for key in &keys {
            codes.push(is_let_in(&address, key, name).await);
        }
        assert!(codes.iter().filter(|code| code.is_empty()).count() <= 1, "{codes:?}");
        assert_eq!(keeper.house.status().unwrap().tenants.len(), 1, "one place, one key");
        // Whatever came of it: it asks again, and is let in.
        let caller = Caller::connect(&address, new, name, SILENCE).await.unwrap();
        for _ in 0..2 {
            let proof = RecoverProof { vault: VAULT, proof: secret(&caller, &home).await.proof(caller.recovering()) };
            assert_eq!(post(&caller, "/v1/recover/proof", proof.encode()).await.0, 200, "and once more is no harm");
        }
        assert_eq!(is_let_in(&address, new, name).await, "");
    }
    let told =
        || keeper.house.events_after(0).unwrap().into_iter().filter(|event| event.fields.get("why").is_some_and(|why| why == "replaced"));
    assert_eq!(is_let_in(&keeper.address, &first, keeper.name()).await, "replaced");
    assert_eq!(is_let_in(&keeper.address, &fresh(), keeper.name()).await, "stranger");
    let returned = until("a call with the key of before is told", || told().next()).await;
    assert!(returned.fields["calls"].parse::<u64>().unwrap() > 0 && returned.fields["tenant"] == first.name().to_string(), "{returned:?}");
    assert_eq!(told().count(), 1);
    assert!(keeper.house.status().unwrap().strangers > 0, "strangers are counted, and no more");
    assert_eq!(keeper.house.status().unwrap().tenants[0].snapshots, Some(2), "nothing was removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_had_the_lost_box_is_in_nobodys_way() {
    let good = vec![("patients", noise("patients", 300_000))];
    let mut practice = Practice::new(&Content::from([("records", good.clone())])).await;
    let slots = practice.home.slots();
    {
        let vault = practice.home.open();
        let first = vault.resolve("records@latest").unwrap().id;
        practice.home.back_up(&vault, "records", vec![("patients", noise("encrypted", 300_000))], 1);
        vault.forget(&[first], "nobody needs it", 1_800_000_000).unwrap();
    }
    // Key slots that are newer than any, and open to somebody else.
    let mut junk = Slots::decode(&slots).unwrap();
    junk.revision = u32::MAX;
    junk.kit.recipient = kit_recipient(&keepwell_crypt::KitSeed::from_bytes([3; 32]));
    junk.kit.commitments = [[1; 32]; 3];
    let pool = Pool::open(mounted_in(&practice.home.folder).unwrap(), Access::Write).unwrap();
    pool.put(Class::Slots, keepwell_storage::Spread::Everywhere, &junk.encode()).unwrap();
    drop(pool);
    practice.sender.hand_over(Offers { snapshots: practice.home.offers.clone() }).unwrap();
    let all = practice.home.offers.len() as u64;
    until("all is there", || (practice.sender.status().unwrap().receivers[0].receipts == all).then_some(())).await;

    let (address, name) = (practice.keeper.address.as_str(), practice.keeper.name());
    let first = Blank::new(papers(&practice.home));
    let done = first.fetch(address, name, false).await.unwrap();
    assert_eq!((done.all, done.snapshots, done.forgotten), (true, 2, 1), "its people may have forgotten it");
    let halted = Blank { forgotten: true, ..Blank::new(papers(&practice.home)) };
    assert!(!halted.fetch(address, name, true).await.unwrap().all);
    let blank = Blank { forgotten: true, ..Blank::new(papers(&practice.home)) };
    let done = blank.fetch(address, name, false).await.unwrap();
    assert_eq!((done.all, done.snapshots, done.forgotten, done.joined), (true, 3, 0, Some(Joined::Now)), "and somebody else may have");
    let back = halted.fetch(address, name, false).await.unwrap();
    assert_eq!((back.all, back.joined), (true, Some(Joined::Back)), "who has papers takes the place back, and is told so");
    let vault = open(&blank.folder.path().join("disks"), &practice.home.unlock());
    let first = vault.snapshots().unwrap().into_iter().find(|snapshot| snapshot.body.name == "records").unwrap();
    assert!(holds(&vault, &first, &good), "the oldest is the good one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_a_box_that_was_ended_comes_back_all_the_same() {
    let small = Content::from([("records", vec![("patients", noise("patients", 100_000))])]);
    let practice = Practice::new(&small).await;
    practice.keeper.house.end(&keepwell_api::offsite::EndTenant { vault: keepwell_api::hex::encode(&VAULT.0) }).unwrap();
    let blank = Blank::new(papers(&practice.home));
    assert!(blank.fetch(&practice.keeper.address, practice.keeper.name(), false).await.unwrap().all);
    blank.has(&practice.home.unlock(), &small);
}
