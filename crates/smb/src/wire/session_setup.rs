//! SESSION_SETUP (MS-SMB2 2.2.5, 2.2.6). Owns its layout; never looks into tokens.

use crate::SmbError;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::{SIGNING_REQUIRED, header};

const FLAG_GUEST: u16 = 1;
const FLAG_NULL: u16 = 2;
const FLAG_ENCRYPT: u16 = 4;

/// `previous` is the session this one replaces, or zero: the server closes what is still open there.
pub(crate) fn request(token: &[u8], previous: u64) -> Result<Vec<u8>, SmbError> {
    let length = u16::try_from(token.len()).map_err(|_| SmbError::Config { what: "the sign-in token is too long" })?;
    let mut body = Writer::with_capacity(24 + token.len());
    body.u16(25).u8(0).u8(SIGNING_REQUIRED as u8).u32(0).u32(0);
    body.u16((header::LENGTH + 24) as u16).u16(length).u64(previous).bytes(token);
    Ok(body.finish())
}

/// What the server made of a token.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Signed in as nobody in particular: no key, no protection.
    pub(crate) is_guest: bool,
    /// The server wants everything encrypted.
    pub(crate) must_encrypt: bool,
    pub(crate) token: Vec<u8>,
}

impl Reply {
    /// `message` with its header: offsets count from there.
    pub(crate) fn read(message: &[u8]) -> Result<Self, SmbError> {
        let mut reader = Reader::new(message, "session setup answer").at(header::LENGTH)?;
        reader.structure(9)?;
        let flags = reader.u16()?;
        let (offset, length) = (reader.u16()?, reader.u16()?);
        let token = if length == 0 { Vec::new() } else { reader.at(offset.into())?.bytes(length.into())?.to_vec() };
        Ok(Self { is_guest: flags & (FLAG_GUEST | FLAG_NULL) != 0, must_encrypt: flags & FLAG_ENCRYPT != 0, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NtStatus;

    fn answer(flags: u16, offset: u16, length: u16, token: &[u8]) -> Vec<u8> {
        let mut message = Writer::new();
        message.bytes(&header::tests::answer(1, NtStatus::SUCCESS, 0, 1, 5, 1)).u16(9).u16(flags).u16(offset).u16(length).bytes(token);
        message.finish()
    }

    #[test]
    fn tokens_and_flags_come_through() {
        let reply = Reply::read(&answer(FLAG_ENCRYPT, 72, 3, b"abc")).unwrap();
        assert_eq!((reply.is_guest, reply.must_encrypt, reply.token.as_slice()), (false, true, b"abc".as_slice()));
        assert!(Reply::read(&answer(FLAG_GUEST, 72, 0, b"")).unwrap().is_guest);
        assert!(Reply::read(&answer(FLAG_NULL, 0, 0, b"")).unwrap().is_guest);
        assert!(Reply::read(&answer(0, 73, 3, b"abc")).is_err());
        assert!(Reply::read(&answer(0, u16::MAX, 1, b"abc")).is_err());
    }

    #[test]
    fn a_token_has_its_place() {
        let body = request(b"token", 7).unwrap();
        assert_eq!((body[3], &body[12..16], &body[16..24], &body[24..]), (2, &[88, 0, 5, 0][..], &7_u64.to_le_bytes()[..], &b"token"[..]));
        assert!(request(&vec![0; 65_536], 0).is_err());
    }
}
