//! Two boxes before a fire: one has a vault with shares and sends them, the other one keeps them. And a line between them that is cut.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keepwell_api::offsite::{Invite, KeptShare, KeptShares, Offered, Offers, Pair, SHARES_FILE, STATE_NAME};
use keepwell_crypt::KitFile;
use keepwell_format::{Key, Time, VaultId};
use keepwell_replicad::house::House;
use keepwell_replicad::keep;
use keepwell_replicad::world::{System, World};
use keepwell_storage::{Access, Layout, Pool, PoolIds, disks_up_to, mounted_in};
use keepwell_vault::{
    BackupOptions, Clock, Env, GivenFiles, IndexPlace, NewVault, NoProgress, Reread, Sealed, Snapshot, Unlock, Vault, Workers, create,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const VAULT: VaultId = VaultId([7; 16]);
const WAIT: Duration = Duration::from_secs(120);

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time { seconds: 1_800_000_000, nanos: 0 }
    }
}

fn env() -> Env {
    Env { pack_target: 2 << 20, ..Env::new(Arc::new(Noon), Workers::Threads(2)) }
}

/// Bytes that nothing makes smaller.
pub(crate) fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// What was in each share: names and files.
pub(crate) type Content = BTreeMap<&'static str, Vec<(&'static str, Vec<u8>)>>;

/// Makes an empty pool in `folder`.
pub(crate) fn new_pool(folder: &Path, vault: VaultId) -> Pool {
    for n in 1..=2 {
        std::fs::create_dir_all(folder.join(format!("disk-{n}"))).unwrap();
    }
    let ids = PoolIds { vault: vault.0, disks: vec![[n_of(vault, 1); 16], [n_of(vault, 2); 16]] };
    Pool::create(disks_up_to(folder, 2), ids, "1+1".parse::<Layout>().unwrap()).unwrap()
}

fn n_of(vault: VaultId, n: u8) -> u8 {
    vault.0[0].wrapping_mul(10) + n
}

/// A vault with its disks in a folder.
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    papers: [KitFile; 3],
    pub(crate) offers: Vec<Offered>,
}

impl Home {
    /// With one snapshot for each share, in this order.
    pub(crate) fn make(folder: &Path, vault: VaultId, content: &Content, tiers: &[(&str, u8)]) -> Self {
        let pool = new_pool(folder, vault);
        let mut seed = u64::from(vault.0[0]);
        let mut random = |bytes: &mut [u8]| {
            seed += 1;
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(bytes);
        };
        let papers = create(&pool, &NewVault { test_vault: true, ..NewVault::new(vault) }, &mut random).unwrap();
        let mut home = Self { folder: folder.to_owned(), papers, offers: Vec::new() };
        drop(pool);
        let vault = home.open();
        for (name, files) in content {
            home.back_up(&vault, name, files.clone(), tiers.iter().find(|(one, _)| one == name).map_or(3, |(_, tier)| *tier));
        }
        let shares = tiers.iter().map(|(name, tier)| KeptShare { name: (*name).to_owned(), tier: *tier }).collect();
        let shares = serde_json::to_vec(&KeptShares { shares }).unwrap();
        home.back_up(&vault, STATE_NAME, vec![(SHARES_FILE, shares)], 1);
        home
    }

    pub(crate) fn back_up(&mut self, vault: &Vault, name: &str, files: Vec<(&str, Vec<u8>)>, tier: u8) {
        let given = files.into_iter().fold(GivenFiles::new(name), |given, (name, bytes)| given.with_bytes(name, bytes.into()));
        let options = BackupOptions { name: name.into(), level: 1, reread: Reread::NONE, intended: true };
        let report = vault.backup(&given, &options, &NoProgress).unwrap();
        let snapshot = report.snapshot.to_string();
        self.offers.push(Offered { snapshot, share: name.into(), tier, taken_at: self.offers.len() as i64 });
    }

    /// One of its papers, as it is typed.
    pub(crate) fn paper(&self, n: usize) -> KitFile {
        KitFile::parse(&self.papers[n].lines()).unwrap()
    }

    pub(crate) fn unlock(&self) -> Unlock {
        Unlock::Kit(self.paper(0), self.paper(2))
    }

    pub(crate) fn open(&self) -> Vault {
        open(&self.folder, &self.unlock())
    }

    pub(crate) fn slots(&self) -> Vec<u8> {
        let pool = Pool::open(mounted_in(&self.folder).unwrap(), Access::Read).unwrap();
        let id = pool.objects(keepwell_storage::Class::Slots)[0];
        pool.read_object(keepwell_storage::ObjectName { class: keepwell_storage::Class::Slots, id }).unwrap().0
    }
}

pub(crate) fn open(folder: &Path, unlock: &Unlock) -> Vault {
    let pool = Pool::open(mounted_in(folder).unwrap(), Access::Write).unwrap();
    Sealed::open(Arc::new(pool), env()).unwrap().unlock(unlock, IndexPlace::Memory, &NoProgress).unwrap()
}

/// The files of a snapshot, byte for byte.
pub(crate) fn holds(vault: &Vault, snapshot: &Snapshot, files: &[(&str, Vec<u8>)]) -> bool {
    files.iter().all(|(name, expected)| {
        let Ok(file) = vault.open_file(snapshot, &Key::from_path(name.as_bytes()).unwrap()) else { return false };
        let mut bytes = Vec::new();
        let read = vault.read_file(&file, &mut |part| {
            bytes.extend_from_slice(part);
            std::ops::ControlFlow::Continue(())
        });
        read.is_ok() && bytes == *expected
    })
}

/// A box that keeps for others, until it is dropped.
pub(crate) struct Keeper {
    pub(crate) house: Arc<House>,
    pub(crate) address: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) async fn start(state: &Path, pool: &Path) -> Self {
        Self::start_in(Arc::new(System::new().unwrap()), state, pool).await
    }

    /// On a machine whose times are given.
    pub(crate) async fn start_in(world: Arc<dyn World>, state: &Path, pool: &Path) -> Self {
        let house = House::start(state, pool, world).unwrap();
        house.receive(true).unwrap();
        let tasks = vec![
            tokio::spawn(keep::listen(Arc::clone(&house), "127.0.0.1:0".parse().unwrap())),
            tokio::spawn(keep::tend(Arc::clone(&house))),
        ];
        let address = until("it listens", || house.status().unwrap().listening).await;
        until("it has its tenants' disks", || {
            house.status().unwrap().tenants.iter().all(|tenant| tenant.snapshots.is_some()).then_some(())
        })
        .await;
        Self { house, address, tasks }
    }

    pub(crate) fn name(&self) -> keepwell_wire::KeyName {
        keepwell_wire::KeyName(keepwell_api::hex::decode(&self.house.status().unwrap().name).unwrap())
    }

    /// As if the program were killed: nothing is told, nothing is written any more.
    pub(crate) async fn kill(self) {
        for task in &self.tasks {
            task.abort();
        }
        let weak = Arc::downgrade(&self.house);
        drop(self);
        until("its connections are gone", || (weak.strong_count() == 0).then_some(())).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The box that sends: paired, and everything is there.
pub(crate) async fn send_all(home: &Home, state: &Path, keeper: &Keeper) -> Arc<House> {
    send_all_with(None, home, state, keeper).await
}

/// The same, with the key of a second organisation.
pub(crate) async fn send_all_with(second_key: Option<String>, home: &Home, state: &Path, keeper: &Keeper) -> Arc<House> {
    let house = House::start(state, &home.folder, Arc::new(System::new().unwrap())).unwrap();
    let invite = Invite { address: keeper.address.clone(), quota_bytes: 1 << 40, place: "elsewhere".into(), second_key };
    let invited = keeper.house.invite(invite).unwrap();
    let order = Pair { invitation: invited.invitation, slots: keepwell_api::Base64(home.slots().into()), practice: "a practice".into() };
    house.pair(order).await.unwrap();
    house.hand_over(Offers { snapshots: home.offers.clone() }).unwrap();
    let all = home.offers.len() as u64;
    until("all is there", || house.status().unwrap().receivers.first().filter(|one| one.receipts == all).map(|_| ())).await;
    house
}

/// Waits for something, not for ever.
pub(crate) async fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(since.elapsed() < WAIT, "{what}: not within {WAIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A line to a box, which cuts each connection after so many bytes from there, as long as there are numbers; and counts them all.
pub(crate) async fn line(to: String, cuts: Vec<u64>) -> (String, Arc<AtomicU64>, Arc<Mutex<Vec<u64>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (passed, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(cuts)));
    let (counted, left) = (Arc::clone(&passed), Arc::clone(&cuts));
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let Ok(far) = TcpStream::connect(&to).await else { continue };
            let (counted, cut) = (Arc::clone(&counted), cuts.lock().unwrap().pop().unwrap_or(u64::MAX));
            tokio::spawn(async move {
                let (mut from_near, mut to_near) = near.into_split();
                let (mut from_far, mut to_far) = far.into_split();
                let forth = tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
                let (mut buffer, mut left) = (vec![0; 64 << 10], cut);
                while let Ok(read @ 1..) = from_far.read(&mut buffer).await {
                    let passes = usize::try_from(left).unwrap_or(usize::MAX).min(read);
                    counted.fetch_add(passes as u64, Ordering::Relaxed);
                    if to_near.write_all(&buffer[..passes]).await.is_err() || passes < read {
                        break;
                    }
                    left -= passes as u64;
                }
                forth.abort();
            });
        }
    });
    (address, passed, left)
}
