//! What sealing, wrapping and signing promise, for any bytes and any damage.

use keepwell_crypt::{
    Argon2Cost, CryptError, KitSeed, OVERHEAD, Sealer, Secret, Signer, kit_recipient, unwrap_with_passphrase, unwrap_with_seed, verify,
    wrap_for_recipient, wrap_with_passphrase,
};
use proptest::{collection::vec, prelude::*};

const QUICK: Argon2Cost = Argon2Cost { m_kib: 8, t: 1, p: 1 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_sealed_opens(key: [u8; 32], aad in vec(any::<u8>(), 0..100), plain in vec(any::<u8>(), 0..5000), before in vec(any::<u8>(), 0..9)) {
        let sealer = sealer(key, "frame");
        let sealed = sealer.seal(&aad, &plain);
        prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
        prop_assert_eq!(sealer.open(&aad, &sealed).unwrap(), plain.clone());
        prop_assert_eq!(&sealer.seal_in_place(&aad, plain.clone()), &sealed);
        let mut appended = before.clone();
        sealer.seal_into(&aad, &plain, &mut appended);
        prop_assert_eq!(appended, [before, sealed].concat());
    }

    #[test]
    fn salts_depend_on_every_input(key: [u8; 32], aad in vec(any::<u8>(), 1..40), plain in vec(any::<u8>(), 1..200), at: prop::sample::Index) {
        let salt = |key, purpose, aad: &[u8], plain: &[u8]| sealer(key, purpose).seal(aad, plain)[..32].to_vec();
        let original = salt(key, "frame", &aad, &plain);
        let (mut other_key, mut other_aad, mut other_plain) = (key, aad.clone(), plain.clone());
        other_key[at.index(32)] ^= 1;
        *at.get_mut(&mut other_aad) ^= 1;
        *at.get_mut(&mut other_plain) ^= 1;
        let moved = [&[aad[aad.len() - 1]], &plain[..]].concat();
        for other in [
            salt(other_key, "frame", &aad, &plain),
            salt(key, "directory", &aad, &plain),
            salt(key, "frame", &other_aad, &plain),
            salt(key, "frame", &aad, &other_plain),
            salt(key, "frame", &aad[..aad.len() - 1], &moved),
        ] {
            prop_assert_ne!(&original, &other);
        }
    }

    #[test]
    fn nothing_else_opens(key: [u8; 32], other: [u8; 32], aad in vec(any::<u8>(), 1..40), plain in vec(any::<u8>(), 0..300), at: prop::sample::Index, flip in 1..=255u8) {
        let sealed = sealer(key, "frame").seal(&aad, &plain);
        let mut damaged = sealed.clone();
        *at.get_mut(&mut damaged) ^= flip;
        let mut other_aad = aad.clone();
        *at.get_mut(&mut other_aad) ^= flip;
        prop_assert!(sealer(key, "frame").open(&aad, &damaged).is_err());
        prop_assert!(sealer(key, "frame").open(&other_aad, &sealed).is_err());
        prop_assert!(sealer(key, "frame").open(&aad[1..], &sealed).is_err());
        prop_assert!(sealer(key, "trailer").open(&aad, &sealed).is_err());
        prop_assert!(key == other || sealer(other, "frame").open(&aad, &sealed).is_err());
        prop_assert!(sealer(key, "frame").open(&aad, &sealed[..at.index(sealed.len())]).is_err());
        prop_assert!(sealer(key, "frame").open(&aad, &[&sealed[..], &[flip]].concat()).is_err());
    }

    #[test]
    fn foreign_bytes_never_open(key: [u8; 32], bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(sealer(key, "frame").open(b"", &bytes).is_err());
        prop_assert!(unwrap_with_seed(&KitSeed::from_bytes(key), &bytes).is_err());
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let sealer = sealer([7; 32], "frame");
    let sealed = sealer.seal(b"aad", b"twenty bytes of text");
    for bit in 0..8 * sealed.len() {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(sealer.open(b"aad", &damaged), Err(CryptError::NotAuthentic)), "bit {bit}");
    }
}

/// GCM lets who knows two keys make one ciphertext for both; the salt must not. Here the tag is right and the salt is another message's.
#[test]
fn a_valid_tag_under_a_foreign_salt_does_not_open() {
    use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
    let key = Secret::from_bytes([7; 32]);
    let salt = [5; 32];
    let message_key = keepwell_crypt::KeyedHash::derive("keepwell v1 frame frame", &key).hash(&salt);
    let body = Aes256Gcm::new(&message_key.into()).encrypt(&[0; 12].into(), &b"forged by who holds the key"[..]).unwrap();
    let forged = [&salt[..], &body].concat();
    assert!(matches!(Sealer::new(&key, "frame").open(b"", &forged), Err(CryptError::NotAuthentic)));
}

#[test]
fn a_sealer_is_shared_between_threads() {
    let sealer = sealer([1; 32], "frame");
    let seal = || sealer.seal(b"", b"same");
    let both = std::thread::scope(|scope| [scope.spawn(seal), scope.spawn(seal)].map(|thread| thread.join().unwrap()));
    assert_eq!(both[0], both[1]);
}

#[test]
fn passphrase_slots_tell_wrong_from_damaged_and_greedy() {
    let (salt, vault, key) = ([1; 16], [2; 16], Secret::from_bytes([3; 32]));
    let sealed = wrap_with_passphrase(b"right", &salt, QUICK, &vault, 1, &key).unwrap();
    let open =
        |passphrase: &[u8], cost, vault, epoch, sealed: &[u8]| unwrap_with_passphrase(passphrase, &salt, cost, &vault, epoch, sealed);
    assert_eq!(open(b"right", QUICK, vault, 1, &sealed).unwrap().expose(), key.expose());
    assert!(matches!(open(b"wrong", QUICK, vault, 1, &sealed), Err(CryptError::WrongKey)));
    assert!(matches!(open(b"right", QUICK, [9; 16], 1, &sealed), Err(CryptError::WrongKey)));
    assert!(matches!(open(b"right", QUICK, vault, 2, &sealed), Err(CryptError::WrongKey)));
    assert!(matches!(open(b"right", QUICK, vault, 1, &sealed[1..]), Err(CryptError::Damaged { .. })));
    for (m_kib, t, p) in [(1024 * 1024 + 1, 1, 1), (8, 17, 1), (1024, 1, 17), (7, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, 2)] {
        let greedy = Argon2Cost { m_kib, t, p };
        assert!(matches!(open(b"right", greedy, vault, 1, &sealed), Err(CryptError::CostOutOfRange { .. })), "{greedy:?}");
    }
}

#[test]
fn the_kit_slot_opens_with_its_own_seed_only() {
    let seed = KitSeed::from_bytes([4; 32]);
    let file = wrap_for_recipient(&kit_recipient(&seed), b"vault key").unwrap();
    assert_eq!(unwrap_with_seed(&seed, &file).unwrap()[..], b"vault key"[..]);
    assert!(matches!(unwrap_with_seed(&KitSeed::from_bytes([5; 32]), &file), Err(CryptError::WrongKey)));
    let mut damaged = file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(unwrap_with_seed(&seed, &damaged), Err(CryptError::Damaged { .. })));
    assert!(matches!(unwrap_with_seed(&seed, &file[..file.len() - 1]), Err(CryptError::Damaged { .. })));
    assert!(matches!(wrap_for_recipient("age1nobody", b""), Err(CryptError::BadRecipient)));
}

#[test]
fn signatures_hold_for_one_key_and_message() {
    let signer = Signer::from_seed(&Secret::from_bytes([6; 32]));
    let other = Signer::from_seed(&Secret::from_bytes([7; 32])).verify_key();
    let signature = signer.sign(b"manifest");
    verify(&signer.verify_key(), b"manifest", &signature).unwrap();
    let mut damaged = signature;
    damaged[40] ^= 1;
    for (key, message, signature) in
        [(signer.verify_key(), &b"manifesT"[..], signature), (other, b"manifest", signature), (signer.verify_key(), b"manifest", damaged)]
    {
        assert!(matches!(verify(&key, message, &signature), Err(CryptError::BadSignature)));
    }
    // The neutral point as key and as R, s = 0: valid for every message unless verification is strict.
    let neutral: [u8; 32] = std::array::from_fn(|i| u8::from(i == 0));
    let mut universal = [0; 64];
    universal[0] = 1;
    assert!(verify(&neutral, b"anything", &universal).is_err());
}

#[test]
fn secrets_do_not_print() {
    let secret = Secret::random(&mut |bytes| bytes.fill(0xab));
    let shown = format!("{secret:?} {:?} {:?}", KitSeed::from_bytes([0xab; 32]), Signer::from_seed(&secret));
    assert_eq!(shown, "Secret(..) KitSeed(..) Signer(..)");
}

fn sealer(key: [u8; 32], purpose: &str) -> Sealer {
    Sealer::new(&Secret::from_bytes(key), purpose)
}
