//! Files of signed policies: what is taken, what is refused and how, and digests that other programs compute too.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

use keepwell_keyd::hex::Digest;
use keepwell_keyd::policy::sign::AuthorityKey;
use keepwell_keyd::policy::{FILE_MAX, SecurityEpoch, SignedPolicies, authorized_then_pcrs, documents, pcr_policy};
use serde_json::{Value, json};

const PCR11: Digest = Digest([0x11; 32]);

fn key() -> AuthorityKey {
    AuthorityKey::make().unwrap().0
}

fn file(key: &AuthorityKey) -> Value {
    serde_json::to_value(key.sign(SecurityEpoch(7), &[("enter-initrd".into(), PCR11), ("ready".into(), Digest::ZERO)])).unwrap()
}

fn outcome(key: &AuthorityKey, file: &Value) -> &'static str {
    let verified = SignedPolicies::parse(file.to_string().as_bytes()).and_then(|file| file.verify(&key.authority()));
    verified.map_or_else(|error| error.code(), |_| "taken")
}

#[test]
fn what_the_builder_signed_is_taken() {
    let key = key();
    let parsed = SignedPolicies::parse(file(&key).to_string().as_bytes()).unwrap().verify(&key.authority()).unwrap();
    assert_eq!(parsed.epoch, SecurityEpoch(7));
    assert_eq!(parsed.approving(&PCR11).unwrap().phase, "enter-initrd");
    assert_eq!(parsed.approving(&Digest([9; 32])), None);
}

#[test]
fn each_change_is_refused() {
    let (key, other) = (key(), key());
    let changes: &[(&str, &str, Value)] = &[
        ("/version", "policies-newer", json!(2)),
        ("/version", "policies-damaged", json!(0)),
        ("/version", "policies-damaged", json!("1")),
        ("/epoch", "bad-signature", json!(8)),
        ("/epoch", "policies-damaged", json!(-1)),
        ("/epoch", "policies-damaged", json!(4_294_967_296_u64)),
        ("/authority", "unknown-authority", json!(other.authority().to_string())),
        ("/authority", "policies-damaged", json!("04")),
        ("/authority", "policies-damaged", json!("02".repeat(65))),
        ("/policies", "policies-damaged", json!([])),
        ("/policies/0/pcr11", "policies-damaged", json!(Digest::ZERO)),
        ("/policies/0/policy", "policies-damaged", json!(PCR11)),
        ("/policies/1/signature", "bad-signature", json!("00".repeat(64))),
        ("/policies/1/signature", "policies-damaged", json!("00".repeat(63))),
        ("/policies/1/phase", "policies-damaged", json!("")),
        ("/policies/1/phase", "policies-damaged", json!("a b")),
        ("/policies/1/phase", "policies-damaged", json!("a".repeat(65))),
    ];
    for (at, code, value) in changes {
        let mut changed = file(&key);
        *changed.pointer_mut(at).unwrap() = value.clone();
        assert_eq!(outcome(&key, &changed), *code, "{at} = {value}");
    }
    let mut more = file(&key);
    more["note"] = json!("unknown fields may mean something");
    assert_eq!(outcome(&key, &more), "policies-damaged");
    let mut many = file(&key);
    many["policies"] = json!(vec![many["policies"][0].clone(); 257]);
    assert_eq!(outcome(&key, &many), "policies-damaged");
    // Signatures of one file do not fit a policy of another.
    let mut swapped = file(&key);
    swapped["policies"][0]["signature"] = swapped["policies"][1]["signature"].clone();
    assert_eq!(outcome(&key, &swapped), "bad-signature");
    assert_eq!(outcome(&other, &file(&key)), "unknown-authority");
    assert!(SignedPolicies::parse(&vec![b' '; FILE_MAX + 1]).is_err());
    for cut in 0..file(&key).to_string().len() {
        assert!(SignedPolicies::parse(&file(&key).to_string().as_bytes()[..cut]).is_err());
    }
}

#[test]
fn what_an_image_brings_holds_the_documents_of_two_epochs() {
    let key = key();
    let [older, newer] = [6, 7].map(|epoch| key.sign(SecurityEpoch(epoch), &[("enter-initrd".into(), PCR11)]));
    let image = json!({"sha256": [{"pcrs": [11], "pol": "00", "sig": "AA=="}], "keepwell": [older, newer]}).to_string();
    let found = documents(image.as_bytes()).unwrap();
    let epochs: Vec<_> =
        found.into_iter().map(|one| SignedPolicies::parse(one).unwrap().verify(&key.authority()).unwrap().epoch.0).collect();
    assert_eq!(epochs, [6, 7]);
    // A document by itself is a file too, and what is no such object is told where it is parsed.
    let alone = serde_json::to_vec(&older).unwrap();
    assert_eq!(documents(&alone).unwrap(), [&alone[..]]);
    let systemd = br#"{"sha256": []}"#;
    assert_eq!(SignedPolicies::parse(documents(systemd).unwrap()[0]).unwrap_err().code(), "policies-damaged");
    for broken in [
        json!({"keepwell": []}).to_string(),
        json!({"keepwell": vec![&older; 9]}).to_string(),
        json!({"keepwell": older}).to_string(),
        json!({"keepwell": "a"}).to_string(),
        json!([[older]]).to_string(),
        format!(r#"{{"keepwell": [{{}}], "keepwell": [{}]}}"#, serde_json::to_string(&older).unwrap()),
        format!("{image} {image}"),
        format!("{image}{}", " ".repeat(FILE_MAX)),
        image[..image.len() - 1].to_owned(),
        String::new(),
    ] {
        assert_eq!(documents(broken.as_bytes()).unwrap_err().code(), "policies-damaged", "{}", &broken[..broken.len().min(90)]);
    }
    assert_eq!(documents(json!({"keepwell": vec![&older; 8]}).to_string().as_bytes()).unwrap().len(), 8);
}

/// An image made twice from the same parts is the same image.
#[test]
fn the_same_is_signed_the_same_each_time() {
    let (made, stored) = AuthorityKey::make().unwrap();
    let again = AuthorityKey::parse(&stored).unwrap();
    assert_eq!(file(&made), file(&again));
    assert_eq!(outcome(&made, &file(&again)), "taken");
    let signature = |epoch| made.sign(SecurityEpoch(epoch), &[("enter-initrd".into(), PCR11)]);
    assert_ne!(serde_json::to_value(signature(1)).unwrap()["policies"], serde_json::to_value(signature(2)).unwrap()["policies"]);
}

/// `tpm2_policypcr -l sha256:11` and `tpm2_policyauthorize` followed by `tpm2_policypcr -l sha256:7,12,13`, in trial sessions of tpm2-tools 5.4.
#[test]
fn digests_are_those_of_other_programs() {
    assert_eq!(pcr_policy(&PCR11).to_string(), "76375bd117789ab232eb4657886f1f50e7735879e1327ecf988b703311a07ab9");
    let name = [&[0, 0x0b][..], &[0xab; 32]].concat();
    assert_eq!(SecurityEpoch(7).policy_ref().to_string(), "ef32868f9d4aee7624df0d685dd5f5eef08ab929452cd18b197631170dc17d27");
    assert_eq!(
        authorized_then_pcrs(&name, &SecurityEpoch(7).policy_ref(), &PCR11).to_string(),
        "b7f6877fc417f770fba63d74a412194239ce03aeb5bb9e103f49355adc4bbb75"
    );
}
