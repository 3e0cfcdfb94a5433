//! Puts metadata on what was restored to a share: extended attributes, descriptor, then times and attributes in one. What the server
//! refuses is a warning, and what it refuses for an owner is not tried again.

use keepwell_format::port::WriteError;
use keepwell_format::{Key, Kind, Node, Time};
use keepwell_smb::{Ability, Basic, FileTime, NtStatus, OpenFile, SmbError, attribute, part};

use super::descriptor::{Descriptor, to_be_set};
use super::target::{SmbTarget, error};

/// Attributes that can be set with times (MS-FSCC 2.6): also TEMPORARY and NOT_CONTENT_INDEXED. The others follow from what is done.
const SETTABLE: u32 = attribute::READONLY | attribute::HIDDEN | attribute::SYSTEM | attribute::ARCHIVE | 0x0100 | 0x2000;

/// Name spaces of Unix that mean nothing to Windows; `user.` is what Samba keeps extended attributes under.
const OF_UNIX: [&[u8]; 3] = [b"system.", b"security.", b"trusted."];

impl SmbTarget {
    /// Puts everything but content and streams on an open file or folder that was opened with the rights for `parts`.
    pub(super) fn apply(&self, key: &Key, file: &OpenFile, node: &Node, parts: u32) -> Result<(), WriteError> {
        for attribute in &node.attributes {
            let what = || format!("attribute {}", attribute.name.escape_ascii());
            if is_of_unix(&attribute.name) {
                self.warn(key, format!("{}: a share has none of this kind", what()));
            } else {
                self.tell(key, &what(), file.set_attribute(&attribute.name, &attribute.value))?;
            }
        }
        if let Some((bytes, parts)) = self.descriptor(key, node, parts) {
            self.set_descriptor(key, file, &bytes, parts)?;
        }
        self.tell(key, "times and attributes", self.set_basic(file, node))
    }

    /// Sets times and attributes. Samba takes the mark of a sparse file away with attributes or the time of creation, so it is set again.
    pub(super) fn set_basic(&self, file: &OpenFile, node: &Node) -> Result<(), SmbError> {
        file.set_basic(&basic(node))?;
        let is_marked = node.kind == Kind::File && node.dos.is_some_and(|dos| dos & attribute::SPARSE_FILE != 0);
        if is_marked && self.session.volume.has(Ability::Sparse) && file.set_sparse().is_ok() {
            return file.set_basic(&Basic { created: None, attributes: None, ..basic(node) });
        }
        Ok(())
    }

    /// The node's descriptor as it is to be sent, and which of its parts.
    pub(super) fn descriptor(&self, key: &Key, node: &Node, allowed: u32) -> Option<(Vec<u8>, u32)> {
        if node.owner.is_some() && node.descriptor.is_none() {
            self.warn_of_unix(key);
        }
        let bytes = node.descriptor.as_deref()?;
        let Some(descriptor) = Descriptor::parse(bytes) else {
            self.warn(key, "security descriptor: the one in the backup makes no sense".into());
            return None;
        };
        let mut parts = descriptor.parts() & allowed;
        if descriptor.owner.is_some_and(|owner| self.is_refused_owner(owner)) && parts & part::OWNER != 0 {
            parts &= !(part::OWNER | part::GROUP);
            self.warn(key, "owner: the server does not let this account give files to it".into());
        }
        (parts != 0).then(|| (to_be_set(bytes), parts))
    }

    /// Sets what the server takes: all parts, or without owner and group, or without the audit list as well.
    pub(super) fn set_descriptor(&self, key: &Key, file: &OpenFile, bytes: &[u8], mut parts: u32) -> Result<(), WriteError> {
        loop {
            let refused = match file.set_descriptor(bytes, parts) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match fewer(&refused, parts) {
                Some(rest) => {
                    self.tell_less(key, bytes, parts & !rest, &refused);
                    parts = rest;
                }
                None => return self.tell(key, "access list", Err(refused)),
            }
            if parts == 0 {
                return Ok(());
            }
        }
    }

    fn tell_less(&self, key: &Key, bytes: &[u8], without: u32, why: &SmbError) {
        let what = if without & part::OWNER != 0 {
            if let Some(owner) = Descriptor::parse(bytes).and_then(|descriptor| descriptor.owner) {
                self.refuse_owner(owner);
            }
            "owner"
        } else if without & part::GROUP != 0 {
            "group"
        } else {
            "audit list"
        };
        self.warn(key, format!("{what}: {why}"));
    }

    /// Warns of what the server refused; hands on what ends everything.
    pub(super) fn tell(&self, key: &Key, what: &str, result: Result<(), SmbError>) -> Result<(), WriteError> {
        match result {
            Ok(()) => Ok(()),
            Err(failed) => {
                let error = error(&format!("set {what}"), &failed);
                if error.fatal {
                    return Err(error);
                }
                self.warn(key, format!("{what}: {failed}"));
                Ok(())
            }
        }
    }
}

/// The parts that may be taken without those that were most likely meant.
fn fewer(refused: &SmbError, parts: u32) -> Option<u32> {
    let status = refused.status()?;
    let rights = [
        NtStatus::ACCESS_DENIED,
        NtStatus::PRIVILEGE_NOT_HELD,
        NtStatus::INVALID_OWNER,
        NtStatus::INVALID_SID,
        NtStatus::INVALID_SECURITY_DESCR,
        NtStatus::INVALID_PARAMETER,
        NtStatus::NOT_SUPPORTED,
    ];
    let of_owner = part::OWNER | part::GROUP;
    match parts {
        _ if !rights.contains(&status) && !is_of_names(status) => None,
        parts if parts & of_owner != 0 && parts & !of_owner != 0 => Some(parts & !of_owner),
        parts if parts & part::SACL != 0 && parts & !part::SACL != 0 => Some(parts & !part::SACL),
        _ => None,
    }
}

/// STATUS_INVALID_PRIMARY_GROUP and STATUS_NONE_MAPPED: the server does not know this account.
fn is_of_names(status: NtStatus) -> bool {
    matches!(status, NtStatus(0xC000_005B | 0xC000_0073))
}

pub(super) fn is_of_unix(name: &[u8]) -> bool {
    OF_UNIX.iter().any(|space| name.starts_with(space))
}

/// Times and attributes. The time of change is the server's: it is what backups go by.
pub(super) fn basic(node: &Node) -> Basic {
    let attributes = node.dos.map(|dos| match dos & SETTABLE {
        0 => attribute::NORMAL,
        some => some,
    });
    Basic { created: file_time(node.btime), accessed: None, written: file_time(node.mtime), changed: None, attributes }
}

fn file_time(time: Option<Time>) -> Option<FileTime> {
    time.and_then(|time| FileTime::from_unix(time.seconds, time.nanos))
}

/// The attributes that a restore brings back.
pub(super) fn settable(dos: u32) -> u32 {
    dos & SETTABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_follow_from_what_is_done_are_not_set() {
        let mut node = Node::new(Kind::File);
        assert_eq!(basic(&node), Basic::default());
        node.dos = Some(attribute::SPARSE_FILE | attribute::REPARSE_POINT | attribute::COMPRESSED);
        assert_eq!(basic(&node).attributes, Some(attribute::NORMAL));
        node.dos = Some(attribute::READONLY | attribute::DIRECTORY | attribute::HIDDEN);
        assert_eq!(basic(&node).attributes, Some(attribute::READONLY | attribute::HIDDEN));
    }

    #[test]
    fn owner_and_group_go_first_and_the_access_list_last() {
        let denied = |status| SmbError::Status { status, during: "x" };
        let all = part::OWNER | part::GROUP | part::DACL | part::SACL;
        assert_eq!(fewer(&denied(NtStatus::INVALID_OWNER), all), Some(part::DACL | part::SACL));
        assert_eq!(fewer(&denied(NtStatus::ACCESS_DENIED), part::DACL | part::SACL), Some(part::DACL));
        assert_eq!(fewer(&denied(NtStatus::ACCESS_DENIED), part::DACL), None);
        assert_eq!(fewer(&denied(NtStatus::DISK_FULL), all), None);
        assert_eq!(fewer(&SmbError::Timeout, all), None);
    }
}
