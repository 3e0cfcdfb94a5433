//! A receiver that has no memory for more objects now: it says so before it takes a byte, and its source comes back with them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keepwell_crypt::{Secret, Signer};
use keepwell_format::{Epoch, PackContent, PackHeader, PackSeq, VaultId};
use keepwell_link::{Caller, Identity, Limits, Pacer, serve};
use keepwell_offsite::{Keeping, Moment, Offer, Tenant, Terms};
use keepwell_replicad::{MemoryLimits, Receiver, SendError, Sender, Sent, Spool, Store};
use keepwell_storage::{Class as Kept, Disk, MemoryDisk, Pool, PoolIds};
use keepwell_wire::Class;
use tokio::net::TcpListener;

const VAULT: VaultId = VaultId([7; 16]);
const PACK: usize = 100_000;

struct Vault(BTreeMap<[u8; 32], Vec<u8>>);

impl Vault {
    fn new(packs: u8) -> Self {
        let pack = |number: u8| {
            let header = PackHeader { content: PackContent::Data, epoch: Epoch(1), vault: VAULT, seq: PackSeq(number.into()) };
            let mut bytes = header.encode().to_vec();
            bytes.resize(PACK, number);
            (*blake3::hash(&bytes).as_bytes(), bytes)
        };
        Self((1..=packs).map(pack).collect())
    }
}

impl Store for Vault {
    fn ids(&self, class: Class) -> Vec<[u8; 32]> {
        if class == Class::Pack { self.0.keys().copied().collect() } else { Vec::new() }
    }

    fn read(&self, _: Class, id: &[u8; 32], _: Vec<u8>) -> Result<Vec<u8>, SendError> {
        Ok(self.0[id].clone())
    }

    fn offers(&self) -> Vec<Offer> {
        Vec::new()
    }
}

fn tenant(receiver: keepwell_wire::KeyName, now: Moment) -> Tenant {
    let disks: Vec<Arc<dyn Disk>> = (1..=3).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}"))) as Arc<dyn Disk>).collect();
    let ids = PoolIds { vault: VAULT.0, disks: (1..=3).map(|n| [n; 16]).collect() };
    let pool = Pool::create(disks, ids, "2+1".parse().unwrap()).unwrap();
    let verify_key = Signer::from_seed(&Secret::from_bytes([1; 32])).verify_key();
    Tenant::open(pool, Terms { receiver, verify_key, quota: 1 << 40, objects: 1 << 17, keeping: Keeping::new(0, [24, 30, 8, 12]) }, now)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_without_memory_is_waited_for() {
    let identity = |_| Identity::of(&Identity::make().unwrap()).unwrap();
    let (source, other) = (identity(1), identity(2));
    let (name, now, folder) = (other.name(), Moment { wall: 0, elapsed: 0 }, tempfile::tempdir().unwrap());
    // For one of them at a time, and all are sent side by side.
    let memory = MemoryLimits { all: 2 * PACK as u64 + 1000, tenant: PACK as u64 + 500 };
    let spool = Spool::at(folder.path(), 1 << 30, memory).unwrap();
    let receiver = Arc::new(Receiver::new(name, spool, Arc::new(move || now), |_| [0; 64]));
    receiver.admit(source.name(), tenant(name, now), 0);
    let (busy, counted) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&receiver));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, counter) = (listener.local_addr().unwrap().to_string(), Arc::clone(&busy));
    tokio::spawn(async move {
        let answer = move |stranger, request| {
            let (receiver, busy) = (Arc::clone(&counted), Arc::clone(&counter));
            async move {
                let answer = receiver.answer(stranger, request).await;
                if answer.headers().get("keepwell-code").is_some_and(|code| code == "busy") {
                    assert!(answer.status() == 503 && answer.headers().contains_key("retry-after"));
                    busy.fetch_add(1, Ordering::Relaxed);
                }
                answer
            }
        };
        serve(listener, &other, Limits::default(), answer, std::future::pending()).await.unwrap();
    });
    // A line on which they are under way together for a while.
    let pacer = Arc::new(Pacer::default());
    pacer.set(Some(3 * PACK as u64 / 5), false);
    let caller = Caller::connect_paced(&address, &source, name, Duration::from_secs(120), pacer).await.unwrap();
    let (vault, mut sent) = (Vault::new(3), Sent::default());
    let packs: Vec<(Class, [u8; 32])> = vault.0.keys().map(|id| (Class::Pack, *id)).collect();
    let done = tokio::time::timeout(Duration::from_secs(300), Sender::new(&caller, &vault).mend(&packs, &mut sent)).await;
    done.expect("nobody waits for ever").unwrap();
    assert_eq!(sent.objects, 3);
    assert!(busy.load(Ordering::Relaxed) > 0, "all were taken at once");
    let there = receiver.with(source.name(), |tenant, _| tenant.pool().objects(Kept::Pack).len());
    assert_eq!(there, Some(3));
}
