//! Writes a valid test vector of every structure to `tests/vectors`. Run it when the format changes on purpose, and look at what changed.

#![allow(clippy::unwrap_used, reason = "shares the samples of the tests")]

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::fmt::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for (structure, bytes) in samples::all() {
        let (fields, _) = samples::decode(structure, &bytes).expect("samples are valid");
        let hex = bytes.iter().fold(String::new(), |mut hex, b| {
            write!(hex, "{b:02x}").expect("a string takes all");
            hex
        });
        let text = format!("[{{\"expect\": \"valid\",\n\"structure\": \"{structure}\",\n\"fields\": {fields:#},\n\"hex\": \"{hex}\"}}]\n");
        std::fs::write(folder.join(format!("{structure}.json")), text)?;
    }
    Ok(())
}
