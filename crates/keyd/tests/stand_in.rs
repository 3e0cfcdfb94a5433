//! A box without a TPM: a passphrase stands in, every status says so, and a TPM can take over later.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use r#box::SoftTpm;
use r#box::home::{Home, VAULT, by_kit, make_vault, new_vault};
use keepwell_api::keys::{Keeper as Kind, Phase, SealAgain, Sign, VaultMade};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::Keeper;

const PASSPHRASE: &[u8] = b"a long enough passphrase";

fn open(keeper: &mut Keeper, made: &VaultMade) -> Result<Vec<u8>, KeydError> {
    keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).map(|body| body.to_vec())
}

fn says_so(keeper: &Keeper) {
    let status = keeper.status();
    assert_eq!(status.keeper, Kind::StandIn);
    assert!(status.warnings.iter().any(|warning| warning.code == "stand-in"));
}

#[test]
fn a_passphrase_stands_in() {
    let home = Home::new(None);
    let mut keeper = home.start();
    says_so(&keeper);
    assert!(matches!(keeper.new_vault(&new_vault()), Err(KeydError::NoStandIn)));
    assert!(matches!(keeper.unlock(b"too short"), Err(KeydError::Short)));
    keeper.unlock(PASSPHRASE).unwrap();
    let (made, papers) = make_vault(&mut keeper);
    let (body, key) = (open(&mut keeper, &made).unwrap(), keeper.identity().unwrap().public_key);
    drop(keeper);

    let mut keeper = home.start();
    says_so(&keeper);
    assert_eq!(keeper.status().phase, Phase::Locked);
    assert_eq!(keeper.status().locked.unwrap().code, "passphrase");
    assert!(matches!(open(&mut keeper, &made), Err(KeydError::Locked(_))));
    let label = Sign::DiskLabel { statement: vec![0; 384].into() };
    assert!(keeper.sign(&label).is_err());
    assert!(matches!(keeper.unlock(b"not this passphrase"), Err(KeydError::WrongPassphrase)));
    assert_eq!(keeper.status().phase, Phase::Locked);
    keeper.unlock(PASSPHRASE).unwrap();
    assert_eq!(open(&mut keeper, &made).unwrap(), body);
    assert_eq!(keeper.identity().unwrap().public_key, key);
    drop(keeper);

    // Forgotten: the kit opens, and brings a new one.
    let mut keeper = home.start();
    let mut request = by_kit(&papers[1], &papers[2]);
    request.passphrase = Some(b"another long passphrase".to_vec().into());
    let recovered = keeper.unlock_by_kit(&request).unwrap();
    assert_eq!(recovered.not_sealed, None);
    drop(keeper);
    let mut keeper = home.start();
    assert!(matches!(keeper.unlock(PASSPHRASE), Err(KeydError::WrongPassphrase)));
    keeper.unlock(b"another long passphrase").unwrap();
    assert_eq!(open(&mut keeper, &VaultMade { slots: recovered.slots, ..made }).unwrap(), body);
}

#[test]
fn a_tpm_takes_over() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let mut home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(PASSPHRASE).unwrap();
    let (made, _) = make_vault(&mut keeper);
    let body = open(&mut keeper, &made).unwrap();
    drop(keeper);

    home.connect(Some(&soft));
    let mut keeper = home.start();
    says_so(&keeper);
    keeper.unlock(PASSPHRASE).unwrap();
    keeper.seal_again(&SealAgain::default()).unwrap();
    assert_eq!(keeper.status().keeper, Kind::Tpm);
    drop(keeper);
    let mut keeper = home.start();
    assert_eq!(open(&mut keeper, &made).unwrap(), body);
    assert!(!home.file("stand-in.json").exists());
    drop(keeper);

    // Told to use no TPM, it does not fall back to a passphrase by itself.
    home.connect(None);
    let mut keeper = home.start();
    assert_eq!(keeper.status().locked.unwrap().code, "no-tpm");
    assert!(matches!(keeper.unlock(PASSPHRASE), Err(KeydError::NotAPassphrase)));
}
