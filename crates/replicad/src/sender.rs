//! How a source sends (`docs/wire.md` 4 to 6): asks what is there, sends what matters most first, takes up what was cut, collects receipts.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use keepwell_link::{Answered, Caller, LinkError};
use keepwell_offsite::{Backlog, Offer, Step};
use keepwell_storage::ObjectId;
use keepwell_wire::challenge::{Answer, Asked, Challenge};
use keepwell_wire::snapshots::{SnapshotRef, fingerprint};
use keepwell_wire::survey::{Search, decode_answer};
use keepwell_wire::{Class, Receipt};

/// Slices that are asked for at a time: the receiver reads each of their objects whole, and does nothing else for this box meanwhile.
const AT_ONCE: usize = 32;

/// How often an object is taken up where an earlier line ended, if that place moves meanwhile. The last attempt begins anew.
const ATTEMPTS: u32 = 4;

/// What a source has: its own vault's objects as they lie on its disks.
pub trait Store: Sync {
    /// Ids of a class, ascending.
    fn ids(&self, class: Class) -> Vec<[u8; 32]>;
    /// An object, with every check.
    fn read(&self, class: Class, id: &[u8; 32]) -> Result<Vec<u8>, SendError>;
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
    /// Whether nothing else has become more urgent. Asked between two objects.
    fn goes_on(&self) -> bool {
        true
    }
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
}

impl<'a, S: Store> Sender<'a, S> {
    /// Over this connection.
    pub fn new(caller: &'a Caller, store: &'a S) -> Self {
        Self { caller, store, listener: &Nobody }
    }

    /// The same with somebody who hears of it.
    #[must_use]
    pub fn heard_by(self, listener: &'a dyn Listener) -> Self {
        Self { listener, ..self }
    }

    /// Brings over all that is missing, into `sent`, which says also after an error what was done until then.
    pub async fn round(&self, signed: &BTreeSet<[u8; 32]>, sent: &mut Sent) -> Result<(), SendError> {
        let mut there = BTreeMap::new();
        for class in Class::ALL {
            let lacks = self.lacks(class).await?;
            there.insert(class, lacks);
        }
        let gone = |class: Class| there[&class].iter().filter(move |id| self.listener.is_promised(class, id)).map(move |id| (class, *id));
        let lost: Vec<(Class, [u8; 32])> = Class::ALL.into_iter().flat_map(gone).collect();
        if !lost.is_empty() {
            self.listener.lost(&lost);
            for (class, id) in &lost {
                self.put(*class, *id, sent).await?;
            }
        }
        let is_missing = |class: Class, id: &[u8; 32]| there[&class].contains(id) && !self.listener.is_promised(class, id);
        // What opens the rest goes first: a few hundred bytes.
        for class in [Class::Slots, Class::Keyring, Class::Tombstone] {
            for id in there[&class].iter().filter(|id| is_missing(class, id)) {
                self.put(class, *id, sent).await?;
            }
        }
        let offers = self.store.offers();
        let needs: BTreeMap<[u8; 32], [u8; 32]> =
            offers.iter().map(|offer| (offer.manifest.0, fingerprint(offer.packs.iter().copied()))).collect();
        let backlog = Backlog::of(offers, |class, id| !is_missing(class, id), |manifest| signed.contains(&manifest.0));
        self.listener.planned(&backlog);
        for step in backlog.steps {
            if !self.listener.goes_on() {
                return Ok(());
            }
            match step {
                Step::Put { class, id, .. } => self.put(class, id, sent).await?,
                Step::Accept(manifest) => {
                    let asked = SnapshotRef { manifest, packs: needs[&manifest.0] };
                    let answered = self.caller.ask(Method::POST, "/v1/snapshots", HeaderMap::new(), asked.encode().into()).await?;
                    let receipt = Receipt::decode(&taken(answered)?).map_err(nonsense)?;
                    if receipt.0.manifest != manifest {
                        return Err(SendError::Nonsense("a receipt for another snapshot".into()));
                    }
                    self.listener.signed(&receipt.0, &receipt.1)?;
                    sent.receipts.push(receipt);
                }
            }
        }
        Ok(())
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

    /// Sends an object from where an earlier line was cut.
    async fn put(&self, class: Class, id: [u8; 32], sent: &mut Sent) -> Result<(), SendError> {
        let object = Bytes::from(self.store.read(class, &id)?);
        let name = format!("{}/{}", class.folder(), ObjectId(id));
        let upload = self.caller.ask(Method::GET, &format!("/v1/uploads/{name}"), HeaderMap::new(), Bytes::new()).await?;
        let mut here = taken(upload)?.as_ref().try_into().map(u64::from_le_bytes).map_err(nonsense)?;
        for attempt in 1.. {
            let from = usize::try_from(here).ok().filter(|from| *from < object.len() && attempt < ATTEMPTS).unwrap_or(0);
            let mut headers = HeaderMap::new();
            headers.insert("keepwell-length", object.len().into());
            headers.insert("keepwell-from", from.into());
            let answered = self.caller.ask(Method::PUT, &format!("/v1/objects/{name}"), headers, object.slice(from..)).await;
            // Between the question and this request, the end of an earlier line has become known there.
            let moved = answered.as_ref().ok().and_then(goes_on_from).filter(|_| from > 0);
            sent.bytes += if moved.is_some() { 0 } else { (object.len() - from) as u64 };
            match moved {
                Some(now) => here = now,
                None => {
                    taken(answered?)?;
                    break;
                }
            }
        }
        sent.objects += 1;
        self.listener.stored(object.len() as u64);
        Ok(())
    }

    /// Sends objects again that a receiver has lost, as far as this box has them.
    pub async fn mend(&self, lost: &[(Class, [u8; 32])], sent: &mut Sent) -> Result<(), SendError> {
        for (class, id) in lost {
            self.put(*class, *id, sent).await?;
        }
        Ok(())
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

fn plain(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason was given").to_owned()
}
