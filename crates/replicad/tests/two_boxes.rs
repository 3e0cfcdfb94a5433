//! A source and a receiver over a line that is cut, again and again: everything arrives once, and nothing begins anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keepwell_crypt::{Secret, Signer};
use keepwell_format::{Epoch, Manifest, PackContent, PackHeader, PackId, PackSeq, SnapshotId, VaultId};
use keepwell_link::{Caller, Identity, Limits, serve};
use keepwell_offsite::{Keeping, Moment, Offer, Tenant, Terms};
use keepwell_replicad::{Listener, MemoryLimits, Receiver, SendError, Sender, Sent, Spool, Store};
use keepwell_storage::{Disk, MemoryDisk, Pool, PoolIds};
use keepwell_wire::snapshots::PackRef;
use keepwell_wire::{Class, KeyName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

const VAULT: VaultId = VaultId([7; 16]);
const SILENCE: Duration = Duration::from_secs(120);
/// What may be under way on a line when it is cut: the window of a stream, and what lies in the sockets of both ends and of what is between.
const IN_FLIGHT: u64 = 24 << 20;

fn signer() -> Signer {
    Signer::from_seed(&Secret::from_bytes([1; 32]))
}

fn id(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// What a vault has, as its disks show it.
#[derive(Default)]
struct Vault {
    objects: BTreeMap<(Class, [u8; 32]), Vec<u8>>,
    offers: Vec<Offer>,
    /// What its disks show and do not give.
    unreadable: BTreeSet<[u8; 32]>,
}

impl Vault {
    fn pack(&mut self, seq: u64, bytes: usize) -> PackRef {
        let mut pack = PackHeader { content: PackContent::Data, epoch: Epoch(1), vault: VAULT, seq: PackSeq(seq) }.encode().to_vec();
        pack.resize(PackHeader::LEN + bytes, 0);
        blake3::Hasher::new().update(&seq.to_le_bytes()).finalize_xof().fill(&mut pack[PackHeader::LEN..]);
        let known = PackRef { seq: PackSeq(seq), id: PackId(id(&pack)), length: pack.len() as u64 };
        self.objects.insert((Class::Pack, known.id.0), pack);
        known
    }

    fn snapshot(&mut self, share: &str, tier: u8, packs: Vec<PackRef>) -> SnapshotId {
        let sequence = self.offers.len() as u64 + 1;
        let needs = packs.iter().map(|pack| pack.seq).collect();
        let mut manifest = Manifest {
            vault: VAULT,
            epoch: Epoch(1),
            sequence,
            previous: SnapshotId([0; 32]),
            received: 0,
            needs,
            sealed: vec![1],
            signature: [0; 64],
        };
        manifest.signature = signer().sign(&manifest.signed());
        let bytes = manifest.encode();
        let id = SnapshotId(id(&bytes));
        self.offers.push(Offer { manifest: id, length: bytes.len() as u64, sequence, share: share.into(), tier, packs });
        self.objects.insert((Class::Manifest, id.0), bytes);
        id
    }

    fn bytes(&self) -> u64 {
        self.objects.values().map(|object| object.len() as u64).sum()
    }
}

impl Store for Vault {
    fn ids(&self, class: Class) -> Vec<[u8; 32]> {
        self.objects.keys().filter(|(one, _)| *one == class).map(|(_, id)| *id).collect()
    }

    fn read(&self, class: Class, id: &[u8; 32], _: Vec<u8>) -> Result<Vec<u8>, SendError> {
        let readable = self.objects.get(&(class, *id)).filter(|_| !self.unreadable.contains(id));
        readable.cloned().ok_or_else(|| SendError::Own("it is not there".into()))
    }

    fn offers(&self) -> Vec<Offer> {
        self.offers.clone()
    }
}

/// What happens before a receiver looks at a request.
type Before = Arc<dyn Fn(&str) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

fn before<F: Future<Output = ()> + Send + 'static>(act: impl Fn(bool) -> F + Send + Sync + 'static) -> Before {
    Arc::new(move |route| Box::pin(act(route.starts_with("/v1/objects/packs/"))))
}

/// A receiver with one tenant, and where it listens.
async fn receiver(source: KeyName, spool: &std::path::Path) -> (String, KeyName) {
    receiver_that(before(|_| std::future::ready(())), source, spool).await
}

async fn receiver_that(first: Before, source: KeyName, spool: &std::path::Path) -> (String, KeyName) {
    let disks: Vec<Arc<dyn Disk>> = (1..=3).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}"))) as Arc<dyn Disk>).collect();
    let ids = PoolIds { vault: VAULT.0, disks: (1..=3).map(|n| [n; 16]).collect() };
    let pool = Pool::create(disks, ids, "2+1".parse().unwrap()).unwrap();
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let name = identity.name();
    let terms = Terms {
        receiver: name,
        verify_key: signer().verify_key(),
        quota: 1 << 40,
        objects: 1 << 17,
        keeping: Keeping::new(0, [24, 30, 8, 12]),
    };
    let now = Moment { wall: 0, elapsed: 0 };
    let tenant = Tenant::open(pool, terms, now).unwrap();
    let receipts = Signer::from_seed(&Secret::from_bytes([2; 32]));
    let spool = Spool::at(spool, 1 << 30, MemoryLimits::default()).unwrap();
    let receiver = Arc::new(Receiver::new(name, spool, Arc::new(move || now), move |bytes| receipts.sign(bytes)));
    receiver.admit(source, tenant, 0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let answer = move |stranger, request: hyper::Request<hyper::body::Incoming>| {
            let (first, receiver) = (first(request.uri().path()), Arc::clone(&receiver));
            async move {
                first.await;
                receiver.answer(stranger, request).await
            }
        };
        serve(listener, &identity, Limits::default(), answer, std::future::pending()).await.unwrap();
    });
    (address, name)
}

/// A line to it, which cuts each connection after so many bytes from the source, as long as there are numbers; and counts them all.
async fn line(to: String, cuts: Vec<u64>) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (passed, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(cuts)));
    let counted = Arc::clone(&passed);
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&to).await.unwrap();
            let (counted, cut) = (Arc::clone(&counted), cuts.lock().unwrap().pop().unwrap_or(u64::MAX));
            tokio::spawn(async move {
                let (mut from_near, mut to_near) = near.into_split();
                let (mut from_far, mut to_far) = far.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_near).await });
                let (mut buffer, mut left) = (vec![0; 64 << 10], cut);
                while let Ok(read @ 1..) = from_near.read(&mut buffer).await {
                    let passes = usize::try_from(left).unwrap_or(usize::MAX).min(read);
                    counted.fetch_add(passes as u64, Ordering::Relaxed);
                    if to_far.write_all(&buffer[..passes]).await.is_err() || passes < read {
                        break;
                    }
                    left -= passes as u64;
                }
                back.abort();
            });
        }
    });
    (address, passed)
}

/// A line that falls silent after so many bytes from the source, each time one of the numbers: nothing comes through any more, and nobody is told.
async fn silent_line(to: String, after: Vec<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let after = Mutex::new(after);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(&to).await.unwrap();
            let mut left = after.lock().unwrap().pop().unwrap_or(usize::MAX);
            tokio::spawn(async move {
                let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
                loop {
                    let passed = tokio::select! {
                        read = near.read(&mut up) => {
                            let passes = read.unwrap_or(0).min(left);
                            left -= passes;
                            passes > 0 && far.write_all(&up[..passes]).await.is_ok()
                        }
                        read = far.read(&mut down) => {
                            let passes = read.unwrap_or(0);
                            passes > 0 && near.write_all(&down[..passes]).await.is_ok()
                        }
                    };
                    if left == 0 {
                        std::future::pending::<()>().await;
                    }
                    if !passed {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// Sends until all is there: how many connections it took, and what was done.
async fn until_done(address: &str, identity: &Identity, receiver: KeyName, vault: &Vault) -> (usize, Sent) {
    until_done_with(SILENCE, address, identity, receiver, vault).await
}

async fn until_done_with(silence: Duration, address: &str, identity: &Identity, receiver: KeyName, vault: &Vault) -> (usize, Sent) {
    let (mut sent, mut signed) = (Sent::default(), BTreeSet::new());
    for attempt in 1..=1000 {
        let done = match Caller::connect(address, identity, receiver, silence).await {
            Ok(caller) => Sender::new(&caller, vault).round(&signed, &mut sent).await,
            Err(error) => Err(error.into()),
        };
        signed.extend(sent.receipts.iter().map(|(receipt, _)| receipt.manifest.0));
        match done {
            Ok(()) => return (attempt, sent),
            Err(SendError::Link(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("never done");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_cuts_cost_what_was_in_flight_and_no_more() {
    let mut vault = Vault::default();
    let records = vec![vault.pack(1, 3 << 20), vault.pack(2, 100)];
    let images: Vec<PackRef> = (3..13).map(|seq| vault.pack(seq, 16 << 20)).collect();
    let second = [records[1], vault.pack(20, 1 << 20)].to_vec();
    let first = vault.snapshot("images", 3, images);
    let older = vault.snapshot("records", 1, records);
    let newest = vault.snapshot("records", 1, second);

    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let (address, name) = receiver(identity.name(), spool.path()).await;
    // Cut in handshakes, in surveys, at the first byte of an object, in the middle, and after a lot.
    let cuts: Vec<u64> = (0..50_u64).map(|n| [500, 3000, 6000, 200_000, 5 << 20][usize::try_from(n % 5).unwrap()] + n * 7919).collect();
    let (line, passed) = line(address, cuts).await;
    let (connections, sent) = until_done(&line, &identity, name, &vault).await;
    assert_eq!(connections, 51, "each cut was one");
    let order: Vec<SnapshotId> = sent.receipts.iter().map(|(receipt, _)| receipt.manifest).collect();
    assert_eq!(order, [newest, first, older], "the newest of each share by tier, then the ones before");
    for (receipt, signature) in &sent.receipts {
        let key = Signer::from_seed(&Secret::from_bytes([2; 32])).verify_key();
        keepwell_crypt::verify(&key, &receipt.signed(), signature).unwrap();
    }
    let (passed, unique) = (passed.load(Ordering::Relaxed), vault.bytes());
    assert!(passed < unique + 50 * IN_FLIGHT.min(2 << 20), "{passed} bytes for {unique}");

    // Nothing is to do any more: a few hundred bytes say so.
    let before = passed;
    let caller = Caller::connect(&line, &identity, name, SILENCE).await.unwrap();
    let mut again = Sent::default();
    let signed = sent.receipts.iter().map(|(receipt, _)| receipt.manifest.0).collect();
    Sender::new(&caller, &vault).round(&signed, &mut again).await.unwrap();
    assert_eq!((again.objects, again.receipts.len()), (0, 0));
    drop(caller);
    assert!(before <= passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_falls_silent_is_given_up_and_taken_over() {
    let mut vault = Vault::default();
    let packs = (1..9).map(|seq| vault.pack(seq, 3 << 20)).collect();
    vault.snapshot("images", 3, packs);
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let (address, name) = receiver(identity.name(), spool.path()).await;
    // The receiver does not hear of it before its own silence is over: it still waits when the next line comes.
    let line = silent_line(address, vec![5 << 20, 100_000]).await;
    let (connections, sent) = until_done_with(Duration::from_secs(2), &line, &identity, name, &vault).await;
    assert!(connections >= 3 && sent.receipts.len() == 1, "{connections} {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_side_by_side_and_a_receipt_waits_for_all_of_its_own() {
    let mut vault = Vault::default();
    let records = (1..4).map(|seq| vault.pack(seq, 1000)).collect();
    let letters: Vec<PackRef> = (4..13).map(|seq| vault.pack(seq, 1000)).collect();
    let first = vault.snapshot("records", 1, records);
    let second = vault.snapshot("letters", 2, letters);
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    // No pack is taken before four are there, of two snapshots: who sends one after the other waits for ever.
    let four = Arc::new(Barrier::new(4));
    let gate = before(move |is_pack| {
        let four = Arc::clone(&four);
        async move {
            if is_pack {
                four.wait().await;
            }
        }
    });
    let (address, name) = receiver_that(gate, identity.name(), spool.path()).await;
    let all = tokio::time::timeout(SILENCE, until_done(&address, &identity, name, &vault)).await;
    let (connections, sent) = all.expect("packs go side by side");
    let order: Vec<SnapshotId> = sent.receipts.iter().map(|(receipt, _)| receipt.manifest).collect();
    assert_eq!((connections, order), (1, vec![first, second]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_box_has_lost_keeps_nothing_else_from_getting_there() {
    let mut vault = Vault::default();
    let records = [vault.pack(1, 1000), vault.pack(2, 1000)].to_vec();
    let lost = records[0];
    let letters = vec![vault.pack(3, 1000)];
    let damaged = vault.snapshot("records", 1, records);
    let sound = vault.snapshot("letters", 2, letters);
    vault.unreadable.insert(lost.id.0);
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let (address, name) = receiver(identity.name(), spool.path()).await;
    let caller = Caller::connect(&address, &identity, name, SILENCE).await.unwrap();
    let signed_for = |sent: &Sent| sent.receipts.iter().map(|(receipt, _)| receipt.manifest).collect::<Vec<_>>();

    let mut sent = Sent::default();
    let said = Sender::new(&caller, &vault).round(&BTreeSet::new(), &mut sent).await;
    assert!(matches!(said, Err(SendError::Own(_))), "{said:?}");
    assert_eq!(signed_for(&sent), [sound]);

    // One that the disks do not even show.
    let bytes = vault.objects.remove(&(Class::Pack, lost.id.0)).unwrap();
    let (signed, mut sent) = (BTreeSet::from([sound.0]), Sent::default());
    let said = Sender::new(&caller, &vault).round(&signed, &mut sent).await;
    assert!(matches!(&said, Err(SendError::Refused { code, .. }) if code == "missing"), "{said:?}");

    vault.objects.insert((Class::Pack, lost.id.0), bytes);
    vault.unreadable.clear();
    let (signed, mut sent) = (BTreeSet::from([sound.0]), Sent::default());
    Sender::new(&caller, &vault).round(&signed, &mut sent).await.unwrap();
    assert_eq!((sent.objects, signed_for(&sent)), (1, vec![damaged]));
}

/// Goes on until something more urgent came.
struct Urgent(Arc<AtomicBool>);

impl Listener for Urgent {
    fn goes_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_does_not_wait_for_the_end_of_a_large_object() {
    let mut vault = Vault::default();
    let images = vec![vault.pack(1, 40 << 20)];
    vault.snapshot("images", 3, images);
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    // The first pack never gets on: while it is under way, something urgent comes.
    let (urgent, packs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let came = Arc::clone(&urgent);
    let gate = before(move |is_pack| {
        let (came, stuck) = (Arc::clone(&came), is_pack && packs.fetch_add(1, Ordering::Relaxed) == 0);
        async move {
            if stuck {
                came.store(true, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
        }
    });
    let (address, name) = receiver_that(gate, identity.name(), spool.path()).await;
    let (caller, mut sent) = (Caller::connect(&address, &identity, name, SILENCE).await.unwrap(), Sent::default());
    let urgency = Urgent(urgent);
    let sender = Sender::new(&caller, &vault).heard_by(&urgency);
    let round = tokio::time::timeout(SILENCE, sender.round(&BTreeSet::new(), &mut sent)).await;
    round.expect("it ends").unwrap();
    assert_eq!((sent.objects, sent.receipts.len()), (0, 0));
    // The same connection serves what is urgent.
    Sender::new(&caller, &vault).round(&BTreeSet::new(), &mut sent).await.unwrap();
    assert_eq!((sent.objects, sent.receipts.len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_nobodys_gets_nothing() {
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let (address, name) = receiver(identity.name(), spool.path()).await;
    let stranger = Identity::of(&Identity::make().unwrap()).unwrap();
    let caller = Caller::connect(&address, &stranger, name, SILENCE).await.unwrap();
    for path in ["/v1/survey", "/v1/snapshots", "/v1/receipts", "/v1/objects/packs/00", "/v1/nothing"] {
        let answered = caller.ask(hyper::Method::POST, path, hyper::HeaderMap::new(), bytes::Bytes::new()).await.unwrap();
        assert_eq!((answered.status.as_u16(), answered.headers["keepwell-code"].to_str().unwrap()), (403, "stranger"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_given_back_in_parts() {
    let mut vault = Vault::default();
    let pack = vault.pack(1, 1_000_000);
    vault.snapshot("records", 1, vec![pack]);
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let (address, name) = receiver(identity.name(), spool.path()).await;
    until_done(&address, &identity, name, &vault).await;
    let caller = Caller::connect(&address, &identity, name, SILENCE).await.unwrap();
    let path = format!("/v1/objects/packs/{}", pack.id);
    let get = async |range: &str| {
        let mut headers = hyper::HeaderMap::new();
        if !range.is_empty() {
            headers.insert("range", range.parse().unwrap());
        }
        let answered = caller.ask(hyper::Method::GET, &path, headers, bytes::Bytes::new()).await.unwrap();
        (answered.status.as_u16(), answered.body)
    };
    let whole = &vault.objects[&(Class::Pack, pack.id.0)];
    assert_eq!(get("").await, (200, whole.clone().into()));
    assert_eq!(get("bytes=5-104").await, (206, whole[5..105].to_vec().into()));
    assert_eq!(get("bytes=5-1000000000").await, (206, whole[5..].to_vec().into()), "it ends where the object does");
    assert_eq!(get(&format!("bytes={}-1000000000", whole.len())).await.0, 416);
    assert_eq!(get("bytes=9-5").await.0, 400);
    assert_eq!(get("lines=1-2").await.0, 400);
}
