//! Codes that people type or read from a picture: bech32m (BIP 350) with a prefix, which finds every wrong character. Owns what all of them have; what is in one is its own.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use keepwell_format::FormatError;
use keepwell_format::codec::Reader;
use zeroize::Zeroize;

/// Longest address, in bytes.
const MAX_ADDRESS: usize = 255;

/// As text, in lower case. The bytes are wiped.
pub(crate) fn to_text(prefix: &str, mut bytes: Vec<u8>) -> String {
    let text = bech32::encode::<Bech32m>(Hrp::parse(prefix).expect("a valid prefix"), &bytes).expect("at most 305 bytes");
    bytes.zeroize();
    text
}

/// What a person typed, in lower or upper case, with blanks and line breaks anywhere; none where its check does not fit, or it begins otherwise. No copy of it stays, but for what is returned.
pub(crate) fn parse(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let mut dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let checked = CheckedHrpstring::new::<Bech32m>(&dense).ok();
    let bytes = checked.filter(|checked| checked.hrp().as_str().eq_ignore_ascii_case(prefix)).map(|checked| checked.byte_iter().collect());
    dense.zeroize();
    bytes
}

/// The version that a code begins with: 1 is the only one.
pub(crate) fn version(reader: &mut Reader<'_>, what: &'static str, known: u8) -> Result<(), FormatError> {
    let version = reader.u8()?;
    if version > known {
        return Err(FormatError::Newer { what, found: version.into(), known: known.into() });
    }
    reader.check(version == known, "version 0")
}

/// `host:port`, as far as it is one line of plain characters.
pub(crate) fn address(reader: &mut Reader<'_>) -> Result<String, FormatError> {
    let address = reader.text()?;
    let shown = address.bytes().all(|byte| byte.is_ascii_graphic());
    reader.check(!address.is_empty() && address.len() <= MAX_ADDRESS && shown, "no address")?;
    Ok(address)
}
