//! What each disk is that a pool is opened with. Reads labels and, where there is none, a few headers; changes nothing.

use std::sync::Arc;

use crate::disk::{Disk, DiskErrorKind, DiskLock, FileInfo, FileKind};
use crate::folders::TENANTS;
use crate::label::{LABEL_FILE, LABEL_MAX, Label, LabelError};
use crate::object::{Class, ShardName, TEMP};
use crate::shard::{HEADER_LEN, ShardHeader};

/// What a disk is to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskState {
    /// As it should be.
    Present,
    /// There, and nothing is on it.
    Empty,
    /// Not there, or it can't be read.
    Missing,
    /// Belongs to another vault.
    WrongVault,
    /// Its label is damaged or gone, its shards are this vault's: read, not written until it is labelled again.
    DamagedLabel,
    /// Belonged to this vault, and another disk has taken its place.
    Replaced,
    /// Was taken out of this pool.
    Retired,
    /// Holds files that are not a vault's, or is a copy of another disk.
    Foreign,
}

impl std::fmt::Display for DiskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Present => "present",
            Self::Empty => "empty",
            Self::Missing => "missing",
            Self::WrongVault => "belongs to another vault",
            Self::DamagedLabel => "its label is damaged",
            Self::Replaced => "was replaced by another disk",
            Self::Retired => "was taken out of this vault",
            Self::Foreign => "holds foreign files",
        })
    }
}

/// What lies on a disk, before it is known which vault is wanted.
pub(super) enum Finding {
    Label(Label),
    Newer {
        found: u16,
        intact: bool,
    },
    /// A label that can't be read.
    Damaged,
    /// No label, and nothing else either.
    Empty,
    /// No label, but folders of a vault with files in them.
    Unlabelled,
    /// No label; the path is an example of what is there.
    Foreign(String),
    Unreachable(String),
}

/// Looks at a disk.
pub(super) fn look(disk: &dyn Disk) -> Finding {
    let root = match disk.list("") {
        Ok(root) => root,
        Err(e) => return Finding::Unreachable(e.kind.to_string()),
    };
    if root.iter().any(|f| f.name == LABEL_FILE) {
        return match read_label(disk) {
            Ok(Ok(label)) => Finding::Label(label),
            Ok(Err(LabelError::Newer { found, intact })) => Finding::Newer { found, intact },
            Ok(Err(_)) => Finding::Damaged,
            Err(kind @ (DiskErrorKind::Gone | DiskErrorKind::Denied | DiskErrorKind::Stalled)) => Finding::Unreachable(kind.to_string()),
            Err(_) => Finding::Damaged,
        };
    }
    let ours = |name: &str| Class::ALL.iter().any(|class| class.folder() == name);
    let known = |f: &FileInfo| is_nothing(&f.name, f.kind) || (f.kind == FileKind::Folder && ours(&f.name)) || is_tenants(f);
    if let Some(other) = root.iter().find(|f| !known(f)) {
        return Finding::Foreign(other.name.clone());
    }
    let filled = Class::ALL.iter().any(|class| match disk.list(class.folder()) {
        Ok(files) => files.iter().any(|f| !is_nothing(&f.name, f.kind)),
        Err(_) => true,
    });
    // What others sent is no reason to take a disk for this vault's, and none to take it for an empty one.
    let keeps = root.iter().any(is_tenants) && disk.list(TENANTS).map_or(true, |tenants| !tenants.is_empty());
    match (filled, keeps) {
        (true, _) => Finding::Unlabelled,
        (false, true) => Finding::Foreign(TENANTS.into()),
        (false, false) => Finding::Empty,
    }
}

/// What a receiver keeps for other boxes: pools of their own, which this one has nothing to do with.
pub(super) fn is_tenants(file: &FileInfo) -> bool {
    file.kind == FileKind::Folder && file.name == TENANTS
}

/// Whether the shards of a disk without a readable label are of this vault: what their headers say.
pub(super) fn judge(disk: &dyn Disk, vault: [u8; 16], labelled: bool) -> (DiskState, String) {
    let mut example = None;
    for class in Class::ALL {
        for file in disk.list(class.folder()).unwrap_or_default() {
            if is_nothing(&file.name, file.kind) {
                continue;
            }
            let path = format!("{}/{}", class.folder(), file.name);
            match header(disk, &path, &file.name) {
                Some(header) if header.vault == vault => return (DiskState::DamagedLabel, String::new()),
                Some(header) => return (DiskState::WrongVault, hex(&header.vault)),
                None => example.get_or_insert(path),
            };
        }
    }
    match example {
        Some(path) => (DiskState::Foreign, path),
        None if labelled => (DiskState::DamagedLabel, String::new()),
        None => (DiskState::Empty, String::new()),
    }
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Names that mean nothing: unfinished writes, and what a file system makes for itself.
pub(super) fn is_nothing(name: &str, kind: FileKind) -> bool {
    (kind == FileKind::File && name.starts_with(TEMP)) || (kind == FileKind::Folder && name == "lost+found")
}

fn read_label(disk: &dyn Disk) -> Result<Result<Label, LabelError>, DiskErrorKind> {
    let len = disk.len(LABEL_FILE).map_err(|e| e.kind)?;
    let mut bytes = vec![0; len.min(LABEL_MAX + 1) as usize];
    disk.read_at(LABEL_FILE, 0, &mut bytes).map_err(|e| e.kind)?;
    Ok(Label::parse(&bytes))
}

fn header(disk: &dyn Disk, path: &str, name: &str) -> Option<ShardHeader> {
    ShardName::parse(name)?;
    let mut bytes = [0; HEADER_LEN];
    disk.read_at(path, 0, &mut bytes).ok()?;
    ShardHeader::parse(&bytes).ok()
}

/// A disk as it was given, and what was found on it.
pub(super) struct Surveyed {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) finding: Finding,
    pub(super) lock: Option<DiskLock>,
}
