//! The test vectors of `docs/wire.md`. `cargo run -p keepwell-wire --example wire_vectors` writes those that are valid anew; a change of one is a change of the protocol.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod samples;

use std::collections::BTreeSet;

use serde_json::Value;

#[test]
fn vectors_hold() {
    let vectors: Vec<Value> = ["tests/vectors/valid.json", "tests/vectors/refused.json"].into_iter().flat_map(read).collect();
    let mut valid = BTreeSet::new();
    for vector in &vectors {
        let structure = vector["structure"].as_str().unwrap();
        let bytes = bytes(vector["hex"].as_str().unwrap());
        match (vector["says"].as_str(), samples::decode(structure, &bytes)) {
            (Some(says), Ok((said, encoded))) => {
                assert_eq!(said, says, "{structure}");
                assert_eq!(encoded, bytes, "{structure}: one encoding");
                valid.insert(structure.to_owned());
            }
            (None, Err(_)) => {}
            (_, other) => panic!("{structure}: {vector}: {other:?}"),
        }
    }
    let all: BTreeSet<String> = samples::all().into_iter().map(|(structure, _)| structure.to_owned()).collect();
    assert_eq!(valid, all, "every structure has a valid vector");
}

#[test]
fn one_byte_more_or_less_is_refused() {
    for (structure, bytes) in samples::all() {
        let more = [&bytes[..], &[0]].concat();
        // What ends with a proof or signature is another one then; it is not proven.
        let proven = |bytes: &[u8]| samples::decode(structure, bytes).is_ok_and(|(said, _)| !said.contains("proven: false"));
        assert!(proven(&bytes), "{structure}");
        assert!(!proven(&more), "{structure} with a byte more");
        assert!(!proven(&bytes[..bytes.len() - 1]), "{structure} cut short");
    }
}

fn read(path: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
