//! What a server says of an entry, as a node. Owns which reparse points are files; never reads content.

use keepwell_format::node::{Attribute, FileId};
use keepwell_format::{Gap, GapReason, Kind, Node};
use keepwell_smb::{FileInfo, NtStatus, Stat, attribute, wtf8};

use super::rows::Row;
use super::{refusal, time};

/// Tags that say where a file's own bytes are kept (MS-FSCC 2.1.2.1): they are read as files. HSM, HSM2, SIS, WIM, DEDUP, WOF, FILE_PLACEHOLDER,
/// ONEDRIVE.
const OF_DATA: [u32; 8] = [0xC000_0004, 0x8000_0006, 0x8000_0007, 0x8000_0008, 0x8000_0013, 0x8000_0017, 0x8000_0015, 0x8000_0021];

/// IO_REPARSE_TAG_CLOUD to CLOUD_F differ in these bits only.
const CLOUD: (u32, u32) = (0x9000_001A, 0xFFFF_0FFF);

/// Whether an entry stands for something else and is kept as its reparse data.
pub(super) fn is_reparse(attributes: u32, tag: u32) -> bool {
    attributes & attribute::REPARSE_POINT != 0 && !OF_DATA.contains(&tag) && tag & CLOUD.1 != CLOUD.0
}

/// Whether it is a folder to be walked.
pub(super) fn is_folder(row: &Row) -> bool {
    row.attributes & attribute::DIRECTORY != 0 && !is_reparse(row.attributes, row.reparse_tag)
}

/// The node of an entry as its folder lists it.
pub(super) fn listed(row: &Row, volume: u64) -> Node {
    let mut node = Node::new(match row.attributes {
        attributes if is_reparse(attributes, row.reparse_tag) => Kind::Reparse,
        attributes if attributes & attribute::DIRECTORY != 0 => Kind::Folder,
        _ => Kind::File,
    });
    node.mtime = time(row.written);
    node.ctime = time(row.changed);
    node.btime = time(row.created);
    node.dos = Some(row.attributes);
    node.file_id = file_id(volume, row.file_id);
    node
}

/// MS-FSCC 2.4.17: zero and all ones are no ids.
pub(super) fn file_id(volume: u64, file: u64) -> Option<FileId> {
    (file != 0 && file != u64::MAX).then_some(FileId { volume, file: file.into() })
}

/// Times, attributes and paths of a file or folder that was opened.
pub(super) fn opened(node: &mut Node, info: &FileInfo) {
    node.mtime = time(info.written);
    node.ctime = time(info.changed);
    node.btime = time(info.created);
    node.dos = Some(info.attributes);
    if node.kind != Kind::Folder {
        node.links = info.links.max(1);
    }
}

/// Puts the parts of a stat that only an open file shows into the node. A part that was refused is a gap in the metadata.
pub(super) fn complete(node: &mut Node, stat: &Stat) {
    if let Some(descriptor) = &stat.descriptor {
        part(node, "security descriptor", descriptor, |node, descriptor| node.descriptor = Some(descriptor.clone()));
    }
    part(node, "extended attributes", &stat.attributes, |node, pairs| {
        node.attributes = pairs.iter().map(|(name, value)| Attribute { name: name.clone(), value: value.clone() }).collect();
        node.attributes.sort();
        node.attributes.dedup_by(|a, b| a.name == b.name);
    });
    part(node, "alternate streams", &stat.streams, |_, _| {});
    if let Some(reparse) = &stat.reparse {
        part(node, "reparse data", reparse, |node, data| node.target = Some(data.clone()));
    }
}

fn part<T>(node: &mut Node, what: &str, part: &Result<T, NtStatus>, take: impl FnOnce(&mut Node, &T)) {
    match part {
        Ok(value) => take(node, value),
        Err(status) if status.is_unsupported() => {}
        Err(status) => {
            let text = format!("{what}: {}", refusal(*status).text);
            node.gap.get_or_insert(Gap { reason: GapReason::Metadata, text });
        }
    }
}

/// Names of the alternate streams.
pub(super) fn streams(stat: &Stat) -> Vec<Vec<u8>> {
    stat.streams.as_ref().map_or_else(|_| Vec::new(), |streams| streams.iter().map(|stream| wtf8(&stream.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_something_else_is_no_file() {
        let point = attribute::REPARSE_POINT;
        // Symbolic link, mount point, NFS, AF_UNIX, LX_SYMLINK.
        for tag in [0xA000_000C, 0xA000_0003, 0x8000_0014, 0x8000_0023, 0xA000_001D] {
            assert!(is_reparse(point, tag), "{tag:x}");
        }
        for tag in [0x8000_0013, 0x8000_0017, 0x9000_001A, 0x9000_601A, 0xC000_0004] {
            assert!(!is_reparse(point, tag), "{tag:x}");
        }
        assert!(!is_reparse(0, 0xA000_000C));
    }

    #[test]
    fn refused_parts_are_gaps_and_missing_ones_are_not() {
        let mut stat = Stat {
            info: FileInfo::default(),
            descriptor: Some(Err(NtStatus::ACCESS_DENIED)),
            has_sacl: false,
            streams: Err(NtStatus::NOT_SUPPORTED),
            attributes: Ok(vec![(b"B".to_vec(), b"2".to_vec()), (b"A".to_vec(), b"1".to_vec()), (b"B".to_vec(), b"3".to_vec())]),
            reparse: None,
            maximal_access: None,
        };
        let mut node = Node::new(Kind::File);
        complete(&mut node, &stat);
        let gap = node.gap.take().unwrap();
        assert_eq!(gap.reason, GapReason::Metadata);
        assert!(gap.text.contains("security descriptor") && gap.text.contains("ACCESS_DENIED"), "{}", gap.text);
        assert_eq!(node.attributes.iter().map(|a| a.name.as_slice()).collect::<Vec<_>>(), [b"A", b"B"]);
        stat.descriptor = Some(Ok(vec![1, 2, 3]));
        complete(&mut node, &stat);
        assert_eq!((node.gap, node.descriptor), (None, Some(vec![1, 2, 3])));
    }

    #[test]
    fn ids_that_are_none_are_left_out() {
        assert_eq!(file_id(1, 0), None);
        assert_eq!(file_id(1, u64::MAX), None);
        assert_eq!(file_id(1, 2), Some(FileId { volume: 1, file: 2 }));
    }
}
