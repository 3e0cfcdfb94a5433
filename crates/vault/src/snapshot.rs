//! Snapshots: their signed manifests, written last of all, and how people name them.

use std::collections::HashSet;

use keepwell_format::keys::KeyringBody;
use keepwell_format::manifest::{Manifest, ManifestBody, Outcome, SeqRanges};
use keepwell_format::{FormatError, SnapshotId, VaultId};
use keepwell_storage::{Class, ObjectId, ObjectName, Pool};

use crate::VaultError;
use crate::keys::Keys;
use crate::tomb::Tombs;

/// A snapshot whose manifest was opened and whose signature holds.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its number, rising.
    pub sequence: u64,
    /// The newest snapshot of the vault before it; none for the first.
    pub previous: SnapshotId,
    /// When the vault received it, seconds since 1970.
    pub received: i64,
    /// Packs it may need.
    pub needs: SeqRanges,
    /// Everything else.
    pub body: ManifestBody,
}

/// Manifests that can't be read: id and why.
type Lost = Vec<(String, String)>;

/// What a pool holds of snapshots.
pub(crate) struct Loaded {
    /// Oldest first, without what is forgotten.
    pub(crate) snapshots: Vec<Snapshot>,
    /// Those that can't be read, or that others know to be missing.
    pub(crate) lost: Lost,
    /// What is forgotten.
    pub(crate) tombs: Tombs,
}

impl Loaded {
    /// The newest that was ever made, forgotten or not, as far as anything says: its sequence and id.
    pub(crate) fn newest(&self) -> Option<(u64, SnapshotId)> {
        let shown = self.snapshots.iter().map(|snapshot| (snapshot.sequence, snapshot.id));
        shown.chain(self.tombs.gone().map(|gone| (gone.sequence, gone.snapshot))).max()
    }

    /// The highest number of a pack that any of them names.
    pub(crate) fn highest_seq(&self) -> u64 {
        self.snapshots.iter().map(|snapshot| packs_end(snapshot).saturating_sub(1)).max().unwrap_or(0).max(self.tombs.highest_pack())
    }
}

/// What is to become a snapshot.
pub(crate) struct Draft {
    pub(crate) sequence: u64,
    pub(crate) previous: SnapshotId,
    pub(crate) received: i64,
    pub(crate) needs: SeqRanges,
    pub(crate) body: ManifestBody,
}

/// The manifest object of a draft.
pub(crate) fn encode(keys: &Keys, draft: Draft) -> Vec<u8> {
    let mut manifest = Manifest {
        vault: keys.vault,
        epoch: keys.epoch,
        sequence: draft.sequence,
        previous: draft.previous,
        received: draft.received,
        needs: draft.needs,
        sealed: Vec::new(),
        signature: [0; 64],
    };
    let sealer = keys.manifest(keys.epoch).expect("the newest epoch is in the keyring");
    manifest.sealed = sealer.seal(&manifest.head(), &draft.body.encode());
    manifest.signature = keys.sign(&manifest.signed());
    manifest.encode()
}

/// Reads one manifest; its object id was checked by the pool.
pub(crate) fn load(pool: &Pool, keys: &Keys, id: ObjectId) -> Result<Snapshot, VaultError> {
    let (bytes, _) = pool.read_object(ObjectName { class: Class::Manifest, id })?;
    open(keys, SnapshotId(id.0), &bytes)
}

pub(crate) fn open(keys: &Keys, id: SnapshotId, bytes: &[u8]) -> Result<Snapshot, VaultError> {
    let broken = |source| VaultError::Format { what: "a snapshot's manifest", source };
    let crypt = |what| move |source| VaultError::Crypt { what, source };
    let manifest = Manifest::decode(bytes).map_err(broken)?;
    if manifest.vault != keys.vault {
        return Err(broken(FormatError::Invalid { what: "manifest", why: "it belongs to another vault" }));
    }
    keepwell_crypt::verify(&keys.verify_key(), &manifest.signed(), &manifest.signature)
        .map_err(crypt("a snapshot's manifest is not signed by this box"))?;
    let sealer = keys.manifest(manifest.epoch).map_err(crypt("a snapshot's manifest is sealed with a key that the keyring lacks"))?;
    let body = sealer.open(&manifest.head(), &manifest.sealed).map_err(crypt("a snapshot's manifest can't be opened"))?;
    let body = ManifestBody::decode(&body).map_err(broken)?;
    let Manifest { sequence, previous, received, needs, .. } = manifest;
    Ok(Snapshot { id, sequence, previous, received, needs, body })
}

/// Reads manifests that lie in no pool, with the keys of their vault: for a vault that is still on its way.
#[derive(Debug)]
pub struct Manifests(Keys);

impl Manifests {
    /// With these keys.
    pub fn new(vault: VaultId, keyring: &KeyringBody) -> Result<Self, VaultError> {
        Keys::new(vault, keyring).map(Self).ok_or(VaultError::NoKeyring)
    }

    /// What a manifest says, if it is this vault's box that signed it.
    pub fn read(&self, manifest: &[u8]) -> Result<Snapshot, VaultError> {
        open(&self.0, SnapshotId(ObjectId::of(manifest).0), manifest)
    }
}

/// All manifests of the pool, oldest first, and those that can't be read or that others know to be missing.
/// One that a newer release wrote is an error: what it says must not be passed over.
pub(crate) fn load_all(pool: &Pool, keys: &Keys) -> Result<Loaded, VaultError> {
    let tombs = Tombs::load(pool, keys.vault, &keys.verify_key())?;
    let mut lost = Vec::new();
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for id in pool.objects(Class::Manifest).into_iter().filter(|id| !tombs.holds(&SnapshotId(id.0))) {
        match load(pool, keys, id) {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(error) if error.is_newer() => return Err(error),
            Err(error) => lost.push((SnapshotId(id.0).to_string(), error.to_string())),
        }
    }
    snapshots.sort_by_key(|snapshot| (snapshot.sequence, snapshot.received, snapshot.id));
    let known: HashSet<SnapshotId> = snapshots.iter().map(|snapshot| snapshot.id).collect();
    let shown = snapshots.iter().map(|snapshot| (snapshot.id, snapshot.previous));
    for (id, previous) in shown.chain(tombs.gone().map(|gone| (gone.snapshot, gone.previous))) {
        let known = previous.is_none() || known.contains(&previous) || tombs.holds(&previous);
        if !known && !lost.iter().any(|(id, _)| *id == previous.to_string()) {
            let why = format!("its manifest is gone; snapshot {} names it as the one before", id.short());
            lost.push((previous.to_string(), why));
        }
    }
    Ok(Loaded { snapshots, lost, tombs })
}

/// The first number above all packs that a snapshot names.
pub(crate) fn packs_end(snapshot: &Snapshot) -> u64 {
    snapshot.needs.ranges().last().map_or(0, |range| range.end)
}

/// Finds the snapshot that a person means: an id, a unique beginning of one, `latest`, or `NAME@latest` (the last that is accepted).
pub(crate) fn resolve(snapshots: &[Snapshot], text: &str) -> Result<Snapshot, VaultError> {
    let none = |why: String| VaultError::NoSnapshot(why);
    // A held snapshot is never the latest: it is had by its id alone.
    let accepted = |snapshot: &&Snapshot| snapshot.body.outcome != Outcome::Held;
    if text == "latest" {
        return snapshots.iter().rfind(accepted).cloned().ok_or_else(|| none("the vault holds no accepted snapshot yet".to_owned()));
    }
    if let Some(name) = text.strip_suffix("@latest") {
        let found = snapshots.iter().rfind(|snapshot| accepted(snapshot) && snapshot.body.name == name);
        return found.cloned().ok_or_else(|| none(format!("the vault holds no accepted snapshot named {name}")));
    }
    let hits: Vec<&Snapshot> = snapshots.iter().filter(|s| !text.is_empty() && s.id.to_string().starts_with(text)).collect();
    match hits.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(none(format!("no snapshot has an id that begins with {text}; `keepwell vault list` shows all"))),
        many => Err(none(format!("{} snapshots have ids that begin with {text}; give more digits", many.len()))),
    }
}
