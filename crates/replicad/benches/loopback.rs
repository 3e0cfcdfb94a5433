//! What sending costs: packs from a pool through TLS over the loopback into a tenant's pool; bytes for a second of processor time of both ends together, and what each part of it costs alone.
//!
//! `cargo bench -p keepwell-replicad`. Prints, and asserts nothing: what it measures is this machine, best when it does nothing else. No device is waited for: disks are folders of a file
//! system in memory, where there is one.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a measurement for people")]

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response};
use keepwell_crypt::{Secret, Signer};
use keepwell_format::{Epoch, PackContent, PackHeader, PackSeq, VaultId};
use keepwell_link::{Caller, Identity, Limits, Pacer, Stranger, serve};
use keepwell_offsite::{Keeping, Moment, Offer, Tenant, Terms, kept};
use keepwell_replicad::{MemoryLimits, Receiver, SendError, Sender, Sent, Spool, Store};
use keepwell_storage::{Class as Kept, Hashed, Layout, ObjectId, ObjectName, Pool, PoolIds, disk_at};
use keepwell_wire::{Class, KeyName};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::net::TcpListener;

const VAULT: VaultId = VaultId([7; 16]);
const PACKS: u64 = 8;
const PACK: usize = 32 << 20;
const ROUNDS: usize = 6;
const NOW: Moment = Moment { wall: 0, elapsed: 0 };

/// The product's own disks, in folders.
fn pool(at: &Path) -> Pool {
    let disk = |n: u8| {
        let (name, folder) = (format!("disk-{n}"), tempfile::tempdir_in(at).unwrap().keep());
        disk_at(&name, &folder)
    };
    let ids = PoolIds { vault: VAULT.0, disks: (1..=3).map(|n| [n; 16]).collect() };
    Pool::create((1..=3).map(disk).collect(), ids, "2+1".parse().unwrap()).unwrap()
}

/// A source with packs, which takes them as lost there and sends all of them.
struct Vault(Pool);

impl Vault {
    fn new(at: &Path) -> Self {
        let pool = pool(at);
        for seq in 1..=PACKS {
            let mut pack = PackHeader { content: PackContent::Data, epoch: Epoch(1), vault: VAULT, seq: PackSeq(seq) }.encode().to_vec();
            pack.resize(PACK, 0);
            blake3::Hasher::new().update(&seq.to_le_bytes()).finalize_xof().fill(&mut pack[PackHeader::LEN..]);
            pool.put(Kept::Pack, Kept::Pack.spread(), &pack).unwrap();
        }
        Self(pool)
    }

    fn all(&self) -> Vec<(Class, [u8; 32])> {
        self.ids(Class::Pack).into_iter().map(|id| (Class::Pack, id)).collect()
    }
}

impl Store for Vault {
    fn ids(&self, class: Class) -> Vec<[u8; 32]> {
        let mut ids: Vec<[u8; 32]> = self.0.objects(kept(class)).into_iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    }

    fn read(&self, class: Class, id: &[u8; 32], memory: Vec<u8>) -> Result<Vec<u8>, SendError> {
        let name = ObjectName { class: kept(class), id: ObjectId(*id) };
        self.0.read_object_into(name, memory).map(|(bytes, _)| bytes).map_err(|error| SendError::Own(error.to_string()))
    }

    fn offers(&self) -> Vec<Offer> {
        Vec::new()
    }
}

fn tenant(receiver: KeyName, at: &Path) -> Tenant {
    let verify_key = Signer::from_seed(&Secret::from_bytes([1; 32])).verify_key();
    let terms = Terms { receiver, verify_key, quota: 1 << 40, objects: 1 << 17, keeping: Keeping::new(0, [24, 30, 8, 12]) };
    Tenant::open(pool(at), terms, NOW).unwrap()
}

/// Answers with it until the program ends: where.
async fn serving<A, F>(identity: Identity, answer: A) -> String
where
    A: Fn(Stranger, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { serve(listener, &identity, Limits::default(), answer, std::future::pending()).await.unwrap() });
    address
}

async fn caller(address: &str, source: &Identity, name: KeyName) -> Caller {
    Caller::connect_paced(address, source, name, Duration::from_secs(60), courteous()).await.unwrap()
}

/// As the product sends.
fn courteous() -> Arc<Pacer> {
    let pacer = Arc::new(Pacer::default());
    pacer.set(None, true);
    pacer
}

fn identity() -> Identity {
    Identity::of(&Identity::make().unwrap()).unwrap()
}

fn cpu() -> f64 {
    let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    (used.user_time() + used.system_time()).num_microseconds() as f64 / 1e6
}

/// One part alone; gives the seconds of processor time for a gigabyte.
fn part(what: &str, bytes: usize, work: impl FnOnce()) -> f64 {
    let before = cpu();
    work();
    told(what, bytes, cpu() - before)
}

fn told(what: &str, bytes: usize, used: f64) -> f64 {
    let seconds = used * 1e9 / bytes as f64;
    println!("{what:44} {seconds:5.2} s for 1 GB, {:6.0} MB for a second of processor time", 1e3 / seconds);
    seconds
}

/// What cannot be left out, each alone.
async fn parts(vault: &Vault, at: &Path) {
    let all = PACK * usize::try_from(PACKS).unwrap();
    let names: Vec<ObjectName> = vault.ids(Class::Pack).into_iter().map(|id| ObjectName { class: Kept::Pack, id: ObjectId(id) }).collect();
    let mut memory = vault.0.read_object_into(names[0], Vec::new()).unwrap().0;
    let mut sum = part("source: reading, and hashing once", all, || {
        for name in &names {
            memory = vault.0.read_object_into(*name, std::mem::take(&mut memory)).unwrap().0;
        }
    });
    let source = identity();
    let other = identity();
    let name = other.name();
    let drained = |_: Stranger, request: Request<Incoming>| async move {
        let mut body = request.into_body();
        while let Some(Ok(_)) = body.frame().await {}
        Response::new(Full::default())
    };
    let address = serving(other, drained).await;
    let caller = caller(&address, &source, name).await;
    let body = Bytes::from(memory.clone());
    let before = cpu();
    for _ in 0..PACKS {
        caller.ask(Method::PUT, "/", HeaderMap::new(), body.clone()).await.unwrap();
    }
    sum += told("both ends: TLS, HTTP/2, loopback", all, cpu() - before);
    sum += part("receiver: hashing while it comes", all, || {
        for _ in 0..PACKS {
            std::hint::black_box(blake3::hash(&body));
        }
    });
    let tenant = pool(at);
    memory.reserve_exact(usize::try_from(Layout::coded_len(tenant.layout(), PACK as u64)).unwrap() - PACK);
    let mut used = 0.0;
    for name in &names {
        // The memory is that of the one before, as in the product.
        let object = Hashed::from(vault.0.read_object_into(*name, std::mem::take(&mut memory)).unwrap().0);
        let before = cpu();
        memory = tenant.put_hashed(Kept::Pack, Kept::Pack.spread(), object).unwrap();
        used += cpu() - before;
    }
    sum += told("receiver: redundancy, its hashes, writing", all, used);
    println!("{:44} {sum:5.2} s for 1 GB, {:6.0} MB for a second of processor time", "all of that", 1e3 / sum);
}

#[tokio::main]
async fn main() {
    let at = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { &std::env::temp_dir() };
    let folder = tempfile::tempdir_in(at).unwrap();
    let vault = Vault::new(folder.path());
    parts(&vault, folder.path()).await;
    let (source, other, spool) = (identity(), identity(), tempfile::tempdir_in(at).unwrap());
    let name = other.name();
    let spooled = Spool::at(spool.path(), 1 << 30, MemoryLimits::default()).unwrap();
    let receiver = Arc::new(Receiver::new(name, spooled, Arc::new(move || NOW), |_| [0; 64]));
    let answering = Arc::clone(&receiver);
    let address = serving(other, move |stranger, request| Arc::clone(&answering).answer(stranger, request)).await;
    receiver.admit(source.name(), tenant(name, folder.path()), 0);
    let caller = caller(&address, &source, name).await;
    let sender = Sender::new(&caller, &vault);
    let bytes = PACKS * PACK as u64;
    for _ in 0..ROUNDS {
        // All is missing there again; the line is the same.
        let new = tempfile::tempdir_in(folder.path()).unwrap();
        receiver.admit(source.name(), tenant(name, new.path()), 0);
        let (began, before, mut sent) = (Instant::now(), cpu(), Sent::default());
        sender.mend(&vault.all(), &mut sent).await.unwrap();
        let (took, used) = (began.elapsed().as_secs_f64(), cpu() - before);
        assert_eq!(sent.objects as u64, PACKS);
        let megabytes = bytes as f64 / 1e6;
        println!("{megabytes:.0} MB sent: {:.0} MB/s, {:.0} MB for a second of processor time", megabytes / took, megabytes / used);
    }
}
