//! Owns the server's end of NTLMv2 (MS-NLMP): the challenge, and the check of the answer. Never accepts anything but the one user and password.

use crate::{
    crypto::{Rc4, hmac_md5, md4, md5},
    wire::{Fields, Out, Short, len16, slice, units},
};

/// The one account of the server.
pub const USER: &str = "keepwell-test";
/// Its password.
pub const PASSWORD: &str = "clinic";

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
const KEY_EXCHANGE: u32 = 0x4000_0000;
/// UNICODE, REQUEST_TARGET, SIGN, SEAL, NTLM, ALWAYS_SIGN, TARGET_TYPE_SERVER, EXTENDED_SESSIONSECURITY, TARGET_INFO, VERSION, 128, KEY_EXCH, 56.
const OFFERED: u32 = 0xE28A_8235;

/// A sign-in under way: the two messages so far, for the check of the third.
#[derive(Debug)]
pub(crate) struct Challenge {
    negotiate: Vec<u8>,
    pub(crate) message: Vec<u8>,
    nonce: [u8; 8],
}

/// What a sign-in ends in.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) key: [u8; 16],
    flags: u32,
}

impl Challenge {
    /// Answers a NEGOTIATE_MESSAGE with a CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2).
    pub(crate) fn new(negotiate: &[u8], nonce: [u8; 8], now: u64) -> Result<Self, Short> {
        let mut fields = Fields::new(negotiate, 0);
        if fields.take(8)? != SIGNATURE || fields.u32()? != 1 {
            return Err(Short);
        }
        let wanted = fields.u32()?;
        let domain: Vec<u16> = "CLINIC".encode_utf16().collect();
        let mut info = Out::new();
        for (id, name) in [(2, "CLINIC"), (1, "SCRIPTED"), (4, "clinic.test"), (3, "scripted.clinic.test")] {
            let name: Vec<u16> = name.encode_utf16().collect();
            info.u16(id).u16(len16(name.len() * 2)).units(&name);
        }
        info.u16(7).u16(8).u64(now).u32(0);
        let mut out = Out::new();
        let name = len16(domain.len() * 2);
        out.bytes(SIGNATURE).u32(2).u16(name).u16(name).u32(56).u32(OFFERED & (wanted | 0x8A_0001)).bytes(&nonce).u64(0);
        let length = len16(info.len());
        out.u16(length).u16(length).u32(56 + u32::from(name)).bytes(&[10, 0, 0x61, 0x4A, 0, 0, 0, 15]).units(&domain).bytes(&info.0);
        Ok(Self { negotiate: negotiate.to_vec(), message: out.0, nonce })
    }

    /// Checks an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3, 3.3.2); `None` refuses it.
    pub(crate) fn verify(&self, message: &[u8]) -> Option<Verified> {
        let mut fields = Fields::new(message, 0);
        if fields.take(8).ok()? != SIGNATURE || fields.u32().ok()? != 3 {
            return None;
        }
        let [_lm, answer, domain, user, _machine, wrapped] = std::array::from_fn(|at| payload(message, 12 + at * 8).ok());
        let (answer, domain, user) = (answer?, units(domain?), units(user?));
        if String::from_utf16(&user).ok()?.to_lowercase() != USER || answer.len() < 16 + 28 {
            return None;
        }
        let flags = Fields::new(message, 60).u32().ok()?;
        let mut who = Out::new();
        who.units(&String::from_utf16(&user).ok()?.to_uppercase().encode_utf16().collect::<Vec<_>>()).units(&domain);
        let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let owf = hmac_md5(&md4(&password), &[&who.0]);
        let (proof, blob) = answer.split_at(16);
        if hmac_md5(&owf, &[&self.nonce, blob]) != proof {
            return None;
        }
        let base = hmac_md5(&owf, &[proof]);
        let key = match flags & KEY_EXCHANGE {
            0 => base,
            _ => Rc4::new(&base).apply(<[u8; 16]>::try_from(wrapped?).ok()?),
        };
        (!claims_mic(blob) || self.mic_fits(&key, message)).then_some(Verified { key, flags })
    }

    fn mic_fits(&self, key: &[u8; 16], message: &[u8]) -> bool {
        let Ok(mic) = slice(message, 72, 16) else { return false };
        let mut blank = message.to_vec();
        blank[72..88].fill(0);
        hmac_md5(key, &[&self.negotiate, &self.message, &blank]) == mic
    }
}

impl Verified {
    /// The first NTLM signature of one end over a message (MS-NLMP 3.4.4.2): what SPNEGO's mechListMIC is.
    pub(crate) fn mic(&self, message: &[u8], end: End) -> [u8; 16] {
        let words = match end {
            End::Client => "client-to-server",
            End::Server => "server-to-client",
        };
        let sign = md5(&[&self.key, format!("session key to {words} signing key magic constant\0").as_bytes()]);
        let seal = md5(&[&self.key, format!("session key to {words} sealing key magic constant\0").as_bytes()]);
        let mac = hmac_md5(&sign, &[&0u32.to_le_bytes(), message]);
        let mut sum: [u8; 8] = std::array::from_fn(|at| mac[at]);
        if self.flags & KEY_EXCHANGE != 0 {
            sum = Rc4::new(&seal).apply(sum);
        }
        let mut out = Out::new();
        out.u32(1).bytes(&sum).u32(0);
        std::array::from_fn(|at| out.0[at])
    }
}

/// Whose signature.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Client,
    Server,
}

fn payload(message: &[u8], at: usize) -> Result<&[u8], Short> {
    let mut fields = Fields::new(message, at);
    let length = fields.u16()?;
    let at = fields.skip(2)?.u32()?;
    slice(message, at as usize, usize::from(length))
}

/// Whether MsvAvFlags in the client's target information says that the message has a MIC (MS-NLMP 2.2.2.1, 2.2.2.7).
fn claims_mic(blob: &[u8]) -> bool {
    let mut fields = Fields::new(blob, 28);
    while let (Ok(id), Ok(length)) = (fields.u16(), fields.u16()) {
        match (id, fields.take(usize::from(length))) {
            (6, Ok(value)) => return value.first().is_some_and(|flags| flags & 2 != 0),
            (0, _) | (_, Err(_)) => return false,
            _ => {}
        }
    }
    false
}
