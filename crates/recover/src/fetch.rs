//! Objects come over the line and into the pool. Owns how many parts are under way; stores nothing that does not hash to its id.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use keepwell_format::{PackHeader, VaultId};
use keepwell_offsite::kept;
use keepwell_storage::{ObjectId, ObjectName, Pool, PoolError};
use keepwell_wire::snapshots::PackRef;
use keepwell_wire::{Class, MAX_OBJECT};
use tokio::task::JoinHandle;

use crate::RecoverError;
use crate::notes::{Notes, Part};
use crate::peer::Peer;
use crate::recovery::Listener;

/// What one request asks for, and what a cut can cost of each that is under way.
const PART: u64 = 1 << 20;
/// Parts under way: they fill a line of 200 Mbit/s over 300 ms.
const PARTS: usize = 8;
/// Small objects under way.
const OBJECTS: usize = 12;

/// Where from and where to.
pub(crate) struct Fetch {
    pub(crate) peer: Arc<Peer>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) notes: Notes,
    pub(crate) listener: Arc<dyn Listener>,
}

type Getting = JoinHandle<Result<Option<Bytes>, RecoverError>>;

/// A request that ends with whoever waits for it.
struct Underway(Getting);

impl Underway {
    async fn got(&mut self) -> Result<Option<Bytes>, RecoverError> {
        (&mut self.0).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A part of a pack; none under way where the pack came whole before.
struct Coming {
    pack: PackRef,
    get: Option<Underway>,
}

/// A small object.
enum Object {
    Here(Vec<u8>),
    Coming(Underway),
}

impl Fetch {
    pub(crate) fn has(&self, class: Class, id: &[u8; 32]) -> bool {
        self.pool.is_readable(ObjectName { class: kept(class), id: ObjectId(*id) })
    }

    /// Small objects, in order; none for those that can't be had. What is in the pool or came before is not asked for.
    pub(crate) async fn objects(&self, class: Class, ids: &[[u8; 32]]) -> Result<Vec<Option<Bytes>>, RecoverError> {
        let (mut coming, mut next, mut all) = (VecDeque::new(), ids.iter(), Vec::with_capacity(ids.len()));
        loop {
            while coming.len() < OBJECTS
                && let Some(id) = next.next()
            {
                coming.push_back((*id, self.object(class, *id)));
            }
            let Some((id, object)) = coming.pop_front() else { return Ok(all) };
            let bytes = match object {
                Object::Here(bytes) => Some(bytes.into()),
                Object::Coming(mut get) => {
                    let bytes = get.got().await?;
                    if let Some(bytes) = &bytes {
                        self.notes.keep(&id, bytes)?;
                        self.listener.received(bytes.len() as u64);
                    }
                    bytes
                }
            };
            all.push(bytes);
        }
    }

    fn object(&self, class: Class, id: [u8; 32]) -> Object {
        let name = ObjectName { class: kept(class), id: ObjectId(id) };
        let here = self.pool.is_readable(name).then(|| self.pool.read_object(name).ok()).flatten().map(|(bytes, _)| bytes);
        match here.or_else(|| self.notes.object(&id)) {
            Some(bytes) => Object::Here(bytes),
            None => {
                let peer = Arc::clone(&self.peer);
                let get = tokio::spawn(async move { peer.object(class, id).await });
                Object::Coming(Underway(get))
            }
        }
    }

    /// Packs, one after the other. Answers those that the other box can't give as they should be.
    pub(crate) async fn packs(&self, packs: &[PackRef]) -> Result<Vec<PackRef>, RecoverError> {
        let mut lost = Vec::new();
        let mut open: VecDeque<(PackRef, Part)> = VecDeque::new();
        let mut coming: VecDeque<Coming> = VecDeque::new();
        let (mut next, mut asking): (_, Option<(PackRef, u64)>) = (packs.iter(), None);
        loop {
            while coming.len() < PARTS {
                match asking {
                    Some((pack, from)) if from < pack.length => {
                        let length = PART.min(pack.length - from);
                        asking = Some((pack, from + length));
                        coming.push_back(Coming { pack, get: Some(Underway(self.get(pack, from, length))) });
                    }
                    _ => {
                        let Some(pack) = next.next() else { break };
                        if pack.length > MAX_OBJECT {
                            lost.push(*pack);
                            continue;
                        }
                        let mut part = self.notes.part(&pack.id.0)?;
                        if part.length > pack.length {
                            part.begin_anew()?;
                        }
                        if part.length == pack.length {
                            coming.push_back(Coming { pack: *pack, get: None });
                        }
                        asking = Some((*pack, part.length));
                        open.push_back((*pack, part));
                    }
                }
            }
            let Some(mut part) = coming.pop_front() else { return Ok(lost) };
            let came = match &mut part.get {
                Some(get) => get.got().await?,
                None => Some(Bytes::new()),
            };
            let Some((pack, file)) = open.front_mut() else { continue };
            match came {
                Some(bytes) => {
                    file.append(&bytes)?;
                    self.listener.received(bytes.len() as u64);
                }
                None => {
                    // Nothing more of it is worth waiting for.
                    let pack = *pack;
                    coming.retain(|other| other.pack != pack);
                    asking = asking.filter(|(asked, _)| *asked != pack);
                    lost.push(pack);
                    open.pop_front();
                    continue;
                }
            }
            if file.length == pack.length
                && let Some((pack, file)) = open.pop_front()
                && !self.finish(pack, file).await?
            {
                lost.push(pack);
            }
        }
    }

    fn get(&self, pack: PackRef, from: u64, length: u64) -> Getting {
        let peer = Arc::clone(&self.peer);
        tokio::spawn(async move { peer.part(Class::Pack, pack.id.0, from, length).await })
    }

    /// A pack that is whole goes into the pool; other bytes than it is called are fetched once more.
    async fn finish(&self, pack: PackRef, mut file: Part) -> Result<bool, RecoverError> {
        let mut bytes = file.read()?;
        if !self.is_it(&pack, &bytes) {
            tracing::warn!(pack = %pack.id, "a pack came with other bytes than it is called by; it is fetched once more");
            file.begin_anew()?;
            while file.length < pack.length {
                let length = PART.min(pack.length - file.length);
                let Some(part) = self.peer.part(Class::Pack, pack.id.0, file.length, length).await? else { break };
                file.append(&part)?;
                self.listener.received(part.len() as u64);
            }
            bytes = file.read()?;
        }
        let good = self.is_it(&pack, &bytes);
        if good {
            self.store(Class::Pack, pack.id.0, bytes).await?;
            self.listener.stored();
        }
        file.remove()?;
        Ok(good)
    }

    fn is_it(&self, pack: &PackRef, bytes: &[u8]) -> bool {
        let header = bytes.get(..PackHeader::LEN).and_then(|header| PackHeader::decode(header).ok());
        let vault = VaultId(self.pool.vault());
        header.is_some_and(|header| header.vault == vault && header.seq == pack.seq) && ObjectId::of(bytes).0 == pack.id.0
    }

    /// Makes an object durable. Disks are waited for beside the runtime.
    pub(crate) async fn store(&self, class: Class, id: [u8; 32], bytes: Vec<u8>) -> Result<(), RecoverError> {
        let pool = Arc::clone(&self.pool);
        let put = move || {
            let name = ObjectName { class: kept(class), id: ObjectId(id) };
            if pool.is_readable(name) {
                return Ok(());
            }
            // What is left of a damaged one would be taken for a good one.
            if pool.contains(name) {
                pool.set_aside(name)?;
            }
            pool.put(name.class, name.class.spread(), &bytes).map(drop)
        };
        let done: Result<(), PoolError> =
            tokio::task::spawn_blocking(put).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        Ok(done?)
    }
}
