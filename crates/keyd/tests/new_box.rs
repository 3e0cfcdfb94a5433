//! A box that never had the keys of the vault on its disks, or came up without its own state: two papers open it all the same, with what the engine shows of it.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use r#box::SoftTpm;
use r#box::home::{Home, VAULT, by_kit, make_vault, new_vault};
use keepwell_api::keys::{Phase, VaultMade};
use keepwell_api::state_locked::{CODE, StateLocked};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::{Config, Keeper};
use keepwell_keyd::state::Folder;

/// A vault of a box that burnt, with its papers, and a TPM out of its carton.
fn burnt() -> Option<(VaultMade, [String; 3], SoftTpm)> {
    let mut soft = SoftTpm::new()?;
    soft.boot("our keys", "image 1");
    let (made, papers) = make_vault(&mut Home::new(Some(&soft)).start());
    let mut new = SoftTpm::new()?;
    new.boot("our keys", "image 1");
    Some((made, papers, new))
}

fn open(keeper: &mut Keeper, made: &VaultMade) -> Result<Vec<u8>, KeydError> {
    keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).map(|body| body.to_vec())
}

#[test]
fn papers_open_what_the_engine_has_the_disks_of() {
    let Some((mut made, papers, soft)) = burnt() else { return };
    let home = Home::new(Some(&soft));
    let mut keeper = home.start();
    assert_eq!((keeper.status().phase, keeper.status().waiting), (Phase::New, None));
    let papers_of = || by_kit(&papers[0], &papers[2]);
    assert!(matches!(keeper.unlock_by_kit(&papers_of()), Err(KeydError::NeedSlots(_))), "its slots are on its disks");
    assert!(matches!(open(&mut keeper, &made), Err(KeydError::Nothing)));
    let waiting = keeper.status().waiting.unwrap();
    assert_eq!((waiting.vault.as_str(), waiting.set), (VAULT, made.set));
    let recovered = keeper.unlock_by_kit(&papers_of()).unwrap();
    assert_eq!((recovered.not_sealed, keeper.status().waiting), (None, None));
    assert!(open(&mut keeper, &made).is_ok());
    made.slots = recovered.slots;
    drop(keeper);
    assert!(open(&mut home.start(), &made).is_ok(), "from then on it opens by itself");
}

#[test]
fn papers_of_another_vault_open_nothing_and_it_goes_on_waiting() {
    let Some((made, _, soft)) = burnt() else { return };
    let Some((_, strange, _)) = burnt() else { return };
    let mut keeper = Home::new(Some(&soft)).start();
    assert!(open(&mut keeper, &made).is_err());
    assert!(keeper.unlock_by_kit(&by_kit(&strange[0], &strange[1])).is_err());
    assert_eq!(keeper.status().waiting.unwrap().vault, VAULT);
    assert_eq!(keeper.status().phase, Phase::New);
}

#[test]
fn a_box_without_its_state_seals_nothing_and_says_so() {
    let Some((made, papers, soft)) = burnt() else { return };
    let home = Home::new(Some(&soft));
    let start = || {
        let config = Config { state_locked: Some(StateLocked::NotOpened), ..home.config() };
        Keeper::start(Folder::open(&home.state()).unwrap(), config).unwrap()
    };
    let mut keeper = start();
    let locked = keeper.status().locked.unwrap();
    assert_eq!((keeper.status().phase, locked.code.as_str()), (Phase::Locked, CODE));
    assert!(locked.text.contains("unharmed") && locked.text.contains("Two papers"), "{}", locked.text);
    assert!(keeper.new_vault(&new_vault()).is_err(), "its keys would be gone when the box is switched off");
    assert!(matches!(open(&mut keeper, &made), Err(KeydError::Locked(_))));
    let recovered = keeper.unlock_by_kit(&by_kit(&papers[1], &papers[2])).unwrap();
    assert_eq!(recovered.not_sealed.unwrap().code, CODE);
    assert_eq!(recovered.slots, made.slots, "no slot that opens nothing after this start");
    assert!(open(&mut keeper, &made).is_ok());
    assert!(keeper.status().warnings.iter().any(|warning| warning.code == "not-sealed"));
    assert!(keeper.new_vault(&new_vault()).is_err() && !home.file("sealed.json").exists());
    drop(keeper);
    // The program alone was started again.
    let mut keeper = start();
    assert_eq!(keeper.status().locked.unwrap().code, CODE);
    assert!(keeper.unlock_by_kit(&by_kit(&papers[0], &papers[1])).is_ok() && open(&mut keeper, &made).is_ok());
}
