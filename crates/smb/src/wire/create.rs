//! CREATE, which opens (MS-SMB2 2.2.13, 2.2.14). Owns its layout and the create contexts; never asks for an oplock or a lease.

use bytes::Bytes;

use crate::connection::Request;
use crate::wire::Command;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::payload::{HEADER, payload};
use crate::{FileTime, NtStatus, SmbError, WidePath};

/// CreateOptions (MS-SMB2 2.2.13).
pub(crate) mod option {
    pub(crate) const DIRECTORY_FILE: u32 = 0x0000_0001;
    pub(crate) const NON_DIRECTORY_FILE: u32 = 0x0000_0040;
    pub(crate) const OPEN_FOR_BACKUP_INTENT: u32 = 0x0000_4000;
    pub(crate) const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
}

/// Names an open file on its connection (MS-SMB2 2.2.14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(pub(crate) [u8; 16]);

impl FileId {
    /// The file that the chain before has opened (MS-SMB2 3.2.4.1.4).
    pub(crate) const RELATED: Self = Self([0xFF; 16]);
}

/// What is to be opened, and how.
pub(crate) struct CreateRequest<'a> {
    pub(crate) path: &'a WidePath,
    pub(crate) access: u32,
    pub(crate) attributes: u32,
    pub(crate) sharing: u32,
    pub(crate) disposition: u32,
    pub(crate) options: u32,
    pub(crate) as_of: Option<FileTime>,
    pub(crate) maximal_access: bool,
    pub(crate) descriptor: Option<&'a [u8]>,
}

const IMPERSONATION: u32 = 2;
const FIXED: usize = 56;
/// A context without its data, aligned (MS-SMB2 2.2.13.2).
const CONTEXT: usize = 24;

impl CreateRequest<'_> {
    pub(crate) fn encode(&self) -> Request {
        let name = self.path.units();
        let contexts = self.contexts();
        let data: usize = contexts.iter().flatten().map(|(_, data)| CONTEXT + data.len().next_multiple_of(8)).sum();
        let mut writer = Writer::with_capacity(FIXED + (name.len() * 2).next_multiple_of(8).max(8) + data);
        writer.u16(57).u8(0).u8(0).u32(IMPERSONATION).u64(0).u64(0);
        writer.u32(self.access).u32(self.attributes).u32(self.sharing).u32(self.disposition).u32(self.options);
        writer.u16((HEADER + FIXED) as u16).u16((name.len() * 2) as u16).u32(0).u32(0);
        writer.units(name.iter().copied());
        if name.is_empty() {
            // The buffer must not be empty.
            writer.u64(0);
        }
        if data > 0 {
            writer.pad_to(8);
            let start = writer.len();
            writer.patch_u32(48, (HEADER + start) as u32);
            let last = contexts.iter().flatten().count();
            for (n, (tag, data)) in contexts.iter().flatten().enumerate() {
                context(&mut writer, *tag, data, n + 1 == last);
            }
            let length = (writer.len() - start) as u32;
            writer.patch_u32(52, length);
        }
        // What comes back is small, but a descriptor goes out.
        let payload = writer.len() as u32;
        Request { command: Command::Create, body: writer.finish(), payload }
    }

    fn contexts(&self) -> [Option<([u8; 4], Vec<u8>)>; 3] {
        [
            // MS-SMB2 2.2.13.2.7
            self.as_of.map(|time| (*b"TWrp", time.0.to_le_bytes().to_vec())),
            // MS-SMB2 2.2.13.2.5
            self.maximal_access.then(|| (*b"MxAc", Vec::new())),
            // MS-SMB2 2.2.13.2.2
            self.descriptor.map(|bytes| (*b"SecD", bytes.to_vec())),
        ]
    }
}

fn context(writer: &mut Writer, tag: [u8; 4], data: &[u8], last: bool) {
    let length = CONTEXT + data.len();
    let next = if last { 0 } else { length.next_multiple_of(8) as u32 };
    let offset = if data.is_empty() { 0 } else { CONTEXT as u16 };
    writer.u32(next).u16(16).u16(4).u16(0).u16(offset).u32(data.len() as u32).bytes(&tag).u32(0).bytes(data);
    if !last {
        writer.pad_to(8);
    }
}

/// What was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Created {
    pub(crate) file: FileId,
    /// Whether it was made, not just opened (MS-SMB2 2.2.14, CreateAction 2).
    pub(crate) is_new: bool,
    pub(crate) created: FileTime,
    pub(crate) written: FileTime,
    pub(crate) changed: FileTime,
    pub(crate) allocated: u64,
    pub(crate) size: u64,
    pub(crate) attributes: u32,
    /// None if the server did not say.
    pub(crate) maximal_access: Option<u32>,
}

impl Created {
    pub(crate) fn decode(body: &Bytes) -> Result<Self, SmbError> {
        const WHAT: &str = "CREATE answer";
        let mut reader = Reader::new(body, WHAT);
        reader.structure(89)?;
        reader.skip(2)?;
        let is_new = reader.u32()? == 2;
        let created = FileTime(reader.u64()?);
        reader.skip(8)?;
        let written = FileTime(reader.u64()?);
        let changed = FileTime(reader.u64()?);
        let (allocated, size) = (reader.u64()?, reader.u64()?);
        let attributes = reader.u32()?;
        reader.skip(4)?;
        let file = FileId(reader.array()?);
        if file == FileId::RELATED {
            return Err(reader.malformed());
        }
        let (offset, length) = (reader.u32()? as usize, reader.u32()? as usize);
        let contexts = payload(body, offset, length, u32::MAX, WHAT)?;
        let maximal_access = maximal_access(&contexts)?;
        Ok(Self { file, is_new, created, written, changed, allocated, size, attributes, maximal_access })
    }
}

/// The rights in the context "MxAc" (MS-SMB2 2.2.14.2.5), if there is one and it succeeded.
fn maximal_access(mut contexts: &[u8]) -> Result<Option<u32>, SmbError> {
    const WHAT: &str = "create context";
    while !contexts.is_empty() {
        let all = Reader::new(contexts, WHAT);
        let mut reader = all;
        let next = reader.u32()? as usize;
        let (name_at, name_length) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
        reader.skip(2)?;
        let (data_at, data_length) = (usize::from(reader.u16()?), reader.u32()? as usize);
        if all.at(name_at)?.bytes(name_length)? == b"MxAc" && data_length >= 8 {
            let mut data = all.at(data_at)?;
            let status = NtStatus(data.u32()?);
            let access = data.u32()?;
            return Ok((status == NtStatus::SUCCESS).then_some(access));
        }
        if next == 0 {
            break;
        }
        if next < 16 {
            return Err(all.malformed());
        }
        contexts = contexts.get(next..).ok_or_else(|| all.malformed())?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &WidePath) -> CreateRequest<'_> {
        CreateRequest {
            path,
            access: 0x12_0089,
            attributes: 0,
            sharing: 7,
            disposition: 1,
            options: option::NON_DIRECTORY_FILE,
            as_of: None,
            maximal_access: false,
            descriptor: None,
        }
    }

    #[test]
    fn requests_are_laid_out_as_specified() {
        let path = WidePath::from_wtf8([&b"a"[..], b"b"]).unwrap();
        let plain = request(&path).encode();
        assert_eq!(plain.body.len(), FIXED + 6);
        assert_eq!(plain.body[44..48], [120, 0, 6, 0]);
        assert_eq!(plain.body[48..56], [0; 8]);
        assert_eq!(plain.body[56..], *b"a\0\\\0b\0");

        let full =
            CreateRequest { as_of: Some(FileTime(0x1122)), maximal_access: true, descriptor: Some(&[5; 3]), ..request(&path) }.encode();
        // Contexts are aligned, chained, and the last one ends the message.
        assert_eq!(full.body[48..52], (64_u32 + 64).to_le_bytes());
        assert_eq!(full.body[52..56], (32_u32 + 24 + 27).to_le_bytes());
        assert_eq!(full.body.len(), 64 + 32 + 24 + 27);
        assert_eq!(full.body[64..96], *b"\x20\0\0\0\x10\0\x04\0\0\0\x18\0\x08\0\0\0TWrp\0\0\0\0\x22\x11\0\0\0\0\0\0");
        assert_eq!(full.body[96..120], *b"\x18\0\0\0\x10\0\x04\0\0\0\0\0\0\0\0\0MxAc\0\0\0\0");
        assert_eq!(full.body[120..], *b"\0\0\0\0\x10\0\x04\0\0\0\x18\0\x03\0\0\0SecD\0\0\0\0\x05\x05\x05");
        assert_eq!(request(&WidePath::root()).encode().body.len(), FIXED + 8);
    }

    fn answer() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u16(89).u16(0).u32(2).u64(1).u64(2).u64(3).u64(4).u64(4096).u64(10).u32(0x20).u32(0);
        writer.u64(7).u64(8).u32(64 + 88).u32(24 + 8 + 32);
        // A context we do not know, then the rights.
        writer.u32(32).u16(16).u16(4).u16(0).u16(24).u32(8).bytes(b"QFid").u32(0).u64(1);
        writer.u32(0).u16(16).u16(4).u16(0).u16(24).u32(8).bytes(b"MxAc").u32(0).u32(0).u32(0x1F_01FF);
        writer.finish()
    }

    #[test]
    fn answers_are_read() {
        let created = Created::decode(&answer().into()).unwrap();
        assert_eq!((created.created, created.written, created.changed), (FileTime(1), FileTime(3), FileTime(4)));
        assert_eq!((created.allocated, created.size, created.attributes, created.is_new), (4096, 10, 0x20, true));
        assert_eq!(created.maximal_access, Some(0x1F_01FF));
        assert_eq!(created.file.0, [7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn damaged_answers_are_refused() {
        let good = answer();
        for cut in 0..good.len() {
            assert!(Created::decode(&good[..cut].to_vec().into()).is_err(), "{cut}");
        }
        let at = 88;
        for next in [1_u32, 15, 65, u32::MAX] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&next.to_le_bytes());
            assert!(Created::decode(&bad.into()).is_err(), "{next}");
        }
        let mut all_ones = good;
        all_ones[64..80].fill(0xFF);
        assert!(Created::decode(&all_ones.into()).is_err());
    }
}
