//! What sending costs: packs from a pool through TLS over the loopback into a tenant's pool, all in memory; bytes for a second of processor time of both ends together.
//!
//! `cargo bench -p keepwell-replicad`. Prints, and asserts nothing: what it measures is this machine.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a measurement for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use keepwell_crypt::{Secret, Signer};
use keepwell_format::{Epoch, PackContent, PackHeader, PackSeq, VaultId};
use keepwell_link::{Caller, Identity, Limits, serve};
use keepwell_offsite::{Keeping, Moment, Offer, Tenant, Terms, kept};
use keepwell_replicad::{Receiver, SendError, Sender, Sent, Spool, Store};
use keepwell_storage::{Class as Kept, Disk, MemoryDisk, ObjectId, ObjectName, Pool, PoolIds};
use keepwell_wire::{Class, KeyName};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::net::TcpListener;

const VAULT: VaultId = VaultId([7; 16]);
const PACKS: u64 = 8;
const PACK: usize = 32 << 20;
const ROUNDS: usize = 5;

fn pool() -> Pool {
    let disks: Vec<Arc<dyn Disk>> = (1..=3).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}"))) as Arc<dyn Disk>).collect();
    let ids = PoolIds { vault: VAULT.0, disks: (1..=3).map(|n| [n; 16]).collect() };
    Pool::create(disks, ids, "2+1".parse().unwrap()).unwrap()
}

/// A source with packs, which takes them as lost there and sends all of them.
struct Vault(Pool);

impl Vault {
    fn new() -> Self {
        let pool = pool();
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

    fn read(&self, class: Class, id: &[u8; 32]) -> Result<Vec<u8>, SendError> {
        let name = ObjectName { class: kept(class), id: ObjectId(*id) };
        self.0.read_object(name).map(|(bytes, _)| bytes).map_err(|error| SendError::Own(error.to_string()))
    }

    fn offers(&self) -> Vec<Offer> {
        Vec::new()
    }
}

async fn receiver(source: KeyName, spool: &std::path::Path) -> (String, KeyName) {
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let name = identity.name();
    let verify_key = Signer::from_seed(&Secret::from_bytes([1; 32])).verify_key();
    let terms = Terms { receiver: name, verify_key, quota: 1 << 40, objects: 1 << 17, keeping: Keeping::new(0, [24, 30, 8, 12]) };
    let now = Moment { wall: 0, elapsed: 0 };
    let receiver = Arc::new(Receiver::new(name, Spool::at(spool, 1 << 30).unwrap(), Arc::new(move || now), |_| [0; 64]));
    receiver.admit(source, Tenant::open(pool(), terms, now).unwrap(), 0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let answer = move |stranger, request| Arc::clone(&receiver).answer(stranger, request);
        serve(listener, &identity, Limits::default(), answer, std::future::pending()).await.unwrap();
    });
    (address, name)
}

fn cpu() -> f64 {
    let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    (used.user_time() + used.system_time()).num_microseconds() as f64 / 1e6
}

#[tokio::main]
async fn main() {
    let vault = Vault::new();
    let identity = Identity::of(&Identity::make().unwrap()).unwrap();
    let bytes = (PACKS * PACK as u64) as f64 / 1e6;
    for _ in 0..ROUNDS {
        let spool = tempfile::tempdir().unwrap();
        let (address, name) = receiver(identity.name(), spool.path()).await;
        let caller = Caller::connect(&address, &identity, name, Duration::from_secs(60)).await.unwrap();
        let (began, before, mut sent) = (Instant::now(), cpu(), Sent::default());
        Sender::new(&caller, &vault).mend(&vault.all(), &mut sent).await.unwrap();
        let (took, used) = (began.elapsed().as_secs_f64(), cpu() - before);
        println!(
            "{bytes:.0} MB, {} objects: {:.0} MB/s, {:.0} MB for a second of processor time",
            sent.objects,
            bytes / took,
            bytes / used
        );
    }
}
