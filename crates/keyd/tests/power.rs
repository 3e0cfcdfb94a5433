//! The power fails at every step that changes the state: what was is still there, or what is to be is there whole, and the kit opens in any case.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use r#box::home::{Home, VAULT, by_kit, make_vault, new_vault, page, print_and_confirm, reissued, store, typed};
use r#box::{SoftTpm, pcr_of};
use keepwell_api::keys::{Phase, SealAgain, VaultMade};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::Keeper;
use keepwell_keyd::state::{Crash, Folder};

const PASSPHRASE: &[u8] = b"a long enough passphrase";

/// Runs `verb` with the power failing after 0, 1, 2, ... steps, from a copy of the same state each time, until it gets through. Then looks.
fn at_every_step<T>(home: &Home, mut verb: impl FnMut(&mut Keeper) -> Result<T, KeydError>, look: impl Fn(&Home, Option<T>)) {
    let before = home.folder.path().join("before");
    copy(&home.state(), &before);
    for steps in 0.. {
        assert!(steps < 100, "it never gets through");
        if home.state().exists() {
            std::fs::remove_dir_all(home.state()).unwrap();
        }
        copy(&before, &home.state());
        let folder = Folder::open(&home.state()).unwrap().failing(Crash::after(steps));
        let done = Keeper::start(folder, home.config()).and_then(|mut keeper| verb(&mut keeper));
        let through = match done {
            Ok(done) => Some(done),
            Err(KeydError::State(_)) => None,
            Err(other) => panic!("after {steps} steps: {other}"),
        };
        let ended = through.is_some();
        look(home, through);
        if ended {
            assert!(steps > 3, "the power never failed");
            return;
        }
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn sealed_box() -> Option<(SoftTpm, Home)> {
    let mut soft = SoftTpm::new()?;
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    Some((soft, home))
}

#[test]
fn while_the_first_vault_is_made() {
    let Some((_soft, home)) = sealed_box() else { return };
    at_every_step(
        &home,
        |keeper| keeper.new_vault(&new_vault()),
        |home, made| {
            let mut keeper = home.start();
            assert!(matches!(keeper.status().phase, Phase::New | Phase::Open), "{:?}", keeper.status());
            match (made, keeper.status().vaults.len()) {
                (Some(made), 1) => drop(keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).unwrap()),
                (None, 0) => drop(make_vault(&mut keeper)),
                // Nobody got its slots, so nothing is sealed with its keys; its papers can still be had.
                (None, 1) => drop(keeper.reissue(&reissued()).unwrap()),
                other => panic!("{other:?}"),
            }
        },
    );
}

#[test]
fn while_it_is_sealed_again() {
    let Some((_soft, home)) = sealed_box() else { return };
    let (made, _) = make_vault(&mut home.start());
    let planned = || SealAgain { pcr7: Some(pcr_of("our new keys").to_string()), epoch: None };
    at_every_step(
        &home,
        |keeper| keeper.seal_again(&planned()),
        |home, _| {
            let mut keeper = home.start();
            keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).unwrap();
            assert!(matches!(keeper.status().sealed.unwrap().pcr7.len(), 1 | 2));
        },
    );
}

#[test]
fn while_the_kit_is_re_issued() {
    let Some((_soft, home)) = sealed_box() else { return };
    let (made, papers) = make_vault(&mut home.start());
    let reissue = |keeper: &mut Keeper| {
        keeper.reissue(&reissued())?;
        let first = print_and_confirm(keeper, 1)?;
        let second = print_and_confirm(keeper, 2)?;
        let third = page(keeper, 3)?;
        let words = typed(&third, &keeper.question(VAULT, 3)?);
        keeper.confirm(VAULT, 3, &words.each_ref().map(String::as_str))?;
        Ok([first, second])
    };
    at_every_step(&home, reissue, |home, new| {
        let mut keeper = home.start();
        // Whoever asked was told or not: until the pool has the new slots, the old papers open it, and nobody is told to destroy them.
        let told = keeper.status().vaults[0].clone();
        assert_eq!((told.set, told.invalid_sets), (made.set, Vec::new()));
        let mut old = by_kit(&papers[0], &papers[1]);
        old.slots = Some(made.slots.clone());
        keeper.unlock_by_kit(&old).unwrap();
        let mut pool = made.slots.clone();
        store(&mut keeper, &mut pool);
        match new {
            Some([first, second]) => drop(keeper.unlock_by_kit(&by_kit(&first, &second)).unwrap()),
            None if keeper.status().vaults[0].set == made.set => drop(keeper.unlock_by_kit(&by_kit(&papers[0], &papers[1])).unwrap()),
            // All were confirmed as the power failed: the pool has got the slots for them.
            None => assert_eq!(keeper.status().vaults[0].invalid_sets, [made.set]),
        }
    });
}

#[test]
fn while_the_kit_opens_a_locked_box() {
    let Some((mut soft, home)) = sealed_box() else { return };
    let (made, papers) = make_vault(&mut home.start());
    soft.boot("other keys", "image 1");
    at_every_step(
        &home,
        |keeper| keeper.unlock_by_kit(&by_kit(&papers[0], &papers[2])),
        |home, recovered| {
            let mut keeper = home.start();
            let slots = match recovered {
                Some(recovered) => recovered.slots,
                None => keeper.unlock_by_kit(&by_kit(&papers[1], &papers[2])).unwrap().slots,
            };
            let made = VaultMade { slots, ..made.clone() };
            keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).unwrap();
        },
    );
}

#[test]
fn while_a_passphrase_is_chosen() {
    let home = Home::new(None);
    at_every_step(
        &home,
        |keeper| keeper.unlock(PASSPHRASE),
        |home, _| {
            let mut keeper = home.start();
            keeper.unlock(PASSPHRASE).unwrap();
            assert!(keeper.identity().is_ok());
        },
    );
}
