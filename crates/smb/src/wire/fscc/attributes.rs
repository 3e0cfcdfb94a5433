//! Extended attributes: FileFullEaInformation (MS-FSCC 2.4.15). Names and values are bytes and stay so.

use crate::SmbError;
use crate::stat::Attribute;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::fscc::Entries;

/// Names and values.
pub(crate) fn decode_attributes(buffer: &[u8]) -> Result<Vec<Attribute>, SmbError> {
    const WHAT: &str = "FileFullEaInformation";
    let mut attributes = Vec::new();
    for bytes in Entries::new(buffer, 8, WHAT) {
        let mut reader = Reader::new(bytes?, WHAT);
        reader.skip(5)?;
        let (name, value) = (usize::from(reader.u8()?), usize::from(reader.u16()?));
        let name = reader.bytes(name)?.to_vec();
        reader.skip(1)?;
        // Some servers answer one nameless entry where there is none.
        if name.is_empty() && value == 0 {
            continue;
        }
        attributes.push((name, reader.bytes(value)?.to_vec()));
    }
    Ok(attributes)
}

/// One attribute; an empty value deletes it. None: longer than the format can say.
pub(crate) fn encode_attribute(name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let (name_length, value_length) = (u8::try_from(name.len()).ok()?, u16::try_from(value.len()).ok()?);
    if name.is_empty() || name.contains(&0) {
        return None;
    }
    let mut writer = Writer::with_capacity(9 + name.len() + value.len());
    writer.u32(0).u8(0).u8(name_length).u16(value_length).bytes(name).u8(0).bytes(value);
    Some(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let one = encode_attribute(b"user.a", b"value").unwrap();
        assert_eq!(decode_attributes(&one).unwrap(), [(b"user.a".to_vec(), b"value".to_vec())]);
        for cut in 1..one.len() {
            assert!(decode_attributes(&one[..cut]).is_err(), "{cut}");
        }
        let mut two = one.clone();
        two.resize(one.len().next_multiple_of(4), 0);
        two[0] = two.len() as u8;
        two.extend_from_slice(&encode_attribute(b"b", b"").unwrap());
        assert_eq!(decode_attributes(&two).unwrap().len(), 2);
        assert!(decode_attributes(&[]).unwrap().is_empty() && decode_attributes(&[0; 12]).unwrap().is_empty());
        assert_eq!(encode_attribute(&[b'a'; 256], b""), None);
        assert_eq!(encode_attribute(b"a\0", b""), None);
        assert_eq!(encode_attribute(b"a", &vec![0; 65_536]), None);
    }
}
