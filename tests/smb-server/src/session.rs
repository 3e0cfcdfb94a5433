//! Owns negotiation (MS-SMB2 3.3.5.4) and sign-in (3.3.5.5): what both ends agree on, and the keys that follow. Never accepts a weaker end.

use std::collections::HashMap;

use crate::{
    crypto::{Signing, derive, preauth},
    handle::Handle,
    ntlm::{Challenge, End},
    protocol::{Answer, HEADER},
    server::{Options, Shared},
    spnego,
    status::{Refusal, Status},
    wire::{Fields, Out, len16, slice},
};

/// What was negotiated on a connection.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    pub(crate) dialect: u16,
    pub(crate) signing: Option<Signing>,
    pub(crate) encrypts: bool,
    pub(crate) preauth: Option<[u8; 64]>,
    client: Vec<u8>,
}

/// A session from its first message on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) preauth: [u8; 64],
    challenge: Option<Challenge>,
    mechanisms: Option<Vec<u8>>,
    pub(crate) keys: Option<Keys>,
    /// Tree connects: true is the share, false is IPC$.
    pub(crate) trees: HashMap<u32, bool>,
    pub(crate) handles: HashMap<u64, Handle>,
    /// Signed off: kept for the signature of its last answer.
    pub(crate) ended: bool,
}

#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) signing: [u8; 16],
    pub(crate) from_client: [u8; 16],
    pub(crate) from_server: [u8; 16],
}

pub(crate) const SERVER_GUID: [u8; 16] = *b"keepwell-smb-srv";
const LARGE_MTU: u32 = 4;

/// Answers NEGOTIATE (MS-SMB2 2.2.3, 2.2.4).
pub(crate) fn negotiate(agreement: &mut Agreement, shared: &Shared, message: &[u8], forced: Option<u16>) -> Result<Answer, Refusal> {
    let options = &shared.options;
    let mut fields = Fields::new(message, HEADER);
    let count = fields.skip(2)?.u16()?;
    let client = fields.skip(4)?.take(4 + 16)?.to_vec();
    let (contexts_at, contexts) = (fields.u32()? as usize, fields.u16()?);
    fields.skip(2)?;
    let offered = (0..count).map(|_| fields.u16()).collect::<Result<Vec<_>, _>>()?;
    let common = offered.iter().filter(|dialect| options.dialects.contains(dialect)).max().copied();
    let dialect = forced.or(common).ok_or(Status::NOT_SUPPORTED)?;
    *agreement = Agreement { dialect, client: [&client[..], &message[HEADER + 4..HEADER + 6]].concat(), ..Agreement::default() };
    agreement.signing = Some(if dialect >= 0x0300 { Signing::Cmac } else { Signing::Hmac });
    let mut blocks = Vec::new();
    if dialect == 0x0311 {
        agreement.preauth = Some(preauth(&[0; 64], message));
        blocks = agreement.contexts(options, message, contexts_at, contexts)?;
    }
    let token = if options.spnego { spnego::hint() } else { Vec::new() };
    let mut out = Out::new();
    out.u16(65).u16(security_mode(options)).u16(dialect).u16(len16(blocks.len())).bytes(&SERVER_GUID).u32(LARGE_MTU);
    out.u32(options.max_transact).u32(options.max_read).u32(options.max_write).u64(crate::server::now()).u64(0);
    let end = (HEADER + 64 + token.len()).next_multiple_of(8);
    out.u16(128).u16(len16(token.len())).u32(if blocks.is_empty() { 0 } else { crate::wire::len32(end) }).bytes(&token);
    for (kind, data) in blocks {
        out.pad(8).u16(kind).u16(len16(data.len())).u32(0).bytes(&data);
    }
    Ok(out.into())
}

fn security_mode(options: &Options) -> u16 {
    if options.requires_signing { 3 } else { 1 }
}

impl Agreement {
    /// Reads the client's negotiate contexts (MS-SMB2 2.2.3.1) and gives the server's.
    fn contexts(&mut self, options: &Options, message: &[u8], at: usize, count: u16) -> Result<Vec<(u16, Vec<u8>)>, Refusal> {
        let mut out = Vec::new();
        let mut at = at;
        for _ in 0..count {
            let mut fields = Fields::new(message, at);
            let (kind, length) = (fields.u16()?, fields.u16()?);
            let data = fields.skip(4)?.take(usize::from(length))?;
            at = (at + 8 + data.len()).next_multiple_of(8);
            let listed = crate::wire::units(data);
            match kind {
                1 if listed.get(2) == Some(&1) => {
                    out.push((1, [&[1, 0, 32, 0, 1, 0][..], &[0x5A; 32]].concat()));
                }
                2 if options.encrypts && listed[1..].contains(&2) => {
                    self.encrypts = true;
                    out.push((2, vec![1, 0, 2, 0]));
                }
                8 => {
                    let known = |id: &u16| options.signing.iter().find(|signing| signing.id() == *id);
                    if let Some(signing) = listed.iter().skip(1).find_map(known) {
                        self.signing = Some(*signing);
                        out.push((8, [&[1, 0][..], &signing.id().to_le_bytes()].concat()));
                    }
                }
                _ => {}
            }
        }
        if out.iter().any(|(kind, _)| *kind == 1) { Ok(out) } else { Err(Status::INVALID_PARAMETER.into()) }
    }

    /// Checks FSCTL_VALIDATE_NEGOTIATE_INFO (MS-SMB2 3.3.5.15.12): capabilities, GUID and security mode as before.
    pub(crate) fn validate(&self, options: &Options, input: &[u8]) -> Option<Vec<u8>> {
        let mut fields = Fields::new(input, 0);
        let same = fields.take(22).ok()? == self.client;
        let count = fields.u16().ok()?;
        let offered = (0..count).map(|_| fields.u16()).collect::<Result<Vec<_>, _>>().ok()?;
        let best = offered.iter().filter(|dialect| options.dialects.contains(dialect)).max();
        let mut out = Out::new();
        out.u32(LARGE_MTU).bytes(&SERVER_GUID).u16(security_mode(options)).u16(self.dialect);
        (same && best == Some(&self.dialect)).then_some(out.0)
    }

    /// Keys from the session key (MS-SMB2 3.1.4.2, 3.3.5.5.3).
    fn keys(&self, key: &[u8; 16], hash: &[u8; 64]) -> Keys {
        match self.dialect {
            0x0311 => Keys {
                signing: derive(key, b"SMBSigningKey\0", hash),
                from_client: derive(key, b"SMBC2SCipherKey\0", hash),
                from_server: derive(key, b"SMBS2CCipherKey\0", hash),
            },
            0x0300.. => Keys { signing: derive(key, b"SMB2AESCMAC\0", b"SmbSign\0"), from_client: *key, from_server: *key },
            _ => Keys { signing: *key, from_client: *key, from_server: *key },
        }
    }
}

impl Session {
    pub(crate) fn new(agreement: &Agreement) -> Self {
        let preauth = agreement.preauth.unwrap_or([0; 64]);
        Self { preauth, challenge: None, mechanisms: None, keys: None, trees: HashMap::new(), handles: HashMap::new(), ended: false }
    }

    /// One step of SESSION_SETUP (MS-SMB2 2.2.5, 2.2.6).
    pub(crate) fn step(&mut self, agreement: &Agreement, shared: &Shared, message: &[u8], flags: u16) -> Result<Answer, Refusal> {
        let mut fields = Fields::new(message, HEADER + 12);
        let (at, length) = (fields.u16()?, fields.u16()?);
        let token = slice(message, usize::from(at), usize::from(length))?;
        self.preauth = preauth(&self.preauth, message);
        let raw = token.starts_with(b"NTLMSSP\0");
        let parsed = if raw { spnego::Token { inner: token.to_vec(), ..spnego::Token::default() } } else { spnego::parse(token)? };
        let Some(challenge) = self.challenge.take() else {
            let mut nonce = [0; 8];
            getrandom::fill(&mut nonce).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
            let challenge = Challenge::new(&parsed.inner, nonce, crate::server::now())?;
            let token = if raw { challenge.message.clone() } else { spnego::answer(1, Some(&challenge.message), None) };
            self.mechanisms = parsed.mechanisms;
            self.challenge = Some(challenge);
            return Ok(Answer { status: Status::MORE_PROCESSING_REQUIRED, body: setup_body(0, &token) });
        };
        let verified = challenge.verify(&parsed.inner);
        let mechanisms = self.mechanisms.take().unwrap_or_default();
        let fits = |verified: &crate::ntlm::Verified| parsed.mic.as_deref().is_none_or(|mic| mic == verified.mic(&mechanisms, End::Client));
        let Some(verified) = verified.filter(fits) else {
            shared.counters.count(|counts| counts.refused_sign_ins += 1);
            return Err(Status::LOGON_FAILURE.into());
        };
        shared.counters.count(|counts| counts.sign_ins += 1);
        self.keys = Some(agreement.keys(&verified.key, &self.preauth));
        let mic = parsed.mic.map(|_| verified.mic(&mechanisms, End::Server));
        let token = if raw { Vec::new() } else { spnego::answer(0, None, mic.as_ref().map(|mic| &mic[..])) };
        let flags = flags | if agreement.encrypts { 4 } else { 0 };
        Ok(Answer { status: Status::SUCCESS, body: setup_body(flags, &token) })
    }
}

fn setup_body(flags: u16, token: &[u8]) -> Vec<u8> {
    let mut out = Out::new();
    out.u16(9).u16(flags).u16(72).u16(len16(token.len())).bytes(token);
    out.0
}
