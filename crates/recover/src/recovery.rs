//! The whole way, from two papers to a vault: takes the place, opens the locks, and brings snapshot after snapshot, what matters most first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use keepwell_crypt::{KitFile, KitSeed, combine};
use keepwell_format::keys::{Keyring, Slots};
use keepwell_format::{Tombstone, VaultId};
use keepwell_keys::{open_keyring, open_kit};
use keepwell_link::Identity;
use keepwell_storage::{Pool, PoolError};
use keepwell_vault::{Clock, Env, IndexPlace, Manifests, NoProgress, Sealed, Snapshot, Unlock, Vault, Workers};
use keepwell_wire::snapshots::PackRef;
use keepwell_wire::{Class, KeyName, Receipt};

use crate::fetch::Fetch;
use crate::join::{Joined, join};
use crate::locks::{Choice, Locks};
use crate::notes::Notes;
use crate::order::{Missing, Tiers, lacking, sort};
use crate::peer::{Patience, Peer};
use crate::{RecoverError, place, tiers};
use keepwell_api::offsite::{KeptPlace, PLACE_NAME, STATE_NAME};

/// Two papers of one kit.
#[derive(Debug)]
pub struct Papers {
    files: [KitFile; 2],
    seed: KitSeed,
}

impl Papers {
    /// Puts them together.
    pub fn new(first: KitFile, second: KitFile) -> Result<Self, RecoverError> {
        if first.vault != second.vault {
            let name = |file: &KitFile| VaultId(file.vault).to_string();
            return Err(RecoverError::TwoVaults { first: name(&first), second: name(&second) });
        }
        let seed = combine(&first.share, &second.share).map_err(RecoverError::Papers)?;
        Ok(Self { files: [first, second], seed })
    }

    pub(crate) fn seed(&self) -> &KitSeed {
        &self.seed
    }

    /// The vault that they open.
    pub fn vault(&self) -> VaultId {
        VaultId(self.files[0].vault)
    }
}

/// What is to be brought, from where and where to.
pub struct Order<'a> {
    /// `host:port` of the box that keeps it.
    pub address: &'a str,
    /// The name of its key.
    pub receiver: KeyName,
    /// What opens the vault.
    pub papers: &'a Papers,
    /// Folder for what is under way, and for the new box's key.
    pub notes: &'a Path,
    /// Where the vault's index is kept.
    pub index: IndexPlace,
    /// Also what the lost box had forgotten: for when it was not its people who had it forget.
    pub forgotten: bool,
    /// Ends as soon as the first share's newest snapshot is whole.
    pub until_first: bool,
    /// With the line.
    pub patience: Patience,
    /// What the one snapshot is dated with that is written here: that of the place that was taken.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("address", &self.address).field("receiver", &self.receiver).finish_non_exhaustive()
    }
}

/// Hears how it goes.
pub trait Listener: Send + Sync {
    /// The other box gives everything from now on.
    fn joined(&self, joined: Joined) {
        let _ = joined;
    }
    /// The papers open these, and these open what was backed up.
    fn opened(&self, slots: &Slots, keyring: &Keyring) {
        let _ = (slots, keyring);
    }
    /// There are so many snapshots; packs of so many bytes are still to come, `first` of them for the newest snapshot of each share.
    fn planned(&self, snapshots: usize, packs: usize, bytes: u64, first: u64) {
        let _ = (snapshots, packs, bytes, first);
    }
    /// So many bytes came.
    fn received(&self, bytes: u64) {
        let _ = bytes;
    }
    /// A pack is in the new vault.
    fn stored(&self) {}
    /// A snapshot can be restored from now on, as far as the other box had it whole. `newest` of its share.
    fn whole(&self, snapshot: &Snapshot, newest: bool, lost: usize) {
        let _ = (snapshot, newest, lost);
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Everything that the other box has of the vault is here.
    pub all: bool,
    /// It was so before this run, which asked for nothing.
    pub before: bool,
    /// How the place was had.
    pub joined: Option<Joined>,
    /// Snapshots that can be restored.
    pub snapshots: usize,
    /// The newest one's time, seconds since 1970, by the lost box's clock.
    pub newest: Option<i64>,
    /// Snapshots that were signed for and can't be read with these keys.
    pub unreadable: Vec<String>,
    /// Snapshots of which packs are lost, and how many.
    pub damaged: Vec<(Snapshot, usize)>,
    /// Snapshots that the lost box had forgotten, and that were left there.
    pub forgotten: usize,
    /// Shares whose tiers the box's own state said.
    pub tiers: usize,
}

/// Brings a vault back, or more of it. Whatever ends it, the next call goes on from there. `pool` opens or makes the new pool.
pub async fn recover(
    order: &Order<'_>,
    pool: impl FnOnce(VaultId) -> Result<Pool, PoolError> + Send,
    listener: Arc<dyn Listener>,
) -> Result<Recovered, RecoverError> {
    let vault = order.papers.vault();
    let notes = Notes::at(order.notes)?;
    if let Some(there) = notes.finished()? {
        return if there == vault {
            notes.finish(vault).map(|()| Recovered { all: true, before: true, ..Recovered::default() })
        } else {
            Err(RecoverError::OtherVault { there: there.to_string() })
        };
    }
    let key = notes.key()?;
    let peer = Peer::new(order.address, order.receiver, Identity::of(&key)?, order.patience.clone());
    let joined = join(&peer, vault, &order.papers.seed).await?;
    listener.joined(joined);
    let locks = locks(&peer, order.papers).await?;
    listener.opened(&locks.slots, &locks.keyring);
    notes.begin()?;
    let fetch = Fetch { peer: Arc::new(peer), pool: Arc::new(pool(vault)?), notes, listener };
    // In the order of a new vault: what opens it is there before anything else.
    store(&fetch, Class::Keyring, locks.keyring.encode()).await?;
    store(&fetch, Class::Slots, locks.slots.encode()).await?;
    let mut run = Run {
        order,
        fetch: &fetch,
        locks: &locks,
        done: Recovered { joined: Some(joined), ..Recovered::default() },
        packs: BTreeMap::new(),
    };
    run.go().await?;
    if run.done.all {
        // Before anybody may write: whoever opens the vault from then on finds whose it is elsewhere.
        let place =
            KeptPlace { key: key.as_bytes().to_vec().into(), receiver: order.receiver.to_string(), address: order.address.to_owned() };
        run.with_vault(move |vault| place::keep(vault, &place)).await?;
        fetch.notes.finish(vault)?;
    }
    Ok(run.done)
}

/// Those that the papers open and that open what was backed up, of all that the other box has.
async fn locks(peer: &Peer, papers: &Papers) -> Result<Locks, RecoverError> {
    let mut all = Vec::new();
    for class in [Class::Slots, Class::Keyring] {
        let mut found = Vec::new();
        for id in peer.list(class).await? {
            found.extend(peer.object(class, id).await?.map(|bytes| bytes.to_vec()));
        }
        all.push(found);
    }
    let mut choice = Choice::of(papers.vault(), &papers.files, &all[0], &all[1])?;
    // Mostly there is nothing to choose.
    let receipts = if choice.is_made() { Vec::new() } else { peer.receipts().await? };
    for receipt in receipts {
        if choice.is_made() {
            break;
        }
        if let Some(manifest) = peer.object(Class::Manifest, receipt.manifest.0).await? {
            choice.narrow(&manifest);
        }
    }
    Ok(choice.newest())
}

async fn store(fetch: &Fetch, class: Class, bytes: Vec<u8>) -> Result<(), RecoverError> {
    fetch.store(class, keepwell_storage::ObjectId::of(&bytes).0, bytes).await
}

struct Run<'a> {
    order: &'a Order<'a>,
    fetch: &'a Fetch,
    locks: &'a Locks,
    done: Recovered,
    /// All packs that the other box has.
    packs: Missing,
}

impl Run<'_> {
    async fn go(&mut self) -> Result<(), RecoverError> {
        let gone = self.tombstones().await?;
        let receipts = self.fetch.peer.receipts().await?;
        let vault = self.order.papers.vault();
        let signed: BTreeMap<[u8; 32], Receipt> =
            receipts.into_iter().filter(|receipt| receipt.vault == vault).map(|receipt| (receipt.manifest.0, receipt)).collect();
        let wanted: Vec<[u8; 32]> = signed.keys().filter(|id| !gone.contains(*id)).copied().collect();
        self.done.forgotten = signed.len() - wanted.len();
        let mut snapshots = self.manifests(&wanted).await?;
        if snapshots.is_empty() {
            return Err(RecoverError::Nothing);
        }
        self.done.newest = snapshots.iter().map(|snapshot| snapshot.received).max();
        self.packs = self.fetch.peer.packs().await?.into_iter().map(|pack| (pack.seq.0, pack)).collect();
        let mut missing = self.packs.clone();
        missing.retain(|_, pack| !self.fetch.has(Class::Pack, &pack.id.0));
        let mut tiers = Tiers::new();
        let mut first = sort(&mut snapshots, &tiers, &missing);
        self.plan(&snapshots, first, &missing);
        let mut next = 0;
        while let Some(snapshot) = snapshots.get(next).cloned() {
            let newest = next < first;
            next += 1;
            let lost = self.bring(&snapshot, &mut missing, signed.get(&snapshot.id.0)).await?;
            self.fetch.listener.whole(&snapshot, newest, lost);
            self.done.snapshots += 1;
            if lost > 0 {
                self.done.damaged.push((snapshot.clone(), lost));
            }
            if snapshot.body.name == STATE_NAME && newest && lost == 0 {
                tiers = self.tiers(&snapshot).await;
                self.done.tiers = tiers.len();
                first = sort(&mut snapshots, &tiers, &missing);
            } else if newest && snapshot.body.name != PLACE_NAME && self.order.until_first && self.is_left(&snapshots[next..], &missing) {
                return Ok(());
            }
        }
        // Packs that no snapshot needs have numbers all the same: a new backup must not give them again.
        let rest: Vec<PackRef> = missing.values().copied().collect();
        self.fetch.packs(&rest).await?;
        self.done.all = true;
        Ok(())
    }

    fn is_left(&self, snapshots: &[Snapshot], missing: &Missing) -> bool {
        !missing.is_empty() || snapshots.iter().any(|snapshot| !self.fetch.has(Class::Manifest, &snapshot.id.0))
    }

    fn plan(&self, snapshots: &[Snapshot], first: usize, missing: &Missing) {
        let mut soon = BTreeSet::new();
        snapshots[..first].iter().for_each(|snapshot| soon.extend(lacking(snapshot, missing)));
        let bytes = |packs: &mut dyn Iterator<Item = &PackRef>| packs.map(|pack| pack.length).sum::<u64>();
        self.fetch.listener.planned(snapshots.len(), missing.len(), bytes(&mut missing.values()), bytes(&mut soon.iter()));
    }

    /// What the lost box had forgotten; none where that is wanted as well.
    async fn tombstones(&self) -> Result<BTreeSet<[u8; 32]>, RecoverError> {
        let mut gone = BTreeSet::new();
        if self.order.forgotten {
            return Ok(gone);
        }
        let ids = self.fetch.peer.list(Class::Tombstone).await?;
        for bytes in self.fetch.objects(Class::Tombstone, &ids).await?.into_iter().flatten() {
            let Ok(tombstone) = Tombstone::decode(&bytes) else { continue };
            let signed = keepwell_crypt::verify(&self.locks.slots.verify_key, &tombstone.signed(), &tombstone.signature);
            if signed.is_ok() && tombstone.vault == self.order.papers.vault() {
                gone.extend(tombstone.gone.iter().map(|gone| gone.snapshot.0));
                store(self.fetch, Class::Tombstone, bytes.to_vec()).await?;
            }
        }
        Ok(gone)
    }

    /// Snapshots that are signed by the vault's box and open with its keys.
    async fn manifests(&mut self, ids: &[[u8; 32]]) -> Result<Vec<Snapshot>, RecoverError> {
        let reader = Manifests::new(self.order.papers.vault(), &self.locks.body)?;
        let mut snapshots = Vec::new();
        for (id, bytes) in ids.iter().zip(self.fetch.objects(Class::Manifest, ids).await?) {
            match bytes.map(|bytes| reader.read(&bytes)) {
                Some(Ok(snapshot)) => snapshots.push(snapshot),
                Some(Err(error)) if error.is_newer() => return Err(error.into()),
                Some(Err(error)) => {
                    self.done.unreadable.push(format!("{}: {error}", keepwell_format::SnapshotId(*id)));
                }
                None => self.done.unreadable.push(format!("{}: the other box lost its manifest", keepwell_format::SnapshotId(*id))),
            }
        }
        Ok(snapshots)
    }

    /// Brings a snapshot: its packs, and its manifest last of all. Answers how many packs of it are lost.
    async fn bring(&self, snapshot: &Snapshot, missing: &mut Missing, receipt: Option<&Receipt>) -> Result<usize, RecoverError> {
        let packs = lacking(snapshot, missing);
        let lost = self.fetch.packs(&packs).await?;
        packs.iter().filter(|pack| !lost.contains(pack)).for_each(|pack| {
            missing.remove(&pack.seq.0);
        });
        let id = snapshot.id.0;
        if !self.fetch.has(Class::Manifest, &id) {
            let bytes = self.fetch.objects(Class::Manifest, &[id]).await?.pop().flatten();
            let bytes = bytes.ok_or_else(|| RecoverError::nonsense("a manifest that came before is gone"))?;
            self.fetch.store(Class::Manifest, id, bytes.to_vec()).await?;
        }
        // Packs that it signed for and does not list any more.
        let listed = lacking(snapshot, &self.packs).len() as u64;
        let unlisted = receipt.map_or(0, |receipt| receipt.packs.saturating_sub(listed));
        Ok(lost.len() + usize::try_from(unlisted).unwrap_or(usize::MAX))
    }

    /// What the box's own state says of the shares. Without it all comes back as well, in another order.
    async fn tiers(&self, state: &Snapshot) -> Tiers {
        let state = state.clone();
        match self.with_vault(move |vault| tiers::read(vault, &state)).await {
            Ok(tiers) => tiers.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the lost box's state can't be read: shares come by what takes least first"
                );
                Tiers::new()
            }
        }
    }

    /// The vault as far as it is here, opened with the papers, for as long as something is done with it. Beside the runtime.
    async fn with_vault<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, RecoverError> + Send + 'static,
    ) -> Result<T, RecoverError> {
        let papers = &self.order.papers.files;
        let keys =
            open_kit(&self.locks.slots, &papers[0], &papers[1]).and_then(|key| open_keyring(&self.locks.slots, &self.locks.keyring, &key));
        let keys = keys.map_err(RecoverError::Keys)?;
        let (pool, index, clock) = (Arc::clone(&self.fetch.pool), self.order.index.clone(), Arc::clone(&self.order.clock));
        let done = tokio::task::spawn_blocking(move || {
            let sealed = Sealed::open(pool, Env::new(clock, Workers::Threads(2)))?;
            work(&sealed.unlock(&Unlock::Keyring(Box::new(keys)), index, &NoProgress)?)
        });
        done.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
