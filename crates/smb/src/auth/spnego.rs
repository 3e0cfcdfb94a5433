//! SPNEGO tokens around NTLM (RFC 4178, MS-SPNG). Owns the few shapes of DER they need; never offers another mechanism.

use crate::SmbError;

const SPNEGO: &[u8] = &[0x2B, 6, 1, 5, 5, 2];
const NTLMSSP: &[u8] = &[0x2B, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];

const OCTETS: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const ENUMERATED: u8 = 0x0A;
const SEQUENCE: u8 = 0x30;
const APPLICATION: u8 = 0x60;

/// Context-specific, constructed.
const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// The list of mechanisms offered, as the mechanism's integrity code covers it (RFC 4178 5).
pub(super) fn mechanisms() -> Vec<u8> {
    element(SEQUENCE, &[&element(OBJECT_ID, &[NTLMSSP])])
}

/// The first token: NTLM only, with its first message.
pub(super) fn first(ntlm: &[u8]) -> Vec<u8> {
    let list = element(context(0), &[&mechanisms()]);
    let token = element(context(2), &[&element(OCTETS, &[ntlm])]);
    let init = element(context(0), &[&element(SEQUENCE, &[&list, &token])]);
    element(APPLICATION, &[&element(OBJECT_ID, &[SPNEGO]), &init])
}

/// The second token: NTLM's last message, and an integrity code over the list of mechanisms.
pub(super) fn next(ntlm: &[u8], integrity: &[u8]) -> Vec<u8> {
    let token = element(context(2), &[&element(OCTETS, &[ntlm])]);
    let integrity = element(context(3), &[&element(OCTETS, &[integrity])]);
    element(context(1), &[&element(SEQUENCE, &[&token, &integrity])])
}

/// What a server's token says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) state: Option<State>,
    pub(super) ntlm: Option<&'a [u8]>,
    /// Integrity code over the list of mechanisms.
    pub(super) integrity: Option<&'a [u8]>,
}

/// Where the negotiation is (RFC 4178 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Completed,
    Incomplete,
    Rejected,
    WantsIntegrity,
}

impl<'a> Reply<'a> {
    /// Reads a NegTokenResp. Refuses one that chooses another mechanism.
    pub(super) fn read(token: &'a [u8]) -> Result<Self, SmbError> {
        let mut outer = Der(token);
        let mut fields = Der(Der(outer.expect(context(1))?).expect(SEQUENCE)?);
        let mut reply = Self::default();
        while let Some((tag, value)) = fields.next()? {
            let mut value = Der(value);
            match tag {
                0xA0 => reply.state = Some(state(value.expect(ENUMERATED)?)?),
                0xA1 if value.expect(OBJECT_ID)? == NTLMSSP => {}
                0xA2 => reply.ntlm = Some(value.expect(OCTETS)?),
                0xA3 => reply.integrity = Some(value.expect(OCTETS)?),
                _ => return Err(malformed()),
            }
        }
        Ok(reply)
    }
}

fn state(value: &[u8]) -> Result<State, SmbError> {
    match value {
        [0] => Ok(State::Completed),
        [1] => Ok(State::Incomplete),
        [2] => Ok(State::Rejected),
        [3] => Ok(State::WantsIntegrity),
        _ => Err(malformed()),
    }
}

/// Whether the mechanisms in the server's hint (NegTokenInit2, MS-SPNG 2.2.1) include NTLM. None: it gives no list that can be read,
/// which is no reason not to try.
pub(crate) fn offers_ntlm(hint: &[u8]) -> Option<bool> {
    let mut application = Der(Der(hint).expect(APPLICATION).ok()?);
    application.expect(OBJECT_ID).ok().filter(|id| *id == SPNEGO)?;
    let mut fields = Der(Der(application.expect(context(0)).ok()?).expect(SEQUENCE).ok()?);
    let mut list = Der(Der(fields.expect(context(0)).ok()?).expect(SEQUENCE).ok()?);
    while let Some((tag, value)) = list.next().ok()? {
        if tag == OBJECT_ID && value == NTLMSSP {
            return Some(true);
        }
    }
    Some(false)
}

fn malformed() -> SmbError {
    SmbError::Malformed { what: "sign-in token" }
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match length {
        0..0x80 => bytes.push(length as u8),
        0x80..0x1_0000 => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => bytes.extend([0x84, (length >> 24) as u8, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// Reads tags, lengths and values. Nothing is nested deeper than the caller asks.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, SmbError> {
        let [tag, length, rest @ ..] = self.0 else {
            return if self.0.is_empty() { Ok(None) } else { Err(malformed()) };
        };
        let (length, rest) = match length {
            0..=0x7F => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7F)).ok_or_else(malformed)?;
                (digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
            }
            _ => return Err(malformed()),
        };
        let (value, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(Some((*tag, value)))
    }

    fn expect(&mut self, tag: u8) -> Result<&'a [u8], SmbError> {
        self.next()?.filter(|(found, _)| *found == tag).map(|(_, value)| value).ok_or_else(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 100, 127, 128, 255, 256, 65_535, 65_536, 70_000] {
            let (ntlm, code) = (vec![7; length], [9; 16]);
            let token = next(&ntlm, &code);
            let reply = Reply::read(&token).unwrap();
            assert_eq!(reply, Reply { state: None, ntlm: Some(&ntlm), integrity: Some(&code) });
            assert!((0..token.len().min(300)).all(|cut| Reply::read(&token[..cut]).is_err()));
        }
        assert_eq!(offers_ntlm(&first(b"NTLMSSP\0")), Some(true));
    }

    #[test]
    fn a_server_that_wants_something_else_is_refused() {
        let resp = |fields: &[&[u8]]| element(context(1), &[&element(SEQUENCE, fields)]);
        let kerberos = element(OBJECT_ID, &[&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 1, 2, 2]]);
        let state = element(context(0), &[&element(ENUMERATED, &[&[3]])]);
        let good = resp(&[&state, &element(context(1), &[&element(OBJECT_ID, &[NTLMSSP])])]);
        assert_eq!(Reply::read(&good).unwrap().state, Some(State::WantsIntegrity));
        assert!(Reply::read(&resp(&[&state, &element(context(1), &[&kerberos])])).is_err());
        let list = element(context(0), &[&element(SEQUENCE, &[&kerberos])]);
        let hint = element(APPLICATION, &[&element(OBJECT_ID, &[SPNEGO]), &element(context(0), &[&element(SEQUENCE, &[&list])])]);
        assert_eq!(offers_ntlm(&hint), Some(false));
        assert_eq!(offers_ntlm(b"\x60\x84\xFF\xFF\xFF\xFF"), None);
    }
}
