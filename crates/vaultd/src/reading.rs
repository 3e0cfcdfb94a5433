//! What is read from snapshots as names: lists, searches, versions, what differs, gaps. Whether it may be read the gate has decided; the ledger has what was asked, sealed,
//! before anything is answered.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keepwell_api::Base64;
use keepwell_api::grants::{Grant, digest};
use keepwell_api::vault::{
    Change, Changed, Changes, CompareSnapshots, File, Files, Found, FoundFiles, Gap, Gaps, ListFiles, ListGaps, ListSnapshots,
    ListVersions, SearchFiles, Snapshot as Told, Version, Versions,
};
use keepwell_audit::{Event, Value};
use keepwell_duties::ShareId;
use keepwell_format::{BlobId, Key, Kind, Node};
use keepwell_vault::{self as vault, Needle, Snapshot, Vault, VaultError};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::{keeping, restore, run, scope};

const PAGE_MAX: u32 = 1_000;
const FOUND_MAX: u32 = 200;
/// Length of what is searched for, in characters.
const TEXT: std::ops::RangeInclusive<usize> = 2..=100;
const VERSIONS_MAX: usize = 1_000;
/// Looking takes no longer than this: what is found by then is told.
const LOOK_MAX: Duration = Duration::from_secs(20);
/// Longest path that a record of the ledger has; of a longer one, it has the digest.
const SEALED_MAX: usize = 8 << 10;

type Answer<T> = Result<T, VaultdError>;

/// What leaves the box is a share's: what the box keeps of itself holds its users' proofs, and is for a new box alone.
pub(crate) fn of_a_share(snapshot: &Snapshot) -> Answer<()> {
    if keeping::is_own(&snapshot.body.name) { Err(VaultdError::OwnState) } else { Ok(()) }
}

/// A field of a record that only who has the vault's keys can read. A path that is too long for a record is there as its SHA-256.
pub(crate) fn sealed(vault: &Vault, name: &str, secret: &[u8]) -> (String, Value) {
    if secret.len() <= SEALED_MAX {
        return (name.to_owned(), Value::Bytes(vault.seal_note("log", secret)));
    }
    (format!("{name}-sha256"), Value::Bytes(vault.seal_note("log", &digest(secret))))
}

/// Writes into the ledger what is going to be read.
pub(crate) fn note(
    appliance: &Appliance,
    grant: &Grant,
    what: &str,
    snapshot: Option<&Snapshot>,
    more: Vec<(String, Value)>,
) -> Answer<()> {
    let mut fields = vec![("what".to_owned(), Value::Text(what.to_owned()))];
    fields.extend(snapshot.map(|snapshot| ("snapshot".to_owned(), Value::Text(snapshot.id.to_string()))));
    fields.extend(more);
    appliance.record(&grant.user, Event::Retrieval, fields)
}

pub(crate) fn snapshots(appliance: &Arc<Appliance>, grant: &Grant, order: ListSnapshots) -> Answer<Vec<Told>> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    if let Some(share) = &order.share {
        scope::share(appliance, grant, share)?;
    }
    let wanted = |snapshot: &Snapshot| {
        let name = &snapshot.body.name;
        grant.shares.covers(name) && order.share.as_ref().is_none_or(|share| name == share)
    };
    let told = |snapshot: Snapshot| Told {
        id: snapshot.id.to_string(),
        share: snapshot.body.name.clone(),
        taken_at: snapshot.body.started.seconds,
        outcome: run::outcome(snapshot.body.outcome),
        counts: run::counts(&snapshot.body.statistics),
    };
    Ok(vault.snapshots()?.into_iter().filter(wanted).map(told).collect())
}

pub(crate) fn files(appliance: &Arc<Appliance>, grant: &Grant, order: ListFiles) -> Answer<Files> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let snapshot = scope::snapshot(appliance, grant, &vault, &order.snapshot)?;
    let folder = restore::key(order.path.as_ref())?;
    note(appliance, grant, "files", Some(&snapshot), vec![sealed(&vault, "path", order.path.as_ref())])?;
    page(&vault, &snapshot, &folder, order.after.as_ref(), order.limit)
}

/// A page of what lies directly in a folder.
pub(crate) fn page(vault: &Vault, snapshot: &Snapshot, folder: &Key, after: Option<&Base64>, limit: u32) -> Answer<Files> {
    let limit = limit.clamp(1, PAGE_MAX) as usize;
    let mut found = Files::default();
    vault.list_after(snapshot, folder, after.map(AsRef::as_ref), &mut |key, node| {
        if found.files.len() == limit {
            found.more = true;
            return ControlFlow::Break(());
        }
        found.files.push(file(key.name(), node));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

pub(crate) fn search(appliance: &Arc<Appliance>, grant: &Grant, order: SearchFiles) -> Answer<FoundFiles> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let text = order.text.as_ref();
    if !TEXT.contains(&String::from_utf8_lossy(text).chars().count()) {
        return Err(VaultdError::Invalid("what is searched for has 2 to 100 characters".into()));
    }
    let _place = appliance.doors.search()?;
    let snapshot = scope::snapshot(appliance, grant, &vault, &order.snapshot)?;
    let folder = restore::key(order.path.as_ref())?;
    note(appliance, grant, "search", Some(&snapshot), vec![sealed(&vault, "path", order.path.as_ref()), sealed(&vault, "text", text)])?;
    let (limit, until) = (order.limit.clamp(1, FOUND_MAX) as usize, Instant::now() + LOOK_MAX);
    let found = vault.search(&snapshot, &folder, &Needle::new(text), limit, &|| Instant::now() < until)?;
    let one = |(key, node): &(Key, Node)| Found { folder: key.parent().unwrap_or_default().to_path().into(), file: file(key.name(), node) };
    let more = found.more || Instant::now() >= until;
    Ok(FoundFiles { found: found.entries.iter().map(one).collect(), more, damaged: found.damaged })
}

pub(crate) fn versions(appliance: &Arc<Appliance>, grant: &Grant, order: ListVersions) -> Answer<Versions> {
    scope::share(appliance, grant, &order.share)?;
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let _place = appliance.doors.search()?;
    let key = restore::key(order.path.as_ref())?;
    let share = ("share".to_owned(), Value::Text(order.share.clone()));
    note(appliance, grant, "versions", None, vec![share, sealed(&vault, "path", order.path.as_ref())])?;
    let until = Instant::now() + LOOK_MAX;
    let mut found = History::default();
    for snapshot in vault.snapshots()?.into_iter().rev().filter(|snapshot| snapshot.body.name == order.share) {
        if found.versions.len() == VERSIONS_MAX || Instant::now() >= until {
            found.more = true;
            break;
        }
        found.meet(&vault, &snapshot, &key)?;
    }
    // Before it was there for the first time, it was absent for ever.
    if found.versions.last().is_some_and(|version| version.file.is_none()) {
        found.versions.pop();
    }
    Ok(Versions { versions: found.versions, more: found.more })
}

/// What was at a path, from the newest snapshot back.
#[derive(Default)]
struct History {
    versions: Vec<Version>,
    /// Root of the catalog that was looked at last, and what it had.
    last: Option<(BlobId, Option<Node>)>,
    /// Some were not looked at.
    more: bool,
}

impl History {
    fn meet(&mut self, vault: &Vault, snapshot: &Snapshot, key: &Key) -> Answer<()> {
        let before = self.last.take();
        let node = match &before {
            // The same catalog holds the same entry.
            Some((root, node)) if *root == snapshot.body.root => node.clone(),
            _ => match vault.entry(snapshot, key) {
                // What is damaged in one says nothing about the others.
                Err(VaultError::BlobLost { .. } | VaultError::Format { .. }) => {
                    (self.last, self.more) = (before, true);
                    return Ok(());
                }
                read => read?,
            },
        };
        let taken_at = snapshot.body.started.seconds;
        let same = before.as_ref().is_some_and(|(_, before)| same_bytes(before.as_ref(), node.as_ref()));
        match self.versions.last_mut().filter(|_| same) {
            Some(version) => (version.first_taken_at, version.snapshots) = (taken_at, version.snapshots + 1),
            None => self.versions.push(Version {
                snapshot: snapshot.id.to_string(),
                taken_at,
                first_taken_at: taken_at,
                snapshots: 1,
                file: node.as_ref().map(|node| file(key.name(), node)),
            }),
        }
        self.last = Some((snapshot.body.root, node));
        Ok(())
    }
}

fn same_bytes(a: Option<&Node>, b: Option<&Node>) -> bool {
    let bytes = |node: &Node| {
        let content = node.content.as_ref().map(|content| (content.size, content.hash));
        (node.kind, content, node.target.clone(), node.link_to.clone(), node.gap.is_some())
    };
    a.map(bytes) == b.map(bytes)
}

pub(crate) fn compare(appliance: &Arc<Appliance>, grant: &Grant, order: CompareSnapshots) -> Answer<Changes> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let _place = appliance.doors.search()?;
    let snapshot = |id: &str| scope::snapshot(appliance, grant, &vault, id);
    let (older, newer) = (snapshot(&order.older)?, snapshot(&order.newer)?);
    let folder = restore::key(order.path.as_ref())?;
    let after = order.after.as_ref().map(|after| restore::key(after.as_ref())).transpose()?;
    let than = ("than".to_owned(), Value::Text(older.id.to_string()));
    note(appliance, grant, "compare", Some(&newer), vec![than, sealed(&vault, "path", order.path.as_ref())])?;
    let limit = order.limit.clamp(1, PAGE_MAX) as usize;
    let mut found = Changes::default();
    vault.diff_below(&older, &newer, &folder, after.as_ref(), &mut |difference| {
        if found.changes.len() == limit {
            found.more = true;
            return ControlFlow::Break(());
        }
        found.changes.push(Changed { path: difference.key.to_path().into(), change: change(difference.change) });
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn change(change: vault::Change) -> Change {
    match change {
        vault::Change::Added => Change::Added,
        vault::Change::Removed => Change::Removed,
        vault::Change::Content => Change::Content,
        vault::Change::Metadata => Change::Metadata,
    }
}

pub(crate) fn gaps(appliance: &Arc<Appliance>, grant: &Grant, order: ListGaps) -> Answer<Gaps> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let run = appliance.state.run(order.run)?.ok_or(VaultdError::NoSuch("run"))?;
    let snapshot = match &run.snapshot {
        Some(id) => Some(scope::snapshot(appliance, grant, &vault, id)?),
        None => {
            let share = appliance.state.share(&ShareId(run.share.clone()))?.ok_or(VaultdError::NoSuch("share"))?;
            scope::share(appliance, grant, &share.name)?;
            None
        }
    };
    note(appliance, grant, "gaps", snapshot.as_ref(), vec![("run".to_owned(), Value::Number(order.run.cast_signed()))])?;
    let Some(snapshot) = snapshot else { return Ok(Gaps { gaps: Vec::new(), total: run.counts.gaps }) };
    let gap = |(key, gap): &(Key, keepwell_format::Gap)| Gap { path: key.to_path().into(), why: gap.text.clone() };
    Ok(Gaps { gaps: snapshot.body.gaps.iter().map(gap).collect(), total: snapshot.body.statistics.gaps })
}

pub(crate) fn file(name: &[u8], node: &Node) -> File {
    File {
        name: name.to_vec().into(),
        kind: kind(node.kind).to_owned(),
        size: node.content.as_ref().map(|content| content.size),
        changed_at: node.mtime.map(|time| time.seconds),
        inconsistent: node.inconsistent,
        gap: node.gap.as_ref().map(|gap| gap.text.clone()),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char-device",
        Kind::BlockDevice => "block-device",
        Kind::Reparse => "reparse",
        Kind::Unknown => "unknown",
    }
}
