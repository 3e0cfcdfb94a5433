//! What a TPM opens and what it refuses, on a real TPM in software: one clear error for each refusal.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use std::fmt::Write as _;

use r#box::tap::Tap;
use r#box::{Builder, SoftTpm, pcr_of};
use keepwell_crypt::Secret;
use keepwell_keyd::hex::Hex;
use keepwell_keyd::policy::{Policies, SecurityEpoch};
use keepwell_keyd::tpm::{SealedBlob, Terms, Tpm, TpmError, TpmNames};

const SECRET: [u8; 32] = [0x5a; 32];

/// A box whose secret is sealed for epoch 2 and image "image 1", and which is switched on with it.
struct Sealed {
    soft: SoftTpm,
    tpm: Tpm,
    builder: Builder,
    blob: SealedBlob,
}

impl Sealed {
    fn new() -> Option<Self> {
        let mut soft = SoftTpm::new()?;
        let builder = Builder::new();
        soft.boot("our keys", "image 1");
        let tpm = soft.tpm();
        let blob = tpm.seal(&Secret::from_bytes(SECRET), terms(&builder, 2)).unwrap();
        Some(Self { soft, tpm, builder, blob })
    }

    fn policies(&self) -> Policies {
        self.builder.policies(2, &["image 1"])
    }

    fn open(&self) -> Result<Secret, TpmError> {
        self.open_with(std::slice::from_ref(&self.blob), &[self.policies()])
    }

    fn open_with(&self, blobs: &[SealedBlob], policies: &[Policies]) -> Result<Secret, TpmError> {
        self.tpm.unseal(blobs, policies, Some(self.builder.authority()))
    }
}

fn terms(builder: &Builder, epoch: u32) -> Terms {
    Terms { authority: builder.authority(), epoch: SecurityEpoch(epoch), pcr7: None, tpm: None }
}

#[track_caller]
fn opens(opened: Result<Secret, TpmError>) {
    assert_eq!(opened.unwrap().expose(), &SECRET);
}

/// Refused with this word; and the person is told what to do.
#[track_caller]
fn refused(opened: Result<Secret, TpmError>, code: &str) {
    let error = opened.expect_err("it must not open");
    let mut chain = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        write!(chain, ": {error}").unwrap();
        cause = error.source();
    }
    assert_eq!(error.code(), code, "{chain}");
    assert!(chain.contains("two papers of the recovery kit"), "{chain}");
    assert!(!chain.contains(". "), "one sentence: {chain}");
}

#[test]
fn opens_again_after_a_restart() {
    let Some(mut sealed) = Sealed::new() else { return };
    opens(sealed.open());
    sealed.soft.boot("our keys", "image 1");
    opens(sealed.open());
    opens(sealed.open());
}

/// Attack 1: another system is started without Secure Boot, and extends PCR 11 with the public measurements of ours.
#[test]
fn measurements_replayed_after_a_power_cycle_open_nothing() {
    let Some(mut sealed) = Sealed::new() else { return };
    sealed.soft.boot("secure boot is off", "image 1");
    assert_eq!(sealed.tpm.pcrs().unwrap().image, pcr_of("image 1"), "the replay is a good one");
    refused(sealed.open(), "wrong-pcr-7");

    // The thief also edits the state, so that keyd does not see that PCR 7 is wrong. The TPM does.
    let mut edited = sealed.blob.clone();
    edited.pcr7 = pcr_of("secure boot is off");
    refused(sealed.open_with(&[edited], &[sealed.policies()]), "tpm-refused");
}

#[test]
fn another_image_opens_nothing_until_it_is_signed() {
    let Some(mut sealed) = Sealed::new() else { return };
    sealed.soft.boot("our keys", "image 2");
    refused(sealed.open(), "wrong-pcr-11");
    // The newly signed image brings its policies along; nothing is sealed again.
    opens(sealed.open_with(std::slice::from_ref(&sealed.blob), &[sealed.builder.policies(2, &["image 1", "image 2"])]));
    // A builder that the sealed keys do not know signs the same: the TPM asks for the one in its policy.
    let other = Builder::new();
    let forged = [other.policies(2, &["image 2"])];
    refused(sealed.tpm.unseal(std::slice::from_ref(&sealed.blob), &forged, Some(other.authority())), "other-authority");
    refused(sealed.tpm.unseal(std::slice::from_ref(&sealed.blob), &forged, Some(sealed.builder.authority())), "tpm-refused");
    let mut edited = sealed.blob.clone();
    edited.authority = other.authority();
    refused(sealed.tpm.unseal(&[edited], &forged, Some(other.authority())), "tpm-refused");
}

#[test]
fn a_start_that_went_on_opens_nothing() {
    let Some(sealed) = Sealed::new() else { return };
    sealed.soft.measure(11, "leave-initrd");
    refused(sealed.open(), "wrong-pcr-11");
}

#[test]
fn add_ons_and_extensions_open_nothing() {
    let Some(mut sealed) = Sealed::new() else { return };
    sealed.soft.measure(12, "init=/bin/sh");
    refused(sealed.open(), "pcr-not-zero");
    sealed.soft.boot("our keys", "image 1");
    sealed.soft.measure(13, "a system extension");
    refused(sealed.open(), "pcr-not-zero");
    sealed.soft.boot("our keys", "image 1");
    opens(sealed.open());
}

#[test]
fn a_planned_change_of_secure_boot_is_sealed_for_before() {
    let Some(mut sealed) = Sealed::new() else { return };
    let planned = Terms { pcr7: Some(pcr_of("our new keys")), ..terms(&sealed.builder, 2) };
    let blobs = [sealed.blob.clone(), sealed.tpm.seal(&Secret::from_bytes(SECRET), planned).unwrap()];
    opens(sealed.open_with(&blobs, &[sealed.policies()]));
    sealed.soft.boot("our new keys", "image 1");
    refused(sealed.open(), "wrong-pcr-7");
    opens(sealed.open_with(&blobs, &[sealed.policies()]));
}

#[test]
fn another_tpm_and_a_cleared_one_are_told_apart() {
    let Some(mut sealed) = Sealed::new() else { return };
    let mut other = SoftTpm::new().unwrap();
    other.boot("our keys", "image 1");
    refused(other.tpm().unseal(std::slice::from_ref(&sealed.blob), &[sealed.policies()], Some(sealed.builder.authority())), "other-tpm");

    sealed.soft.clear();
    sealed.soft.boot("our keys", "image 1");
    refused(sealed.open(), "tpm-cleared");
    // It can be used again.
    sealed.blob = sealed.tpm.seal(&Secret::from_bytes(SECRET), terms(&sealed.builder, 2)).unwrap();
    opens(sealed.open());
}

#[test]
fn a_blob_of_another_tpm_under_our_names_is_refused() {
    let Some(sealed) = Sealed::new() else { return };
    let mut other = SoftTpm::new().unwrap();
    other.boot("our keys", "image 1");
    let mut blob = other.tpm().seal(&Secret::from_bytes([1; 32]), terms(&sealed.builder, 2)).unwrap();
    blob.tpm = sealed.blob.tpm.clone();
    refused(sealed.open_with(&[blob], &[sealed.policies()]), "sealed-damaged");
}

#[test]
fn a_tampered_blob_is_damaged() {
    let Some(sealed) = Sealed::new() else { return };
    let tampered = |change: &dyn Fn(&mut SealedBlob)| {
        let mut blob = sealed.blob.clone();
        change(&mut blob);
        sealed.open_with(&[blob], &[sealed.policies()])
    };
    let flip = |bytes: &mut Hex, at: usize| bytes.0[at] ^= 1;
    for at in [0, 2, 40, sealed.blob.private.0.len() - 1] {
        refused(tampered(&|blob| flip(&mut blob.private, at)), "sealed-damaged");
    }
    for at in [0, 3, 7, 20, sealed.blob.public.0.len() - 1] {
        refused(tampered(&|blob| flip(&mut blob.public, at)), "sealed-damaged");
    }
    refused(tampered(&|blob| blob.private.0.clear()), "sealed-damaged");
    refused(tampered(&|blob| blob.public.0.clear()), "sealed-damaged");
    refused(tampered(&|blob| blob.private.0.truncate(30)), "sealed-damaged");
    opens(sealed.open());
}

/// Attack 3: after the keys were sealed for epoch 2, an image that is signed for epoch 1 only is started.
#[test]
fn an_older_epoch_opens_nothing() {
    let Some(sealed) = Sealed::new() else { return };
    let old = sealed.builder.policies(1, &["image 1"]);
    refused(sealed.open_with(std::slice::from_ref(&sealed.blob), std::slice::from_ref(&old)), "old-epoch");
    refused(sealed.open_with(std::slice::from_ref(&sealed.blob), &[sealed.builder.policies(3, &["image 1"])]), "no-epoch");
    refused(sealed.open_with(std::slice::from_ref(&sealed.blob), &[]), "no-policies");
    let mut edited = sealed.blob.clone();
    edited.epoch = SecurityEpoch(1);
    refused(sealed.open_with(&[edited], &[old]), "tpm-refused");
    // An image that is signed for both opens what is sealed for either.
    let both = [sealed.builder.policies(1, &["image 1"]), sealed.policies()];
    opens(sealed.open_with(std::slice::from_ref(&sealed.blob), &both));
    let first = sealed.tpm.seal(&Secret::from_bytes(SECRET), terms(&sealed.builder, 1)).unwrap();
    opens(sealed.open_with(&[first], &both));
}

/// Wrong passwords elsewhere lock the TPM; what keyd made in it has no password and is not counted (noDA), so it opens all the same.
#[test]
fn a_locked_out_tpm_still_opens() {
    let Some(sealed) = Sealed::new() else { return };
    let soft = &sealed.soft;
    let auth = Secret::from_bytes([9; 32]);
    let identity = sealed.tpm.make_identity(&auth).unwrap();
    assert!(soft.tool(&[
        "tpm2_dictionarylockout",
        "--setup-parameters",
        "--max-tries=1",
        "--recovery-time=1000",
        "--lockout-recovery-time=1000"
    ]));
    assert!(soft.tool(&["tpm2_createprimary", "-Q", "-C", "o", "-p", "right", "-c", "guarded.ctx"]));
    let guess = |word: &str| soft.tool(&["tpm2_create", "-Q", "-C", "guarded.ctx", "-P", word, "-u", "guarded.pub", "-r", "guarded.priv"]);
    assert!(guess("right") && !guess("wrong"));
    assert!(!guess("right"), "the TPM is locked out");
    opens(sealed.open());
    assert!(sealed.tpm.sign(&identity, &auth, pcr_of("anything")).is_ok());
}

#[test]
fn no_tpm_is_told_as_that() {
    let Some(mut sealed) = Sealed::new() else { return };
    sealed.soft.off();
    refused(sealed.open(), "no-tpm");
    sealed.soft.on();
    refused(sealed.open(), "wrong-pcr-7");
}

#[test]
fn the_identity_signs_for_who_has_the_state_and_the_tpm() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    let Some(mut sealed) = Sealed::new() else { return };
    let auth = Secret::from_bytes([9; 32]);
    let identity = sealed.tpm.make_identity(&auth).unwrap();
    let digest = keepwell_keyd::hex::Digest::of(&[b"message"]);
    sealed.soft.boot("another", "system");
    for _ in 0..8 {
        let signature = sealed.tpm.sign(&identity, &auth, digest).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &identity.point.0).verify(b"message", &signature).unwrap();
    }
    assert!(sealed.tpm.sign(&identity, &Secret::from_bytes([8; 32]), digest).is_err());
    let other = SoftTpm::new().unwrap();
    assert!(other.tpm().sign(&identity, &auth, digest).is_err());
    assert_ne!(sealed.tpm.random().unwrap(), sealed.tpm.random().unwrap());
}

/// What an interposer on the TPM's bus sees: PCR values, but neither the secret nor random numbers.
#[test]
fn nothing_secret_crosses_the_bus() {
    let Some(sealed) = Sealed::new() else { return };
    let tap = Tap::before(&sealed.soft);
    let tpm = Tpm::at(&tap.tcti(), std::time::Duration::from_secs(60)).unwrap();
    let blob = tpm.seal(&Secret::from_bytes(SECRET), terms(&sealed.builder, 2)).unwrap();
    opens(tpm.unseal(&[blob], &[sealed.policies()], Some(sealed.builder.authority())));
    let (random, auth) = (tpm.random().unwrap(), Secret::from_bytes([0xa7; 32]));
    let identity = tpm.make_identity(&auth).unwrap();
    tpm.sign(&identity, &auth, pcr_of("anything")).unwrap();
    let seen = tap.seen();
    let saw = |bytes: &[u8]| seen.windows(bytes.len()).any(|window| window == bytes);
    assert!(saw(&pcr_of("image 1").0), "the tap works");
    assert!(!saw(&SECRET[..16]) && !saw(&random[..16]) && !saw(&auth.expose()[..16]));
}

/// A secret that one TPM has is not handed to another that took its place.
#[test]
fn nothing_is_sealed_again_by_another_tpm() {
    let Some(sealed) = Sealed::new() else { return };
    let other = SoftTpm::new().unwrap();
    let known = |ek: &Hex| Terms { tpm: Some(TpmNames { ek: ek.clone(), ..sealed.blob.tpm.clone() }), ..terms(&sealed.builder, 2) };
    let seal = |tpm: &Tpm, terms| tpm.seal(&Secret::from_bytes(SECRET), terms).map(|_| Secret::from_bytes(SECRET));
    opens(seal(&sealed.tpm, known(&sealed.blob.tpm.ek)));
    let names = other.tpm().names().unwrap();
    refused(seal(&other.tpm(), known(&sealed.blob.tpm.ek)), "other-tpm");
    refused(seal(&other.tpm(), known(&names.ek)), "tpm-cleared");
}

/// Nor does another one sign, make an identity, or give random numbers in its place.
#[test]
fn no_other_tpm_answers_for_the_one_that_is_known() {
    let Some(sealed) = Sealed::new() else { return };
    let (other, auth) = (SoftTpm::new().unwrap(), Secret::from_bytes([3; 32]));
    let (names, tpm) = (other.tpm().names().unwrap(), &sealed.tpm);
    let identity = tpm.make_identity(&auth).unwrap();
    for (known, code) in [(names.clone(), "other-tpm"), (TpmNames { ek: sealed.blob.tpm.ek.clone(), ..names }, "tpm-cleared")] {
        tpm.expect(Some(known));
        refused(tpm.random().map(|_| Secret::from_bytes(SECRET)), code);
        refused(tpm.make_identity(&auth).map(|_| Secret::from_bytes(SECRET)), code);
        refused(tpm.sign(&identity, &auth, pcr_of("anything")).map(|_| Secret::from_bytes(SECRET)), code);
    }
    tpm.expect(Some(sealed.blob.tpm.clone()));
    assert!(tpm.random().is_ok() && tpm.sign(&identity, &auth, pcr_of("anything")).is_ok());
}

/// The connection stands, and nothing comes.
#[test]
fn a_tpm_that_does_not_answer_is_told_as_that() {
    let port = r#box::free_ports();
    let listeners = [0, 1].map(|offset| std::net::TcpListener::bind(("127.0.0.1", port + offset)).unwrap());
    let tpm = Tpm::at(&format!("swtpm:host=127.0.0.1,port={port}"), std::time::Duration::from_millis(100)).unwrap();
    for _ in 0..8 {
        refused(tpm.pcrs().map(|_| Secret::from_bytes(SECRET)), "tpm-silent");
    }
    drop(listeners);
}

#[test]
fn a_tpm_that_another_system_took_over_is_told_as_that() {
    let Some(sealed) = Sealed::new() else { return };
    assert!(sealed.soft.tool(&["tpm2_changeauth", "-c", "endorsement", "theirs"]));
    refused(sealed.open(), "tpm-owned");
    assert!(sealed.soft.tool(&["tpm2_changeauth", "-c", "endorsement", "-p", "theirs"]));
    opens(sealed.open());
    assert!(sealed.soft.tool(&["tpm2_changeauth", "-c", "owner", "theirs"]));
    refused(sealed.open(), "tpm-owned");
}

#[test]
fn a_tpm_without_sha_256_is_told_as_that() {
    let Some(mut sealed) = Sealed::new() else { return };
    assert!(sealed.soft.tool(&["tpm2_pcrallocate", "-Q", "sha1:all+sha256:none+sha384:none+sha512:none"]));
    sealed.soft.power_cycle();
    refused(sealed.open(), "tpm-lacks");
}
