//! What is on a disk, as far as diskd has to know: our label, nothing, or something that is not ours. Reads; never writes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::error::DiskError;
use crate::inventory::Found;
use crate::label::{LABEL_AT, LABEL_BYTES, Label, LabelError};
use crate::prepare::MARGIN as PARTITION_AT;
use crate::program;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: no known format is there, and zeros at both ends and in places between.
    Blank,
    /// A label that its key signed, for this disk.
    Labelled(Box<Label>),
    /// A label that does not hold.
    Spoilt(String),
    /// Something else.
    Foreign(String),
}

/// So much at both ends has to be zero.
const ENDS: u64 = 1 << 20;
/// And so many sectors between them, evenly spread: less than a second on a disk that turns.
const BETWEEN: u64 = 64;
const SECTOR: u64 = 4096;
/// A disk that answers at all answers by then.
const DEADLINE: Duration = Duration::from_secs(60);
/// Formats that are named; there is never more than a handful.
const NAMED: usize = 8;

/// Looks at a disk. `wipefs` is that of util-linux, which knows the formats; it is called so that it only looks.
pub fn look(found: &Found, wipefs: &Path) -> Result<Content, DiskError> {
    let device = found.device();
    let file = File::open(&device).map_err(DiskError::io("open", &device))?;
    match read_label(&file).map_err(DiskError::io("read", &device))? {
        Ok(label) if found.serial.as_ref() == Some(&label.serial) => {
            // The label lies in a gap that another system's quick format passes over.
            let whole = file_system_on(&file).map_err(DiskError::io("read", &device))? == Some(label.file_system);
            let why = "its label is whole, but the file system that it names is not there: another system formatted it, or it is damaged";
            return Ok(if whole { Content::Labelled(Box::new(label)) } else { Content::Spoilt(why.into()) });
        }
        Ok(label) => {
            return Ok(Content::Spoilt(format!("its label is that of another disk, {}: one was copied onto the other", label.serial)));
        }
        Err(LabelError::Absent) => {}
        Err(error) => return Ok(Content::Spoilt(error.to_string())),
    }
    let mut formats = Vec::new();
    for name in std::iter::once(&found.name).chain(found.partitions.iter().map(|part| &part.name)) {
        formats.extend(recognised(&Path::new("/dev").join(name), wipefs, found)?);
    }
    formats.dedup();
    if !formats.is_empty() {
        return Ok(Content::Foreign(formats.into_iter().take(NAMED).collect::<Vec<_>>().join(", ")));
    }
    let zero = samples_are_zero(&file, found.size_bytes).map_err(DiskError::io("read", &device))?;
    Ok(if zero { Content::Blank } else { Content::Foreign("data of an unknown kind".into()) })
}

/// The better of the two copies of the label.
pub fn read_label(file: &File) -> io::Result<Result<Label, LabelError>> {
    let mut worst = Ok(Err(LabelError::Absent));
    for at in LABEL_AT {
        let mut bytes = [0; LABEL_BYTES];
        match file.read_exact_at(&mut bytes, at).map(|()| Label::parse(&bytes)) {
            Ok(Ok(label)) => return Ok(Ok(label)),
            Ok(Err(LabelError::Absent)) => {}
            // A place that can't be read does not hide the other copy.
            other => worst = other,
        }
    }
    worst
}

fn samples_are_zero(file: &File, size: u64) -> io::Result<bool> {
    let ends = [0, size.saturating_sub(ENDS)].map(|at| (at, ENDS.min(size)));
    let between = (1..BETWEEN).map(|n| ((size / BETWEEN * n) & !(SECTOR - 1), SECTOR.min(size)));
    for (at, length) in ends.into_iter().chain(between) {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, at)?;
        if bytes.iter().any(|b| *b != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[derive(Deserialize)]
struct Signatures {
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(rename = "type", default)]
    kind: String,
    label: Option<String>,
}

/// Formats of one device, in words.
fn recognised(device: &Path, wipefs: &Path, found: &Found) -> Result<Vec<String>, DiskError> {
    let failed = |source| DiskError::Program { doing: "look at", disk: found.name.clone(), source };
    let said = program::succeed(wipefs, &["--no-act", "--json", &device.to_string_lossy()], &[], DEADLINE).map_err(failed)?;
    if said.out.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let parsed: Signatures = serde_json::from_slice(&said.out)
        .map_err(|error| DiskError::refused("unread", format!("what is on {} can't be found out: {error}", found.name)))?;
    let words = parsed.signatures.into_iter().map(|signature| match signature.label {
        Some(label) => format!("{} '{}'", plain(&signature.kind), plain(&label)),
        None => plain(&signature.kind),
    });
    Ok(words.collect())
}

/// Text from a foreign disk, for people.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// The UUID of the XFS file system that begins at the start of `device` (XFS algorithms and data structures, superblock: `XFSB` at 0, UUID at 32).
pub fn xfs_uuid(device: &Path) -> io::Result<Option<[u8; 16]>> {
    xfs_uuid_at(&File::open(device)?, 0)
}

/// The UUID of the file system in our partition, read through the disk itself: the kernel may not show the partition yet.
fn file_system_on(disk: &File) -> io::Result<Option<[u8; 16]>> {
    // What was written through the partition is not in the memory of the whole disk.
    rustix::fs::fadvise(disk, 0, None, rustix::fs::Advice::DontNeed)?;
    xfs_uuid_at(disk, PARTITION_AT)
}

fn xfs_uuid_at(file: &File, at: u64) -> io::Result<Option<[u8; 16]>> {
    let mut head = [0; 48];
    file.read_exact_at(&mut head, at)?;
    Ok((head[..4] == *b"XFSB").then(|| head[32..48].try_into().expect("16 bytes")))
}
