//! Owns the few DER shapes of SPNEGO (RFC 4178 4.2) that a sign-in with NTLM needs. Never looks into the mechanism's own messages.

use crate::wire::Short;

const SPNEGO: &[u8] = &[0x06, 0x06, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.3.6.1.4.1.311.2.2.10
const NTLM: &[u8] = &[0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0A];

/// What a client's token holds.
#[derive(Debug, Default)]
pub(crate) struct Token {
    /// The list of mechanisms as it was sent, which mechListMIC signs.
    pub(crate) mechanisms: Option<Vec<u8>>,
    pub(crate) inner: Vec<u8>,
    pub(crate) mic: Option<Vec<u8>>,
}

/// The server's first word: NTLM is what it has.
pub(crate) fn hint() -> Vec<u8> {
    let list = wrap(0xA0, &wrap(0x30, NTLM));
    let init = wrap(0xA0, &wrap(0x30, &list));
    wrap(0x60, &[SPNEGO, &init].concat())
}

/// The server's answer: `state` 1 goes on, 0 is done, 2 refuses.
pub(crate) fn answer(state: u8, inner: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let mut body = wrap(0xA0, &[0x0A, 1, state]);
    if let Some(inner) = inner {
        body.extend(wrap(0xA1, NTLM));
        body.extend(wrap(0xA2, &wrap(0x04, inner)));
    }
    if let Some(mic) = mic {
        body.extend(wrap(0xA3, &wrap(0x04, mic)));
    }
    wrap(0xA1, &wrap(0x30, &body))
}

/// Reads NegTokenInit or NegTokenResp.
pub(crate) fn parse(token: &[u8]) -> Result<Token, Short> {
    let (tag, mut body, _) = element(token)?;
    if tag == 0x60 {
        let (_, _, rest) = element(body)?;
        body = element(rest)?.1;
    } else if tag != 0xA1 {
        return Err(Short);
    }
    let mut fields = element(body)?.1;
    let mut out = Token::default();
    while !fields.is_empty() {
        let (field, value, rest) = element(fields)?;
        match field {
            0xA0 if tag == 0x60 => out.mechanisms = Some(value.to_vec()),
            0xA2 => out.inner = element(value)?.1.to_vec(),
            0xA3 => out.mic = Some(element(value)?.1.to_vec()),
            _ => {}
        }
        fields = rest;
    }
    Ok(out)
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Short> {
    let (&tag, rest) = bytes.split_first().ok_or(Short)?;
    let (&first, rest) = rest.split_first().ok_or(Short)?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 3)).ok_or(Short)?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return Err(Short),
    };
    let (content, rest) = rest.split_at_checked(length).ok_or(Short)?;
    Ok((tag, content, rest))
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}
