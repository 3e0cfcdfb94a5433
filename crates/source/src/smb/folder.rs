//! Lists one folder to its end, with what is to be known of the folder itself and of the reparse points in it. Never holds more than
//! the listings of a walk may hold together.

use std::collections::{HashMap, VecDeque};

use keepwell_format::{Gap, GapReason, Key};
use keepwell_smb::{FileTime, Pending, Share, SmbError, Stat, Want, WidePath, wtf8};

use super::metadata::is_reparse;
use super::rows::{Full, Held, Rows};
use super::session::Session;
use super::{gap, refusal};

/// Reparse points that are asked for at a time.
const POINTS_IN_FLIGHT: usize = 16;

/// A folder to be listed.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) path: WidePath,
    /// Length of its key: the paths of its entries may be too long for one.
    pub(super) key_length: usize,
}

/// All that there is to know of an entry besides its content.
pub(super) const EVERYTHING: Want =
    Want { descriptor: true, sacl: true, streams: true, attributes: true, maximal_access: false, reparse: false };

/// A folder and its entries.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) rows: Rows,
    /// Of the folder itself.
    pub(super) stat: Result<Stat, Gap>,
    /// Of the reparse points in it, by row.
    pub(super) points: HashMap<usize, Result<Stat, Gap>>,
    /// Why not all of its entries are here.
    pub(super) gap: Option<Gap>,
}

impl Folder {
    /// Lists it, again if the connection is lost and comes back. An error means that the server is gone.
    pub(super) fn list(session: &Session, as_of: Option<FileTime>, task: &Task, held: &Held) -> Result<Self, Gap> {
        session.again(|share| list(share, as_of, task, held)).map_err(|error| gap(&error))
    }
}

fn list(share: &Share, as_of: Option<FileTime>, task: &Task, held: &Held) -> Result<Folder, SmbError> {
    // Both are under way before either is awaited.
    let stat = share.begin_stat(&task.path, EVERYTHING, as_of)?;
    let (mut rows, gap) = list_entries(share, as_of, task, held)?;
    let stat = part(stat.wait())?;
    rows.sort();
    let points = look_at_points(share, as_of, task, &mut rows)?;
    Ok(Folder { rows, stat, points, gap })
}

/// The entries, and why they are not all of them.
fn list_entries(share: &Share, as_of: Option<FileTime>, task: &Task, held: &Held) -> Result<(Rows, Option<Gap>), SmbError> {
    let mut rows = Rows::new(held);
    let mut listing = match part(share.list(&task.path, as_of))? {
        Ok(listing) => listing,
        Err(gap) => return Ok((rows, Some(gap))),
    };
    let mut refused = 0;
    let gap = loop {
        let batch = match part(listing.next_batch())? {
            Ok(Some(batch)) => batch,
            Ok(None) => break None,
            Err(gap) if rows.len() == 0 => break Some(gap),
            Err(gap) => break Some(cut(&gap.text)),
        };
        let mut full = false;
        for entry in &batch {
            let name = wtf8(&entry.name);
            let fits = task.key_length + 1 + name.len() <= Key::MAX_LEN && task.path.join(&entry.name).is_ok();
            if !fits {
                refused += 1;
            } else if rows.push(&name, entry) == Err(Full) {
                full = true;
                break;
            }
        }
        if full {
            break Some(cut("it has more entries than can be held"));
        }
    };
    Ok((rows, gap.or_else(|| names_refused(refused + listing.refused()))))
}

/// Reparse data and descriptors of the entries that stand for something else.
fn look_at_points(
    share: &Share,
    as_of: Option<FileTime>,
    task: &Task,
    rows: &mut Rows,
) -> Result<HashMap<usize, Result<Stat, Gap>>, SmbError> {
    let mut points = HashMap::new();
    let mut under_way: VecDeque<(usize, Pending<Stat>)> = VecDeque::new();
    let mut bytes = 0;
    for at in 0..=rows.len() {
        let wanted = rows.get(at).filter(|(_, row)| is_reparse(row.attributes, row.reparse_tag)).map(|(name, _)| name.to_vec());
        let path = wanted.and_then(|name| keepwell_smb::wide(&name)).and_then(|name| task.path.join(&name).ok());
        if let Some(path) = path {
            under_way.push_back((at, share.begin_stat(&path, Want { reparse: true, ..EVERYTHING }, as_of)?));
        }
        while under_way.len() >= POINTS_IN_FLIGHT || (at == rows.len() && !under_way.is_empty()) {
            let Some((of, pending)) = under_way.pop_front() else { break };
            let stat = part(pending.wait())?;
            bytes += size_of::<(usize, Stat)>() + stat.as_ref().map_or(0, size);
            points.insert(of, stat);
            rows.count(bytes);
        }
    }
    Ok(points)
}

/// Bytes that a stat holds beside its own.
fn size(stat: &Stat) -> usize {
    let of = |part: &Option<Result<Vec<u8>, _>>| part.as_ref().and_then(|part| part.as_ref().ok()).map_or(0, Vec::len);
    of(&stat.descriptor)
        + of(&stat.reparse)
        + stat.attributes.iter().flatten().map(|(name, value)| name.len() + value.len() + 48).sum::<usize>()
}

/// Tells what the server refused, which is a gap, from what the connection did, which is an error.
fn part<T>(answer: Result<T, SmbError>) -> Result<Result<T, Gap>, SmbError> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_gone() => Err(error),
        Err(error) => Ok(Err(error.status().map_or_else(|| gap(&error), refusal))),
    }
}

fn cut(why: &str) -> Gap {
    Gap { reason: GapReason::Listing, text: format!("its listing is not whole: {why}") }
}

fn names_refused(count: u64) -> Option<Gap> {
    let text = match count {
        0 => return None,
        1 => "one entry of this folder has a name that can't be kept".into(),
        _ => format!("{count} entries of this folder have names that can't be kept"),
    };
    Some(Gap { reason: GapReason::Name, text })
}
