//! NEGOTIATE (MS-SMB2 2.2.3, 2.2.4) and what follows from the answer. Owns layouts and the choice; never offers SMB1.

use crate::wire::cursor::{Reader, Writer};
use crate::wire::{SIGNING_ENABLED, SIGNING_REQUIRED, header};
use crate::{Cipher, Dialect, FileTime, Options, Signing, SmbError};

const CAPABILITY_LARGE_MTU: u32 = 0x4;
const CAPABILITY_ENCRYPTION: u32 = 0x40;

const CONTEXT_PREAUTH: u16 = 1;
const CONTEXT_ENCRYPTION: u16 = 2;
const CONTEXT_NETNAME: u16 = 5;
const CONTEXT_SIGNING: u16 = 8;
const SHA_512: u16 = 1;

/// Before SMB 3, and where the server has no large messages: bytes of one.
const SMALL: u32 = 65_536;
/// The largest read or write ever used, whatever the server offers: it bounds the memory a server can take.
const LARGE: u32 = 8 << 20;

/// What the client offers; the server's answer is judged against it.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) client_guid: [u8; 16],
    pub(crate) salt: [u8; 32],
    pub(crate) dialects: Vec<Dialect>,
    ciphers: Vec<Cipher>,
    signing: Vec<Signing>,
    host: String,
}

impl Offer {
    pub(crate) fn new(options: &Options, host: &str, client_guid: [u8; 16], salt: [u8; 32]) -> Result<Self, SmbError> {
        let allowed = options.min_dialect..=options.max_dialect;
        let dialects: Vec<Dialect> = Dialect::ALL.into_iter().filter(|dialect| allowed.contains(dialect)).collect();
        if dialects.is_empty() {
            return Err(SmbError::Config { what: "the oldest dialect allowed is newer than the newest" });
        }
        Ok(Self { client_guid, salt, dialects, ciphers: options.ciphers.clone(), signing: options.signing.clone(), host: host.to_owned() })
    }

    pub(crate) fn capabilities(&self) -> u32 {
        let encrypts = !self.ciphers.is_empty() && self.dialects.iter().any(|dialect| *dialect >= Dialect::Smb300);
        CAPABILITY_LARGE_MTU | if encrypts { CAPABILITY_ENCRYPTION } else { 0 }
    }

    pub(crate) fn request(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.u16(36).u16(self.dialects.len() as u16).u16(SIGNING_REQUIRED).u16(0).u32(self.capabilities()).bytes(&self.client_guid);
        let contexts_at = body.len();
        body.u64(0);
        for dialect in &self.dialects {
            body.u16(*dialect as u16);
        }
        if self.dialects.contains(&Dialect::Smb311) {
            body.pad_to(8);
            let offset = (header::LENGTH + body.len()) as u32;
            let contexts = self.contexts();
            body.patch_u32(contexts_at, offset).patch_u16(contexts_at + 4, contexts.len() as u16);
            for (kind, data) in contexts {
                body.pad_to(8).u16(kind).u16(data.len() as u16).u32(0).bytes(&data);
            }
        }
        body.finish()
    }

    fn contexts(&self) -> Vec<(u16, Vec<u8>)> {
        let mut preauth = Writer::new();
        preauth.u16(1).u16(self.salt.len() as u16).u16(SHA_512).bytes(&self.salt);
        let mut contexts = vec![(CONTEXT_PREAUTH, preauth.finish())];
        if !self.ciphers.is_empty() {
            contexts.push((CONTEXT_ENCRYPTION, counted(self.ciphers.iter().map(|cipher| *cipher as u16))));
        }
        if !self.signing.is_empty() {
            contexts.push((CONTEXT_SIGNING, counted(self.signing.iter().map(|signing| *signing as u16))));
        }
        let mut name = Writer::new();
        name.units(self.host.encode_utf16().take(255));
        contexts.push((CONTEXT_NETNAME, name.finish()));
        contexts
    }
}

fn counted(algorithms: impl ExactSizeIterator<Item = u16>) -> Vec<u8> {
    let mut data = Writer::new();
    data.u16(algorithms.len() as u16);
    for algorithm in algorithms {
        data.u16(algorithm);
    }
    data.finish()
}

/// What was agreed.
#[derive(Debug, Clone)]
pub(crate) struct Agreement {
    pub(crate) dialect: Dialect,
    /// None: only signed.
    pub(crate) cipher: Option<Cipher>,
    pub(crate) signing: Signing,
    pub(crate) server_guid: [u8; 16],
    pub(crate) security_mode: u16,
    pub(crate) capabilities: u32,
    pub(crate) max_transact: u32,
    pub(crate) max_read: u32,
    pub(crate) max_write: u32,
    pub(crate) server_time: FileTime,
    /// SPNEGO's hint of the mechanisms the server has.
    pub(crate) token: Vec<u8>,
}

impl Agreement {
    /// `message` with its header: offsets count from there. `Refused` and `NotSigned` where no agreement is possible.
    pub(crate) fn read(message: &[u8], offer: &Offer) -> Result<Self, SmbError> {
        let mut reader = Reader::new(message, "negotiate answer").at(header::LENGTH)?;
        reader.structure(65)?;
        let security_mode = reader.u16()?;
        let dialect = Dialect::from_wire(reader.u16()?).filter(|dialect| offer.dialects.contains(dialect)).ok_or(SmbError::Refused)?;
        let contexts = reader.u16()?;
        let server_guid = reader.array()?;
        let capabilities = reader.u32()?;
        let largest = if capabilities & CAPABILITY_LARGE_MTU == 0 { SMALL } else { LARGE };
        let sizes = [reader.u32()?, reader.u32()?, reader.u32()?];
        if sizes.iter().any(|size| *size < SMALL) {
            return Err(reader.malformed());
        }
        let [max_transact, max_read, max_write] = sizes.map(|size| size.min(largest));
        let server_time = FileTime(reader.u64()?);
        reader.skip(8)?;
        let (token_offset, token_length, contexts_offset) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let token = if token_length == 0 { Vec::new() } else { reader.at(token_offset.into())?.bytes(token_length.into())?.to_vec() };
        if security_mode & (SIGNING_ENABLED | SIGNING_REQUIRED) == 0 {
            return Err(SmbError::NotSigned);
        }
        let (cipher, signing) = match dialect {
            Dialect::Smb210 => (None, Signing::HmacSha256),
            Dialect::Smb300 | Dialect::Smb302 => {
                let encrypts = capabilities & CAPABILITY_ENCRYPTION != 0 && offer.ciphers.contains(&Cipher::Aes128Ccm);
                (encrypts.then_some(Cipher::Aes128Ccm), Signing::AesCmac)
            }
            Dialect::Smb311 => choices(reader.at(contexts_offset as usize)?, contexts, offer)?,
        };
        Ok(Self {
            dialect,
            cipher,
            signing,
            server_guid,
            security_mode,
            capabilities,
            max_transact,
            max_read,
            max_write,
            server_time,
            token,
        })
    }
}

/// Reads the server's contexts (MS-SMB2 3.2.5.2): each kind at most once, with one choice that was offered.
fn choices(mut reader: Reader<'_>, count: u16, offer: &Offer) -> Result<(Option<Cipher>, Signing), SmbError> {
    let (mut preauth, mut cipher, mut signing) = (None, None, None);
    for index in 0..count {
        if index > 0 {
            let padding = reader.position().next_multiple_of(8) - reader.position();
            reader.skip(padding)?;
        }
        let (kind, length) = (reader.u16()?, reader.u16()?);
        reader.skip(4)?;
        let mut data = Reader::new(reader.bytes(length.into())?, "negotiate context");
        let slot = match kind {
            CONTEXT_PREAUTH => &mut preauth,
            CONTEXT_ENCRYPTION => &mut cipher,
            CONTEXT_SIGNING => &mut signing,
            _ => continue,
        };
        if data.u16()? != 1 {
            return Err(data.malformed());
        }
        if kind == CONTEXT_PREAUTH {
            data.skip(2)?; // the salt's length
        }
        if slot.replace(data.u16()?).is_some() {
            return Err(data.malformed());
        }
    }
    if preauth != Some(SHA_512) {
        return Err(SmbError::Malformed { what: "pre-authentication context" });
    }
    // Zero: none of the ciphers offered.
    let cipher = cipher.filter(|cipher| *cipher != 0).map(|chosen| one_of(chosen, &offer.ciphers, |cipher| cipher as u16)).transpose()?;
    let signing = signing.map(|chosen| one_of(chosen, &offer.signing, |signing| signing as u16)).transpose()?;
    Ok((cipher, signing.unwrap_or(Signing::AesCmac)))
}

fn one_of<T: Copy>(chosen: u16, offered: &[T], number: impl Fn(T) -> u16) -> Result<T, SmbError> {
    offered.iter().copied().find(|one| number(*one) == chosen).ok_or(SmbError::Malformed { what: "choice of algorithms" })
}

/// Input of FSCTL_VALIDATE_NEGOTIATE_INFO (MS-SMB2 2.2.31.4): what was offered, said again under protection.
pub(crate) fn validation(offer: &Offer) -> Vec<u8> {
    let mut input = Writer::new();
    input.u32(offer.capabilities()).bytes(&offer.client_guid).u16(SIGNING_REQUIRED).u16(offer.dialects.len() as u16);
    for dialect in &offer.dialects {
        input.u16(*dialect as u16);
    }
    input.finish()
}

/// Whether the server's protected word (MS-SMB2 2.2.32.6) is what its unprotected one was.
pub(crate) fn is_validated(output: &[u8], agreement: &Agreement) -> Result<bool, SmbError> {
    let mut reader = Reader::new(output, "validation of the negotiation");
    let (capabilities, guid, mode, dialect) = (reader.u32()?, reader.array::<16>()?, reader.u16()?, reader.u16()?);
    Ok(capabilities == agreement.capabilities
        && guid == agreement.server_guid
        && mode == agreement.security_mode
        && dialect == agreement.dialect as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NtStatus;

    fn offer() -> Offer {
        Offer::new(&Options::default(), "nas", [3; 16], [4; 32]).unwrap()
    }

    fn answer(dialect: u16, mode: u16, contexts: &[(u16, &[u16])]) -> Vec<u8> {
        let mut message = Writer::new();
        message.bytes(&header::tests::answer(0, NtStatus::SUCCESS, 0, 0, 0, 1));
        message.u16(65).u16(mode).u16(dialect).u16(contexts.len() as u16).bytes(&[5; 16]);
        message.u32(CAPABILITY_LARGE_MTU | CAPABILITY_ENCRYPTION).u32(1 << 20).u32(u32::MAX).u32(1 << 20).u64(77).u64(0);
        message.u16(128).u16(3).u32(136).bytes(b"abc");
        for (kind, words) in contexts {
            message
                .pad_to(8)
                .u16(*kind)
                .u16(words.len() as u16 * 2)
                .u32(0)
                .bytes(&words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>());
        }
        message.finish()
    }

    #[test]
    fn the_request_has_all_contexts_aligned() {
        let body = offer().request();
        let mut reader = Reader::new(&body, "request").at(28).unwrap();
        let (offset, count) = (reader.u32().unwrap() as usize - header::LENGTH, reader.u16().unwrap());
        let mut reader = reader.at(offset).unwrap();
        let mut kinds = Vec::new();
        for _ in 0..count {
            reader.skip(reader.position().next_multiple_of(8) - reader.position()).unwrap();
            kinds.push(reader.u16().unwrap());
            let length = reader.u16().unwrap();
            reader.skip(4 + usize::from(length)).unwrap();
        }
        assert_eq!((kinds, reader.remaining(), offset % 8), (vec![1, 2, 8, 5], 0, 0));
    }

    #[test]
    fn the_validation_is_held_against_the_answer() {
        let agreement = Agreement::read(&answer(0x302, 3, &[]), &offer()).unwrap();
        let mut output = Writer::new();
        output.u32(agreement.capabilities).bytes(&agreement.server_guid).u16(3).u16(0x302);
        let good = output.finish();
        assert!(is_validated(&good, &agreement).unwrap());
        for byte in 0..good.len() {
            let mut changed = good.clone();
            changed[byte] ^= 1;
            assert!(!is_validated(&changed, &agreement).unwrap());
        }
        assert!(is_validated(&good[1..], &agreement).is_err());
        let input = validation(&offer());
        assert_eq!((&input[4..20], &input[20..24], input.len()), ([3; 16].as_slice(), [2, 0, 4, 0].as_slice(), 32));
    }

    #[test]
    fn only_what_is_allowed_is_offered() {
        let old = Options { max_dialect: Dialect::Smb210, ..Options::default() };
        let old = Offer::new(&old, "nas", [3; 16], [4; 32]).unwrap();
        assert_eq!((old.dialects.as_slice(), old.capabilities()), ([Dialect::Smb210].as_slice(), CAPABILITY_LARGE_MTU));
        assert_eq!(old.request().len(), 38, "no contexts");
        assert!(matches!(Agreement::read(&answer(0x302, 3, &[]), &old), Err(SmbError::Refused)));
        let never = Options { max_dialect: Dialect::Smb302, ciphers: Vec::new(), ..Options::default() };
        let never = Offer::new(&never, "nas", [3; 16], [4; 32]).unwrap();
        assert_eq!(Agreement::read(&answer(0x302, 3, &[]), &never).unwrap().cipher, None);
    }

    #[test]
    fn the_answer_is_held_against_the_offer() {
        let good = answer(0x311, 1, &[(1, &[1, 0, 1]), (2, &[1, 2]), (8, &[1, 2]), (99, &[7])]);
        let agreement = Agreement::read(&good, &offer()).unwrap();
        assert_eq!((agreement.dialect, agreement.cipher, agreement.signing), (Dialect::Smb311, Some(Cipher::Aes128Gcm), Signing::AesGmac));
        assert_eq!((agreement.max_read, agreement.max_write, agreement.token.as_slice()), (LARGE, 1 << 20, b"abc".as_slice()));
        for cut in 0..good.len() {
            let _ = Agreement::read(&good[..cut], &offer());
        }
        let none = answer(0x311, 1, &[(1, &[1, 0, 1]), (2, &[1, 0])]);
        let agreement = Agreement::read(&none, &offer()).unwrap();
        assert_eq!((agreement.cipher, agreement.signing), (None, Signing::AesCmac));
        for bad in [
            answer(0x311, 1, &[]),
            answer(0x311, 1, &[(1, &[1, 0, 2])]),
            answer(0x311, 1, &[(1, &[1, 0, 1]), (1, &[1, 0, 1])]),
            answer(0x311, 1, &[(1, &[1, 0, 1]), (2, &[1, 9])]),
            answer(0x311, 1, &[(1, &[1, 0, 1]), (2, &[2, 1, 2])]),
            answer(0x311, 1, &[(1, &[1, 0, 1]), (8, &[1, 0x77])]),
        ] {
            assert!(matches!(Agreement::read(&bad, &offer()), Err(SmbError::Malformed { .. })));
        }
        for dialect in [0x202, 0x2FF, 0x310, 0] {
            assert!(matches!(Agreement::read(&answer(dialect, 1, &[]), &offer()), Err(SmbError::Refused)));
        }
        assert!(matches!(Agreement::read(&answer(0x210, 0, &[]), &offer()), Err(SmbError::NotSigned)));
        assert_eq!(Agreement::read(&answer(0x302, 3, &[]), &offer()).unwrap().cipher, Some(Cipher::Aes128Ccm));
    }
}
