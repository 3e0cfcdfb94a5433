//! Everything that replicad has, in one place: what its listeners, its couriers and its routes work on together. Holds the box's transport and receipt keys, and no key of a vault.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use keepwell_api::hex;
use keepwell_api::offsite::{CancelOrder, Event, Invite, Invited, Offers, Pace, Pair, Paired, Receipts, Status, TenantTold};
use keepwell_crypt::{Secret, Signer};
use keepwell_link::{Identity, IdentityError};
use keepwell_offsite::{Elapsed, Moment, Reading};
use keepwell_wire::recover::RecoverSecret;
use keepwell_wire::shorten::{OrderId, OrderSecret};
use keepwell_wire::{Invitation, KeyName, Token, name};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use zeroize::{Zeroize as _, Zeroizing};

use crate::courier::Courier;
use crate::error::Error;
use crate::own::{Remembered, Wanted};
use crate::pairing::{GOOD_FOR, Invitations, Offered};
use crate::refusals::{Refusals, Returned};
use crate::shelves::Shelves;
use crate::store::{Happened, Store, TenantRow, digits};
use crate::succession::Challenges;
use crate::world::World;
use crate::{MemoryLimits, Receiver, Spool, line, meeting};

/// Bytes of beginnings that are kept of one tenant.
const SPOOL: u64 = 1 << 30;
/// Longest name of a place or a practice.
const NAME_MAX: usize = keepwell_wire::pairing::MAX_NAME;

/// Document: both keys of this box.
pub(crate) const KEYS: &str = "keys";
/// Document: whether it keeps for others.
const RECEIVING: &str = "receiving";
/// Document: elapsed time.
const ELAPSED: &str = "elapsed";

#[derive(Serialize, Deserialize)]
pub(crate) struct Keys {
    /// PEM.
    pub(crate) transport: String,
    #[serde(with = "digits")]
    pub(crate) receipt: [u8; 32],
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.transport.zeroize();
        self.receipt.zeroize();
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct ElapsedRow {
    total: u64,
    #[serde(with = "digits")]
    boot: [u8; 16],
    since_boot: u64,
}

/// Where it listens for other boxes.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    pub(crate) at: Option<SocketAddr>,
    pub(crate) failed: Option<String>,
}

/// Everything.
pub struct House {
    pub(crate) store: Store,
    pub(crate) world: Arc<dyn World>,
    pub(crate) identity: Identity,
    pub(crate) receipt_key: [u8; 32],
    pub(crate) shelves: Shelves,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) invitations: Mutex<Invitations>,
    pub(crate) challenges: Mutex<Challenges<RecoverSecret>>,
    pub(crate) orders: Mutex<Challenges<OrderSecret>>,
    refusals: Mutex<Refusals>,
    returned: Mutex<Returned>,
    pub(crate) listening: Mutex<Listening>,
    pub(crate) receiving: watch::Sender<bool>,
    /// Its key is another one than this program began with.
    pub(crate) other_key: watch::Sender<bool>,
    elapsed: Arc<Mutex<Elapsed>>,
    wanted: RwLock<Option<Arc<Vec<Wanted>>>>,
    version: AtomicU64,
    remembered: Mutex<Remembered>,
    /// What may be sent, and when.
    pub(crate) pace: Mutex<Pace>,
    couriers: Mutex<BTreeMap<KeyName, Arc<Courier>>>,
    start: String,
}

impl House {
    /// Takes up where the program before left; makes keys at the first start.
    pub fn start(state: &Path, pool: &Path, world: Arc<dyn World>) -> Result<Arc<Self>, Error> {
        let store = Store::open(state)?;
        let keys = keys(&store, world.as_ref())?;
        let identity = Identity::of(&keys.transport)?;
        let signer = Signer::from_seed(&Secret::from_bytes(keys.receipt));
        let receipt_key = signer.verify_key();
        let elapsed = Arc::new(Mutex::new(elapsed(&store, world.reading())?));
        let spool = Spool::at(state.join("spool"), SPOOL, MemoryLimits::default()).map_err(Error::Own)?;
        let (ticking, machine) = (Arc::clone(&elapsed), Arc::clone(&world));
        let clock = Arc::new(move || Moment { wall: machine.wall(), elapsed: lock(&ticking).advance(machine.reading()) });
        let receiver = Arc::new(Receiver::new(identity.name(), spool, clock, move |bytes| signer.sign(bytes)));
        let mut start = [0; 8];
        world.random(&mut start).map_err(Error::Own)?;
        let receiving = store.document(RECEIVING)?.unwrap_or(false);
        let pace = store.document(line::PACE)?.unwrap_or_else(line::usual);
        let house = Arc::new(Self {
            store,
            world,
            identity,
            receipt_key,
            shelves: Shelves::at(pool),
            receiver,
            invitations: Mutex::default(),
            challenges: Mutex::default(),
            orders: Mutex::default(),
            refusals: Mutex::default(),
            returned: Mutex::default(),
            listening: Mutex::default(),
            receiving: watch::Sender::new(receiving),
            other_key: watch::Sender::new(false),
            elapsed,
            wanted: RwLock::default(),
            version: AtomicU64::new(0),
            remembered: Mutex::default(),
            pace: Mutex::new(pace),
            couriers: Mutex::default(),
            start: hex::encode(&start),
        });
        house.receiver.ask_for_new(Arc::new(meeting::Door(Arc::downgrade(&house))));
        for row in house.store.tenants()? {
            house.receiver.expect(KeyName(row.name), row.began);
        }
        for name in house.store.replaced()? {
            house.receiver.refuse(name);
        }
        for row in house.store.receivers()? {
            let courier = Courier::take_up(&house, row)?;
            house.couriers().insert(courier.name(), courier);
        }
        house.keep_pace();
        Ok(house)
    }

    /// Sets all couriers going. In the runtime.
    pub fn set_out(self: &Arc<Self>) {
        let couriers: Vec<_> = self.couriers().values().cloned().collect();
        for courier in couriers {
            tokio::spawn(courier.run(Arc::clone(self)));
        }
    }

    /// How it is.
    pub fn status(&self) -> Result<Status, Error> {
        let couriers: Vec<_> = self.couriers().values().cloned().collect();
        let tenants = self.store.tenants()?.into_iter().map(|row| {
            let name = KeyName(row.name);
            let about = self.receiver.about(name);
            Ok(TenantTold {
                vault: hex::encode(&row.vault),
                practice: row.practice.clone(),
                words: name::words(name, self.identity.name()).join(" "),
                since: row.since,
                quota_bytes: row.quota,
                used_bytes: about.map(|about| about.used),
                snapshots: about.map(|about| about.snapshots),
                received_at: about.and_then(|about| about.received),
                orders: crate::orders::of_tenant(self, &row)?,
                second_key: row.second_key,
                ended_at: row.ended_at,
            })
        });
        let tenants = tenants.collect::<Result<Vec<_>, Error>>()?;
        let listening = lock(&self.listening);
        Ok(Status {
            name: self.identity.name().to_string(),
            start: self.start.clone(),
            listening: listening.at.map(|at| at.to_string()),
            not_listening: listening.failed.clone(),
            invitations: u32::try_from(lock(&self.invitations).count(self.steady())).unwrap_or(u32::MAX),
            handed_over: self.wanted().is_some(),
            receivers: couriers.iter().map(|courier| courier.told(self)).collect(),
            tenants,
            strangers: self.receiver.strangers(),
            last_event: self.store.events(u64::MAX)?.1,
        })
    }

    /// What happened after a number, for the ledger.
    pub fn events_after(&self, after: u64) -> Result<Vec<Event>, Error> {
        Ok(self.store.events(after)?.0)
    }

    /// Switches keeping for others on or off.
    pub fn receive(&self, on: bool) -> Result<(), Error> {
        self.store.set(RECEIVING, &on)?;
        self.receiving.send_replace(on);
        Ok(())
    }

    /// Lets one other box in.
    pub fn invite(&self, order: Invite) -> Result<Invited, Error> {
        let port = order.address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let good = order.address.len() <= 255 && order.address.bytes().all(|byte| byte.is_ascii_graphic());
        if !good || port.is_none_or(|(host, port)| host.is_empty() || port == 0) {
            return Err(Error::Invalid(
                "the address has to be a name or number of this box as the other one finds it, and a port: host:port".into(),
            ));
        }
        if order.place.len() > NAME_MAX || order.place.trim().is_empty() {
            return Err(Error::Invalid(format!("the name of the place has 1 to {NAME_MAX} bytes")));
        }
        if order.quota_bytes == 0 {
            return Err(Error::Invalid("a quota of nothing keeps nothing".into()));
        }
        if order.second_key.as_ref().is_some_and(|key| hex::decode::<32>(key).is_none()) {
            return Err(Error::Invalid("the second organisation's key is none: 64 digits, as 'keepwell order key' prints them".into()));
        }
        // Before anybody can come.
        self.receive(true)?;
        let mut token = Zeroizing::new([0; 16]);
        self.world.random(&mut *token).map_err(Error::Own)?;
        let terms = Offered { quota: order.quota_bytes, place: order.place, second_key: order.second_key };
        lock(&self.invitations).add(Token::from_bytes(*token), terms, self.steady());
        let invitation = Invitation { receiver: self.identity.name(), token: Token::from_bytes(*token), address: order.address };
        let good_for = i64::try_from(GOOD_FOR).unwrap_or(i64::MAX);
        Ok(Invited { invitation: invitation.to_text().into_bytes().into(), expires_at: self.world.wall() + good_for })
    }

    /// Pairs with whoever made an invitation, and begins to send there.
    pub async fn pair(self: &Arc<Self>, order: Pair) -> Result<Paired, Error> {
        let row = meeting::ask(self, &order).await?;
        let name = KeyName(row.name);
        let paired = Paired {
            name: name.to_string(),
            place: row.place.clone(),
            words: name::words(self.identity.name(), name).join(" "),
            quota_bytes: row.quota,
            floor_s: row.floor,
        };
        let courier = Courier::take_up(self, row)?;
        // One that is paired again may have another address: who went to the old one goes there no more.
        if let Some(before) = self.couriers().insert(name, Arc::clone(&courier)) {
            before.retire();
        }
        self.keep_pace();
        tokio::spawn(courier.run(Arc::clone(self)));
        self.send_now();
        Ok(paired)
    }

    /// Has a box that keeps for this one cancel an order.
    pub async fn cancel_order(&self, order: &CancelOrder) -> Result<(), Error> {
        let id = hex::decode(&order.order).ok_or_else(|| Error::Invalid("an order's name is 32 hexadecimal digits".into()))?;
        let name = hex::decode(&order.receiver).ok_or_else(|| Error::Invalid("the name of a key is 64 hexadecimal digits".into()))?;
        let courier = self.couriers().get(&KeyName(name)).cloned().ok_or(Error::NoReceiver)?;
        courier.cancel(self, OrderId(id)).await.map_err(Error::NotCancelled)
    }

    /// What others have signed for.
    pub fn receipts(&self) -> Result<Receipts, Error> {
        let couriers: Vec<_> = self.couriers().values().cloned().collect();
        Ok(Receipts { receivers: couriers.iter().map(|courier| courier.receipts(self)).collect::<Result<_, _>>()? })
    }

    /// Takes over what is to be sent.
    pub fn hand_over(&self, offers: Offers) -> Result<(), Error> {
        let wanted = |offered: keepwell_api::offsite::Offered| {
            let manifest =
                hex::decode(&offered.snapshot).ok_or_else(|| Error::Invalid("a snapshot's id is 64 hexadecimal digits".into()))?;
            Ok(Wanted { manifest, offered })
        };
        let mut wanted: Vec<Wanted> = offers.snapshots.into_iter().map(wanted).collect::<Result<_, Error>>()?;
        wanted.sort_by_key(|one| std::cmp::Reverse(one.offered.taken_at));
        let changed = {
            let mut now = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
            let changed = now.as_ref().is_none_or(|before| **before != wanted);
            *now = Some(Arc::new(wanted));
            changed
        };
        if changed {
            self.version.fetch_add(1, Ordering::AcqRel);
            self.send_now();
        }
        Ok(())
    }

    /// Has everybody look at once.
    pub fn send_now(&self) {
        self.couriers().values().for_each(|courier| courier.ring());
    }

    /// Has everybody prove what they signed for, in the next round.
    pub fn prove_now(&self) {
        self.couriers().values().for_each(|courier| courier.ask_for_proof());
    }

    /// What is to be sent, and its version; none as long as nobody has said.
    pub(crate) fn wanted(&self) -> Option<(Arc<Vec<Wanted>>, u64)> {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        wanted.clone().map(|wanted| (wanted, self.version()))
    }

    /// Rises with what is handed over.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// With what is remembered of objects.
    pub(crate) fn remembering<T>(&self, work: impl FnOnce(&mut Remembered) -> T) -> T {
        work(&mut lock(&self.remembered))
    }

    /// Seconds that nobody sets.
    pub(crate) fn steady(&self) -> u64 {
        self.world.reading().since_boot
    }

    /// Seconds that went by, and keeps them.
    pub(crate) fn tick(&self) -> Result<u64, Error> {
        let now = {
            let mut elapsed = lock(&self.elapsed);
            elapsed.advance(self.world.reading());
            *elapsed
        };
        self.store.set(ELAPSED, &ElapsedRow { total: now.total, boot: now.last.boot, since_boot: now.last.since_boot })?;
        Ok(now.total)
    }

    /// Seconds that went by for a tenant.
    pub(crate) fn elapsed_of(&self, row: &TenantRow) -> u64 {
        lock(&self.elapsed).advance(self.world.reading()).saturating_sub(row.began)
    }

    pub(crate) fn random(&self) -> impl Fn(&mut [u8]) -> io::Result<()> + '_ {
        |bytes| self.world.random(bytes)
    }

    /// Keeps what is to be in the ledger. What can't be kept is logged: what it is about has happened all the same.
    pub(crate) fn note(&self, event: &Happened) {
        if let Err(error) = self.store.happened(event) {
            tracing::error!(error = keepwell_api::error::chain(&error), "what happened could not be kept");
        }
    }

    /// Tells that somebody was refused, as long as they are not too many.
    pub(crate) fn refused(&self, name: KeyName, why: &str) {
        let Some(untold) = lock(&self.refusals).one(self.steady()) else { return };
        tracing::warn!(%name, why, untold, "somebody was refused");
        let event = Happened::new(self.world.wall(), "tenant-refused").with("tenant", name).with("why", why);
        self.note(&if untold > 0 { event.with("untold-before", untold) } else { event });
    }

    /// Tells of keys that lost their place to another box, and call all the same: an old box that runs still, or somebody with its key.
    pub(crate) fn tell_of_replaced(&self) {
        let told = lock(&self.returned).called(self.receiver.take_calls_of_replaced(), self.steady());
        for (name, calls) in told {
            tracing::warn!(%name, calls, "a key called whose place another one has taken; it was refused");
            let event = Happened::new(self.world.wall(), "tenant-refused").with("tenant", name).with("why", "replaced");
            self.note(&event.with("calls", calls));
        }
    }

    pub(crate) fn couriers(&self) -> MutexGuard<'_, BTreeMap<KeyName, Arc<Courier>>> {
        lock(&self.couriers)
    }
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("House").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn keys(store: &Store, world: &dyn World) -> Result<Keys, Error> {
    if let Some(keys) = store.document(KEYS)? {
        return Ok(keys);
    }
    let mut receipt = [0; 32];
    world.random(&mut receipt).map_err(Error::Own)?;
    let keys = Keys { transport: Identity::make()?, receipt };
    store.set(KEYS, &keys)?;
    Ok(keys)
}

fn elapsed(store: &Store, now: Reading) -> Result<Elapsed, Error> {
    let row: Option<ElapsedRow> = store.document(ELAPSED)?;
    let last = |row: ElapsedRow| Elapsed { total: row.total, last: Reading { boot: row.boot, since_boot: row.since_boot } };
    Ok(row.map_or_else(|| Elapsed::from(now), last))
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<IdentityError> for Error {
    fn from(source: IdentityError) -> Self {
        Self::Identity(source)
    }
}
