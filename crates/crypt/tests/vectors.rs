//! The test vectors of section 5 of `docs/format.md`, checked against this crate.
//!
//! The files were computed once by another implementation, written from that page alone; the kit page's wording is ours.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use keepwell_crypt::{
    Argon2Cost, KeyedHash, KitFile, KitSeed, Sealer, Secret, Share, Signer, combine, gear_table, kdf, kit_recipient, object_id,
    passphrase_key, recipient::secret_key_text, unwrap_with_passphrase, unwrap_with_seed, verify, wrap_with_passphrase,
};
use serde_json::Value;

#[test]
fn sealed_messages() {
    let file = read(include_str!("vectors/seal.json"));
    let key = secret(&file["key"]);
    for case in list(&file["cases"]) {
        let sealer = Sealer::new(&key, text(&case["purpose"]));
        let aad = hex(&case["aad"]);
        let plain = case["plain_pattern_length"].as_u64().map_or_else(|| hex(&case["plain"]), pattern);
        let sealed = sealer.seal(&aad, &plain);
        if case["sealed"].is_string() {
            assert_eq!(sealed, hex(&case["sealed"]));
        } else {
            assert_eq!(object_id(&sealed)[..], hex(&case["sealed_hash"]));
        }
        assert_eq!(sealer.open(&aad, &sealed).unwrap(), plain);
    }
}

#[test]
fn hashes_and_derived_keys() {
    let file = read(include_str!("vectors/hash.json"));
    for case in list(&file["ids"]) {
        assert_eq!(object_id(&hex(&case["bytes"]))[..], hex(&case["id"]));
    }
    for case in list(&file["kdf"]) {
        assert_eq!(kdf(text(&case["context"]), &hex(&case["material"])).expose()[..], hex(&case["key"]));
    }
    for case in list(&file["keyed"]) {
        let hash = KeyedHash::derive(text(&case["context"]), &secret(&case["key"]));
        assert_eq!(hash.hash(&hex(&case["bytes"]))[..], hex(&case["hash"]));
    }
}

#[test]
fn gear_tables() {
    let gear = &read(include_str!("vectors/hash.json"))["gear"];
    let table = gear_table(&secret(&gear["key"]));
    for (entry, expected) in table.iter().zip(list(&gear["first"])) {
        assert_eq!(format!("{entry:016x}"), text(expected));
    }
    assert_eq!(format!("{:016x}", table[255]), text(&gear["last"]));
    let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    assert_eq!(object_id(&bytes)[..], hex(&gear["table_hash"]));
}

#[test]
fn signatures() {
    for case in list(&read(include_str!("vectors/sign.json"))) {
        let signer = Signer::from_seed(&secret(&case["seed"]));
        let (key, message, signature) = (fixed(&case["verify_key"]), hex(&case["message"]), fixed(&case["signature"]));
        assert_eq!(signer.verify_key(), key);
        assert_eq!(signer.sign(&message), signature);
        verify(&key, &message, &signature).unwrap();
    }
}

#[test]
fn passphrase_slots() {
    for case in list(&read(include_str!("vectors/passphrase.json"))["cases"]) {
        let number = |name: &str| u32::try_from(case[name].as_u64().unwrap()).unwrap();
        let cost = Argon2Cost { m_kib: number("m_kib"), t: number("t"), p: number("p") };
        let (passphrase, salt, vault, epoch) =
            (text(&case["passphrase"]).as_bytes(), fixed(&case["salt"]), fixed(&case["vault"]), number("epoch"));
        assert_eq!(passphrase_key(passphrase, &salt, cost).unwrap().expose()[..], hex(&case["key"]));
        let sealed = wrap_with_passphrase(passphrase, &salt, cost, &vault, epoch, &secret(&case["vault_key"])).unwrap();
        assert_eq!(sealed, hex(&case["sealed"]));
        let opened = unwrap_with_passphrase(passphrase, &salt, cost, &vault, epoch, &sealed).unwrap();
        assert_eq!(opened.expose()[..], hex(&case["vault_key"]));
    }
}

#[test]
fn kit_shares_words_and_commitments() {
    let file = kit();
    let shares: Vec<Share> = list(&file["shares"]).iter().map(read_share).collect();
    for (share, case) in shares.iter().zip(list(&file["shares"])) {
        assert_eq!(
            (share.set(), share.index()),
            (u16::try_from(file["set"].as_u64().unwrap()).unwrap(), case["share"].as_u64().unwrap() as u8)
        );
        assert_eq!(share.to_words().map(|row| row.join(" ")).to_vec(), words(case));
        assert_eq!(share.commitment(&fixed(&file["vault"]))[..], hex(&case["commitment"]));
    }
    for (left, right) in [(0, 1), (0, 2), (1, 2), (2, 0)] {
        assert_eq!(combine(&shares[left], &shares[right]).unwrap().expose()[..], hex(&file["seed"]));
    }
}

#[test]
fn kit_slot_opens_with_the_seed() {
    let file = kit();
    let seed = KitSeed::from_bytes(fixed(&file["seed"]));
    assert_eq!(kit_recipient(&seed), text(&file["recipient"]));
    assert_eq!(secret_key_text(&seed), text(&file["age_secret_key"]));
    assert_eq!(unwrap_with_seed(&seed, &hex(&file["age_file"])).unwrap()[..], hex(&file["age_payload"]));
}

#[test]
fn kit_page() {
    let page = include_str!("vectors/kit-page.txt");
    let file = kit();
    let parsed = KitFile::parse(page).unwrap();
    assert_eq!((parsed.vault, u64::from(parsed.set)), (fixed(&file["vault"]), file["set"].as_u64().unwrap()));
    assert_eq!(parsed.share.to_words().map(|row| row.join(" ")).to_vec(), words(&file["shares"][0]));
    assert!(page.ends_with(parsed.lines().as_str()));
}

fn kit() -> Value {
    read(include_str!("vectors/kit.json"))
}

fn read_share(case: &Value) -> Share {
    let words = words(case);
    Share::from_words(std::array::from_fn(|row| words[row])).unwrap()
}

fn words(case: &Value) -> Vec<&str> {
    list(&case["words"]).iter().map(text).collect()
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn fixed<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn secret(value: &Value) -> Secret {
    Secret::from_bytes(fixed(value))
}

fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|i| ((7 * i + 3) % 251) as u8).collect()
}
