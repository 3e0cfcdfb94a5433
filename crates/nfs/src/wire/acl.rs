//! NFSACL version 3, program 100227: POSIX access lists beside NFS, as Solaris and Linux have it (Linux: fs/nfs_common/nfsacl.c, include/uapi/linux/nfsacl.h).
//! There is no standard: a list is its length, then an array of (tag, id, permissions); the default list's tags have bit 12 set.

use super::{post_op, status};
use crate::NfsError;
use crate::rpc::Procedure;
use crate::types::{AccessEntry, AccessLists};
use crate::xdr::{Reader, Result, Writer};

const NFS_ACL: Procedure = Procedure { program: 100_227, version: 3, number: 0, name: "NFSACL version 3" };
pub(crate) const GETACL: Procedure = Procedure { number: 1, name: "GETACL", ..NFS_ACL };
pub(crate) const SETACL: Procedure = Procedure { number: 2, name: "SETACL", ..NFS_ACL };

/// Both lists and their lengths: NFS_ACL, NFS_ACLCNT, NFS_DFACL, NFS_DFACLCNT.
pub(crate) const ALL: u32 = 15;
const DEFAULT_TAG: u32 = 0x1000;
/// NFS_ACL_MAX_ENTRIES.
const MAX_ENTRIES: usize = 1024;

pub(crate) fn access_lists(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<AccessLists> {
    status(reader, procedure)?;
    post_op(reader)?;
    let _mask = reader.u32()?;
    let _length = reader.u32()?;
    let access = list(reader)?;
    let _length = reader.u32()?;
    Ok(AccessLists { access, default: list(reader)? })
}

fn list(reader: &mut Reader<'_>) -> Result<Vec<AccessEntry>> {
    let count = reader.count(MAX_ENTRIES, 12)?;
    (0..count).map(|_| entry(reader)).collect()
}

fn entry(reader: &mut Reader<'_>) -> Result<AccessEntry> {
    let (tag, id, permissions) = (reader.u32()? & !DEFAULT_TAG, reader.u32()?, reader.u32()?);
    if !matches!(tag, 1 | 2 | 4 | 8 | 16 | 32) || permissions > 7 {
        return Err(NfsError::Malformed("an unknown entry of an access list"));
    }
    // Both are small, as was just seen.
    Ok(AccessEntry { tag: tag as u16, id, permissions: permissions as u16 })
}

/// Arguments of SETACL behind the handle. An empty default list removes it.
pub(crate) fn set_access_lists(out: &mut Writer, lists: &AccessLists) {
    out.u32(ALL);
    for (entries, bit) in [(&lists.access, 0), (&lists.default, DEFAULT_TAG)] {
        let entries = &entries[..entries.len().min(MAX_ENTRIES)];
        out.length(entries.len()).length(entries.len());
        for entry in entries {
            out.u32(u32::from(entry.tag) | bit).u32(entry.id).u32(entry.permissions.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_go_out_as_they_come_in() {
        let entry = |tag, id, permissions| AccessEntry { tag, id, permissions };
        let access = vec![entry(1, 0, 7), entry(2, 4711, 4), entry(4, 0, 4), entry(16, 0, 6), entry(32, 0, 0)];
        let lists = AccessLists { default: access[..2].to_vec(), access };
        let mut out = Writer::new();
        out.u32(0).bool(false);
        set_access_lists(&mut out, &lists);
        let bytes = out.into_bytes().into();
        assert_eq!(access_lists(&mut Reader::new(&bytes), GETACL, 0).unwrap(), lists);
        assert!(access_lists(&mut Reader::new(&bytes.slice(..bytes.len() - 4)), GETACL, 0).is_err());
    }

    #[test]
    fn unknown_tags_and_long_lists_are_malformed() {
        let read = |words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            access_lists(&mut Reader::new(&bytes.into()), GETACL, 0)
        };
        assert!(read(&[0, 0, 15, 1, 1, 1, 0, 7, 0, 0]).is_ok());
        assert!(read(&[0, 0, 15, 1, 1, 3, 0, 7, 0, 0]).is_err());
        assert!(read(&[0, 0, 15, 1, 1, 1, 0, 8, 0, 0]).is_err());
        assert!(read(&[0, 0, 15, 1, 0xFFFF, 1, 0, 7, 0, 0]).is_err());
        assert!(matches!(read(&[10_004]), Err(NfsError::Status { .. })));
    }
}
