//! The other box, over a line that is cut now and then. Owns the connection: asks again what was not answered, waits longer each time, and gives up when nothing comes any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use keepwell_link::{Answered, Caller, Identity, LinkError};
use keepwell_storage::ObjectId;
use keepwell_wire::snapshots::{PackRef, decode_packs};
use keepwell_wire::survey::{Listing, decode_answer};
use keepwell_wire::{Class, KeyName, Receipt};
use tokio::sync::Mutex;

use crate::RecoverError;

/// How long a line is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Without a sign of life for so long, a connection is given up.
    pub silence: Duration,
    /// Between two tries, at first; twice as long each time.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
    /// Tries in a row that come to nothing.
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(60), first: Duration::from_secs(1), longest: Duration::from_secs(60), tries: 12 }
    }
}

/// A connection, and how many there were before it.
type Line = (u64, Arc<Caller>);

/// The other box.
pub(crate) struct Peer {
    address: String,
    name: KeyName,
    identity: Identity,
    patience: Patience,
    line: Mutex<(u64, Option<Arc<Caller>>)>,
    failed: Mutex<u32>,
}

impl Peer {
    pub(crate) fn new(address: &str, name: KeyName, identity: Identity, patience: Patience) -> Self {
        Self { address: address.to_owned(), name, identity, patience, line: Mutex::default(), failed: Mutex::default() }
    }

    /// The connection as it is, or a new one.
    pub(crate) async fn line(&self) -> Result<Line, RecoverError> {
        let mut line = self.line.lock().await;
        if let Some(caller) = &line.1 {
            return Ok((line.0, Arc::clone(caller)));
        }
        loop {
            match Caller::connect(&self.address, &self.identity, self.name, self.patience.silence).await {
                Ok(caller) => {
                    let caller = Arc::new(caller);
                    *line = (line.0 + 1, Some(Arc::clone(&caller)));
                    return Ok((line.0, caller));
                }
                // That is no weather.
                Err(error @ LinkError::OtherKey { .. }) => return Err(RecoverError::Link(error)),
                Err(error) => self.after(error).await?,
            }
        }
    }

    /// Whoever notices first that it is cut takes it away; the others find the next one.
    pub(crate) async fn cut(&self, number: u64, error: LinkError) -> Result<(), RecoverError> {
        {
            let mut line = self.line.lock().await;
            if line.0 != number || line.1.is_none() {
                return Ok(());
            }
            line.1 = None;
        }
        self.after(error).await
    }

    /// A try came to nothing: waits, or gives up.
    async fn after(&self, error: LinkError) -> Result<(), RecoverError> {
        let failed = {
            let mut failed = self.failed.lock().await;
            *failed += 1;
            *failed
        };
        if failed >= self.patience.tries {
            return Err(RecoverError::Link(error));
        }
        // A cut that is mended at once is nothing to worry about.
        if failed == 2 {
            tracing::warn!(error = &error as &dyn std::error::Error, "the other box can't be had now; it is tried again for some minutes");
        }
        let pause = self.patience.first.saturating_mul(1 << (failed - 1).min(16)).min(self.patience.longest);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Asks until there is an answer, whatever it is.
    pub(crate) async fn ask(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Answered, RecoverError> {
        loop {
            let (number, caller) = self.line().await?;
            match caller.ask(method.clone(), path, headers.clone(), body.clone()).await {
                // Its disks may be back soon.
                Ok(answered) if answered.status.is_server_error() && self.is_patient().await => {}
                Ok(answered) => {
                    *self.failed.lock().await = 0;
                    return Ok(answered);
                }
                Err(error) => self.cut(number, error).await?,
            }
        }
    }

    async fn is_patient(&self) -> bool {
        let late = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
        self.after(LinkError::Cut(late.into())).await.is_ok()
    }

    async fn get(&self, path: &str) -> Result<Bytes, RecoverError> {
        taken(self.ask(Method::GET, path, HeaderMap::new(), Bytes::new()).await?)
    }

    /// All ids of a class that it can give back.
    pub(crate) async fn list(&self, class: Class) -> Result<Vec<[u8; 32]>, RecoverError> {
        let mut listing = Listing::of(class);
        while let Some(asked) = listing.question() {
            let answered = self.ask(Method::POST, "/v1/survey", HeaderMap::new(), asked.encode().into()).await?;
            listing.answered(&asked, decode_answer(&taken(answered)?, &asked).map_err(RecoverError::nonsense)?);
        }
        Ok(listing.there().into_iter().collect())
    }

    /// All packs that it can give back, by ascending number. What it says of them is checked when they come.
    pub(crate) async fn packs(&self) -> Result<Vec<PackRef>, RecoverError> {
        let mut packs: Vec<PackRef> = Vec::new();
        loop {
            let from = match packs.last() {
                Some(last) => last.seq.0.checked_add(1).ok_or_else(|| RecoverError::nonsense("no pack has so high a number"))?,
                None => 0,
            };
            let more = decode_packs(&self.get(&format!("/v1/packs?from={from}")).await?).map_err(RecoverError::nonsense)?;
            if more.is_empty() {
                return Ok(packs);
            }
            if more[0].seq.0 < from {
                return Err(RecoverError::nonsense("it lists packs again"));
            }
            packs.extend(more);
        }
    }

    /// All receipts. Nothing is checked of them: the receipt key is known from pairing, and that is gone.
    pub(crate) async fn receipts(&self) -> Result<Vec<Receipt>, RecoverError> {
        let mut receipts: Vec<Receipt> = Vec::new();
        loop {
            let after = receipts.last().map_or(0, |last| last.number);
            let more = self.get(&format!("/v1/receipts?after={after}")).await?;
            if more.is_empty() {
                return Ok(receipts);
            }
            for bytes in more.chunks(Receipt::LEN) {
                let (receipt, _) = Receipt::decode(bytes).map_err(RecoverError::nonsense)?;
                if receipts.last().is_some_and(|last| last.number >= receipt.number) {
                    return Err(RecoverError::nonsense("its receipts do not ascend"));
                }
                receipts.push(receipt);
            }
        }
    }

    /// An object that is small, whole and with its hash checked; none where it is not there, or other bytes come.
    pub(crate) async fn object(&self, class: Class, id: [u8; 32]) -> Result<Option<Bytes>, RecoverError> {
        let path = path(class, &id);
        let answered = self.ask(Method::GET, &path, HeaderMap::new(), Bytes::new()).await?;
        if answered.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(taken(answered)?).filter(|bytes| ObjectId::of(bytes).0 == id))
    }

    /// A part of an object, of this length; none where it is not there. What came of it before a cut is not asked for again.
    pub(crate) async fn part(&self, class: Class, id: [u8; 32], from: u64, length: u64) -> Result<Option<Bytes>, RecoverError> {
        let path = path(class, &id);
        let most = usize::try_from(length).map_err(RecoverError::nonsense)?;
        let mut came = Vec::with_capacity(most);
        while came.len() < most {
            let mut headers = HeaderMap::new();
            let range = format!("bytes={}-{}", from + came.len() as u64, from + length - 1);
            headers.insert("range", range.parse().expect("digits are a header's value"));
            let (number, caller) = self.line().await?;
            let before = came.len();
            let answered = caller.fetch(&path, headers, &mut came, most).await;
            if came.len() > before {
                *self.failed.lock().await = 0;
            }
            match answered {
                Ok(answered) if matches!(answered.status, StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE) => return Ok(None),
                Ok(answered) if answered.status.is_server_error() && self.is_patient().await => {}
                Ok(answered) => {
                    taken(answered)?;
                    if came.len() < most {
                        return Err(RecoverError::nonsense("a part is shorter than was asked for"));
                    }
                }
                Err(error) => self.cut(number, error).await?,
            }
        }
        Ok(Some(came.into()))
    }
}

fn path(class: Class, id: &[u8; 32]) -> String {
    format!("/v1/objects/{}/{}", class.folder(), ObjectId(*id))
}

/// The body of a yes; of a no, what it says.
pub(crate) fn taken(answered: Answered) -> Result<Bytes, RecoverError> {
    if answered.status.is_success() {
        return Ok(answered.body);
    }
    let code = code(&answered).chars().take(40).collect::<String>();
    if code == "replaced" {
        return Err(RecoverError::Replaced);
    }
    let said: serde_json::Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let message = said["message"].as_str().or(answered.status.canonical_reason()).unwrap_or("no reason was given");
    Err(RecoverError::Refused { code, message: message.chars().take(300).collect() })
}

/// The word of a no.
pub(crate) fn code(answered: &Answered) -> &str {
    answered.headers.get("keepwell-code").and_then(|code| code.to_str().ok()).unwrap_or("unknown")
}
