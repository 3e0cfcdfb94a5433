//! The builder's tool, for a machine that is offline: makes the authority's key and signs policies with it. A box never runs this.
//!
//! The same key and policy give the same signature (RFC 6979), so that an image made twice is the same image. aws-lc draws a nonce for each signature,
//! so it is not what signs here; it makes the key, and verifies.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use zeroize::Zeroizing;

use super::{Authority, SecurityEpoch, SignedPolicies, SignedPolicy, VERSION, pcr_policy};
use crate::hex::{Digest, Hex};

/// The authority's private key.
#[expect(missing_debug_implementations, reason = "a private key")]
pub struct AuthorityKey {
    signing: SigningKey,
    authority: Authority,
}

impl AuthorityKey {
    /// A new key, and what to store of it: PKCS #8 (RFC 5958), DER.
    pub fn make() -> io::Result<(Self, Zeroizing<Vec<u8>>)> {
        let failed = |_| io::Error::other("no key could be made");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(failed)?;
        let stored = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::parse(&stored)?, stored))
    }

    /// The key from what was stored.
    pub fn parse(stored: &[u8]) -> io::Result<Self> {
        let refused = || io::Error::new(io::ErrorKind::InvalidData, "this is no P-256 key in PKCS #8");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, stored).map_err(|_| refused())?;
        let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| refused())?;
        let signing = SigningKey::from_slice(private.as_ref()).map_err(|_| refused())?;
        Ok(Self { signing, authority: Authority::from_point(pair.public_key().as_ref()).ok_or_else(refused)? })
    }

    /// Its public half.
    pub fn authority(&self) -> Authority {
        self.authority
    }

    /// Signs values of PCR 11, each with the phase of the start it belongs to.
    pub fn sign(&self, epoch: SecurityEpoch, approved: &[(String, Digest)]) -> SignedPolicies {
        let policies = approved.iter().map(|(phase, pcr11)| {
            let policy = pcr_policy(pcr11);
            let message = [policy.0, epoch.policy_ref().0].concat();
            let signature: Signature = self.signing.sign(&message);
            SignedPolicy { phase: phase.clone(), pcr11: *pcr11, policy, signature: Hex(signature.to_bytes().to_vec()) }
        });
        SignedPolicies { version: VERSION, authority: self.authority, epoch, policies: policies.collect() }
    }
}

/// Makes a key in `folder`: `authority.key`, to be kept offline, and `authority.pub`, which goes into images. Replaces neither.
pub fn make_authority(folder: &Path) -> io::Result<Authority> {
    fs::create_dir_all(folder)?;
    let (key, stored) = AuthorityKey::make()?;
    let create = |name: &str, mode| OpenOptions::new().write(true).create_new(true).mode(mode).open(folder.join(name));
    let mut file = create("authority.key", 0o600)?;
    file.write_all(&stored)?;
    file.sync_all()?;
    let mut file = create("authority.pub", 0o644)?;
    file.write_all(format!("{}\n", key.authority()).as_bytes())?;
    file.sync_all()?;
    Ok(key.authority())
}
