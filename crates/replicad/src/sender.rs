//! How a source sends (`docs/wire.md` 4 to 6): asks what is there, sends what matters most first, takes up what was cut, collects receipts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use keepwell_link::{Answered, Caller, Handed, LinkError};
use keepwell_offsite::{Backlog, Offer, Step};
use keepwell_storage::ObjectId;
use keepwell_wire::challenge::{Answer, Asked, Challenge};
use keepwell_wire::snapshots::{SnapshotRef, fingerprint};
use keepwell_wire::survey::{Search, decode_answer};
use keepwell_wire::uploads::decode_uploads;
use keepwell_wire::{Class, Receipt};

use crate::flight::Flight;
use crate::memory::{Buffers, Lent};

/// Slices that are asked for at a time: the receiver reads each of their objects whole, and does nothing else for this box meanwhile.
const AT_ONCE: usize = 32;

/// How often an object is taken up where an earlier line ended, if that place moves meanwhile. The last attempt begins anew.
const ATTEMPTS: u32 = 4;

/// Memory that lies ready for the next objects of a round.
const READY: usize = 64 << 20;

/// How long is waited for a receiver that is busy, at a time and in all.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));

/// How often somebody is asked whether it is to go on, while nothing arrives.
const GLANCE: Duration = Duration::from_secs(1);

/// What a source has: its own vault's objects as they lie on its disks.
pub trait Store: Sync {
    /// Ids of a class, ascending.
    fn ids(&self, class: Class) -> Vec<[u8; 32]>;
    /// An object, with every check; best in memory that is there already, whatever is in it.
    fn read(&self, class: Class, id: &[u8; 32], memory: Vec<u8>) -> Result<Vec<u8>, SendError>;
    /// Snapshots that have to get to the other box.
    fn offers(&self) -> Vec<Offer>;
}

/// Why a round ended before its end. What was acknowledged until then stays, and the next round goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The line.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The other box said no.
    #[error("the other box refused: {message} ({code})")]
    Refused {
        /// The word of the protocol.
        code: String,
        /// For people.
        message: String,
    },
    /// The other box said what can't be.
    #[error("the other box's answer makes no sense: {0}")]
    Nonsense(String),
    /// This box's own object can't be read.
    #[error("an object of this box can't be read: {0}")]
    Own(String),
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Objects that became durable there.
    pub objects: usize,
    /// Bytes of objects that were handed to the line, those that were cut included.
    pub bytes: u64,
    /// Receipts, as they came; their signatures are the caller's to check.
    pub receipts: Vec<(Receipt, [u8; 64])>,
}

/// Hears how a round goes on, and says whether it is to.
pub trait Listener: Sync {
    /// This is to be sent.
    fn planned(&self, backlog: &Backlog) {
        let _ = backlog;
    }
    /// So many bytes of it are durable there.
    fn stored(&self, bytes: u64) {
        let _ = bytes;
    }
    /// A receipt came. Its signature is the listener's to check: an error ends the round.
    fn signed(&self, receipt: &Receipt, signature: &[u8; 64]) -> Result<(), SendError> {
        let _ = (receipt, signature);
        Ok(())
    }
    /// Whether an object is covered by a receipt: it is to be there.
    fn is_promised(&self, class: Class, id: &[u8; 32]) -> bool {
        let _ = (class, id);
        false
    }
    /// Promised objects are not there; they are sent again now.
    fn lost(&self, objects: &[(Class, [u8; 32])]) {
        let _ = objects;
    }
    /// Whether nothing else has become more urgent. Asked before each object, and each second: what is under way then is taken up later where it was.
    fn goes_on(&self) -> bool {
        true
    }
}

/// One thing to do.
#[derive(Clone, Copy)]
enum Task {
    /// Send an object; its length as far as it is known.
    Put { class: Class, id: [u8; 32], length: u64 },
    /// Ask for a receipt.
    Accept(SnapshotRef),
}

/// What was done.
enum Landed {
    /// An object of so many bytes is durable there.
    Object(u64),
    /// A snapshot was signed for.
    Receipt(Box<(Receipt, [u8; 64])>),
}

/// Nobody listens.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Listener for Nobody {}

/// Sends to one receiver.
pub struct Sender<'a, S> {
    caller: &'a Caller,
    store: &'a S,
    listener: &'a dyn Listener,
    buffers: Arc<Buffers>,
}

impl<'a, S: Store> Sender<'a, S> {
    /// Over this connection.
    pub fn new(caller: &'a Caller, store: &'a S) -> Self {
        Self { caller, store, listener: &Nobody, buffers: Arc::new(Buffers::new(READY)) }
    }

    /// The same with somebody who hears of it.
    #[must_use]
    pub fn heard_by(self, listener: &'a dyn Listener) -> Self {
        Self { listener, ..self }
    }

    /// Brings over all that is missing, into `sent`, which says also after an error what was done until then.
    pub async fn round(&self, signed: &BTreeSet<[u8; 32]>, sent: &mut Sent) -> Result<(), SendError> {
        let [pack, manifest, keyring, slots, tombstone] = Class::ALL;
        let asked = (self.lacks(pack), self.lacks(manifest), self.lacks(keyring), self.lacks(slots), self.lacks(tombstone));
        let (packs, manifests, keyrings, slots, tombstones) = tokio::try_join!(asked.0, asked.1, asked.2, asked.3, asked.4)?;
        let there: BTreeMap<Class, BTreeSet<[u8; 32]>> =
            Class::ALL.into_iter().zip([packs, manifests, keyrings, slots, tombstones]).collect();
        let gone = |class: Class| there[&class].iter().filter(move |id| self.listener.is_promised(class, id)).map(move |id| (class, *id));
        let lost: Vec<(Class, [u8; 32])> = Class::ALL.into_iter().flat_map(gone).collect();
        if !lost.is_empty() {
            self.listener.lost(&lost);
        }
        let is_missing = |class: Class, id: &[u8; 32]| there[&class].contains(id) && !self.listener.is_promised(class, id);
        // What opens the rest goes before it: a few hundred bytes.
        let opens = [Class::Slots, Class::Keyring, Class::Tombstone].into_iter();
        let opens = opens.flat_map(|class| there[&class].iter().filter(move |id| is_missing(class, id)).map(move |id| (class, *id)));
        let first: Vec<Task> = lost.iter().copied().chain(opens).map(|(class, id)| Task::Put { class, id, length: 0 }).collect();
        let offers = self.store.offers();
        let needs: BTreeMap<[u8; 32], [u8; 32]> =
            offers.iter().map(|offer| (offer.manifest.0, fingerprint(offer.packs.iter().copied()))).collect();
        let backlog = Backlog::of(offers, |class, id| !is_missing(class, id), |manifest| signed.contains(&manifest.0));
        self.listener.planned(&backlog);
        let task = |step| match step {
            Step::Put { class, id, length } => Task::Put { class, id, length },
            Step::Accept(manifest) => Task::Accept(SnapshotRef { manifest, packs: needs[&manifest.0] }),
        };
        let tasks: Vec<Task> = first.into_iter().chain(backlog.steps.into_iter().map(task)).collect();
        self.fly(&tasks, || self.listener.goes_on(), sent).await
    }

    /// Which objects of a class it has not.
    async fn lacks(&self, class: Class) -> Result<BTreeSet<[u8; 32]>, SendError> {
        let mine = self.store.ids(class);
        let mut search = Search::of(class, &mine);
        while let Some(asked) = search.question() {
            let answered = self.caller.ask(Method::POST, "/v1/survey", HeaderMap::new(), asked.encode().into()).await?;
            search.answered(&asked, decode_answer(&taken(answered)?, &asked).map_err(nonsense)?);
        }
        Ok(search.lacks())
    }

    /// Does these in order, several at a time: objects side by side, and a snapshot's receipt is asked for when all that is before it is there. Ends early when it is not to go on.
    async fn fly(&self, tasks: &[Task], goes_on: impl Fn() -> bool, sent: &mut Sent) -> Result<(), SendError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut flight = Flight::new();
        let done = self.pilot(&mut flight, tasks, goes_on, sent).await;
        sent.bytes += flight.handed();
        done
    }

    async fn pilot<'f>(
        &'f self,
        flight: &mut Flight<'f, Landed, SendError>,
        tasks: &[Task],
        goes_on: impl Fn() -> bool,
        sent: &mut Sent,
    ) -> Result<(), SendError> {
        let mut begun = self.begun().await?;
        let mut tasks = tasks.iter().copied().enumerate().peekable();
        // Snapshots whose receipts are to be asked for, and the one that was.
        let (mut complete, mut asked) = (VecDeque::new(), None);
        // What this box can't read keeps nothing else from getting there.
        let mut unread = None;
        while goes_on() {
            while let Some((place, task)) =
                tasks.next_if(|(_, task)| !matches!(task, Task::Put { length, .. } if !flight.has_room(*length)))
            {
                match task {
                    Task::Accept(snapshot) => complete.push_back((place, snapshot)),
                    Task::Put { class, id, length } => {
                        let memory = self.buffers.lend(usize::try_from(length).unwrap_or(0));
                        let object = match self.store.read(class, &id, memory) {
                            Ok(object) => Lent::bytes(object, &self.buffers),
                            Err(error) => {
                                unread.get_or_insert(error);
                                continue;
                            }
                        };
                        let from = begun.remove(&(class, id)).filter(|from| *from < object.len()).unwrap_or(0);
                        let (length, handed) = (object.len(), flight.meter());
                        let put = self.put(class, id, object, from, Arc::clone(&handed));
                        flight.object(place, length as u64, (length - from) as u64, handed, put);
                    }
                }
            }
            // Each receipt follows the one before it: one at a time.
            let is_there = |place: &usize| flight.first().is_none_or(|first| first > *place);
            if asked.is_none() && complete.front().is_some_and(|(place, _)| is_there(place)) {
                asked = complete.pop_front();
                if let Some((place, snapshot)) = asked {
                    flight.question(place, self.accept(snapshot));
                }
            }
            if flight.is_empty() {
                break;
            }
            let Ok(Some(landed)) = tokio::time::timeout(GLANCE, flight.landed()).await else { continue };
            match landed {
                // It needs what is not to be had here; the next one may not.
                Err(SendError::Refused { code, message }) if code == "missing" && asked.is_some() => {
                    asked = None;
                    unread.get_or_insert(SendError::Refused { code, message });
                }
                Err(error) => return Err(error),
                Ok(Landed::Object(length)) => {
                    sent.objects += 1;
                    self.listener.stored(length);
                }
                Ok(Landed::Receipt(receipt)) => {
                    asked = None;
                    self.listener.signed(&receipt.0, &receipt.1)?;
                    sent.receipts.push(*receipt);
                }
            }
        }
        unread.map_or(Ok(()), Err)
    }

    /// What came of objects before a line was cut.
    async fn begun(&self) -> Result<BTreeMap<(Class, [u8; 32]), usize>, SendError> {
        let answered = self.caller.ask(Method::GET, "/v1/uploads", HeaderMap::new(), Bytes::new()).await?;
        let uploads = decode_uploads(&taken(answered)?).map_err(nonsense)?;
        Ok(uploads.into_iter().filter_map(|one| Some(((one.class, one.id), usize::try_from(one.here).ok()?))).collect())
    }

    /// Sends an object from there on.
    async fn put(&self, class: Class, id: [u8; 32], object: Bytes, mut from: usize, handed: Arc<Handed>) -> Result<Landed, SendError> {
        let path = format!("/v1/objects/{}/{}", class.folder(), ObjectId(id));
        let (mut attempt, mut waited) = (0, Duration::ZERO);
        loop {
            let mut headers = HeaderMap::new();
            headers.insert("keepwell-length", object.len().into());
            headers.insert("keepwell-from", from.into());
            let answered = self.caller.hand_over(&path, headers, object.slice(from..), Arc::clone(&handed)).await?;
            if let Some(pause) = busy_for(&answered).filter(|_| waited < PATIENCE.1) {
                tokio::time::sleep(pause).await;
                waited += pause;
                continue;
            }
            attempt += 1;
            // The end of an earlier line has become known there meanwhile.
            let Some(here) = goes_on_from(&answered).filter(|_| from > 0) else {
                taken(answered)?;
                break;
            };
            from = usize::try_from(here).ok().filter(|here| *here < object.len() && attempt < ATTEMPTS).unwrap_or(0);
        }
        Ok(Landed::Object(object.len() as u64))
    }

    /// Asks for the receipt of a snapshot.
    async fn accept(&self, asked: SnapshotRef) -> Result<Landed, SendError> {
        let answered = self.caller.ask(Method::POST, "/v1/snapshots", HeaderMap::new(), asked.encode().into()).await?;
        let receipt = Receipt::decode(&taken(answered)?).map_err(nonsense)?;
        if receipt.0.manifest != asked.manifest {
            return Err(SendError::Nonsense("a receipt for another snapshot".into()));
        }
        Ok(Landed::Receipt(Box::new(receipt)))
    }

    /// Sends objects again that a receiver has lost, as far as this box has them.
    pub async fn mend(&self, lost: &[(Class, [u8; 32])], sent: &mut Sent) -> Result<(), SendError> {
        let tasks: Vec<Task> = lost.iter().map(|(class, id)| Task::Put { class: *class, id: *id, length: 0 }).collect();
        self.fly(&tasks, || true, sent).await
    }

    /// Asks for slices, some at a time, and tells which objects were not proven.
    pub async fn challenge(&self, asked: &[Asked], nonce: impl Fn() -> std::io::Result<[u8; 32]>) -> Result<Vec<Asked>, SendError> {
        let mut lost = Vec::new();
        for some in asked.chunks(AT_ONCE) {
            let nonce = nonce().map_err(|error| SendError::Own(error.to_string()))?;
            let challenge = Challenge { nonce, asked: some.to_vec() };
            let answered = self.caller.ask(Method::POST, "/v1/challenge", HeaderMap::new(), challenge.encode().into()).await?;
            let answer = Answer::decode(&taken(answered)?, &challenge).map_err(nonsense)?;
            lost.extend(answer.lost(&challenge));
        }
        Ok(lost)
    }

    /// Receipts that the receiver has given after one, as they are there.
    pub async fn receipts(&self, after: u64) -> Result<Vec<(Receipt, [u8; 64])>, SendError> {
        let answered = self.caller.ask(Method::GET, &format!("/v1/receipts?after={after}"), HeaderMap::new(), Bytes::new()).await?;
        let body = taken(answered)?;
        body.chunks(Receipt::LEN).map(|bytes| Receipt::decode(bytes).map_err(nonsense)).collect()
    }
}

impl<S> std::fmt::Debug for Sender<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("caller", &self.caller).finish_non_exhaustive()
    }
}

fn nonsense(error: impl std::fmt::Display) -> SendError {
    SendError::Nonsense(error.to_string())
}

/// The body of a yes; of a no, what it says.
pub(crate) fn taken(answered: Answered) -> Result<Bytes, SendError> {
    if answered.status.is_success() {
        return Ok(answered.body);
    }
    let said: serde_json::Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let code = answered.headers.get("keepwell-code").and_then(|code| code.to_str().ok()).unwrap_or("unknown");
    let message = said["message"].as_str().map_or_else(|| plain(answered.status), str::to_owned);
    Err(SendError::Refused { code: code.chars().take(40).collect(), message: message.chars().take(300).collect() })
}

/// Where an object is to be taken up instead: where the receiver says, or anew if what it has kept of it is not the object's beginning.
fn goes_on_from(answered: &Answered) -> Option<u64> {
    match answered.headers.get("keepwell-code")?.to_str().ok()? {
        "from" => answered.headers.get("keepwell-from")?.to_str().ok()?.parse().ok(),
        "other-bytes" => Some(0),
        _ => None,
    }
}

/// How long a receiver that has no memory for an object now wants to be left alone with it.
fn busy_for(answered: &Answered) -> Option<Duration> {
    if answered.headers.get("keepwell-code")? != "busy" {
        return None;
    }
    let seconds = answered.headers.get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(1).max(1)).min(PATIENCE.0))
}

fn plain(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason was given").to_owned()
}
