//! How a file is to be opened. Owns the ways a backup reads and writes; the caller may say otherwise bit by bit.

use crate::rights::{access, part, sharing};
use crate::wire::create::{CreateRequest, option};
use crate::{FileTime, Want, WidePath};

/// What to do about a file that is there, or is not (MS-SMB2 2.2.13, CreateDisposition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Disposition {
    /// Replace it by a new one, or make it.
    Supersede = 0,
    /// Open it, or fail.
    Open = 1,
    /// Make it, or fail if there is one.
    Create = 2,
    /// Open it, or make it.
    OpenIf = 3,
    /// Open it and cut it to nothing, or fail.
    Overwrite = 4,
    /// Open it and cut it to nothing, or make it.
    OverwriteIf = 5,
}

/// What is to be opened; the server refuses anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// A file or a stream.
    File,
    /// A folder.
    Folder,
    /// Either.
    Any,
    /// Either; a reparse point itself and not what it leads to.
    ReparsePoint,
}

/// How a file is to be opened.
#[derive(Clone, Debug)]
pub struct Open {
    /// Rights: [`crate::access`]. What `want` takes is added.
    pub access: u32,
    /// What to do about one that is there.
    pub disposition: Disposition,
    /// What it must be.
    pub kind: OpenKind,
    /// What others may do meanwhile: [`crate::sharing`].
    pub share: u32,
    /// Attributes of a new file: [`crate::attribute`].
    pub attributes: u32,
    /// Past the descriptor, where the account has the privilege.
    pub backup_intent: bool,
    /// What to read at once.
    pub want: Want,
    /// As it was then: one of [`crate::Share::snapshots`].
    pub as_of: Option<FileTime>,
    /// Descriptor of a new file.
    pub descriptor: Option<Vec<u8>>,
}

impl Open {
    /// A file, to be read without being in anybody's way.
    #[must_use]
    pub fn reading(want: Want, as_of: Option<FileTime>) -> Self {
        Self {
            access: access::READ_DATA | access::READ_ATTRIBUTES | access::SYNCHRONIZE,
            disposition: Disposition::Open,
            kind: if want.reparse { OpenKind::ReparsePoint } else { OpenKind::File },
            share: sharing::ALL,
            attributes: 0,
            backup_intent: true,
            want,
            as_of,
            descriptor: None,
        }
    }

    /// Anything, to be looked at without its data.
    #[must_use]
    pub fn looking(want: Want, as_of: Option<FileTime>) -> Self {
        Self {
            access: access::READ_ATTRIBUTES | access::SYNCHRONIZE,
            kind: if want.reparse { OpenKind::ReparsePoint } else { OpenKind::Any },
            ..Self::reading(want, as_of)
        }
    }

    /// A file or folder, to be made or changed. The descriptor needs [`Open::with_descriptor`]; to rename or delete, add `DELETE` to
    /// `access`.
    #[must_use]
    pub fn writing(kind: OpenKind, disposition: Disposition) -> Self {
        let of_data = match kind {
            OpenKind::File => access::READ_DATA | access::WRITE_DATA | access::APPEND_DATA,
            _ => 0,
        };
        Self {
            access: of_data
                | access::READ_EA
                | access::WRITE_EA
                | access::READ_ATTRIBUTES
                | access::WRITE_ATTRIBUTES
                | access::READ_CONTROL
                | access::SYNCHRONIZE,
            disposition,
            kind,
            share: sharing::READ,
            attributes: 0,
            backup_intent: true,
            want: Want::default(),
            as_of: None,
            descriptor: None,
        }
    }

    /// Takes the rights to set these parts of the descriptor: [`crate::part`].
    #[must_use]
    pub fn with_descriptor(mut self, parts: u32) -> Self {
        for (needed, right) in [
            (part::OWNER | part::GROUP | part::LABEL, access::WRITE_OWNER),
            (part::DACL, access::WRITE_DAC),
            (part::SACL, access::SYSTEM_SECURITY),
        ] {
            if parts & needed != 0 {
                self.access |= right;
            }
        }
        self
    }

    /// All rights this takes: those of the caller and those that the wanted parts need.
    pub(crate) fn rights(&self) -> u32 {
        let mut rights = self.access | access::READ_ATTRIBUTES;
        for (wanted, right) in [
            (self.want.descriptor || self.want.sacl, access::READ_CONTROL),
            (self.want.sacl, access::SYSTEM_SECURITY),
            (self.want.attributes, access::READ_EA),
        ] {
            if wanted {
                rights |= right;
            }
        }
        rights
    }

    pub(crate) fn request<'a>(&'a self, path: &'a WidePath, rights: u32) -> CreateRequest<'a> {
        let kind = match self.kind {
            OpenKind::File => option::NON_DIRECTORY_FILE,
            OpenKind::Folder => option::DIRECTORY_FILE,
            OpenKind::Any => 0,
            OpenKind::ReparsePoint => option::OPEN_REPARSE_POINT,
        };
        CreateRequest {
            path,
            access: rights,
            attributes: self.attributes,
            sharing: self.share,
            disposition: self.disposition as u32,
            options: kind | if self.backup_intent { option::OPEN_FOR_BACKUP_INTENT } else { 0 },
            as_of: self.as_of,
            maximal_access: self.want.maximal_access,
            descriptor: self.descriptor.as_deref(),
        }
    }
}
