//! What this box has lost and others keep for it: brought back over the line, and handed on to vaultd when it is what it is called. Writes nothing into the own pool, which has
//! one writer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hyper::{HeaderMap, Method, StatusCode};
use keepwell_format::SeqRanges;
use keepwell_link::{Answered, Caller, LinkError};
use keepwell_storage::{ObjectId, ObjectName};
use keepwell_wire::snapshots::{PackRef, decode_packs};
use keepwell_wire::{Class, KeyName, MAX_OBJECT, Receipt};

use crate::courier::SILENCE;
use crate::error::Error;
use crate::house::House;
use crate::own::Own;
use crate::sender::{SendError, taken};
use crate::store::{Happened, ReceiverRow};

/// Lines in a row that bring nothing, until it is given up, and how much longer each time until the next one.
const LINES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);
/// An object takes no longer: at 128 kbit/s the longest one takes 70 minutes.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// An object that hashes to its id, from whichever other box has it.
pub(crate) async fn object(house: &House, name: &str) -> Result<Vec<u8>, Error> {
    let (name, class) = parsed(name).ok_or_else(|| Error::Invalid("that is no name of an object that another box keeps".into()))?;
    let mut why = None;
    for row in house.store.receivers()? {
        let got = tokio::time::timeout(PATIENCE, from(house, &row, class, name)).await;
        match got.unwrap_or_else(|late| Err(LinkError::Cut(late.into()).into())) {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => {}
            Err(error) => why = Some(error),
        }
    }
    Err(why.map_or(Error::NotKept, Error::NotFetched))
}

fn parsed(text: &str) -> Option<(ObjectName, Class)> {
    let name = ObjectName::parse(text)?;
    let class = Class::ALL.into_iter().find(|class| keepwell_offsite::kept(*class) == name.class)?;
    Some((name, class))
}

/// None where it is not there. What came before a line was cut is not asked for again.
async fn from(house: &House, row: &ReceiverRow, class: Class, name: ObjectName) -> Result<Option<Vec<u8>>, SendError> {
    let (mut came, mut idle) = (Vec::new(), 0);
    loop {
        let before = came.len();
        match rest(house, row, &format!("/v1/objects/{}/{}", class.folder(), name.id), &mut came).await {
            Ok(answered) if answered.status == StatusCode::NOT_FOUND => return Ok(None),
            // The line was cut when the last byte had come.
            Ok(answered) if answered.status == StatusCode::RANGE_NOT_SATISFIABLE && !came.is_empty() => break,
            // Its disks may be back soon.
            Ok(answered) if answered.status.is_server_error() && idle + 1 < LINES => {
                idle += 1;
                tokio::time::sleep(PAUSE * idle).await;
            }
            Ok(answered) => {
                taken(answered)?;
                break;
            }
            // A line may be cut while it is made.
            Err(error @ (LinkError::Cut(_) | LinkError::Handshake { .. })) => {
                idle = if came.len() > before { 0 } else { idle + 1 };
                if idle >= LINES {
                    return Err(error.into());
                }
                tokio::time::sleep(PAUSE * idle).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if ObjectId::of(&came) == name.id {
        return Ok(Some(came));
    }
    tracing::error!(receiver = %KeyName(row.name), object = %name, "the other box gives other bytes than it signed for");
    house.note(&Happened::new(house.world.wall(), "loss").with("receiver", KeyName(row.name)).with("objects", 1));
    Err(SendError::Nonsense("its bytes are not those of the object".into()))
}

async fn rest(house: &House, row: &ReceiverRow, path: &str, came: &mut Vec<u8>) -> Result<Answered, LinkError> {
    let caller = Caller::connect(&row.address, &house.identity, KeyName(row.name), SILENCE).await?;
    let mut headers = HeaderMap::new();
    let range = format!("bytes={}-{}", came.len(), MAX_OBJECT - 1);
    headers.insert("range", range.parse().expect("digits are a header's value"));
    caller.fetch(path, headers, came, MAX_OBJECT as usize).await
}

/// What another box has signed for and of which nothing is left here: snapshots, forgotten ones among them, and packs of the others, as far as receipts say that there are more than the
/// disks show. Asks nobody as long as they do not.
pub(crate) async fn lacking(house: &Arc<House>) -> Result<Vec<String>, Error> {
    let mut lacking = Vec::new();
    for row in house.store.receivers()? {
        let (home, of) = (Arc::clone(house), row.clone());
        let looked = tokio::task::spawn_blocking(move || look(&home, &of)).await;
        let Some(short) = looked.map_err(|error| Error::Own(std::io::Error::other(error)))?? else { continue };
        lacking.extend(short.manifests.iter().map(|id| named(Class::Manifest, *id)));
        let ranges = short.needs.ranges();
        let Some((first, end)) = ranges.first().zip(ranges.last()).map(|(first, last)| (first.start, last.end)) else { continue };
        let there = packs(house, &row, first, end).await.map_err(Error::NotFetched)?;
        let gone = there.into_iter().filter(|pack| short.needs.contains(pack.seq) && !short.own.has_pack(pack));
        lacking.extend(gone.map(|pack| named(Class::Pack, pack.id.0)));
    }
    Ok(lacking)
}

fn named(class: Class, id: [u8; 32]) -> String {
    ObjectName { class: keepwell_offsite::kept(class), id: ObjectId(id) }.to_string()
}

/// What the own vault shows less of than was signed for.
struct Short {
    own: Own,
    manifests: Vec<[u8; 32]>,
    /// Numbers of packs that snapshots need which show too few.
    needs: SeqRanges,
}

/// None where the vault is not there.
fn look(house: &House, row: &ReceiverRow) -> Result<Option<Short>, Error> {
    let receipts: Vec<Receipt> = house.store.receipts(KeyName(row.name))?.into_iter().map(|(receipt, _)| receipt).collect();
    let pool = house.shelves.own().map_err(|error| Error::Own(std::io::Error::other(error)))?;
    if pool.vault() != row.vault {
        return Ok(None);
    }
    let here: HashSet<[u8; 32]> = pool.objects(keepwell_offsite::kept(Class::Manifest)).into_iter().map(|id| id.0).collect();
    let (there, gone): (Vec<&Receipt>, Vec<&Receipt>) = receipts.iter().partition(|receipt| here.contains(&receipt.manifest.0));
    Ok(Some(house.remembering(|remembered| {
        let own = Own::look(pool, remembered);
        let needs = own.short_of(there.into_iter(), remembered);
        Short { own, manifests: gone.iter().map(|receipt| receipt.manifest.0).collect(), needs }
    })))
}

async fn packs(house: &House, row: &ReceiverRow, first: u64, end: u64) -> Result<Vec<PackRef>, SendError> {
    let caller = Caller::connect(&row.address, &house.identity, KeyName(row.name), SILENCE).await?;
    let (mut packs, mut from) = (Vec::new(), first);
    loop {
        let path = format!("/v1/packs?from={from}");
        let asked = caller.ask(Method::GET, &path, HeaderMap::new(), bytes::Bytes::new());
        let answered = tokio::time::timeout(PATIENCE, asked).await.map_err(|late| LinkError::Cut(late.into()))?;
        let more = decode_packs(&taken(answered?)?).map_err(|error| SendError::Nonsense(error.to_string()))?;
        let Some(last) = more.last().map(|pack| pack.seq.0) else { return Ok(packs) };
        let ascends = more.first().is_some_and(|pack| pack.seq.0 >= from);
        from = last.checked_add(1).filter(|_| ascends).ok_or_else(|| SendError::Nonsense("it lists packs again".into()))?;
        packs.extend(more);
        if from >= end {
            return Ok(packs);
        }
    }
}
