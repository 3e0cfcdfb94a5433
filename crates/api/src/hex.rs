//! Hexadecimal digits, as ids, digests and public keys have them in requests and answers.

use std::fmt::Write as _;

/// Two lower-case digits a byte.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Just so many bytes, in digits of either case.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = Some(text.as_bytes()).filter(|digits| digits.len() == 2 * N)?;
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back_and_nothing_else_is_taken() {
        assert_eq!(encode(&[0, 0xab]), "00ab");
        assert_eq!(decode(&encode(&[0, 0xab, 0xff])), Some([0, 0xab, 0xff]));
        assert_eq!(decode("00AB"), Some([0, 0xab]));
        for bad in ["", "00a", "00abc", "00abcd", "00 b", "+0ab", "00ä"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
        }
    }
}
