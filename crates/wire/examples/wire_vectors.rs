//! Prints the valid test vectors of `docs/wire.md`: `cargo run -p keepwell-wire --example wire_vectors > crates/wire/tests/vectors/valid.json`.

#[path = "../tests/samples/mod.rs"]
mod samples;

fn main() {
    let vectors: Vec<_> = samples::all()
        .into_iter()
        .map(|(structure, bytes)| {
            let (says, _) = samples::decode(structure, &bytes).expect("a sample is valid");
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            serde_json::json!({ "structure": structure, "hex": hex, "says": says })
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&vectors).expect("JSON"));
}
