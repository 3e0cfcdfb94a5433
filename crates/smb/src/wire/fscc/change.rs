//! Buffers that change a file (MS-FSCC 2.4). Owns their layouts.

use crate::wire::cursor::Writer;
use crate::{Basic, FileTime, WidePath};

/// FileBasicInformation (MS-FSCC 2.4.7): what is not given stays as it is.
pub(crate) fn encode_basic(basic: &Basic) -> Vec<u8> {
    let mut writer = Writer::with_capacity(40);
    for time in [basic.created, basic.accessed, basic.written, basic.changed] {
        writer.u64(time.map_or(0, |FileTime(units)| units));
    }
    writer.u32(basic.attributes.unwrap_or(0)).u32(0);
    writer.finish()
}

/// FileEndOfFileInformation (MS-FSCC 2.4.14).
pub(crate) fn encode_end_of_file(size: u64) -> Vec<u8> {
    size.to_le_bytes().to_vec()
}

/// FileDispositionInformation (MS-FSCC 2.4.11): delete when closed.
pub(crate) fn encode_disposition(delete: bool) -> Vec<u8> {
    vec![u8::from(delete)]
}

/// FileRenameInformation and FileLinkInformation for SMB2 (MS-FSCC 2.4.43.2, 2.4.27.2): the new path, from the root of the share.
pub(crate) fn encode_name(to: &WidePath, replace: bool) -> Vec<u8> {
    let mut writer = Writer::with_capacity(20 + to.units().len() * 2 + 4);
    writer.u8(u8::from(replace)).bytes(&[0; 7]).u64(0).u32((to.units().len() * 2) as u32).units(to.units().iter().copied());
    // Servers want the size of the structure in memory at least.
    while writer.len() < 24 {
        writer.u8(0);
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let basic = Basic { written: Some(FileTime(3)), attributes: Some(0x21), ..Basic::default() };
        let bytes = encode_basic(&basic);
        assert_eq!((bytes.len(), bytes[16], bytes[32]), (40, 3, 0x21));
        assert!(bytes[..16].iter().chain(&bytes[24..32]).all(|byte| *byte == 0));
        let path = WidePath::from_wtf8([&b"a"[..]]).unwrap();
        assert_eq!(encode_name(&path, true), *b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0a\0\0\0");
        let path = WidePath::from_wtf8([&b"abc"[..]]).unwrap();
        assert_eq!(encode_name(&path, false)[16..], *b"\x06\0\0\0a\0b\0c\0");
    }
}
