//! Files of the state that are damaged, can't be read, or come from a later release: told, never overwritten, and no reason not to start.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use std::fs;

use r#box::SoftTpm;
use r#box::home::{Home, VAULT, by_kit, make_vault};
use keepwell_api::keys::{Phase, UnlockByKit};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::Keeper;
use keepwell_keyd::state::StateError;

const NEWER: &str = "{\"version\":2}";

fn warned(keeper: &Keeper, code: &str) -> bool {
    keeper.status().warnings.iter().any(|warning| warning.code == code)
}

fn locked(keeper: &Keeper) -> String {
    assert_eq!(keeper.status().phase, Phase::Locked);
    keeper.status().locked.unwrap().code
}

#[test]
fn a_damaged_record_of_a_vault_is_put_aside_and_counts_as_a_vault() {
    let home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    let (made, papers) = make_vault(&mut keeper);
    drop(keeper);
    let name = format!("vault-{VAULT}.json");
    fs::write(home.file(&name), "nothing of use").unwrap();
    fs::remove_file(home.file("stand-in.json")).unwrap();
    fs::rename(home.file("box.json"), home.file("box.json.elsewhere")).unwrap();
    let keeper = home.start();
    // A box that had a vault is not a new one, and makes no new halves by itself.
    assert_eq!(locked(&keeper), "state-damaged");
    assert!(!home.file("box.json").exists());
    drop(keeper);
    let mut keeper = home.start();
    let passphrase = Some(b"another long passphrase".to_vec().into());
    let request = UnlockByKit { slots: Some(made.slots), passphrase, ..by_kit(&papers[0], &papers[1]) };
    keeper.unlock_by_kit(&request).unwrap();
    assert_eq!(fs::read(home.file(&format!("{name}.damaged"))).unwrap(), b"nothing of use");
}

#[test]
fn what_a_later_release_wrote_is_never_replaced() {
    let home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    let (made, papers) = make_vault(&mut keeper);
    drop(keeper);
    for name in ["stand-in.json".to_owned(), "box.json".to_owned(), format!("vault-{VAULT}.json"), "identity.json".to_owned()] {
        let good = fs::read(home.file(&name)).unwrap();
        fs::write(home.file(&name), NEWER).unwrap();
        let mut keeper = home.start();
        let passphrase = Some(b"another long passphrase".to_vec().into());
        let request = UnlockByKit { slots: Some(made.slots.clone()), passphrase, ..by_kit(&papers[0], &papers[1]) };
        if name == "identity.json" {
            assert!(warned(&keeper, "state-newer"));
            keeper.unlock(b"a long enough passphrase").unwrap();
        } else {
            assert!(matches!(keeper.unlock_by_kit(&request), Err(KeydError::State(StateError::Newer(_)))), "{name}");
        }
        drop(keeper);
        assert_eq!(fs::read(home.file(&name)).unwrap(), NEWER.as_bytes(), "{name}");
        fs::write(home.file(&name), good).unwrap();
    }
}

/// A folder in a file's place is read as badly as a disk that fails.
#[test]
fn a_file_that_can_not_be_read_locks_and_does_not_stop() {
    let home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    make_vault(&mut keeper);
    let key = keeper.identity().unwrap();
    drop(keeper);
    for name in ["stand-in.json", "box.json", "identity.json"] {
        let good = fs::read(home.file(name)).unwrap();
        fs::remove_file(home.file(name)).unwrap();
        fs::create_dir(home.file(name)).unwrap();
        let keeper = home.start();
        match name {
            "identity.json" => assert!(warned(&keeper, "state-damaged")),
            _ => assert_eq!(locked(&keeper), "state-damaged"),
        }
        drop(keeper);
        fs::remove_dir(home.file(name)).unwrap();
        fs::write(home.file(name), good).unwrap();
    }
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    assert_eq!(keeper.identity().unwrap(), key);
}

#[test]
fn secure_boot_that_is_off_is_told() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    assert!(!warned(&home.start(), "secure-boot-off"));
    for content in [&[6, 0, 0, 0, 0][..], &[1], &[]] {
        fs::write(home.folder.path().join("SecureBoot"), content).unwrap();
        assert!(warned(&home.start(), "secure-boot-off"), "{content:?}");
    }
    fs::remove_file(home.folder.path().join("SecureBoot")).unwrap();
    assert!(warned(&home.start(), "secure-boot-off"));
}

/// What is refused is refused before anything is changed.
#[test]
fn a_passphrase_that_is_short_or_of_no_use_changes_nothing() {
    let home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    let (_, papers) = make_vault(&mut keeper);
    let with = |passphrase: &[u8]| UnlockByKit { passphrase: Some(passphrase.to_vec().into()), ..by_kit(&papers[0], &papers[1]) };
    assert!(matches!(keeper.unlock_by_kit(&with(b"another long passphrase")), Err(KeydError::NoUseForPassphrase)), "it is open");
    drop(keeper);
    fs::write(home.file("box.json"), "broken").unwrap();
    let mut keeper = home.start();
    assert!(matches!(keeper.unlock_by_kit(&with(b"short")), Err(KeydError::Short)));
    assert_eq!(fs::read(home.file("box.json")).unwrap(), b"broken");
}
