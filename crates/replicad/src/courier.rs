//! What goes to one receiver: round after round, each from where the last one ended. Owns the verified receipts and what is told of the way there; decides by them alone what is safe.

mod heeding;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::hex;
use keepwell_api::offsite::{ChallengeTold, Failure, Receiver as Told, Signed};
use keepwell_link::{Caller, LinkError, Pacer};
use keepwell_offsite::Backlog;
use keepwell_offsite::sampling::{FOUND, Known, sample, sample_size};
use keepwell_wire::{KeyName, Receipt, name};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::ear::Ear;
use crate::house::House;
use crate::own::{Own, Wanted};
use crate::sender::{Listener as _, SendError, Sender, Sent, Store as _};
use crate::store::{Happened, KnownRow, ReceiverRow, StoreError};
use crate::way::Way;
use heeding::Heeded;

/// Without a sign of life for so long, a line is given up.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// A round without a reason of its own.
const ROUND: Duration = Duration::from_secs(3600);
/// After a round that came to nothing, at first and at last.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Between two challenges, in seconds.
const DAY: i64 = 86_400;
/// What is kept of a receiver from one start to the next, and may be lost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Notes {
    contact_at: Option<i64>,
    failure: Option<Failure>,
    challenge: Option<ChallengeTold>,
    /// Key slots, keyrings and tombstones that it has.
    few: Vec<KnownRow>,
    heeded: Heeded,
}

#[derive(Default)]
struct Progress {
    notes: Notes,
    /// Snapshots with a receipt that still binds the receiver.
    signed: HashMap<[u8; 32], Receipt>,
    /// Number and hash of the last receipt.
    last: Option<(u64, [u8; 32])>,
    busy: bool,
    way: Way,
}

/// One receiver.
pub struct Courier {
    row: ReceiverRow,
    bell: Notify,
    pacer: Arc<Pacer>,
    progress: Mutex<Progress>,
    /// Another one goes there in its place.
    retired: AtomicBool,
    /// A person wants a challenge now.
    wants_proof: AtomicBool,
}

/// Why a round ended.
enum End {
    Done,
    /// Something more urgent came.
    Anew,
}

impl Courier {
    /// Takes up what is known of a receiver. Receipts that bind it no more go.
    pub(crate) fn take_up(house: &House, row: ReceiverRow) -> Result<Arc<Self>, StoreError> {
        let name = KeyName(row.name);
        let receipts = house.store.receipts(name)?;
        let newest = receipts.last().map(|(receipt, signature)| (receipt.number, *blake3::hash(&receipt.encode(signature)).as_bytes()));
        let elapsed = receipts.last().map_or(0, |(receipt, _)| receipt.elapsed);
        let binds = |receipt: &Receipt| receipt.kept_until > elapsed || newest.is_some_and(|(number, _)| number == receipt.number);
        let over: Vec<u64> = receipts.iter().filter(|(receipt, _)| !binds(receipt)).map(|(receipt, _)| receipt.number).collect();
        house.store.drop_receipts(name, &over)?;
        let signed = receipts.into_iter().filter(|(receipt, _)| binds(receipt)).map(|(receipt, _)| (receipt.manifest.0, receipt)).collect();
        let notes = house.store.document(&document(name))?.unwrap_or_default();
        let progress = Progress { notes, signed, last: newest, ..Progress::default() };
        Ok(Arc::new(Self {
            row,
            bell: Notify::new(),
            pacer: Arc::default(),
            progress: Mutex::new(progress),
            retired: AtomicBool::new(false),
            wants_proof: AtomicBool::new(false),
        }))
    }

    /// Name of its key.
    pub fn name(&self) -> KeyName {
        KeyName(self.row.name)
    }

    /// How fast it sends.
    pub(crate) fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// There is something to send, or somebody wants it sent now.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// A person wants to know whether it has what it signed for.
    pub(crate) fn ask_for_proof(&self) {
        self.wants_proof.store(true, Ordering::Release);
        self.ring();
    }

    /// Ends after the round that is under way.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.ring();
    }

    /// Goes on until the program ends, or another one goes there.
    pub(crate) async fn run(self: Arc<Self>, house: Arc<House>) {
        let mut wait = Duration::ZERO;
        let mut again = AGAIN.0;
        loop {
            let _ = tokio::time::timeout(wait, self.bell.notified()).await;
            if self.retired.load(Ordering::Acquire) {
                return;
            }
            if house.wanted().is_none() {
                // vaultd hands over soon.
                wait = ROUND;
                continue;
            }
            let (courier, home, runtime) = (Arc::clone(&self), Arc::clone(&house), tokio::runtime::Handle::current());
            let began = Instant::now();
            // Disks are waited for on a thread of its own.
            let done = tokio::task::spawn_blocking(move || runtime.block_on(courier.round(&home))).await;
            wait = match done.unwrap_or_else(|error| Err(SendError::Own(error.to_string()))) {
                Ok(end) => {
                    again = AGAIN.0;
                    self.ended(&house, None);
                    if matches!(end, End::Anew) { Duration::ZERO } else { ROUND }
                }
                Err(error) => {
                    self.ended(&house, Some(&error));
                    // A line that held for longer than it was waited for has brought something over: it is bad, and not gone.
                    if matches!(error, SendError::Link(LinkError::Cut(_))) && began.elapsed() > again {
                        again = AGAIN.0;
                    }
                    let pause = again;
                    again = (again * 2).min(AGAIN.1);
                    pause
                }
            };
        }
    }

    async fn round(&self, house: &House) -> Result<End, SendError> {
        let Some((wanted, version)) = house.wanted() else { return Ok(End::Done) };
        let wanted = self.still_wanted(wanted);
        self.lock().busy = true;
        let pool = house.shelves.own().map_err(|error| SendError::Own(keepwell_api::error::chain(&error)))?;
        if pool.vault() != self.row.vault {
            return Err(SendError::Own("the disks hold another vault than the one that was paired".into()));
        }
        let (vault, all, promised) = house.remembering(|remembered| {
            let mut vault = Own::look(pool, remembered);
            let signed = self.signed();
            let all = vault.take_on(&wanted, remembered, |manifest| signed.contains(manifest));
            let promised = vault.covered(self.lasting().iter(), remembered);
            (vault, all, promised)
        });
        let known: Vec<Known> = promised.into_iter().chain(self.few_there(&vault)).collect();
        let ear = Ear::new(self, house, &wanted, version, &known, vault.offers());
        // As far as it can be told from here, for as long as nobody answers.
        ear.planned(&Backlog::of(vault.offers(), |class, id| ear.is_promised(class, id), |_| false));
        let pacer = Arc::clone(&self.pacer);
        let caller = Caller::connect_paced(&self.row.address, &house.identity, self.name(), SILENCE, pacer).await?;
        self.lock().notes.contact_at = Some(house.world.wall());
        let sender = Sender::new(&caller, &vault).heard_by(&ear);
        let mut sent = Sent::default();
        if self.heed(house, &caller).await? {
            return Ok(End::Anew);
        }
        let Some(news) = self.news(house, &sender).await? else { return Ok(End::Anew) };
        self.catch_up(house, &sender, news).await?;
        if (self.is_due(house) || self.wants_proof.load(Ordering::Acquire)) && !known.is_empty() {
            self.challenge(house, &sender, &known, &mut sent).await?;
        }
        self.lock().way.start();
        sender.round(&self.signed(), &mut sent).await?;
        if !ear.goes_on() || !all {
            return Ok(End::Anew);
        }
        let few: Vec<Known> = vault.few();
        self.lock().notes.few = few.iter().copied().map(KnownRow::from).collect();
        // The first one as soon as there is something to ask for.
        let signed = self.signed();
        let never = self.lock().notes.challenge.is_none();
        if never && !signed.is_empty() {
            let covered = house.remembering(|remembered| vault.covered(self.lasting().iter(), remembered));
            let known: Vec<Known> = covered.into_iter().chain(few).collect();
            self.challenge(house, &sender, &known, &mut sent).await?;
        }
        Ok(End::Done)
    }

    /// Receipts behind the last one that is known. None where it no longer has that one: somebody put an older state of it back. What those receipts were for that it lacks is lost, as far as it is
    /// concerned, and is sent again for new ones.
    async fn news(&self, house: &House, sender: &Sender<'_, Own>) -> Result<Option<Vec<(Receipt, [u8; 64])>>, SendError> {
        let last = self.lock().last;
        let Some((number, hash)) = last else { return sender.receipts(0).await.map(Some) };
        let hash_of = |(receipt, signature): &(Receipt, [u8; 64])| *blake3::hash(&receipt.encode(signature)).as_bytes();
        // It keeps the newest one for ever; of others behind it, it may have let this one go.
        let mut there = sender.receipts(number - 1).await?;
        match there.first() {
            Some(first) if first.0.number > number => return Ok(Some(there)),
            Some(first) if hash_of(first) == hash => {
                there.remove(0);
                return Ok(Some(there));
            }
            _ => {}
        }
        let mut theirs = HashSet::new();
        let mut after = 0;
        loop {
            let more = sender.receipts(after).await?;
            let Some((last, _)) = more.last().filter(|(last, _)| last.number > after) else { break };
            after = last.number;
            theirs.extend(more.iter().map(hash_of));
        }
        let own = |error| SendError::Own(keepwell_api::error::chain(&error));
        let ours = house.store.receipts(self.name()).map_err(own)?;
        let (there, gone): (Vec<_>, Vec<_>) = ours.into_iter().partition(|one| theirs.contains(&hash_of(one)));
        if gone.is_empty() {
            return Err(SendError::Nonsense("it gives other receipts than it was asked for".into()));
        }
        tracing::error!(receiver = %self.name(), lost = gone.len(), "the other box has lost receipts that it gave: what they were for is sent again");
        self.has_lost(house.world.wall());
        self.keep(house, &self.event(house, "loss").with("receipts", gone.len()));
        house.store.drop_receipts(self.name(), &gone.iter().map(|(receipt, _)| receipt.number).collect::<Vec<_>>()).map_err(own)?;
        let mut progress = self.lock();
        progress.last = there.last().map(|one| (one.0.number, hash_of(one)));
        for (receipt, _) in &gone {
            progress.signed.remove(&receipt.manifest.0);
        }
        Ok(None)
    }

    /// Takes receipts that were given and did not arrive: these, and what there is behind them.
    async fn catch_up(&self, house: &House, sender: &Sender<'_, Own>, mut more: Vec<(Receipt, [u8; 64])>) -> Result<(), SendError> {
        while !more.is_empty() {
            let after = self.lock().last.map_or(0, |(number, _)| number);
            for (receipt, signature) in more {
                self.take(house, &receipt, &signature)?;
            }
            let last = self.lock().last.map_or(0, |(number, _)| number);
            if last == after {
                return Err(SendError::Nonsense("it gives receipts again that it was not asked for".into()));
            }
            more = sender.receipts(last).await?;
        }
        Ok(())
    }

    /// Checks a receipt, and keeps it.
    pub(crate) fn take(&self, house: &House, receipt: &Receipt, signature: &[u8; 64]) -> Result<(), SendError> {
        let bad = |why: &str| {
            house.note(&self.event(house, "chain").with("why", why).with("number", receipt.number));
            Err(SendError::Nonsense(why.to_owned()))
        };
        if keepwell_crypt::verify(&self.row.receipt_key, &receipt.signed(), signature).is_err() {
            return bad("a receipt is not signed by the key that was paired");
        }
        if receipt.receiver != self.name() || receipt.vault.0 != self.row.vault {
            return bad("a receipt is for another box or vault");
        }
        if receipt.kept_until - receipt.elapsed < self.lock().notes.heeded.floor(self.row.floor) {
            return bad("a receipt promises less than was agreed on");
        }
        let (last, known) = {
            let progress = self.lock();
            (progress.last, progress.signed.get(&receipt.manifest.0).cloned())
        };
        if known.as_ref() == Some(receipt) {
            return Ok(());
        }
        match last {
            Some((number, _)) if receipt.number <= number && self.has_number(receipt.number) => {
                return bad("a receipt has a number that another one has");
            }
            Some((number, hash)) if receipt.number == number + 1 && receipt.previous != hash => {
                return bad("a receipt does not follow the one before it");
            }
            _ => {}
        }
        let snapshot = hex::encode(&receipt.manifest.0);
        let event = self.event(house, "receipt").with("snapshot", snapshot).with("number", receipt.number).with("bytes", receipt.bytes);
        house.store.put_receipt(receipt, signature, &event).map_err(|error| SendError::Own(keepwell_api::error::chain(&error)))?;
        let hash = *blake3::hash(&receipt.encode(signature)).as_bytes();
        let mut progress = self.lock();
        // An older one binds nobody any more, and was dropped here: what it is for is there all the same.
        if last.is_none_or(|(number, _)| receipt.number > number) {
            progress.last = Some((receipt.number, hash));
        }
        progress.signed.insert(receipt.manifest.0, receipt.clone());
        Ok(())
    }

    fn has_number(&self, number: u64) -> bool {
        let progress = self.lock();
        progress.last.is_some_and(|(last, _)| last == number) || progress.signed.values().any(|receipt| receipt.number == number)
    }

    /// What is to be there, without what an order let go.
    fn still_wanted(&self, wanted: Arc<Vec<Wanted>>) -> Arc<Vec<Wanted>> {
        let progress = self.lock();
        let heeded = &progress.notes.heeded;
        if heeded.gone.is_empty() {
            return wanted;
        }
        Arc::new(wanted.iter().filter(|one| !heeded.has_let_go(&one.manifest)).cloned().collect())
    }

    /// Asks for slices of what is promised; what is not proven is told first, and sent again after the last answer.
    async fn challenge(&self, house: &House, sender: &Sender<'_, Own>, known: &[Known], sent: &mut Sent) -> Result<(), SendError> {
        let random = || {
            let mut bytes = [0; 32];
            house.world.random(&mut bytes).map(|()| bytes)
        };
        let seed = random().map_err(|error| SendError::Own(error.to_string()))?;
        let asked = sample(known, sample_size(FOUND.0, FOUND.1), seed);
        let lost = sender.challenge(&asked, random).await?;
        let at = house.world.wall();
        let event = self.event(house, "challenge").with("asked", asked.len()).with("lost", lost.len());
        {
            let mut progress = self.lock();
            let before = progress.notes.challenge.as_ref().and_then(|before| before.lost_at);
            let lost_at = if lost.is_empty() { before } else { Some(at) };
            progress.notes.challenge = Some(ChallengeTold { at, asked: asked.len() as u64, lost: lost.len() as u64, mended: 0, lost_at });
        }
        self.wants_proof.store(false, Ordering::Release);
        self.keep(house, &event);
        if !lost.is_empty() {
            tracing::error!(receiver = %self.name(), lost = lost.len(), "the other box has lost what it signed for; it is sent again");
            let objects: Vec<_> = lost.iter().map(|one| (one.class, one.id)).collect();
            sender.mend(&objects, sent).await?;
            if let Some(told) = &mut self.lock().notes.challenge {
                told.mended = objects.len() as u64;
            }
            self.keep(house, &self.event(house, "mended").with("objects", objects.len()));
        }
        Ok(())
    }

    fn is_due(&self, house: &House) -> bool {
        let last = self.lock().notes.challenge.as_ref().map(|challenge| challenge.at);
        // A clock that was set back is no reason to wait.
        last.is_some_and(|at| (house.world.wall() - at).abs() >= DAY)
    }

    /// What a round has come to.
    fn ended(&self, house: &House, error: Option<&SendError>) {
        let at = house.world.wall();
        let failure = error.map(|error| Failure { at, code: code(error), text: keepwell_api::error::chain(error) });
        let new = {
            let mut progress = self.lock();
            progress.busy = false;
            let before = std::mem::replace(&mut progress.notes.failure, failure.clone());
            failure.filter(|now| before.is_none_or(|before| before.code != now.code))
        };
        let Some(failure) = new else { return self.keep_notes(house) };
        tracing::warn!(receiver = %self.name(), code = failure.code, error = failure.text, "not everything is at the other box; it is tried again");
        // A line that is down is no event; one that leads to somebody else is.
        if matches!(failure.code.as_str(), "unreachable" | "cut") {
            return self.keep_notes(house);
        }
        self.keep(house, &self.event(house, "failure").with("failure", &failure.code));
    }

    pub(crate) fn keep(&self, house: &House, event: &Happened) {
        house.note(event);
        self.keep_notes(house);
    }

    fn keep_notes(&self, house: &House) {
        let notes = self.lock().notes.clone();
        if let Err(error) = house.store.set(&document(self.name()), &notes) {
            tracing::error!(error = keepwell_api::error::chain(&error), "what is known of a receiver could not be kept");
        }
    }

    pub(crate) fn event(&self, house: &House, code: &'static str) -> Happened {
        Happened::new(house.world.wall(), code).with("receiver", self.name())
    }

    fn signed(&self) -> BTreeSet<[u8; 32]> {
        self.lock().signed.keys().copied().collect()
    }

    fn few_there(&self, vault: &Own) -> Vec<Known> {
        // What this box has dropped itself, such as older key slots, it can't send again: nobody is asked for it.
        let here: HashSet<[u8; 32]> = vault.few().iter().map(|known| known.id).collect();
        self.lock().notes.few.iter().filter_map(KnownRow::known).filter(|known| here.contains(&known.id)).collect()
    }

    /// It is told with the last challenge, whoever found it.
    pub(crate) fn has_lost(&self, at: i64) {
        if let Some(told) = &mut self.lock().notes.challenge {
            told.lost_at = Some(at);
        }
    }

    /// What is known of the way there changes.
    pub(crate) fn on_the_way<T>(&self, change: impl FnOnce(&mut Way) -> T) -> T {
        change(&mut self.lock().way)
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told of it.
    pub(crate) fn told(&self, house: &House) -> Told {
        let (limits, now) = (house.timetable(), house.world.wall());
        let wanted = house.wanted().map(|(wanted, _)| self.still_wanted(wanted)).unwrap_or_default();
        let progress = self.lock();
        Told {
            name: self.name().to_string(),
            receipt_key: hex::encode(&self.row.receipt_key),
            place: self.row.place.clone(),
            address: self.row.address.clone(),
            words: name::words(house.identity.name(), self.name()).join(" "),
            paired_at: self.row.paired_at,
            quota_bytes: self.row.quota,
            floor_s: self.row.floor,
            busy: progress.busy,
            signed: newest(&wanted, &progress.signed),
            receipts: progress.signed.len() as u64,
            waiting: wanted.iter().filter(|one| !progress.signed.contains_key(&one.manifest)).count() as u64,
            backlog: progress.way.left(&limits, now),
            rate: progress.way.rate(),
            held_to: self.pacer.rate(),
            contact_at: progress.notes.contact_at,
            failure: progress.notes.failure.clone(),
            challenge: progress.notes.challenge.clone(),
            second_key: progress.notes.heeded.second_key.clone(),
            orders: progress.notes.heeded.orders.clone(),
        }
    }
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("receiver", &self.name()).finish_non_exhaustive()
    }
}

/// The newest snapshot of each share that was signed for. vaultd names the newest first.
fn newest(wanted: &[Wanted], signed: &HashMap<[u8; 32], Receipt>) -> Vec<Signed> {
    let mut shares = HashSet::new();
    let there = wanted.iter().filter_map(|one| Some((one, signed.get(&one.manifest)?)));
    let first = there.filter(|(one, _)| shares.insert(&one.offered.share));
    let told = |(one, receipt): (&Wanted, &Receipt)| Signed {
        share: one.offered.share.clone(),
        tier: one.offered.tier,
        snapshot: one.offered.snapshot.clone(),
        taken_at: one.offered.taken_at,
        received_at: receipt.received,
    };
    first.map(told).collect()
}

pub(crate) fn document(name: KeyName) -> String {
    format!("receiver-{name}")
}

fn code(error: &SendError) -> String {
    match error {
        SendError::Link(LinkError::Unreachable { .. }) => "unreachable".into(),
        SendError::Link(LinkError::OtherKey { .. }) => "other-key".into(),
        SendError::Link(LinkError::Handshake { .. }) => "handshake".into(),
        SendError::Link(LinkError::Cut(_)) => "cut".into(),
        SendError::Refused { code, .. } => code.clone(),
        SendError::Nonsense(_) => "nonsense".into(),
        SendError::Own(_) => "own".into(),
    }
}
