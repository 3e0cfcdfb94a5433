//! Who signs for this box, and whose signatures it knows. Has public keys only: the private one is keyd's.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::error::DiskError;
use keepwell_api::hex;

/// Bytes of a public key: SEC1, uncompressed.
pub const KEY_BYTES: usize = 65;
/// Bytes of a signature: r and s, big endian.
pub const SIGNATURE_BYTES: usize = 64;

/// A public key on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; KEY_BYTES]);

impl PublicKey {
    /// Several, as a file has them: one a line.
    pub fn to_lines(keys: &[Self]) -> String {
        keys.iter().map(|key| key.to_hex() + "\n").collect()
    }

    /// Those that lines have; what is none is left out.
    pub fn from_lines(lines: &str) -> impl Iterator<Item = Self> + '_ {
        lines.lines().filter_map(Self::from_hex)
    }

    /// From hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text.trim()).filter(|key: &[u8; KEY_BYTES]| key[0] == 4).map(Self)
    }

    /// As hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(&self.0)
    }

    /// Whether this key signed `message` (FIPS 186-5, ECDSA with SHA-256).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0).verify(message, signature).is_ok()
    }
}

/// A signature from hexadecimal digits.
pub fn signature_from_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    hex::decode(text.trim())
}

/// What a box puts its name to. Each begins with words that say what kind of statement it is, so that none can be taken for another.
#[derive(Clone, Copy, Debug)]
pub enum Statement<'a> {
    /// A disk is this box's: the label without its signature.
    DiskLabel(&'a [u8]),
    /// A disk was erased: JSON text.
    Erasure(&'a str),
}

impl Statement<'_> {
    /// What is signed.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::DiskLabel(bytes) => bytes,
            Self::Erasure(text) => text.as_bytes(),
        }
    }
}

/// The box's signing identity.
pub trait Identity: Send + Sync {
    /// What the box is called.
    fn name(&self) -> &str;
    /// Its public key.
    fn public_key(&self) -> Result<PublicKey, DiskError>;
    /// Its public key as it is now, which may have changed since it was last asked for.
    fn newest_key(&self) -> Result<PublicKey, DiskError> {
        self.public_key()
    }
    /// All keys whose disks are this box's: its own, and those that it had before.
    fn own_keys(&self) -> Result<Vec<PublicKey>, DiskError> {
        Ok(vec![self.public_key()?])
    }
    /// Signs; r and s.
    fn sign(&self, statement: Statement<'_>) -> Result<[u8; SIGNATURE_BYTES], DiskError>;
}

/// Signs, and checks what came back.
pub(crate) fn signed(identity: &dyn Identity, statement: Statement<'_>) -> Result<(PublicKey, [u8; SIGNATURE_BYTES]), DiskError> {
    let signature = identity.sign(statement)?;
    let mut key = identity.public_key()?;
    if !key.verifies(statement.bytes(), &signature) {
        key = identity.newest_key()?;
    }
    if !key.verifies(statement.bytes(), &signature) {
        return Err(DiskError::Identity("what keyd signed does not fit the key it says it has".into()));
    }
    Ok((key, signature))
}

/// Other boxes whose disks may be mounted: a folder of files `NAME.pub`, each with a public key as hexadecimal digits.
#[derive(Clone, Debug, Default)]
pub struct KnownBoxes(pub Option<PathBuf>);

impl KnownBoxes {
    /// The name of the box whose key this is.
    pub fn name_of(&self, key: &PublicKey) -> Option<String> {
        let entries = fs::read_dir(self.0.as_deref()?).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).find(|path| read_key(path).as_ref() == Some(key)).and_then(|path| {
            let name = path.file_stem()?.to_str()?;
            Some(name.to_owned())
        })
    }
}

fn read_key(path: &Path) -> Option<PublicKey> {
    let is_key = path.extension().is_some_and(|extension| extension == "pub");
    PublicKey::from_hex(&fs::read_to_string(is_key.then_some(path)?).ok()?)
}
