//! Bytes that are no structure: cut, bent, or made by hand to break one rule.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod samples;

use keepwell_format::FormatError;

#[test]
fn samples_are_what_they_say() {
    for (structure, bytes) in samples::all() {
        let (_, encoded) = samples::decode(structure, &bytes).unwrap_or_else(|e| panic!("{structure}: {e}"));
        assert_eq!(encoded, bytes, "{structure}");
    }
}

#[test]
fn every_truncation_is_refused() {
    for (structure, bytes) in samples::all() {
        for length in 0..bytes.len() {
            assert!(samples::decode(structure, &bytes[..length]).is_err(), "{structure} cut to {length}");
        }
    }
}

#[test]
fn a_byte_too_many_is_refused() {
    for (structure, mut bytes) in samples::all() {
        bytes.push(1);
        assert!(samples::decode(structure, &bytes).is_err(), "{structure}");
    }
}

/// Each bit: refused, or it means something else and has one encoding.
#[test]
fn a_changed_bit_is_refused_or_means_something_else() {
    for (structure, bytes) in samples::all() {
        let (meaning, _) = samples::decode(structure, &bytes).unwrap();
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            for bit in 0..8 {
                bent[at] = bytes[at] ^ 1 << bit;
                if let Ok((other, encoded)) = samples::decode(structure, &bent) {
                    assert!(other != meaning && encoded == bent, "{structure}, byte {at}, bit {bit}");
                }
            }
        }
    }
}

#[test]
fn later_versions_are_called_newer() {
    for (structure, at, known) in [("pack-header", 8, 1), ("manifest", 8, 1), ("tombstone", 8, 1), ("slots", 8, 1), ("keyring", 8, 1)] {
        let mut bytes = sample(structure);
        bytes[at] = 2;
        let error = samples::decode(structure, &bytes).unwrap_err();
        assert!(matches!(error, FormatError::Newer { found: 2, known: k, .. } if k == known), "{structure}: {error}");
        bytes[0] = b'X';
        assert!(matches!(samples::decode(structure, &bytes), Err(FormatError::Magic(_))), "{structure}");
    }
    for structure in ["directory", "leaf-page", "inner-page", "extent-leaf", "extent-inner"] {
        let mut bytes = sample(structure);
        bytes[0] = 2;
        assert!(matches!(samples::decode(structure, &bytes), Err(FormatError::Newer { found: 2, .. })), "{structure}");
    }
}

/// Bytes in short: `xx` a byte, `#n` 32 bytes n.
fn bytes(short: &str) -> Vec<u8> {
    let word = |word: &str| match word.strip_prefix('#') {
        Some(n) => vec![n.parse().unwrap(); 32],
        None => vec![u8::from_str_radix(word, 16).unwrap()],
    };
    short.split_whitespace().flat_map(word).collect()
}

fn sample(structure: &str) -> Vec<u8> {
    samples::all().into_iter().find(|(name, _)| *name == structure).unwrap().1
}

#[test]
fn hand_made_pages() {
    // level, blob table, string table, entries: (shared, rest, kind, fields, ...)
    let cases = [
        ("no entry", "01 00 00 00 00"),
        ("keys equal", "01 00 00 00 02  00 01 61 01 00  01 00 01 00"),
        ("keys descend", "01 00 00 00 02  00 01 62 01 00  00 01 61 01 00"),
        ("less shared than could be", "01 00 00 00 02  00 02 61 61 01 00  00 02 61 62 01 00"),
        ("more shared than there is", "01 00 00 00 02  00 01 61 01 00  02 01 62 01 00"),
        ("the first key shares", "01 00 00 00 01  01 01 61 01 00"),
        ("a component is empty", "01 00 00 00 01  00 01 00 01 00"),
        ("a component is ..", "01 00 00 00 01  00 02 2e 2e 01 00"),
        ("a slash in a component", "01 00 00 00 01  00 01 2f 01 00"),
        ("kind 0", "01 00 00 00 01  00 01 61 00 00"),
        ("kind 10", "01 00 00 00 01  00 01 61 0a 00"),
        ("an unknown kind without gap", "01 00 00 00 01  00 01 61 09 00"),
        ("an unknown field", "01 00 00 00 01  00 01 61 01 80 80 02"),
        ("a mode of 13 bits", "01 00 00 00 01  00 01 61 01 01 80 20 00 00"),
        ("a second of nanoseconds", "01 00 00 00 01  00 01 61 01 02 00 80 94 eb dc 03"),
        ("a string that nothing uses", "01 00 00 01 01 78 01  00 01 61 03 00"),
        ("a blob that nothing uses", "01 00 01 #5 00 01  00 01 61 01 00"),
        ("a string out of the table", "01 00 00 00 01  00 01 61 03 80 04 00"),
        ("a string twice", "01 00 00 02 01 78 01 78 02  00 01 61 03 80 04 00  00 01 62 03 80 04 01"),
        ("not in order of first use", "01 00 00 02 01 78 01 79 02  00 01 61 03 80 04 01  00 01 62 03 80 04 00"),
        ("an empty list of attributes", "01 00 00 00 01  00 01 61 01 80 01 00"),
        ("attributes descend", "01 00 00 02 01 79 01 78 01  00 01 61 01 80 01 02 00 00 01 01"),
        ("a link target of a file", "01 00 00 01 01 78 01  00 01 61 01 80 04 00"),
        ("a hard link to itself", "01 00 00 00 01  00 01 61 01 80 08 01 61"),
        ("a hard link to the root", "01 00 00 00 01  00 01 61 01 80 08 00"),
        ("a hard link to a folder", "01 00 00 00 01  00 01 62 02 80 08 01 61"),
        ("a device number of a file", "01 00 00 00 01  00 01 61 01 80 10 01 01"),
        ("content of a folder", "01 00 00 00 01  00 01 61 02 80 20 00 #7 00 00"),
        ("form 2 of content", "01 00 00 00 01  00 01 61 01 80 20 00 #7 02"),
        ("an extent behind the end", "01 00 01 #5 00 01  00 01 61 01 80 20 03 #7 00 01 00 00 00 04"),
        ("an empty extent", "01 00 01 #5 00 01  00 01 61 01 80 20 03 #7 00 01 00 00 00 00"),
        ("an extent outside its blob", "01 00 01 #5 00 01  00 01 61 01 80 20 03 #7 00 01 00 00 80 80 80 08 01"),
        ("a hole without end", "01 00 01 #5 00 01  00 01 61 01 80 20 03 #7 00 01 ff ff ff ff ff ff ff ff ff 01 00 00 01"),
        ("gap reason 0", "01 00 00 00 01  00 01 61 09 80 80 01 00 00"),
        ("gap reason 9", "01 00 00 00 01  00 01 61 09 80 80 01 09 00"),
        ("a text that is no text", "01 00 00 00 01  00 01 61 09 80 80 01 01 01 ff"),
        ("a count that can't be", "01 00 00 00 ff ff ff ff 0f"),
        ("level 33", "01 21 01 00 00 #1 01 00 00"),
        ("no child", "01 01 00"),
        ("a child without entries", "01 01 01 00 00 #1 00 00 00"),
        ("more gaps than entries", "01 01 01 00 00 #1 01 00 02"),
        ("keys of children equal", "01 01 02 00 00 #1 01 00 00 00 00 #2 01 00 00"),
    ];
    refuses("leaf-page", &cases);
    for good in
        ["01 00 00 00 01  00 01 61 01 00", "01 00 01 #5 00 01  00 01 61 01 80 20 04 #7 00 01 00 00 00 04", "01 01 01 00 00 #1 01 00 01"]
    {
        samples::decode("leaf-page", &bytes(good)).unwrap();
    }
}

#[test]
fn hand_made_extent_pages() {
    let cases = [
        ("no run", "01 00 00 00"),
        ("an empty run", "01 00 01 #1 01 00 00 00 00"),
        ("a blob twice", "01 00 02 #1 #1 02 00 00 00 01 00 01 00 01"),
        ("a blob unused", "01 00 02 #1 #2 01 00 00 00 01"),
        ("no child", "01 01 00"),
        ("a child that covers nothing", "01 01 01 #1 00"),
        ("children that cover too much", "01 01 02 #1 ff ff ff ff ff ff ff ff ff 01 #2 01"),
        ("level 33", "01 21 01 #1 01"),
    ];
    refuses("extent-leaf", &cases);
}

#[test]
fn hand_made_directories() {
    // id, kind, compression, epoch, stored, plain, flags
    let cases = [
        ("version 0", "00 00"),
        ("kind 0", "01 01 #1 00 00 01 31 01 00"),
        ("kind 6", "01 01 #1 06 00 01 31 01 00"),
        ("compression 4", "01 01 #1 01 04 01 31 01 00"),
        ("epoch 0", "01 01 #1 01 00 00 31 01 00"),
        ("shorter than a seal", "01 01 #1 01 00 01 30 01 00"),
        ("an empty blob", "01 01 #1 01 00 01 31 00 00"),
        ("a blob that is too long", "01 01 #1 01 00 01 31 81 80 80 08 00"),
        ("an unknown flag", "01 01 #1 01 00 01 31 01 04"),
        ("a keep map that says whole", "01 01 #1 01 00 01 31 01 01 ff ff ff ff ff ff ff ff"),
        ("a keep map of nothing", "01 01 #1 01 00 01 31 80 80 01 01 00 00 00 00 00 00 00 00"),
        ("members of what is no bundle", "01 01 #1 01 00 01 31 01 02 01 #2 00 01"),
        ("no members", "01 01 #1 04 00 01 31 01 02 00"),
        ("a member outside", "01 01 #1 04 00 01 31 01 02 01 #2 01 01"),
        ("an empty member", "01 01 #1 04 00 01 31 01 02 01 #2 00 00"),
        ("padding that is not zero", "01 00 00 00 01"),
    ];
    refuses("directory", &cases);
    let frame = bytes("#1 01 00 01 80 80 80 08 80 80 80 08 00");
    let pack = |frames: u8| [&[1, frames][..], &frame.repeat(frames.into())].concat();
    samples::decode("directory", &pack(3)).unwrap();
    assert!(samples::decode("directory", &pack(4)).is_err(), "64 MiB of frames and a header");
}

/// A sample with some bytes replaced.
#[test]
fn hand_made_fields() {
    let cases: [(&str, &str, usize, &[u8]); 20] = [
        ("pack-header", "content 3", 10, &[3]),
        ("pack-header", "reserved byte", 11, &[1]),
        ("pack-header", "epoch 0", 12, &[0; 4]),
        ("pack-header", "seq of 2^63", 39, &[0x80]),
        ("pack-header", "reserved bytes", 63, &[1]),
        ("manifest", "epoch 0", 26, &[0; 4]),
        ("manifest", "a range of nothing", 80, &[0]),
        ("manifest", "ranges that touch", 81, &[0]),
        ("tombstone", "epoch 0", 26, &[0; 4]),
        ("tombstone", "packs beyond 2^63", 53, &[0x81]),
        ("tombstone", "a snapshot twice", 127, &[0x11; 32]),
        ("tombstone", "snapshots that descend", 199, &[0x98]),
        ("slots", "unknown flag", 34, &[2]),
        ("slots", "no age recipient", 70, b"agf1"),
        ("passphrase-slot", "too much memory", 16, &[1, 0, 0x10, 0]),
        ("passphrase-slot", "17 passes", 20, &[17]),
        ("passphrase-slot", "no lanes", 24, &[0]),
        ("passphrase-slot", "memory below 8 KiB a lane", 16, &[31, 0, 0, 0]),
        ("keyring-body", "chunks of nothing", 128, &[0; 4]),
        ("keyring-body", "epochs that descend", 141, &[3]),
    ];
    for (structure, what, at, with) in cases {
        let mut bytes = sample(structure);
        bytes[at..at + with.len()].copy_from_slice(with);
        let error = samples::decode(structure, &bytes).expect_err(what);
        assert!(matches!(error, FormatError::Invalid { .. }), "{structure}, {what}: {error}");
    }
}

#[test]
fn a_tombstone_names_1_to_2048_snapshots() {
    let good = sample("tombstone");
    let (head, tail) = (&good[..54], &good[55 + 3 * 72..]);
    let named = |count: u32| {
        let mut bytes = head.to_vec();
        bytes.extend(if count < 128 { vec![count as u8] } else { vec![count as u8 | 0x80, (count >> 7) as u8] });
        (0..count).for_each(|n| bytes.extend([&n.to_be_bytes()[..], &[7; 68]].concat()));
        samples::decode("tombstone", &[&bytes, tail].concat())
    };
    assert!(named(1).is_ok() && named(2048).is_ok());
    assert!(named(0).is_err() && named(2049).is_err());
    let reason = |length: usize| {
        let body = keepwell_format::TombstoneBody { reason: "x".repeat(length), program: String::new() };
        samples::decode("tombstone-body", &body.encode())
    };
    assert!(reason(1024).is_ok() && reason(1025).is_err());
}

fn refuses(structure: &str, cases: &[(&str, &str)]) {
    for (what, short) in cases {
        assert!(samples::decode(structure, &bytes(short)).is_err(), "{structure}: {what}");
    }
}
