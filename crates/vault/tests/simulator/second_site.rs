//! Two places: a vault on memory disks, and on other disks what a receiver keeps of it. Between them goes what a source sends, with the network replaced by calls: each byte is
//! counted, and the line may be cut after any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keepwell_crypt::{Secret, Signer};
use keepwell_format::{Manifest, PackHeader, PackId, SeqRanges, SnapshotId};
use keepwell_offsite::sampling::{FOUND, Known, sample, sample_size};
use keepwell_offsite::{Backlog, Keeping, Moment, Offer, Refused, Step, Tenant, Terms, kept};
use keepwell_storage::{Access, Class as Kept, Io, Layout, MemoryDisk, Narrowing, ObjectId, ObjectName, Pool, PoolIds, Reserve};
use keepwell_vault::{Env, Healed, MemoryIndex, NoProgress, ScrubCursor, Vault, VaultError};
use keepwell_wire::challenge::{Answer, Challenge, MAX_ASKED};
use keepwell_wire::snapshots::{PackRef, SnapshotRef, decode_packs, encode_packs, fingerprint};
use keepwell_wire::survey::{Search, Survey, decode_answer, encode_answer};
use keepwell_wire::{Class, KeyName, Receipt};

use crate::tree::Tree;
use crate::world::{backup, dynamic, fresh, open, shared};

pub(crate) const DAY: u64 = 86_400;
/// What a request costs besides its body: method, path, headers and frames.
const REQUEST: u64 = 250;

/// What is sent passes here.
#[derive(Default)]
pub(crate) struct Line {
    /// Everything that was sent.
    pub(crate) sent: u64,
    /// It is cut after so many more bytes.
    pub(crate) cut: Option<u64>,
}

/// The line was cut.
#[derive(Debug)]
pub(crate) struct Cut;

impl Line {
    /// Sends a request with a body. After a cut, so many bytes of the body have arrived.
    fn pass(&mut self, body: usize) -> Result<(), usize> {
        let whole = REQUEST + body as u64;
        let passes = self.cut.unwrap_or(u64::MAX).min(whole);
        self.sent += passes;
        self.cut = self.cut.map(|left| left - passes);
        if passes == whole { Ok(()) } else { Err(usize::try_from(passes.saturating_sub(REQUEST)).unwrap()) }
    }

    fn ask(&mut self, body: &[u8]) -> Result<(), Cut> {
        self.pass(body.len()).map_err(|_| Cut)
    }
}

/// What a round found and did.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Objects with a receipt that were not there.
    pub(crate) lost: BTreeSet<ObjectName>,
    /// Objects that could not be read here.
    pub(crate) unread: BTreeSet<ObjectName>,
}

/// Both places.
pub(crate) struct Sites {
    pub(crate) near: Vec<Arc<MemoryDisk>>,
    pub(crate) far: Vec<Arc<MemoryDisk>>,
    pub(crate) vault: Option<Vault>,
    pub(crate) tenant: Option<Tenant>,
    index: Arc<MemoryIndex>,
    pub(crate) env: Env,
    terms: Terms,
    pub(crate) line: Line,
    /// Receipts, as the source keeps them.
    pub(crate) signed: BTreeMap<[u8; 32], Receipt>,
    /// Beginnings of objects that came before a cut: how long.
    begun: BTreeMap<[u8; 32], usize>,
    /// Seconds at the receiver.
    pub(crate) now: u64,
}

fn receipt_key() -> Signer {
    Signer::from_seed(&Secret::from_bytes([2; 32]))
}

fn io(pool: Pool) -> Pool {
    pool.with_io(Io::Sequential)
}

impl Sites {
    pub(crate) fn new(near: Layout, far: Layout, env: Env) -> Self {
        let near = shared(fresh(near, near.width().into()));
        let index = Arc::new(MemoryIndex::default());
        let vault = open(dynamic(&near), Access::Write, Arc::clone(&index) as _, &env).unwrap();
        let verify_key = vault.slots().unwrap().verify_key;
        let terms =
            Terms { receiver: KeyName([4; 32]), verify_key, quota: 1 << 40, objects: 1 << 17, keeping: Keeping::new(0, [24, 30, 8, 12]) };
        let disks: Vec<Arc<MemoryDisk>> = (1..=far.width()).map(|n| Arc::new(MemoryDisk::new(format!("far-{n}")))).collect();
        let ids = PoolIds { vault: vault.id().0, disks: (1..=far.width()).map(|n| [n; 16]).collect() };
        drop(Pool::create(dynamic(&disks), ids, far).unwrap());
        let mut sites = Self {
            near,
            far: disks,
            vault: Some(vault),
            tenant: None,
            index,
            env,
            terms,
            line: Line::default(),
            signed: BTreeMap::new(),
            begun: BTreeMap::new(),
            now: 0,
        };
        sites.start_far();
        sites
    }

    pub(crate) fn vault(&self) -> &Vault {
        self.vault.as_ref().expect("open")
    }

    pub(crate) fn tenant(&mut self) -> &mut Tenant {
        self.tenant.as_mut().expect("open")
    }

    /// The vault is closed and opened, with what its disks show by now.
    pub(crate) fn restart_near(&mut self) {
        self.vault = None;
        self.vault = Some(open(dynamic(&self.near), Access::Write, Arc::clone(&self.index) as _, &self.env).unwrap());
    }

    /// The same with the receiver.
    pub(crate) fn start_far(&mut self) {
        self.tenant = None;
        let mut pool = io(Pool::open(dynamic(&self.far), Access::Write).unwrap());
        pool.set_reserve(Reserve::Bytes(0));
        self.tenant = Some(Tenant::open(pool, self.terms.clone(), self.moment()).unwrap());
    }

    fn moment(&self) -> Moment {
        Moment { wall: 1_790_000_000, elapsed: self.now }
    }

    pub(crate) fn back_up(&self, tree: &Tree) {
        backup(self.vault(), tree).unwrap();
    }

    /// The source's disks, as the program that sends sees them.
    pub(crate) fn own(&self) -> Own {
        Own::look(io(Pool::open(dynamic(&self.near), Access::Read).unwrap()))
    }

    /// Everything that is missing there is sent; what was cut is gone on with.
    pub(crate) fn round(&mut self) -> Result<Round, Cut> {
        let (own, mut round) = (self.own(), Round::default());
        let promised = own.covered(self.signed.keys());
        let mut lacks = BTreeMap::new();
        for class in Class::ALL {
            lacks.insert(class, self.lacks(class, &own.ids(class))?);
        }
        let is_promised = |class: Class, id: &[u8; 32]| promised.iter().any(|known| known.class == class && known.id == *id);
        for (class, id) in
            lacks.iter().flat_map(|(class, ids)| ids.iter().map(|id| (*class, *id))).filter(|(class, id)| is_promised(*class, id))
        {
            round.lost.insert(name(class, id));
            self.put(&own, class, id, &mut round)?;
        }
        for class in [Class::Slots, Class::Keyring, Class::Tombstone] {
            for id in &lacks[&class] {
                self.put(&own, class, *id, &mut round)?;
            }
        }
        let there = |class: Class, id: &[u8; 32]| !lacks[&class].contains(id) || is_promised(class, id);
        let signed = self.signed.clone();
        let offers = own.offers();
        let needs: BTreeMap<[u8; 32], [u8; 32]> =
            offers.iter().map(|offer| (offer.manifest.0, fingerprint(offer.packs.iter().copied()))).collect();
        for step in Backlog::of(offers, there, |manifest| signed.contains_key(&manifest.0)).steps {
            match step {
                Step::Put { class, id, .. } => self.put(&own, class, id, &mut round)?,
                Step::Accept(manifest) => self.accept(SnapshotRef { manifest, packs: needs[&manifest.0] })?,
            }
        }
        Ok(round)
    }

    fn lacks(&mut self, class: Class, mine: &[[u8; 32]]) -> Result<BTreeSet<[u8; 32]>, Cut> {
        let mut search = Search::of(class, mine);
        while let Some(asked) = search.question() {
            self.line.ask(&asked.encode())?;
            let asked = Survey::decode(&asked.encode()).unwrap();
            let answer = encode_answer(&self.tenant().survey(&asked));
            search.answered(&asked, decode_answer(&answer, &asked).unwrap());
        }
        Ok(search.lacks())
    }

    fn put(&mut self, own: &Own, class: Class, id: [u8; 32], round: &mut Round) -> Result<(), Cut> {
        let Ok((bytes, _)) = own.pool.read_object(name(class, id)) else {
            round.unread.insert(name(class, id));
            return Ok(());
        };
        self.line.ask(&[])?;
        let from = self.begun.get(&id).copied().unwrap_or(0);
        match self.line.pass(bytes.len() - from) {
            Ok(()) => self.begun.remove(&id),
            Err(came) => {
                self.begun.insert(id, from + came);
                return Err(Cut);
            }
        };
        let now = self.moment();
        self.tenant().put(class, id, &bytes, now).unwrap();
        Ok(())
    }

    fn accept(&mut self, asked: SnapshotRef) -> Result<(), Cut> {
        self.line.ask(&asked.encode())?;
        let now = self.moment();
        match self.tenant().accept(&SnapshotRef::decode(&asked.encode()).unwrap(), now, |bytes| receipt_key().sign(bytes)) {
            Ok(bytes) => {
                let (receipt, signature) = Receipt::decode(&bytes).unwrap();
                keepwell_crypt::verify(&receipt_key().verify_key(), &receipt.signed(), &signature).unwrap();
                self.signed.insert(receipt.manifest.0, receipt);
            }
            // Something of it can't be read here now.
            Err(Refused::Missing(_) | Refused::NotHere) => {}
            Err(other) => panic!("{other}"),
        }
        Ok(())
    }

    /// Sends until all is there, whatever is cut. `allowance` says after how many bytes each line ends.
    pub(crate) fn send(&mut self, mut allowance: impl FnMut() -> Option<u64>) -> Round {
        loop {
            self.line.cut = allowance();
            if let Ok(round) = self.round() {
                return round;
            }
        }
    }

    /// A day's challenge: what was not proven. It is sent again after the last answer.
    pub(crate) fn challenge(&mut self, seed: [u8; 32]) -> BTreeSet<ObjectName> {
        let own = self.own();
        let known: Vec<Known> = own.covered(self.signed.keys()).into_iter().chain(own.few()).collect();
        let asked = sample(&known, sample_size(FOUND.0, FOUND.1), seed);
        self.line.cut = None;
        let mut lost = BTreeSet::new();
        for asked in asked.chunks(MAX_ASKED) {
            let challenge = Challenge { nonce: seed, asked: asked.to_vec() };
            self.line.ask(&challenge.encode()).unwrap();
            let answer = self.tenant().answer(&challenge).unwrap().encode();
            lost.extend(Answer::decode(&answer, &challenge).unwrap().lost(&challenge).iter().map(|one| (one.class, one.id)));
        }
        let mut round = Round::default();
        for (class, id) in &lost {
            self.put(&own, *class, *id, &mut round).unwrap();
        }
        lost.into_iter().map(|(class, id)| name(class, id)).collect()
    }

    /// Reads all of the vault, and takes back from the receiver what it lost. Answers what was healed, and what could not be.
    pub(crate) fn heal(&mut self) -> (BTreeSet<ObjectName>, BTreeSet<ObjectName>) {
        let (mut healed, mut left) = self.heal_once();
        // Which packs a snapshot needs is known when its manifest is back.
        while healed.iter().any(|name| name.class == Kept::Manifest) {
            let (more, still) = self.heal_once();
            left = still;
            if more.is_empty() {
                break;
            }
            healed.extend(more);
        }
        (healed, left)
    }

    fn heal_once(&mut self) -> (BTreeSet<ObjectName>, BTreeSet<ObjectName>) {
        let mut cursor = ScrubCursor::new(0);
        let report = self.vault().scrub(&mut cursor, u64::MAX, 0, &NoProgress).unwrap();
        let found: BTreeSet<String> = report.lost.into_iter().map(|trouble| trouble.object).collect();
        let mut lost: BTreeSet<ObjectName> = self.vault().lost_objects().unwrap().into_iter().collect();
        // Of what is forgotten, a scrub names what is left of it.
        assert!(lost.iter().all(|name| found.contains(&name.to_string())), "a scrub names what the pool has noted: {found:?} {lost:?}");
        lost.extend(self.vault().lost_manifests().unwrap());
        lost.extend(self.lacking());
        let (mut healed, mut left) = (BTreeSet::new(), BTreeSet::new());
        // What says that a snapshot is forgotten comes before snapshots.
        let (first, then): (Vec<_>, Vec<_>) = lost.into_iter().partition(|name| name.class == Kept::Tombstone);
        for name in first.into_iter().chain(then) {
            if !self.vault().lacks(name).unwrap() {
                continue;
            }
            let class = Class::ALL.into_iter().find(|class| kept(*class) == name.class).unwrap();
            let tenant = self.tenant();
            let bytes =
                tenant.length(class, name.id.0).and_then(|length| tenant.read(class, name.id.0, 0, usize::try_from(length).unwrap()));
            match bytes {
                Ok(bytes) => {
                    assert_eq!(self.vault().heal(name, &bytes).unwrap(), Healed::Whole, "{name}");
                    healed.insert(name);
                }
                Err(Refused::NotHere) => drop(left.insert(name)),
                Err(other) => panic!("{name}: {other}"),
            }
        }
        (healed, left)
    }

    /// What the disks here show nothing of, as far as receipts say so and the receiver has it.
    fn lacking(&mut self) -> BTreeSet<ObjectName> {
        let own = self.own();
        let mut needs = SeqRanges::new();
        let mut lacking = BTreeSet::new();
        for receipt in self.signed.values() {
            match own.manifests.get(&receipt.manifest.0) {
                None => drop(lacking.insert(name(Class::Manifest, receipt.manifest.0))),
                Some(manifest) => {
                    let here = own.packs_of(&manifest.needs);
                    if (here.len() as u64, here.iter().map(|pack| pack.length).sum()) != (receipt.packs, receipt.bytes) {
                        needs.union(&manifest.needs);
                    }
                }
            }
        }
        let there = decode_packs(&encode_packs(&self.tenant().packs(0, 16_384))).unwrap();
        let gone = there.into_iter().filter(|pack| needs.contains(pack.seq) && !own.packs.contains_key(&pack.seq.0));
        lacking.extend(gone.map(|pack| name(Class::Pack, pack.id.0)));
        lacking
    }

    /// What the receiver does by itself: objects that lack shards get them, as far as its directories show.
    pub(crate) fn tend_far(&mut self) {
        let pool = self.tenant().pool();
        for name in pool.unsettled() {
            pool.repair_with(name, Narrowing::ToSave).unwrap();
        }
    }

    /// What of all that was signed for the receiver does not give back just as it is here.
    pub(crate) fn not_given_back(&mut self) -> BTreeSet<ObjectName> {
        let own = self.own();
        let mut wrong = BTreeSet::new();
        for known in own.covered(self.signed.keys()) {
            let given = self.tenant().read(known.class, known.id, 0, usize::try_from(known.length).unwrap());
            if !given.is_ok_and(|bytes| ObjectId::of(&bytes).0 == known.id) {
                wrong.insert(name(known.class, known.id));
            }
        }
        wrong
    }

    /// What snapshots can't be restored just as they were, and why.
    pub(crate) fn not_restored(&self, trees: &[Tree]) -> Vec<String> {
        let snapshots = match self.vault().snapshots() {
            Ok(snapshots) => snapshots,
            Err(error) => return vec![error.to_string()],
        };
        let here: BTreeSet<u64> = snapshots.iter().map(|snapshot| snapshot.sequence).collect();
        let gone = (1..=trees.len() as u64).filter(|number| !here.contains(number)).map(|number| format!("snapshot {number} is gone"));
        let wrong = |snapshot: &keepwell_vault::Snapshot| {
            let tree = trees.get(usize::try_from(snapshot.sequence).ok()?.checked_sub(1)?)?;
            crate::world::difference(self.vault(), snapshot, tree).map(|why| format!("snapshot {}: {why}", snapshot.sequence))
        };
        gone.chain(snapshots.iter().filter_map(wrong)).collect()
    }

    /// Whether the vault's own check finds nothing.
    pub(crate) fn verify(&self) -> Result<keepwell_vault::VerifyReport, VaultError> {
        self.vault().verify(false, &NoProgress)
    }
}

pub(crate) fn name(class: Class, id: [u8; 32]) -> ObjectName {
    ObjectName { class: kept(class), id: ObjectId(id) }
}

/// The vault without a key, as its disks show it.
pub(crate) struct Own {
    pub(crate) pool: Pool,
    pub(crate) packs: BTreeMap<u64, PackRef>,
    pub(crate) manifests: BTreeMap<[u8; 32], Manifest>,
    lengths: BTreeMap<[u8; 32], u64>,
}

impl Own {
    fn look(pool: Pool) -> Self {
        let mut own = Self { pool, packs: BTreeMap::new(), manifests: BTreeMap::new(), lengths: BTreeMap::new() };
        for id in own.pool.objects(Kept::Pack) {
            let name = ObjectName { class: Kept::Pack, id };
            let read = own.pool.len(name).and_then(|length| Ok((length, own.pool.read_range(name, 0, PackHeader::LEN)?)));
            if let Ok((length, header)) = read
                && let Ok(header) = PackHeader::decode(&header)
            {
                own.packs.insert(header.seq.0, PackRef { seq: header.seq, id: PackId(id.0), length });
            }
        }
        for id in own.pool.objects(Kept::Manifest) {
            if let Ok((bytes, _)) = own.pool.read_object(ObjectName { class: Kept::Manifest, id }) {
                own.manifests.insert(id.0, Manifest::decode(&bytes).unwrap());
                own.lengths.insert(id.0, bytes.len() as u64);
            }
        }
        own
    }

    fn ids(&self, class: Class) -> Vec<[u8; 32]> {
        self.pool.objects(kept(class)).into_iter().map(|id| id.0).collect()
    }

    pub(crate) fn packs_of(&self, needs: &SeqRanges) -> Vec<PackRef> {
        needs.ranges().iter().flat_map(|range| self.packs.range(range.clone())).map(|(_, pack)| *pack).collect()
    }

    /// Objects that receipts for these cover, as far as they are here.
    pub(crate) fn covered<'a>(&self, manifests: impl Iterator<Item = &'a [u8; 32]>) -> Vec<Known> {
        let (mut needs, mut covered) = (SeqRanges::new(), Vec::new());
        for (id, manifest) in manifests.filter_map(|id| Some((id, self.manifests.get(id)?))) {
            needs.union(&manifest.needs);
            covered.push(Known { class: Class::Manifest, id: *id, length: self.lengths[id] });
        }
        covered.extend(self.packs_of(&needs).into_iter().map(|pack| Known { class: Class::Pack, id: pack.id.0, length: pack.length }));
        covered
    }

    /// What opens the rest.
    fn few(&self) -> Vec<Known> {
        let of = |class| self.ids(class).into_iter().map(move |id| (class, id));
        let few = [Class::Slots, Class::Keyring, Class::Tombstone].into_iter().flat_map(of);
        few.filter_map(|(class, id)| Some(Known { class, id, length: self.pool.len(name(class, id)).ok()? })).collect()
    }

    fn offers(&self) -> Vec<Offer> {
        let offer = |(id, manifest): (&[u8; 32], &Manifest)| Offer {
            manifest: SnapshotId(*id),
            length: self.lengths[id],
            sequence: manifest.sequence,
            share: "share".to_owned(),
            tier: 1,
            packs: self.packs_of(&manifest.needs),
        };
        self.manifests.iter().map(offer).collect()
    }
}
