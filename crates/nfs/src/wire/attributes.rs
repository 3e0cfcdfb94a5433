//! File attributes: `fattr3`, `post_op_attr`, `wcc_data`, `sattr3` (RFC 1813 section 2.6).

use crate::NfsError;
use crate::types::{Attributes, Device, FileType, SetAttributes, SetTime, Timestamp};
use crate::xdr::{Reader, Result, Writer};

pub(crate) fn attributes(reader: &mut Reader<'_>) -> Result<Attributes> {
    let kind = FileType::from_number(reader.u32()?).ok_or(NfsError::Malformed("an unknown type of file"))?;
    let (mode, links, uid, gid) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let (size, used) = (reader.u64()?, reader.u64()?);
    let device = Device { major: reader.u32()?, minor: reader.u32()? };
    let (fsid, fileid) = (reader.u64()?, reader.u64()?);
    let _accessed = reader.u64()?;
    let (mtime, ctime) = (timestamp(reader)?, timestamp(reader)?);
    Ok(Attributes { kind, mode, links, uid, gid, size, used, device, fsid, fileid, mtime, ctime })
}

/// Nanoseconds of a second or more are a second less one: a time must not make a file unreadable.
fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp> {
    Ok(Timestamp { seconds: reader.u32()?, nanos: reader.u32()?.min(999_999_999) })
}

pub(crate) fn post_op(reader: &mut Reader<'_>) -> Result<Option<Attributes>> {
    if reader.bool()? { attributes(reader).map(Some) } else { Ok(None) }
}

/// Passes over `wcc_data`.
pub(crate) fn skip_wcc(reader: &mut Reader<'_>) -> Result<()> {
    if reader.bool()? {
        reader.fixed::<24>()?;
    }
    post_op(reader).map(|_| ())
}

pub(crate) fn set_attributes(out: &mut Writer, set: &SetAttributes) {
    const DONT_CHANGE: u32 = 0;
    const SET_TO_CLIENT_TIME: u32 = 2;
    for field in [set.mode, set.uid, set.gid] {
        out.bool(field.is_some());
        if let Some(value) = field {
            out.u32(value);
        }
    }
    out.bool(set.size.is_some());
    if let Some(size) = set.size {
        out.u64(size);
    }
    out.u32(DONT_CHANGE);
    match set.mtime {
        SetTime::Keep => out.u32(DONT_CHANGE),
        SetTime::To(time) => out.u32(SET_TO_CLIENT_TIME).u32(time.seconds).u32(time.nanos),
    };
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;

    use super::*;

    /// A `fattr3` of which each field is another number.
    pub(crate) fn sample(kind: u32) -> Vec<u8> {
        let mut out = Writer::new();
        out.u32(kind).u32(0o644).u32(2).u32(3).u32(4).u64(5).u64(6).u32(7).u32(8).u64(9).u64(10);
        out.u32(11).u32(12).u32(13).u32(14).u32(15).u32(u32::MAX);
        out.into_bytes()
    }

    #[test]
    fn attributes_are_read_in_order() {
        let bytes = Bytes::from(sample(1));
        assert_eq!(bytes.len(), 84);
        let read = attributes(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((read.kind, read.mode, read.links, read.uid, read.gid), (FileType::Regular, 0o644, 2, 3, 4));
        assert_eq!((read.size, read.used, read.device, read.fsid, read.fileid), (5, 6, Device { major: 7, minor: 8 }, 9, 10));
        assert_eq!((read.mtime, read.ctime), (Timestamp { seconds: 13, nanos: 14 }, Timestamp { seconds: 15, nanos: 999_999_999 }));
        assert!(attributes(&mut Reader::new(&sample(0).into())).is_err());
        assert!(attributes(&mut Reader::new(&sample(8).into())).is_err());
        assert!(attributes(&mut Reader::new(&bytes.slice(..83))).is_err());
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let mut out = Writer::new();
        set_attributes(&mut out, &SetAttributes::default());
        assert_eq!(out.into_bytes(), [0; 24]);
        let mut out = Writer::new();
        let time = Timestamp { seconds: 1, nanos: 2 };
        set_attributes(&mut out, &SetAttributes { mode: Some(5), size: Some(6), mtime: SetTime::To(time), ..Default::default() });
        let words: Vec<u32> = out.into_bytes().chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words, [1, 5, 0, 0, 1, 0, 6, 0, 2, 1, 2]);
    }
}
