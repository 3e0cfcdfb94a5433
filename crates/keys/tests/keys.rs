//! Every way in, and every wrong one.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use keepwell_crypt::{KitFile, Secret};
use keepwell_format::VaultId;
use keepwell_format::keys::{Slot, SlotKind, Slots};
use keepwell_keys::*;

const VAULT: VaultId = VaultId([7; 16]);

/// Counts up, so that a run repeats.
fn random(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut next = u64::from(seed) << 32;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (next >> 40) as u8;
        }
    }
}

fn made(seed: u8) -> NewKeys {
    let mut new = NewVault::new(VAULT);
    new.passphrase = Some(b"correct horse");
    new.argon2 = keepwell_crypt::Argon2Cost { m_kib: 64, t: 1, p: 1 };
    NewKeys::make(&new, &mut random(seed)).unwrap()
}

fn same(left: &Secret, right: &Secret) -> bool {
    left.expose() == right.expose()
}

fn wrapping(box_id: u8, tpm: u8, state: u8) -> Wrapping {
    Wrapping::new([box_id; 16], &Secret::from_bytes([tpm; 32]), &Secret::from_bytes([state; 32]))
}

fn with_box(slots: &Slots, wrapping: &Wrapping, vault_key: &Secret) -> Slots {
    with_tpm_slot(slots, &wrapping.slot(slots, vault_key)).unwrap()
}

#[test]
fn any_two_papers_and_the_passphrase_open() {
    let new = made(1);
    for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
        assert!(same(&open_kit(&new.slots, &new.kit[a], &new.kit[b]).unwrap(), &new.vault_key));
    }
    assert!(open_kit(&new.slots, &new.kit[1], &new.kit[1]).is_err(), "one paper twice");
    assert!(same(&open_passphrase(&new.slots, b"correct horse").unwrap(), &new.vault_key));
    assert!(matches!(open_passphrase(&new.slots, b"wrong"), Err(KeysError::WrongKey(_))));
    let body = open_keyring(&new.slots, &new.keyring, &new.vault_key).unwrap();
    assert_eq!(body.epochs.len(), 1);
    assert!(open_keyring(&new.slots, &new.keyring, &Secret::from_bytes([0; 32])).is_err());
}

#[test]
fn a_box_opens_with_both_its_halves_alone() {
    let new = made(1);
    assert!(open_tpm(&new.slots, &wrapping(1, 2, 3)).is_err(), "the box is not known yet");
    let slots = with_box(&new.slots, &wrapping(1, 2, 3), &new.vault_key);
    assert_eq!(slots.revision, new.slots.revision + 1);
    let slots = Slots::decode(&slots.encode()).unwrap();
    assert!(same(&open_tpm(&slots, &wrapping(1, 2, 3)).unwrap(), &new.vault_key));
    for other in [wrapping(1, 9, 3), wrapping(1, 2, 9), wrapping(9, 2, 3)] {
        assert!(matches!(open_tpm(&slots, &other), Err(KeysError::WrongKey(_))));
    }
    let two = with_box(&slots, &wrapping(4, 5, 6), &new.vault_key);
    let again = with_box(&two, &wrapping(1, 7, 8), &new.vault_key);
    assert_eq!(again.slots.iter().filter(|slot| slot.kind == SlotKind::Tpm).count(), 2, "one a box");
    assert!(same(&open_tpm(&again, &wrapping(4, 5, 6)).unwrap(), &new.vault_key));
    assert!(open_tpm(&again, &wrapping(1, 2, 3)).is_err(), "what the box had before is of no use");
    assert!(open_tpm(&without_tpm_slot(&again, &[4; 16]).unwrap(), &wrapping(4, 5, 6)).is_err());
}

#[test]
fn a_slot_is_bound_to_vault_epoch_and_box() {
    let new = made(1);
    let slots = with_box(&new.slots, &wrapping(1, 2, 3), &new.vault_key);
    let mut moved = slots.clone();
    moved.vault = VaultId([8; 16]);
    assert!(open_tpm(&moved, &wrapping(1, 2, 3)).is_err());
    let mut older = slots.clone();
    older.epoch.0 += 1;
    assert!(open_tpm(&older, &wrapping(1, 2, 3)).is_err());
}

#[test]
fn a_new_kit_ends_the_old_one() {
    let new = made(1);
    let (kit, papers) = NewKit::make(&new.slots, new.slots.kit.set.wrapping_add(1), &new.vault_key, &mut random(2)).unwrap();
    let slots = kit.put_into(&new.slots).unwrap();
    assert_eq!(NewKit::of(&slots), Some(kit));
    assert!(same(&open_kit(&slots, &papers[0], &papers[2]).unwrap(), &new.vault_key));
    let said = open_kit(&slots, &new.kit[0], &new.kit[1]).unwrap_err().to_string();
    assert!(said.contains(&format!("set {}", new.slots.kit.set)) && said.contains(&format!("now are set {}", slots.kit.set)), "{said}");
    assert!(open_kit(&slots, &papers[0], &new.kit[1]).is_err());
    assert_ne!(slot_digest(&slots), slot_digest(&new.slots));
    assert_eq!(slots.slots.iter().filter(|slot| slot.kind == SlotKind::Passphrase).count(), 1, "the other ways stay");
}

#[test]
fn one_paper_is_rehearsed_without_a_second() {
    let new = made(1);
    for (at, paper) in (1..).zip(&new.kit) {
        assert_eq!(rehearse(&new.slots, paper).unwrap(), Rehearsed { set: new.slots.kit.set, index: at });
    }
    let stranger = made(3);
    let forged = |paper: &KitFile| {
        let words = paper.share.to_words().map(|row| row.join(" "));
        let share = keepwell_crypt::Share::from_words([&words[0], &words[1], &words[2], &words[3]]).unwrap();
        KitFile { vault: VAULT.0, set: share.set(), share }
    };
    let mut slots = new.slots.clone();
    slots.kit.set = stranger.slots.kit.set;
    let said = rehearse(&slots, &forged(&stranger.kit[0])).unwrap_err().to_string();
    assert!(said.contains("is not the one that was made"), "{said}");
    let mut other = forged(&new.kit[0]);
    other.vault = [9; 16];
    assert!(matches!(rehearse(&new.slots, &other), Err(KeysError::OtherVault { .. })));
}

#[test]
fn slots_that_can_not_be_read_are_passed_over() {
    let new = made(1);
    let mut slots = new.slots.clone();
    for kind in [SlotKind::Tpm, SlotKind::Passphrase] {
        slots.slots.insert(0, Slot { kind, payload: vec![0xff; 7] });
    }
    let slots = with_box(&slots, &wrapping(1, 2, 3), &new.vault_key);
    assert!(same(&open_tpm(&slots, &wrapping(1, 2, 3)).unwrap(), &new.vault_key));
    assert!(same(&open_passphrase(&slots, b"correct horse").unwrap(), &new.vault_key));
}

#[test]
fn the_highest_revision_is_not_passed() {
    let new = made(1);
    let worn = Slots { revision: u32::MAX, ..new.slots.clone() };
    let slot = wrapping(1, 2, 3).slot(&worn, &new.vault_key);
    assert!(matches!(with_tpm_slot(&worn, &slot), Err(KeysError::Worn)));
    let (kit, _) = NewKit::make(&worn, 1, &new.vault_key, &mut random(2)).unwrap();
    assert!(matches!(kit.put_into(&worn), Err(KeysError::Worn)));
}

#[test]
fn the_digest_covers_all_that_a_paper_hangs_on() {
    let slots = made(1).slots;
    let changes: [fn(&mut Slots); 6] = [
        |slots| slots.kit.set ^= 1,
        |slots| slots.kit.commitments[2][31] ^= 1,
        |slots| slots.kit.recipient.push('a'),
        |slots| slots.epoch.0 += 1,
        |slots| slots.verify_key[0] ^= 1,
        |slots| *slots.slots[0].payload.last_mut().unwrap() ^= 1,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = slots.clone();
        change(&mut changed);
        assert_ne!(slot_digest(&changed), slot_digest(&slots), "change {number}");
    }
}
