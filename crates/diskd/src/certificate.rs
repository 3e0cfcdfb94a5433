//! The signed statement that a disk was erased, for the practice's evidence: JSON for programs, text for people. Says what was reached and nothing beyond it.

use keepwell_api::disks::{Certificate, Erasure};

use crate::erase::{Outcome, Technique};
use crate::error::DiskError;
use crate::identity::{Identity, PublicKey, Statement, signature_from_hex, signed};
use crate::inventory::Found;

/// How each statement begins, so that no other signature of a box can be taken for one.
pub const KIND: &str = "keepwell erasure v1";

/// Who asked, and when it began and ended, Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The person, as the calling program named them.
    pub asked_by: Option<String>,
    /// User of the calling program.
    pub asked_by_uid: Option<u32>,
    /// Beginning.
    pub began_at: i64,
    /// End.
    pub ended_at: i64,
}

/// Signs what an erasure did.
pub fn certify(found: &Found, outcome: &Outcome, about: &Circumstances, identity: &dyn Identity) -> Result<Certificate, DiskError> {
    let no_serial = || DiskError::refused("no-serial", "a disk without a serial number can't be certified");
    let complete = outcome.is_complete();
    let erasure = Erasure {
        kind: KIND.into(),
        serial: found.serial.clone().ok_or_else(no_serial)?,
        wwn: found.wwn.clone(),
        model: found.model.clone(),
        size_bytes: found.size_bytes,
        level: if complete { "Clear" } else { "none" }.into(),
        technique: technique(outcome.technique).into(),
        meaning: meaning(found, outcome).into(),
        verified_bytes: outcome.verified_bytes,
        failed_bytes: outcome.failed_bytes.saturating_add(outcome.wrong_bytes),
        complete,
        began_at: about.began_at,
        ended_at: about.ended_at,
        asked_by: about.asked_by.clone(),
        asked_by_uid: about.asked_by_uid,
        box_name: identity.name().to_owned(),
    };
    let statement = serde_json::to_string(&erasure).map_err(|error| DiskError::Identity(error.into()))?;
    let (key, signature) = signed(identity, Statement::Erasure(&statement))?;
    Ok(Certificate { statement, public_key: key.to_hex(), signature: keepwell_api::hex::encode(&signature) })
}

/// What a certificate states, if its signature holds. Whose key it is, whoever asks has to know.
pub fn verify(certificate: &Certificate) -> Option<(PublicKey, Erasure)> {
    let key = PublicKey::from_hex(&certificate.public_key)?;
    let signature = signature_from_hex(&certificate.signature)?;
    let erasure: Erasure = serde_json::from_str(&certificate.statement).ok()?;
    (erasure.kind == KIND && key.verifies(certificate.statement.as_bytes(), &signature)).then_some((key, erasure))
}

fn technique(technique: Technique) -> &'static str {
    match technique {
        Technique::Overwrite => "every addressable block overwritten once with zeros, then read back",
        Technique::Discard => "every addressable block deallocated by the device, which guarantees zeros, then read back",
    }
}

fn meaning(found: &Found, outcome: &Outcome) -> &'static str {
    if !outcome.is_complete() {
        return "NOT ERASED COMPLETELY. A part of the disk could not be overwritten or read back. A disk of a Keepwell pool held encrypted data only, which can't be \
            read without the vault's key; destroy the disk by force all the same.";
    }
    if found.rotational {
        "Nothing that was stored can be read through the disk's interface any more (NIST SP 800-88 Rev. 1, Clear). Sectors that the disk had replaced before are \
            beyond reach; on a disk of a Keepwell pool they hold encrypted data only, which can't be read without the vault's key."
    } else {
        "Nothing that was stored can be read through the disk's interface any more (NIST SP 800-88 Rev. 1, Clear). Flash memory keeps old copies out of reach of \
            overwriting; on a disk of a Keepwell pool they hold encrypted data only, which can't be read without the vault's key."
    }
}
