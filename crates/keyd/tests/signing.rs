//! The box puts its name to what is what it says, and to nothing else.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use r#box::SoftTpm;
use r#box::home::Home;
use keepwell_api::keys::{Sign, Signed};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::hex::Hex;
use keepwell_keyd::keeper::Keeper;
use serde_json::json;

fn certificate() -> String {
    let erasure: keepwell_api::disks::Erasure = serde_json::from_value(json!({
        "kind": "keepwell erasure v1", "serial": "WD-1", "wwn": null, "model": "disk", "size_bytes": 1, "level": "Clear",
        "technique": "overwritten", "meaning": "gone", "verified_bytes": 1, "failed_bytes": 0, "complete": true,
        "began_at": 1, "ended_at": 2, "asked_by": null, "asked_by_uid": 0, "box_name": "box",
    }))
    .unwrap();
    serde_json::to_string(&erasure).unwrap()
}

fn label(key: &[u8]) -> Vec<u8> {
    let mut label = vec![0; 384];
    label[..16].copy_from_slice(b"keepwell disk 1\0");
    label[64..129].copy_from_slice(key);
    label
}

fn verifies(signed: &Signed, message: &[u8]) {
    let (key, signature): (Hex, Hex) = (signed.public_key.parse().unwrap(), signed.signature.parse().unwrap());
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.0).verify(message, &signature.0).unwrap();
}

fn signs_these_alone(keeper: &Keeper) {
    let key: Hex = keeper.identity().unwrap().public_key.parse().unwrap();
    let certificate = certificate();
    verifies(&keeper.sign(&Sign::EraseCertificate { statement: certificate.clone() }).unwrap(), certificate.as_bytes());
    verifies(&keeper.sign(&Sign::DiskLabel { statement: label(&key.0).into() }).unwrap(), &label(&key.0));

    let mut other_kind = serde_json::from_str::<serde_json::Value>(&certificate).unwrap();
    other_kind["kind"] = "keepwell erasure v2".into();
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&certificate).unwrap()).unwrap();
    for statement in ["", "{}", "keepwell", &other_kind.to_string(), &pretty, &format!("{certificate} x"), &format!(" {certificate}")] {
        let refused = keeper.sign(&Sign::EraseCertificate { statement: statement.to_owned() });
        assert!(matches!(refused, Err(KeydError::NotSigned(_))), "{statement}");
    }
    let mut wrong_magic = label(&key.0);
    wrong_magic[0] = b'K';
    for statement in [Vec::new(), vec![0; 384], wrong_magic, label(&[4; 65]), [label(&key.0), vec![0]].concat()] {
        assert!(matches!(keeper.sign(&Sign::DiskLabel { statement: statement.into() }), Err(KeydError::NotSigned(_))));
    }
}

#[test]
fn with_a_tpm_before_there_is_a_vault() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    signs_these_alone(&home.start());
    // Also when it is locked or the image is another one: the same key.
    let key = home.start().identity().unwrap();
    soft.boot("other keys", "another image");
    signs_these_alone(&home.start());
    assert_eq!(home.start().identity().unwrap(), key);
    // While the TPM does not answer the key is known and signs nothing, and it is not replaced.
    soft.off();
    let keeper = home.start();
    assert_eq!(keeper.identity().unwrap(), key);
    assert!(matches!(keeper.sign(&Sign::EraseCertificate { statement: certificate() }), Err(KeydError::Tpm(_))));
}

#[test]
fn with_a_stand_in() {
    let home = Home::new(None);
    let mut keeper = home.start();
    assert!(matches!(keeper.identity(), Err(KeydError::NoIdentity)));
    keeper.unlock(b"a long enough passphrase").unwrap();
    signs_these_alone(&keeper);
}
