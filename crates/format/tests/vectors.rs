//! The test vectors of `docs/format.md`. `cargo run -p keepwell-format --example vectors` writes those that are valid anew;
//! a change of one is a change of the format.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod samples;

use std::collections::BTreeSet;
use std::path::Path;

use keepwell_format::FormatError;
use serde_json::Value;

#[test]
fn vectors_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut valid = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for vector in &vectors {
            let structure = vector["structure"].as_str().unwrap();
            check(vector, structure).unwrap_or_else(|why| panic!("{}: {structure}: {why}", path.display()));
            if vector["expect"] == "valid" {
                valid.insert(structure.to_owned());
            }
        }
    }
    let all: BTreeSet<String> = samples::all().into_iter().map(|(structure, _)| structure.to_owned()).collect();
    assert_eq!(valid, all, "every structure has a valid vector");
}

fn check(vector: &Value, structure: &str) -> Result<(), String> {
    let bytes = bytes(vector["hex"].as_str().ok_or("no hex")?);
    let expect = vector["expect"].as_str().ok_or("no expectation")?;
    match (expect, samples::decode(structure, &bytes)) {
        ("valid", Ok((fields, encoded))) if fields == vector["fields"] && encoded == bytes => Ok(()),
        ("valid", Ok((fields, _))) => Err(format!("another meaning or encoding: {fields:#}")),
        ("newer", Err(FormatError::Newer { .. })) => Ok(()),
        ("refused", Err(error)) if !matches!(error, FormatError::Newer { .. }) => Ok(()),
        (_, Ok(_)) => Err("accepted".into()),
        (_, Err(error)) => Err(error.to_string()),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}
