//! Parsers of `keepwell-storage`. Structures with a checksum are parsed twice, the second time with the checksum set right, or no
//! change of a byte would come past it.

use keepwell_storage::{HEADER_LEN, Label, ShardHeader, ShardName};

/// Label of a disk.
pub fn disk_label(data: &[u8]) {
    parse_label(data);
    if let Some((body, _)) = data.split_last_chunk::<32>() {
        parse_label(&[body, blake3::hash(body).as_bytes()].concat());
    }
}

fn parse_label(data: &[u8]) {
    if let Ok(label) = Label::parse(data) {
        assert_eq!(label.encode(), data);
    }
}

/// Header of a shard.
pub fn shard_header(data: &[u8]) {
    let Some(header) = data.first_chunk::<HEADER_LEN>() else { return };
    parse_header(header);
    let mut summed = *header;
    summed[128..].copy_from_slice(blake3::hash(&header[..128]).as_bytes());
    parse_header(&summed);
}

fn parse_header(data: &[u8; HEADER_LEN]) {
    if let Ok(header) = ShardHeader::parse(data) {
        assert_eq!(header.encode(), *data);
        assert!(header.shard_len() >= 64);
    }
}

/// File name of a shard.
pub fn shard_name(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Some(name) = ShardName::parse(text) {
        assert_eq!(name.to_string(), text);
    }
}
