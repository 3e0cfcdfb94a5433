//! The label that makes a disk ours (`docs/disks.md`, "The label"). Bytes to a structure and back; strict, never does I/O, never decides what a label allows.

use crate::identity::{KEY_BYTES, PublicKey, SIGNATURE_BYTES};
use keepwell_api::disks::Serial;
use keepwell_api::hex;

/// Bytes that a copy occupies.
pub const LABEL_BYTES: usize = 512;
/// Where the copies are on the disk: between the partition table and the first partition, in different tracks.
pub const LABEL_AT: [u64; 2] = [64 << 10, 512 << 10];

const MAGIC: &[u8; 16] = b"keepwell disk 1\0";
const DISK: usize = 16;
const FILE_SYSTEM: usize = 32;
const MADE: usize = 48;
const SIZE: usize = 56;
const KEY: usize = 64;
const SERIAL: usize = 129;
const BOX: usize = 256;
const SIGNATURE: usize = 384;
const TEXT: usize = 126;

/// A disk of a pool, chosen when it was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskId(pub [u8; 16]);

impl std::fmt::Display for DiskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// What a label says, signature apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The disk.
    pub disk: DiskId,
    /// UUID of the file system in its partition.
    pub file_system: [u8; 16],
    /// When it was prepared, Unix seconds.
    pub made_at: u64,
    /// Size of the disk then, bytes.
    pub size_bytes: u64,
    /// The key that signs.
    pub key: PublicKey,
    /// Serial number of the disk: a label copied to another disk does not hold.
    pub serial: Serial,
    /// Name of the box.
    pub box_name: String,
}

/// Why bytes are no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not a label at all.
    #[error("there is no label")]
    Absent,
    /// Of a later release.
    #[error("the label was written by a later release")]
    Newer,
    /// A field can't be what it says.
    #[error("the label is damaged")]
    Damaged,
    /// The signature does not fit.
    #[error("the label's signature does not fit: it was changed, or never was a box's")]
    Forged,
}

impl Label {
    /// The bytes that are signed. A name that is too long is cut.
    pub fn statement(&self) -> [u8; SIGNATURE] {
        let mut out = [0; SIGNATURE];
        out[..DISK].copy_from_slice(MAGIC);
        out[DISK..FILE_SYSTEM].copy_from_slice(&self.disk.0);
        out[FILE_SYSTEM..MADE].copy_from_slice(&self.file_system);
        out[MADE..SIZE].copy_from_slice(&self.made_at.to_le_bytes());
        out[SIZE..KEY].copy_from_slice(&self.size_bytes.to_le_bytes());
        out[KEY..SERIAL].copy_from_slice(&self.key.0);
        put_text(&mut out[SERIAL..BOX], self.serial.as_str());
        let cut = self.box_name.floor_char_boundary(TEXT);
        put_text(&mut out[BOX..SIGNATURE], &self.box_name[..cut]);
        out
    }

    /// A copy as it is on the disk.
    pub fn encode(&self, signature: &[u8; SIGNATURE_BYTES]) -> [u8; LABEL_BYTES] {
        let mut out = [0; LABEL_BYTES];
        out[..SIGNATURE].copy_from_slice(&self.statement());
        out[SIGNATURE..SIGNATURE + SIGNATURE_BYTES].copy_from_slice(signature);
        out
    }

    /// Parses a copy and checks that its own key signed it. Whether that key may be believed is another question.
    pub fn parse(bytes: &[u8; LABEL_BYTES]) -> Result<Self, LabelError> {
        if bytes[..DISK] != MAGIC[..] {
            let other = bytes[..13] == MAGIC[..13];
            return Err(if other { LabelError::Newer } else { LabelError::Absent });
        }
        let label = Self {
            disk: DiskId(array(&bytes[DISK..FILE_SYSTEM])),
            file_system: array(&bytes[FILE_SYSTEM..MADE]),
            made_at: u64::from_le_bytes(array(&bytes[MADE..SIZE])),
            size_bytes: u64::from_le_bytes(array(&bytes[SIZE..KEY])),
            key: PublicKey(array::<KEY_BYTES>(&bytes[KEY..SERIAL])),
            serial: text(&bytes[SERIAL..BOX]).and_then(Serial::parse).ok_or(LabelError::Damaged)?,
            box_name: text(&bytes[BOX..SIGNATURE]).ok_or(LabelError::Damaged)?.to_owned(),
        };
        let spare_is_zero = bytes[SIGNATURE + SIGNATURE_BYTES..].iter().all(|b| *b == 0);
        if label.statement() != bytes[..SIGNATURE] || !spare_is_zero {
            return Err(LabelError::Damaged);
        }
        let signature = &bytes[SIGNATURE..SIGNATURE + SIGNATURE_BYTES];
        if label.key.verifies(&bytes[..SIGNATURE], signature) { Ok(label) } else { Err(LabelError::Forged) }
    }
}

/// A text with its length before it and zeros behind.
fn put_text(out: &mut [u8], text: &str) {
    out[0] = text.len() as u8;
    out[1..=text.len()].copy_from_slice(text.as_bytes());
}

fn text(field: &[u8]) -> Option<&str> {
    let (length, bytes) = field.split_first()?;
    let text = std::str::from_utf8(bytes.get(..usize::from(*length))?).ok()?;
    (*length as usize <= TEXT && !text.chars().any(char::is_control)).then_some(text)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the field has this length")
}
