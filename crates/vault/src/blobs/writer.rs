//! Stores blobs that are not known yet: seal on workers, fill packs in order, make groups of packs durable, then tell the index.
//! That order is what makes a crash harmless: a row in the index never comes before its pack.

use std::collections::{HashSet, VecDeque};

use keepwell_format::blob::{BlobKind, WHOLE};
use keepwell_format::manifest::{SeqRanges, Statistics};
use keepwell_format::pack::PackContent;
use keepwell_format::{BlobId, PackId};
use keepwell_storage::{Class, EncodedObject, Layout, Pool, Staged, encode_object};

use super::pack_name;
use crate::VaultError;
use crate::env::Env;
use crate::index::{Index, IndexedPack};
use crate::keys::Keys;
use crate::lanes::{Lanes, Ticket};
use crate::pack::{Filling, Finished, Frame, seal_blob};
use crate::turns::Turns;

/// Data packs that are filled side by side.
const OPEN_DATA_PACKS: usize = 2;
/// Metadata packs are smaller: they are read for listings.
const METADATA_SHARE: usize = 4;

/// Stores blobs.
pub(crate) struct BlobWriter<'env> {
    pool: &'env Pool,
    keys: &'env Keys,
    index: &'env dyn Index,
    turns: &'env Turns,
    lanes: Lanes<'env>,
    env: Env,
    level: i32,
    run: u64,
    frames: u64,
    /// Blobs that are on their way and not in the index yet.
    pending: HashSet<BlobId>,
    sealing: VecDeque<Ticket<Frame>>,
    sealing_bytes: usize,
    data: Vec<Option<Filling>>,
    metadata: Option<Filling>,
    staged: Vec<(Staged, IndexedPack)>,
    /// Packs that the snapshot under way needs, as far as this run met them.
    pub(crate) needs: SeqRanges,
    pub(crate) new_blobs: u64,
    pub(crate) new_stored_bytes: u64,
    pub(crate) degraded: u64,
}

impl<'env> BlobWriter<'env> {
    /// A writer for run `run`; packs get numbers above `floor`.
    pub(crate) fn new(
        pool: &'env Pool,
        keys: &'env Keys,
        (index, turns): (&'env dyn Index, &'env Turns),
        lanes: Lanes<'env>,
        env: &Env,
        level: i32,
        (run, floor): (u64, u64),
    ) -> Result<Self, VaultError> {
        // Never again a number that a pack had which is gone: manifests tell by numbers whether all is there.
        turns.used_up_to(index.packs()?.iter().map(|(_, seq)| seq.0).max().unwrap_or(0).max(floor));
        Ok(Self {
            pool,
            keys,
            index,
            turns,
            lanes,
            env: env.clone(),
            level,
            run,
            frames: 0,
            pending: HashSet::new(),
            sealing: VecDeque::new(),
            sealing_bytes: 0,
            data: (0..OPEN_DATA_PACKS).map(|_| None).collect(),
            metadata: None,
            staged: Vec::new(),
            needs: SeqRanges::default(),
            new_blobs: 0,
            new_stored_bytes: 0,
            degraded: 0,
        })
    }

    /// Makes sure that the vault holds the blob, in the end.
    pub(crate) fn store(&mut self, kind: BlobKind, id: BlobId, plain: Vec<u8>) -> Result<(), VaultError> {
        if self.is_known(&id)? {
            return Ok(());
        }
        self.pending.insert(id);
        self.new_blobs += 1;
        self.sealing_bytes += plain.len();
        let (keys, level) = (self.keys, self.level);
        self.sealing.push_back(self.lanes.submit(move || seal_blob(keys, kind, id, plain, level)));
        while self.sealing.len() > 64 * self.lanes.width || self.sealing_bytes > 12 << 20 {
            self.take_frame()?;
        }
        if self.lanes.is_inline() { self.take_frame() } else { Ok(()) }
    }

    /// As [`Self::store`], with the id worked out here.
    pub(crate) fn store_page(&mut self, kind: BlobKind, plain: Vec<u8>) -> Result<BlobId, VaultError> {
        let id = self.keys.blob_id(kind, &plain);
        self.store(kind, id, plain)?;
        Ok(id)
    }

    fn is_known(&mut self, id: &BlobId) -> Result<bool, VaultError> {
        if self.pending.contains(id) {
            return Ok(true);
        }
        let places = self.index.locate(id)?;
        let whole = places.iter().find(|place| place.frame.keep_map == WHOLE && self.pool.is_readable(pack_name(place.pack)));
        whole.inspect(|place| self.needs.insert(place.seq));
        Ok(whole.is_some())
    }

    fn take_frame(&mut self) -> Result<(), VaultError> {
        let Some(ticket) = self.sealing.pop_front() else {
            return Ok(());
        };
        let frame = ticket.wait();
        self.sealing_bytes = self.sealing_bytes.saturating_sub(frame.info.plain_len as usize);
        self.new_stored_bytes += frame.sealed.len() as u64;
        self.frames += 1;
        let slot = match frame.info.kind {
            BlobKind::Page | BlobKind::Extents => None,
            _ => Some(usize::try_from(self.keys.deal(self.run, self.frames) % OPEN_DATA_PACKS as u64).expect("below two")),
        };
        self.append(slot, frame)
    }

    fn append(&mut self, slot: Option<usize>, frame: Frame) -> Result<(), VaultError> {
        let filling = self.open_pack(slot);
        let Err(frame) = self.place(slot, filling, frame) else {
            return Ok(());
        };
        self.close_pack(slot)?;
        let filling = self.open_pack(slot);
        let placed = self.place(slot, filling, frame);
        debug_assert!(placed.is_ok(), "an empty pack takes any frame");
        Ok(())
    }

    fn place(&mut self, slot: Option<usize>, mut filling: Filling, frame: Frame) -> Result<(), Frame> {
        let result = filling.push(frame);
        *self.slot(slot) = Some(filling);
        result
    }

    fn slot(&mut self, slot: Option<usize>) -> &mut Option<Filling> {
        match slot {
            Some(slot) => &mut self.data[slot],
            None => &mut self.metadata,
        }
    }

    fn open_pack(&mut self, slot: Option<usize>) -> Filling {
        if let Some(filling) = self.slot(slot).take() {
            return filling;
        }
        let seq = self.turns.next_pack();
        let (content, target) = match slot {
            Some(_) => (PackContent::Data, self.env.pack_target),
            None => (PackContent::Metadata, self.env.pack_target / METADATA_SHARE),
        };
        Filling::new(self.keys, content, seq, target)
    }

    /// Seals a full pack, works out its shards, and writes them; durable they are with their group. One pack at a time, here: a second
    /// one on a worker would cost its memory again, and the other workers have frames to seal meanwhile.
    fn close_pack(&mut self, slot: Option<usize>) -> Result<(), VaultError> {
        let Some(filling) = self.slot(slot).take() else {
            return Ok(());
        };
        self.needs.insert(filling.seq());
        let (object, pack) = encode(self.pool, self.keys, filling.finish(self.keys));
        self.staged.push((self.pool.stage(object)?, pack));
        if self.staged.len() >= self.env.group { self.commit() } else { Ok(()) }
    }

    /// Makes what is staged durable, then known.
    fn commit(&mut self) -> Result<(), VaultError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let (staged, packs): (Vec<Staged>, Vec<IndexedPack>) = self.staged.drain(..).unzip();
        let report = self.pool.commit(staged)?;
        self.degraded += report.degraded.len() as u64;
        self.index.add(&packs)?;
        for entry in packs.iter().flat_map(|pack| &pack.directory.entries) {
            self.pending.remove(&entry.frame.blob);
        }
        Ok(())
    }

    /// Makes everything stored so far durable and known.
    pub(crate) fn flush(&mut self) -> Result<(), VaultError> {
        while !self.sealing.is_empty() {
            self.take_frame()?;
        }
        for slot in (0..OPEN_DATA_PACKS).map(Some).chain([None]) {
            self.close_pack(slot)?;
        }
        self.commit()
    }

    /// Copies the writer's counts into a run's statistics.
    pub(crate) fn count(&self, statistics: &mut Statistics) {
        statistics.new_blobs = self.new_blobs;
        statistics.new_stored_bytes = self.new_stored_bytes;
    }

    /// Puts a frame that is sealed already into a pack, as it is.
    pub(crate) fn store_frame(&mut self, frame: Frame) -> Result<(), VaultError> {
        self.pending.insert(frame.info.blob);
        self.new_blobs += 1;
        let slot = if matches!(frame.info.kind, BlobKind::Page | BlobKind::Extents) { None } else { Some(0) };
        self.append(slot, frame)
    }
}

/// Works out the shards of a pack.
fn encode(pool: &Pool, keys: &Keys, finished: Finished) -> (EncodedObject, IndexedPack) {
    let layout: Layout = pool.plan(finished.bytes.len());
    let Finished { header, directory, bytes } = finished;
    let object = encode_object(layout, keys.vault.0, Class::Pack, bytes);
    let id = PackId(object.name().id.0);
    (object, IndexedPack { id, seq: header.seq, content: header.content, directory })
}
