//! Writes a page that opens nothing, to look at: `cargo run -p keepwell-paper --example sample -- page.pdf`.

use std::env;
use std::fs;
use std::io;

use keepwell_crypt::{KitFile, KitSeed, split};
use keepwell_paper::{Facts, pdf};

fn main() -> io::Result<()> {
    let path = env::args_os().nth(1).ok_or_else(|| io::Error::other("name the file to write"))?;
    let [share, ..] = split(&KitSeed::from_bytes([1; 32]), 300, &mut |bytes| bytes.fill(0x5a));
    let facts = Facts {
        owner: "Family Practice at the Green".into(),
        made: "22 November 2026".into(),
        serial: "KW-000".into(),
        ..Facts::default()
    };
    fs::write(path, &*pdf(&KitFile { vault: [0; 16], set: 300, share }, &facts))
}
