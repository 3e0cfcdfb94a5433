//! What a receiver answers (`docs/wire.md` 4 to 7, 9, 10). Who asks is a key; it gets at the one tenant that this key is, and at nothing else.

mod no;
mod ordering;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use keepwell_link::Stranger;
use keepwell_offsite::{Moment, Put, Tenant};
use keepwell_storage::ObjectId;
use keepwell_wire::challenge::Challenge;
use keepwell_wire::pairing::Between;
use keepwell_wire::recover::{RecoverProof, RecoverRequest};
use keepwell_wire::shorten::{CancelOrder, GiveOrder, Orders};
use keepwell_wire::snapshots::{MAX_PACKS, SnapshotRef, encode_packs};
use keepwell_wire::survey::{Survey, encode_answer};
use keepwell_wire::uploads::encode_uploads;
use keepwell_wire::{Class, KeyName, MAX_BODY, MAX_OBJECT};
use tokio::time::timeout;

pub use ordering::NotTaken;

use no::No;

use crate::Spool;
use crate::arriving::Arriving;
use crate::refusals::Calls;

/// Without more of an object for so long, what came is put aside: its memory is needed.
const STALLED: Duration = Duration::from_secs(300);
/// Receipts in one answer.
const MAX_RECEIPTS: usize = 1024;

/// Tells the receiver's time; keeping goes by the second part of it.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;
/// Signs receipts.
type Sign = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// Decides who becomes a tenant.
pub trait Admission: Send + Sync {
    /// The answer to a pairing's request; none for one that proves nothing. Blocks.
    fn pair(&self, between: &Between, request: &[u8]) -> Result<Option<Vec<u8>>, NotNow>;
    /// What only the papers of a kit can answer; none where the recipient is none. Blocks.
    fn challenge(&self, between: &Between, request: &RecoverRequest) -> Result<Option<Vec<u8>>, NotNow>;
    /// Whether it is the answer. If it is, the key has taken the place of the vault's before, durably. Blocks.
    fn prove(&self, between: &Between, proof: &RecoverProof) -> Result<bool, NotNow>;
    /// The same as [`Self::challenge`] for somebody who gives or cancels an order. Blocks.
    fn order_challenge(&self, between: &Between, request: &RecoverRequest) -> Result<Option<Vec<u8>>, NotNow>;
    /// Takes an order, durably, or says why not. Blocks.
    fn order(&self, between: &Between, given: &GiveOrder) -> Result<Result<Orders, NotTaken>, NotNow>;
    /// Cancels one, durably, or says why not. Blocks.
    fn cancel(&self, between: &Between, cancelled: &CancelOrder) -> Result<Result<Orders, NotTaken>, NotNow>;
    /// What there is to be said about orders to the tenant with this key; none where there is none. Blocks.
    fn orders(&self, name: KeyName) -> Result<Option<Orders>, NotNow>;
}

/// This box can take nobody in at the moment.
#[derive(Debug, thiserror::Error)]
#[error("this box can't take anybody in now")]
pub struct NotNow;

/// A tenant whom this box keeps for.
#[derive(Clone)]
struct Place {
    /// None as long as the disks with it can't be used.
    tenant: Option<Arc<Mutex<Tenant>>>,
    /// Elapsed seconds of this box when it began.
    began: u64,
    about: Arc<Mutex<Option<About>>>,
}

/// What is kept for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Bytes of objects.
    pub used: u64,
    /// Snapshots that were signed for.
    pub snapshots: u64,
    /// When the last of them came, seconds since 1970.
    pub received: Option<i64>,
}

impl About {
    fn of(tenant: &Tenant) -> Self {
        Self { used: tenant.used(), snapshots: tenant.snapshots() as u64, received: tenant.newest().map(|receipt| receipt.received) }
    }
}

/// All tenants of a box.
pub struct Receiver {
    tenants: RwLock<HashMap<KeyName, Place>>,
    /// Keys whose place another one has taken.
    replaced: RwLock<HashSet<KeyName>>,
    refused: Mutex<Calls>,
    admission: RwLock<Option<Arc<dyn Admission>>>,
    name: KeyName,
    pub(crate) spool: Spool,
    clock: Clock,
    sign: Sign,
}

type Answered = Result<(StatusCode, Vec<u8>), No>;

impl Receiver {
    /// Without a tenant, for the box with this key.
    pub fn new(name: KeyName, spool: Spool, clock: Clock, sign: impl Fn(&[u8]) -> [u8; 64] + Send + Sync + 'static) -> Self {
        Self {
            tenants: RwLock::default(),
            replaced: RwLock::default(),
            refused: Mutex::default(),
            admission: RwLock::default(),
            name,
            spool,
            clock,
            sign: Arc::new(sign),
        }
    }

    /// Who decides about new ones.
    pub fn ask_for_new(&self, admission: Arc<dyn Admission>) {
        *self.admission.write().unwrap_or_else(PoisonError::into_inner) = Some(admission);
    }

    /// From now on this key is this tenant, since the box's elapsed second `began`.
    pub fn admit(&self, name: KeyName, tenant: Tenant, began: u64) {
        self.place(
            name,
            Place { about: Arc::new(Mutex::new(Some(About::of(&tenant)))), tenant: Some(Arc::new(Mutex::new(tenant))), began },
        );
    }

    /// This key is a tenant whose folders can't be used now: it is no stranger.
    pub fn expect(&self, name: KeyName, began: u64) {
        self.place(name, Place { tenant: None, began, about: Arc::default() });
    }

    /// Does something with a tenant, if its folders can be used. Waits for what others do with it.
    pub fn with<T>(&self, name: KeyName, work: impl FnOnce(&mut Tenant, Moment) -> T) -> Option<T> {
        let place = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()?;
        let tenant = place.tenant.as_ref()?;
        Some(work(&mut lock(tenant), self.now(place.began)))
    }

    /// One key takes the place of another, which is refused from now on.
    pub fn replace(&self, old: KeyName, new: KeyName) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = tenants.remove(&old) {
            tenants.insert(new, place);
        }
        let mut replaced = self.replaced.write().unwrap_or_else(PoisonError::into_inner);
        replaced.insert(old);
        replaced.remove(&new);
    }

    /// Another key has taken this one's place before.
    pub fn refuse(&self, name: KeyName) {
        self.replaced.write().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// This key is no tenant any more.
    pub fn dismiss(&self, name: KeyName) {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    /// Whether a tenant's disks can be used now.
    pub fn is_there(&self, name: KeyName) -> bool {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&name).is_some_and(|place| place.tenant.is_some())
    }

    /// Bytes and snapshots that are kept for a tenant, and when the last one came: as of the last time that nothing was under way.
    pub fn about(&self, name: KeyName) -> Option<About> {
        let place = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()?;
        let tenant = place.tenant?;
        let mut known = place.about.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asks how it is does not wait for a challenge to be answered.
        match tenant.try_lock() {
            Ok(tenant) => *known = Some(About::of(&tenant)),
            Err(TryLockError::Poisoned(tenant)) => *known = Some(About::of(&tenant.into_inner())),
            Err(TryLockError::WouldBlock) => {}
        }
        *known
    }

    fn place(&self, name: KeyName, place: Place) {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(name, place);
    }

    fn place_of(&self, name: KeyName) -> Result<Place, No> {
        if self.replaced.read().unwrap_or_else(PoisonError::into_inner).contains(&name) {
            *lock(&self.refused).replaced.entry(name).or_default() += 1;
            return Err(No::new(StatusCode::FORBIDDEN, "replaced", "another box has taken this one's place"));
        }
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        known.ok_or_else(|| {
            lock(&self.refused).strangers += 1;
            No::new(StatusCode::FORBIDDEN, "stranger", "this box is not paired here")
        })
    }

    /// Calls of keys that nobody knows, since the program began.
    pub fn strangers(&self) -> u64 {
        lock(&self.refused).strangers
    }

    /// Calls of keys whose place another one has taken, since they were taken last.
    pub fn take_calls_of_replaced(&self) -> HashMap<KeyName, u64> {
        std::mem::take(&mut lock(&self.refused).replaced)
    }

    fn now(&self, began: u64) -> Moment {
        let now = (self.clock)();
        Moment { elapsed: now.elapsed.saturating_sub(began), ..now }
    }

    /// Lets go memory that nobody needs.
    pub fn rest(&self) {
        self.spool.rest();
    }

    /// Beginnings of objects that nobody came back for go.
    pub fn tidy(&self, now: std::time::SystemTime) -> std::io::Result<()> {
        self.spool.tidy(now)
    }

    /// One request.
    pub async fn answer(self: Arc<Self>, stranger: Stranger, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, headers, body) = match self.route(stranger, request).await {
            Ok((status, body)) => (status, Vec::new(), body),
            Err(no) => {
                let said = serde_json::json!({ "code": no.code, "message": no.message }).to_string().into_bytes();
                let headers =
                    [("keepwell-code", no.code.to_owned())].into_iter().chain(no.header.map(|(name, value)| (name, value.to_string())));
                (no.status, headers.collect(), no.body.unwrap_or(said))
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    async fn route(self: Arc<Self>, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let path = request.uri().path().to_owned();
        match (request.method(), &*path) {
            (&Method::POST, "/v1/pair") => return self.pair(stranger, request).await,
            (&Method::POST, "/v1/recover") => return self.challenge(stranger, request).await,
            (&Method::POST, "/v1/recover/proof") => return self.prove(stranger, request).await,
            (&Method::POST, "/v1/orders/challenge") => return self.order_challenge(stranger, request).await,
            (&Method::POST, "/v1/orders") => return self.give_order(stranger, request).await,
            (&Method::POST, "/v1/orders/cancel") => return self.cancel_order(stranger, request).await,
            _ => {}
        }
        let tenant = self.place_of(stranger.name)?;
        let parts: Vec<&str> = path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
        let method = request.method().clone();
        match (&method, &parts[..]) {
            (&Method::POST, ["survey"]) => {
                let asked = Survey::decode(&small(request).await?).map_err(No::malformed)?;
                self.work(tenant, move |tenant, _| Ok((StatusCode::OK, encode_answer(&tenant.survey(&asked))))).await
            }
            (&Method::POST, ["snapshots"]) => {
                let asked = SnapshotRef::decode(&small(request).await?).map_err(No::malformed)?;
                let sign = Arc::clone(&self.sign);
                self.work(tenant, move |tenant, now| Ok((StatusCode::OK, tenant.accept(&asked, now, |bytes| sign(bytes))?))).await
            }
            (&Method::POST, ["challenge"]) => {
                let asked = Challenge::decode(&small(request).await?).map_err(No::malformed)?;
                self.work(tenant, move |tenant, _| Ok((StatusCode::OK, tenant.answer(&asked)?.encode()))).await
            }
            (&Method::GET, ["packs"]) => {
                let from = number_in(&request, "from=")?;
                self.work(tenant, move |tenant, _| Ok((StatusCode::OK, encode_packs(&tenant.packs(from, MAX_PACKS))))).await
            }
            (&Method::GET, ["receipts"]) => {
                let after = number_in(&request, "after=")?;
                self.work(tenant, move |tenant, _| Ok((StatusCode::OK, tenant.receipts(after, MAX_RECEIPTS).concat()))).await
            }
            (&Method::GET, ["orders"]) => self.tell_orders(stranger.name).await,
            (&Method::GET, ["uploads"]) => {
                let broken = || No::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "what came before a line was cut can't be read");
                let here = tokio::task::spawn_blocking(move || self.spool.beginnings(stranger.name)).await;
                let here = here.map_err(|_| broken())?.map_err(|error| {
                    tracing::error!(%error, "beginnings of objects can't be read");
                    broken()
                })?;
                Ok((StatusCode::OK, encode_uploads(&here)))
            }
            (&Method::GET, ["objects", class, id]) => {
                let (class, id) = object(class, id)?;
                let range = range(&request)?;
                self.work(tenant, move |tenant, _| read(tenant, class, id, range)).await
            }
            (&Method::PUT, ["objects", class, id]) => {
                let (class, id) = object(class, id)?;
                self.put(stranger.name, tenant, class, id, request).await
            }
            _ => Err(No::new(StatusCode::NOT_FOUND, "not-here", "there is no such route")),
        }
    }

    async fn pair(&self, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let bad = || No::new(StatusCode::FORBIDDEN, "bad-invitation", "no such invitation, or it is used or over");
        let body = small(request).await?;
        let between = Between { source: stranger.name, receiver: self.name, exporter: stranger.pair };
        let answer = self.admission(move |admission| admission.pair(&between, &body)).await?;
        answer.flatten().map(|answer| (StatusCode::OK, answer)).ok_or_else(bad)
    }

    async fn challenge(&self, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let asked = RecoverRequest::decode(&small(request).await?).map_err(No::malformed)?;
        let between = self.recovering(stranger);
        let answer = self.admission(move |admission| admission.challenge(&between, &asked)).await?;
        answer.flatten().map(|answer| (StatusCode::OK, answer)).ok_or_else(|| No::malformed("no recipient"))
    }

    async fn prove(&self, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let proof = RecoverProof::decode(&small(request).await?).map_err(No::malformed)?;
        let between = self.recovering(stranger);
        let bad = || {
            No::new(StatusCode::FORBIDDEN, "bad-proof", "no such challenge on this connection, it is used or over, or the proof is wrong")
        };
        let proven = self.admission(move |admission| admission.prove(&between, &proof)).await?;
        if proven == Some(true) { Ok((StatusCode::OK, Vec::new())) } else { Err(bad()) }
    }

    fn recovering(&self, stranger: Stranger) -> Between {
        Between { source: stranger.name, receiver: self.name, exporter: stranger.recover }
    }

    /// Asks whoever decides, beside the runtime; none where nobody does.
    async fn admission<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Admission) -> Result<T, NotNow> + Send + 'static,
    ) -> Result<Option<T>, No> {
        let Some(admission) = self.admission.read().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(None) };
        let broken = || No::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "the receiver's own disks failed, or can't be used now");
        let done = tokio::task::spawn_blocking(move || ask(admission.as_ref())).await;
        done.map_err(|_| broken())?.map(Some).map_err(|_| broken())
    }

    /// Takes an object, whole or from where the line was cut.
    async fn put(self: Arc<Self>, name: KeyName, tenant: Place, class: Class, id: [u8; 32], request: Request<Incoming>) -> Answered {
        let number = |header: &str| -> Result<u64, No> {
            let value = request.headers().get(header).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
            value.ok_or_else(|| No::malformed(format!("{header} is missing, or no number")))
        };
        let (length, from) = (number("keepwell-length")?, number("keepwell-from")?);
        if length > MAX_OBJECT {
            return Err(No::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "no object is so long"));
        }
        if from > length {
            return Err(No::malformed("it is taken up behind its end"));
        }
        // Before a byte is taken: is it wanted, and is there room?
        let wants = move |tenant: &mut Tenant, _| Ok(tenant.wants(class, id, length)?.then(|| tenant.memory_for(class, length)));
        let Some(memory) = self.work(tenant.clone(), wants).await? else { return Ok((StatusCode::OK, Vec::new())) };
        let (receiver, item) = (Arc::clone(&self), (name, class, id));
        let begun = tokio::task::spawn_blocking(move || receiver.spool.begin(item, from, memory)).await;
        let upload = begun.map_err(|error| No::new(StatusCode::INTERNAL_SERVER_ERROR, "store", error))??;
        let arriving = Arriving::new(Arc::clone(&self), item, upload);
        let mut body = request.into_body();
        while let Ok(Some(Ok(frame))) = timeout(STALLED, body.frame()).await {
            let data = frame.into_data().unwrap_or_default();
            if arriving.upload().len() + data.len() as u64 > length {
                arriving.end();
                return Err(No::malformed("more came than was said"));
            }
            if !self.spool.extend(arriving.upload(), &data) {
                return Err(No::malformed("another connection has taken the object up"));
            }
        }
        if arriving.upload().len() < length {
            // What came is kept for the next line.
            return Err(No::malformed("the object is cut short"));
        }
        let Some(came) = arriving.end() else {
            return Err(No::malformed("another connection has taken the object up"));
        };
        let receiver = Arc::clone(&self);
        // Another box may have taken its place meanwhile.
        self.place_of(name)?;
        self.work(tenant, move |tenant, now| {
            receiver.spool.drop(item);
            let (put, memory) = tenant.take(class, id, came.object.end(), now)?;
            receiver.spool.give_back(memory);
            drop(came.claim);
            Ok((if put == Put::Stored { StatusCode::CREATED } else { StatusCode::OK }, Vec::new()))
        })
        .await
    }

    /// Disks are waited for on a thread of their own.
    async fn work<T: Send + 'static>(
        &self,
        place: Place,
        task: impl FnOnce(&mut Tenant, Moment) -> Result<T, No> + Send + 'static,
    ) -> Result<T, No> {
        let away = || {
            No::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "the receiver's disks can't be used now; what it acknowledged is on them")
        };
        let (tenant, now) = (place.tenant.ok_or_else(away)?, self.now(place.began));
        let done = tokio::task::spawn_blocking(move || task(&mut lock(&tenant), now)).await;
        done.unwrap_or_else(|error| Err(No::new(StatusCode::INTERNAL_SERVER_ERROR, "store", error)))
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("spool", &self.spool).finish_non_exhaustive()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn small(request: Request<Incoming>) -> Result<Bytes, No> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| No::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "too long, or cut short"))
}

fn object(class: &str, id: &str) -> Result<(Class, [u8; 32]), No> {
    let class = Class::of_folder(class).ok_or_else(|| No::malformed("no such class"))?;
    let id: ObjectId = id.parse().map_err(No::malformed)?;
    Ok((class, id.0))
}

/// The number that a query gives; 0 where there is none.
fn number_in(request: &Request<Incoming>, name: &str) -> Result<u64, No> {
    let value = request.uri().query().and_then(|query| query.strip_prefix(name));
    value.map_or(Ok(0), str::parse).map_err(No::malformed)
}

/// The part that is asked for, first and last byte; none for all of it.
fn range(request: &Request<Incoming>) -> Result<Option<(u64, u64)>, No> {
    let Some(value) = request.headers().get("range") else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
    let numbers = parsed.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    numbers.filter(|(first, last)| first <= last).map(Some).ok_or_else(|| No::malformed("no range of bytes"))
}

fn read(tenant: &mut Tenant, class: Class, id: [u8; 32], range: Option<(u64, u64)>) -> Answered {
    let length = tenant.length(class, id)?;
    // A part that ends behind the end ends with it (RFC 9110 14.1.2).
    let (first, last) = range.unwrap_or((0, u64::MAX));
    let last = last.min(length.saturating_sub(1));
    if first >= length {
        return Err(No::new(StatusCode::RANGE_NOT_SATISFIABLE, "malformed", format!("it has {length} bytes")));
    }
    let wanted = usize::try_from(last - first + 1).map_err(No::malformed)?;
    let bytes = tenant.read(class, id, first, wanted)?;
    Ok((if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, bytes))
}
