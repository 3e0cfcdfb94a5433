//! What the image builder signed: which states of a started system may open the keys.
//!
//! Owns the file of signed policies, its strict parser, and the digests that a TPM computes for the same (TPM 2.0 Library, part 3, "Enhanced
//! Authorization"). Knows no TPM and holds no key but, in [`sign`], the builder's own.

mod digest;
pub mod sign;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use digest::{authorized, authorized_then_pcrs, pcr_policy};

use crate::hex::{Digest, Hex, NoHex, decode_into};

/// Largest file that is parsed.
pub const FILE_MAX: usize = 256 << 10;
const POLICIES_MAX: usize = 256;
const DOCUMENTS_MAX: usize = 8;
const PHASE_MAX: usize = 64;
const VERSION: u32 = 1;

/// A generation of images. Policies of an older one than the keys are sealed for open nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecurityEpoch(pub u32);

impl SecurityEpoch {
    /// What the signature covers beside the policy, and what the TPM binds it to.
    pub fn policy_ref(self) -> Digest {
        Digest::of(&[b"keepwell pcr policy", &self.0.to_le_bytes()])
    }
}

/// The image builder's public key: P-256, as an uncompressed point (SEC 1, section 2.3.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Authority([u8; 65]);

impl Authority {
    /// The point's coordinates, 32 bytes each.
    pub fn coordinates(&self) -> (&[u8], &[u8]) {
        self.0[1..].split_at(32)
    }

    /// The key from the bytes of a point. That it lies on the curve, every use of it checks.
    pub fn from_point(point: &[u8]) -> Option<Self> {
        point.try_into().ok().filter(|point: &[u8; 65]| point[0] == 4).map(Self)
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0).verify(message, signature).is_ok()
    }
}

impl FromStr for Authority {
    type Err = NoHex;

    fn from_str(text: &str) -> Result<Self, NoHex> {
        let mut point = [0; 65];
        decode_into(text.trim(), &mut point)?;
        Self::from_point(&point).ok_or(NoHex)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(self.0.to_vec()).fmt(f)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", Hex(self.0[1..9].to_vec()))
    }
}

impl Serialize for Authority {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Authority {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a file of signed policies is not used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not what such a file looks like.
    #[error("the file of signed policies is damaged or none ({0}): install the image again; two papers of the recovery kit open the vault")]
    Malformed(String),
    /// Made by a later program.
    #[error(
        "the file of signed policies is of version {0}, made for a newer image: install that; two papers of the recovery kit open the vault"
    )]
    Newer(u32),
    /// Signed by somebody else than whom this image trusts.
    #[error(
        "the policies are signed by an authority that this image does not trust, so they are not used: install an image of the maker's; two papers of the recovery kit open the vault"
    )]
    UnknownAuthority,
    /// A signature does not fit.
    #[error(
        "the signature of the policy for `{phase}` is not valid, so somebody altered it: install an image of the maker's; two papers of the recovery kit open the vault"
    )]
    BadSignature {
        /// Of the start.
        phase: String,
    },
}

impl PolicyError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "policies-damaged",
            Self::Newer(_) => "policies-newer",
            Self::UnknownAuthority => "unknown-authority",
            Self::BadSignature { .. } => "bad-signature",
        }
    }
}

/// One state of PCR 11 that was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedPolicy {
    /// How far the start has come, such as `enter-initrd`.
    pub phase: String,
    /// PCR 11 (SHA-256 bank) at that time.
    pub pcr11: Digest,
    /// Digest of PolicyPCR over it.
    pub policy: Digest,
    /// ECDSA, `r ‖ s`, over SHA-256(policy ‖ policyRef).
    pub signature: Hex,
}

/// The documents of signed policies in a file: the file itself, or the members of the array `keepwell` in an object that is otherwise somebody
/// else's. That is how they travel with an image: systemd's own object of signatures is in the image's `.pcrsig` section, and this array in it.
/// Nothing is known of each but that it is JSON.
pub fn documents(file: &[u8]) -> Result<Vec<&[u8]>, PolicyError> {
    if file.len() > FILE_MAX {
        return Err(malformed("it is too long"));
    }
    if file.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed("it is no JSON object"));
    }
    let carrier: Carrier<'_> = serde_json::from_slice(file).map_err(|error| PolicyError::Malformed(error.to_string()))?;
    match carrier.keepwell {
        None => Ok(vec![file]),
        Some(documents) if (1..=DOCUMENTS_MAX).contains(&documents.len()) => {
            Ok(documents.into_iter().map(|one| one.get().as_bytes()).collect())
        }
        Some(_) => Err(malformed("no document, or too many")),
    }
}

fn malformed(why: &str) -> PolicyError {
    PolicyError::Malformed(why.to_owned())
}

#[derive(Deserialize)]
struct Carrier<'a> {
    #[serde(borrow)]
    keepwell: Option<Vec<&'a RawValue>>,
}

/// A document of signed policies, well-formed, but by nobody knows whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedPolicies {
    version: u32,
    authority: Authority,
    epoch: SecurityEpoch,
    policies: Vec<SignedPolicy>,
}

impl SignedPolicies {
    /// Parses a document. What it says is consistent then; who signed it is not checked yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > FILE_MAX {
            return Err(malformed("it is too long"));
        }
        let version: Version = serde_json::from_slice(bytes).map_err(|error| PolicyError::Malformed(error.to_string()))?;
        match version.version {
            VERSION => {}
            0 => return Err(malformed("version 0")),
            newer => return Err(PolicyError::Newer(newer)),
        }
        let file: Self = serde_json::from_slice(bytes).map_err(|error| PolicyError::Malformed(error.to_string()))?;
        let phase = |text: &str| (1..=PHASE_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if file.policies.is_empty() || file.policies.len() > POLICIES_MAX {
            return Err(malformed("no policy, or too many"));
        }
        for policy in &file.policies {
            if !phase(&policy.phase) || policy.signature.0.len() != 64 {
                return Err(malformed("a phase or a signature is not of its form"));
            }
            if policy.policy != pcr_policy(&policy.pcr11) {
                return Err(malformed("a policy is not that of its PCR 11"));
            }
        }
        Ok(file)
    }

    /// Checks every signature against the authority that is trusted.
    pub fn verify(self, trusted: &Authority) -> Result<Policies, PolicyError> {
        if self.authority != *trusted {
            return Err(PolicyError::UnknownAuthority);
        }
        let reference = self.epoch.policy_ref();
        for policy in &self.policies {
            let message = [policy.policy.0, reference.0].concat();
            if !trusted.signed(&message, &policy.signature.0) {
                return Err(PolicyError::BadSignature { phase: policy.phase.clone() });
            }
        }
        Ok(Policies { epoch: self.epoch, policies: self.policies })
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Signed policies of the authority that this image trusts.
#[derive(Clone, Debug)]
pub struct Policies {
    /// The generation they are for.
    pub epoch: SecurityEpoch,
    policies: Vec<SignedPolicy>,
}

impl Policies {
    /// The policy that approves this value of PCR 11.
    pub fn approving(&self, pcr11: &Digest) -> Option<&SignedPolicy> {
        self.policies.iter().find(|policy| policy.pcr11 == *pcr11)
    }
}
