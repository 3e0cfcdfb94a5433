//! Frozen bytes of the format (`docs/format.md` 3, 4): `tests/vectors/*.txt` never change for version 1.

use std::fmt::Write;

use keepwell_storage::{Class, Label, Layout, Member, Role, encode_object};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The object of the vectors: byte n is 7 n + n / 256, modulo 256.
fn object(len: u32) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 256) as u8).collect()
}

#[test]
fn labels() {
    let mut members: Vec<Member> = (1..=5).map(|n| Member::active([n; 16])).collect();
    members[3].role = Role::Draining;
    members[4].role = Role::Retired;
    let label = Label { vault: [0xaa; 16], disk: members[1].disk, layout: Layout { k: 2, m: 1 }, generation: 1, members };
    assert_eq!(hex(&label.encode()), include_str!("vectors/label.txt").trim());
}

#[test]
fn shards() {
    let mut lines = String::from("# layout, object length, shard, header, BLAKE3 of the payload\n");
    for (k, m, len) in [(1, 0, 0), (1, 1, 100), (2, 1, 1000), (3, 2, 1000), (4, 2, 5000)] {
        let encoded = encode_object(Layout { k, m }, [0xaa; 16], Class::Pack, object(len));
        for index in 0..k + m {
            let (header, payload) = encoded.shard(index);
            writeln!(lines, "{k}+{m} {len} {index} {} {}", hex(&header), blake3::hash(payload)).expect("a string takes any text");
        }
    }
    assert_eq!(lines, include_str!("vectors/shards.txt"));
}
