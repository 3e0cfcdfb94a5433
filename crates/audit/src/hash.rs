//! The hash of a record, and the head of a ledger: what somebody keeps elsewhere to notice a ledger that was cut or replaced.

use std::fmt;
use std::str::FromStr;

/// BLAKE3 in its key derivation mode, with a context of our own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Before the first file.
    pub const ZERO: Self = Self([0; 32]);

    pub(crate) fn of_record(record: &[u8]) -> Self {
        Self::in_context("keepwell v1 ledger record", record)
    }

    pub(crate) fn of_header(header: &[u8]) -> Self {
        Self::in_context("keepwell v1 ledger file", header)
    }

    fn in_context(context: &str, bytes: &[u8]) -> Self {
        Self(*blake3::Hasher::new_derive_key(context).update(bytes).finalize().as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No hash or head in text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger's head: it is written as its number, a colon and 64 hexadecimal digits")]
pub struct NoHead;

/// The last record of a ledger. In text: its number, a colon, its hash in 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 if there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Of a ledger without a record.
    pub const EMPTY: Self = Self { seq: 0, hash: Hash::ZERO };
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (seq, digits) = text.split_once(':').ok_or(NoHead)?;
        let seq = Some(seq).filter(|seq| seq.bytes().all(|b| b.is_ascii_digit())).and_then(|seq| seq.parse().ok()).ok_or(NoHead)?;
        if digits.len() != 64 {
            return Err(NoHead);
        }
        let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8).ok_or(NoHead);
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Ok(Self { seq, hash: Hash(hash) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_its_text_and_nothing_else_is_one() {
        let head = Head { seq: 70, hash: Hash::of_record(b"x") };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in
            ["", "1", "1:", "+1:00", ":00", &format!("-1:{}", Hash::ZERO), &format!("1:{}0", Hash::ZERO), &format!("+1:{}", Hash::ZERO)]
        {
            assert_eq!(wrong.parse::<Head>(), Err(NoHead), "{wrong}");
        }
    }
}
