//! QUERY_INFO, SET_INFO and QUERY_DIRECTORY (MS-SMB2 2.2.33, 2.2.37, 2.2.39). Owns their layouts; what their buffers hold is for
//! `wire::fscc`.

use crate::connection::Request;
use crate::wire::Command;
use crate::wire::create::FileId;
use crate::wire::cursor::Writer;
use crate::wire::payload::HEADER;

/// What a query or a change is about: InfoType and class (MS-FSCC 2.4, 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    File(u8),
    FileSystem(u8),
    /// Parts of the security descriptor: AdditionalInformation.
    Security(u32),
}

/// Classes of MS-FSCC 2.4 and 2.5.
impl Class {
    pub(crate) const BASIC: Self = Self::File(4);
    pub(crate) const RENAME: Self = Self::File(10);
    pub(crate) const LINK: Self = Self::File(11);
    pub(crate) const DISPOSITION: Self = Self::File(13);
    pub(crate) const FULL_EA: Self = Self::File(15);
    pub(crate) const ALL: Self = Self::File(18);
    pub(crate) const END_OF_FILE: Self = Self::File(20);
    pub(crate) const STREAM: Self = Self::File(22);
    pub(crate) const FS_VOLUME: Self = Self::FileSystem(1);
    pub(crate) const FS_ATTRIBUTE: Self = Self::FileSystem(5);
    pub(crate) const FS_FULL_SIZE: Self = Self::FileSystem(7);

    fn kind_class_parts(self) -> (u8, u8, u32) {
        match self {
            Self::File(class) => (1, class, 0),
            Self::FileSystem(class) => (2, class, 0),
            Self::Security(parts) => (3, 0, parts),
        }
    }
}

/// Asks for at most `asked` bytes; the answer is read by [`output`](crate::wire::payload::output).
pub(crate) fn encode_query(file: FileId, class: Class, asked: u32) -> Request {
    let (kind, number, parts) = class.kind_class_parts();
    // Extended attributes come from the first on (MS-SMB2 2.2.37, SL_RESTART_SCAN).
    let flags = u32::from(class == Class::FULL_EA);
    let mut writer = Writer::with_capacity(41);
    writer.u16(41).u8(kind).u8(number).u32(asked).u16(0).u16(0).u32(0).u32(parts).u32(flags).bytes(&file.0).u8(0);
    Request { command: Command::QueryInfo, body: writer.finish(), payload: asked }
}

/// Changes what `class` says to what `buffer` holds.
pub(crate) fn encode_set(file: FileId, class: Class, buffer: &[u8]) -> Request {
    const FIXED: usize = 32;
    let (kind, number, parts) = class.kind_class_parts();
    let mut writer = Writer::with_capacity(FIXED + buffer.len());
    writer.u16(33).u8(kind).u8(number).u32(buffer.len() as u32).u16((HEADER + FIXED) as u16).u16(0).u32(parts);
    writer.bytes(&file.0).bytes(buffer);
    Request { command: Command::SetInfo, body: writer.finish(), payload: buffer.len() as u32 }
}

/// Asks for the next entries of a folder as FileIdBothDirectoryInformation, at most `asked` bytes of them.
pub(crate) fn encode_directory(file: FileId, asked: u32) -> Request {
    const FIXED: usize = 32;
    const FILE_ID_BOTH_DIRECTORY: u8 = 37;
    let mut writer = Writer::with_capacity(FIXED + 2);
    writer.u16(33).u8(FILE_ID_BOTH_DIRECTORY).u8(0).u32(0).bytes(&file.0).u16((HEADER + FIXED) as u16).u16(2).u32(asked);
    writer.u16(u16::from(b'*'));
    Request { command: Command::QueryDirectory, body: writer.finish(), payload: asked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_laid_out_as_specified() {
        let file = FileId([9; 16]);
        let query = encode_query(file, Class::Security(7), 0x1_0000);
        assert_eq!(query.body[..24], [41, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encode_query(file, Class::FULL_EA, 8).body[20], 1);
        let set = encode_set(file, Class::END_OF_FILE, &[1, 2, 3]);
        assert_eq!(set.body[..16], [33, 0, 1, 20, 3, 0, 0, 0, 96, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(set.body[32..], [1, 2, 3]);
        let list = encode_directory(file, 0x1_0000);
        assert_eq!(list.body[24..], [96, 0, 2, 0, 0, 0, 1, 0, b'*', 0]);
    }
}
