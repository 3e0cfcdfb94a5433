//! What browsers and authenticators say of a passkey, read and verified (W3C Web Authentication, Level 3, sections 7.1 and 7.2). Every byte comes from the network. Knows no user and keeps nothing.
//!
//! Keys are ES256 and EdDSA (Ed25519), in the canonical CBOR that authenticators have to write (CTAP 2.1, section 8), so one is a fixed row of bytes and no parser is needed.
//! What an authenticator says of its maker is not looked at: a practice buys what it likes.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey};
use keepwell_api::Base64;
use keepwell_api::auth::passkey::{Answer, decode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Longest of both.
const SAID_MAX: usize = 4_096;
/// Longest identifier (section 5.8.3 of Level 3 asks for 1,023 bytes at most).
const ID_MAX: usize = 1_023;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_KEY: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// `{1: 2, 3: -7, -1: 1, -2: x, -3: y}` (RFC 9053, sections 2.1 and 7.1.1) up to x, and between x and y.
const ES256: ([u8; 10], [u8; 3]) = ([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20], [0x22, 0x58, 0x20]);
/// `{1: 1, 3: -8, -1: 6, -2: x}` (RFC 9053, sections 2.2 and 7.2) up to x.
const ED25519_KEY: [u8; 10] = [0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20];

/// Why a passkey proves nothing. The word goes into the log, and never to who tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// What was sent is none of all this.
    Malformed,
    /// It was made for something else, such as to make a key.
    Kind,
    /// authd did not ask for it, not for this, or too long ago; or it was used.
    Challenge,
    /// On a page of somebody else, or inside one.
    Origin,
    /// For another host.
    Host,
    /// Nobody was there, or nobody showed the authenticator that it is they.
    Person,
    /// Whether it can be copied to other devices is not as it was, which can't be.
    Backup,
    /// The key is of a kind that was not asked for, or none.
    Key,
    /// They have no such passkey.
    Unknown,
    /// Not signed by it.
    Signature,
    /// The authenticator has counted further before: there are two of it.
    Counter,
}

impl Flaw {
    /// A stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Kind => "kind",
            Self::Challenge => "challenge",
            Self::Origin => "origin",
            Self::Host => "host",
            Self::Person => "person",
            Self::Backup => "backup",
            Self::Key => "key",
            Self::Unknown => "unknown",
            Self::Signature => "signature",
            Self::Counter => "counter",
        }
    }
}

/// A host as a browser has it in its address line, with a name: passkeys do not go with bare addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// `box.practice.lan`, or with a port.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
        let label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
        };
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port);
        // The last label of an address is a number (URL Standard, section 3.5).
        let is_name = name.len() <= 253
            && name.split('.').all(label)
            && name.rsplit('.').next().is_some_and(|last| !last.starts_with(|c: char| c.is_ascii_digit()));
        (is_name && port.is_none_or(is_port)).then(|| Self(text.to_owned()))
    }

    /// That of an origin.
    pub fn of_origin(origin: &str) -> Option<Self> {
        Self::parse(origin.strip_prefix("https://")?)
    }

    /// With its port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without.
    pub fn rp_id(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

/// A passkey's public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "key", deny_unknown_fields)]
pub enum PublicKey {
    /// ECDSA with P-256 and SHA-256: a point, not compressed (SEC 1, section 2.3.3).
    Es256(Base64),
    /// Ed25519 (RFC 8032).
    Eddsa(Base64),
}

impl PublicKey {
    /// The key at the beginning, and what follows it.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        if let Some(rest) = bytes.strip_prefix(&ES256.0) {
            let (x, rest) = rest.split_at_checked(32)?;
            let (y, rest) = rest.strip_prefix(&ES256.1)?.split_at_checked(32)?;
            return Some((Self::Es256([&[4], x, y].concat().into()), rest));
        }
        let (x, rest) = bytes.strip_prefix(&ED25519_KEY)?.split_at_checked(32)?;
        Some((Self::Eddsa(x.to_vec().into()), rest))
    }

    /// Whether it can be one.
    pub fn is_plausible(&self) -> bool {
        self.parsed().is_some()
    }

    fn parsed(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::Es256(point) if point.as_ref().len() == 65 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.as_ref()).ok(),
            Self::Eddsa(key) if key.as_ref().len() == 32 => ParsedPublicKey::new(&ED25519, key.as_ref()).ok(),
            _ => None,
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed().is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// What a browser says it was asked (section 5.8.1). It may say more.
#[derive(Debug, Deserialize)]
pub struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<String>,
}

impl ClientData {
    /// What was sent. Nothing of it is verified yet.
    pub fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        if bytes.len() > SAID_MAX {
            return Err(Flaw::Malformed);
        }
        serde_json::from_slice(bytes).map_err(|_| Flaw::Malformed)
    }

    /// What it says was to be signed.
    pub fn challenge(&self) -> Option<Vec<u8>> {
        decode(&self.challenge)
    }

    /// On which page, as it says.
    pub fn host(&self) -> Option<Host> {
        Host::of_origin(&self.origin)
    }

    fn verify(&self, kind: &str, host: &Host) -> Result<(), Flaw> {
        if self.kind != kind {
            return Err(Flaw::Kind);
        }
        let own = !self.cross_origin && self.top_origin.is_none();
        if own && self.host().as_ref() == Some(host) { Ok(()) } else { Err(Flaw::Origin) }
    }
}

/// What an authenticator says (section 6.1).
#[derive(Debug)]
struct Said<'a> {
    rp_id_hash: &'a [u8],
    flags: u8,
    counter: u32,
    new: Option<(&'a [u8], PublicKey)>,
}

impl<'a> Said<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Flaw> {
        if bytes.len() > SAID_MAX {
            return Err(Flaw::Malformed);
        }
        let (rp_id_hash, rest) = bytes.split_at_checked(32).ok_or(Flaw::Malformed)?;
        let (&[flags, a, b, c, d], rest) = rest.split_first_chunk::<5>().ok_or(Flaw::Malformed)?;
        let (new, rest) = if flags & HAS_KEY == 0 { (None, rest) } else { new_key(rest).map(|(new, rest)| (Some(new), rest))? };
        // Extensions are not asked for. Browsers add some, which are signed and mean nothing here.
        if (flags & HAS_EXTENSIONS == 0) != rest.is_empty() {
            return Err(Flaw::Malformed);
        }
        Ok(Self { rp_id_hash, flags, counter: u32::from_be_bytes([a, b, c, d]), new })
    }

    fn verify(&self, host: &Host) -> Result<(), Flaw> {
        if self.rp_id_hash != &Sha256::digest(host.rp_id())[..] {
            return Err(Flaw::Host);
        }
        if self.flags & USER_PRESENT == 0 || self.flags & USER_VERIFIED == 0 {
            return Err(Flaw::Person);
        }
        if self.flags & BACKED_UP != 0 && !self.can_be_copied() { Err(Flaw::Backup) } else { Ok(()) }
    }

    fn can_be_copied(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }
}

type NewKey<'a> = (&'a [u8], PublicKey);

/// Section 6.5.1: a model, the identifier, the key.
fn new_key(bytes: &[u8]) -> Result<(NewKey<'_>, &[u8]), Flaw> {
    let (_, rest) = bytes.split_at_checked(16).ok_or(Flaw::Malformed)?;
    let (&length, rest) = rest.split_first_chunk::<2>().ok_or(Flaw::Malformed)?;
    let length = usize::from(u16::from_be_bytes(length));
    if length == 0 || length > ID_MAX {
        return Err(Flaw::Malformed);
    }
    let (id, rest) = rest.split_at_checked(length).ok_or(Flaw::Malformed)?;
    let (key, rest) = PublicKey::read(rest).ok_or(Flaw::Key)?;
    Ok(((id, key), rest))
}

/// A passkey that was made.
#[derive(Debug)]
pub struct Made {
    /// Its identifier.
    pub id: Vec<u8>,
    /// Its key.
    pub key: PublicKey,
    /// How far it has counted; 0 if it does not.
    pub counter: u32,
    /// Whether it can be copied to other devices of the person's.
    pub can_be_copied: bool,
}

/// Reads one that a browser made on a page of `host`, if that is so. That the challenge was authd's is known before.
pub fn made(client: &ClientData, authenticator_data: &[u8], host: &Host) -> Result<Made, Flaw> {
    client.verify("webauthn.create", host)?;
    let said = Said::read(authenticator_data)?;
    said.verify(host)?;
    let (id, key) = said.new.as_ref().ok_or(Flaw::Malformed)?;
    if !key.is_plausible() {
        return Err(Flaw::Key);
    }
    Ok(Made { id: id.to_vec(), key: key.clone(), counter: said.counter, can_be_copied: said.can_be_copied() })
}

/// What is known of a passkey that answers.
#[derive(Debug)]
pub struct Known<'a> {
    /// Its key.
    pub key: &'a PublicKey,
    /// How far it had counted.
    pub counter: u32,
    /// As in [`Made`].
    pub can_be_copied: bool,
}

/// Verifies an answer on a page of `host`; how far the authenticator has counted now. That the challenge was authd's is known before.
pub fn answered(answer: &Answer, client: &ClientData, known: &Known<'_>, host: &Host) -> Result<u32, Flaw> {
    client.verify("webauthn.get", host)?;
    let said = Said::read(&answer.authenticator_data)?;
    said.verify(host)?;
    let signed = [&answer.authenticator_data[..], &Sha256::digest(&answer.client_data)].concat();
    if !known.key.has_signed(&signed, &answer.signature) {
        return Err(Flaw::Signature);
    }
    if said.can_be_copied() != known.can_be_copied {
        return Err(Flaw::Backup);
    }
    // Those that count go up with each answer; the others stay at 0 (section 6.1.1).
    if (said.counter != 0 || known.counter != 0) && said.counter <= known.counter { Err(Flaw::Counter) } else { Ok(said.counter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name() {
        for good in ["localhost", "localhost:8443", "box.practice.lan", "a-1.b2:1", "xn--mller-kva.lan"] {
            let host = Host::parse(good).expect(good);
            assert_eq!((host.as_str(), Host::of_origin(&format!("https://{good}"))), (good, Some(host.clone())));
        }
        assert_eq!(Host::parse("box.lan:8443").map(|host| host.rp_id().to_owned()).as_deref(), Some("box.lan"));
        for bad in [
            "",
            "10.0.0.1",
            "10.0.0.1:8443",
            "[::1]",
            "::1",
            "box.lan:",
            "box.lan:0",
            "box.lan:080",
            "box.lan:70000",
            "Box.lan",
            "box..lan",
            ".lan",
            "a b",
            "a/b",
            "1.2",
            "é",
        ] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
        for bad in ["http://box.lan", "https://box.lan/", "box.lan", "https://", "null"] {
            assert_eq!(Host::of_origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_of_the_two_kinds_and_on_the_curve() {
        let ed = [&ED25519_KEY[..], &[7; 32], b"rest"].concat();
        let (key, rest) = PublicKey::read(&ed).expect("a key");
        assert!(matches!(&key, PublicKey::Eddsa(key) if key.as_ref() == [7; 32]) && rest == b"rest");
        let es = [&ES256.0[..], &[7; 32], &ES256.1, &[8; 32]].concat();
        let (key, rest) = PublicKey::read(&es).expect("a point, as it looks");
        assert!(rest.is_empty() && !key.is_plausible(), "it is not on the curve");
        for n in 0..es.len() {
            assert!(PublicKey::read(&es[..n]).is_none());
        }
        // RS256, and a key whose fields are in another order.
        assert!(PublicKey::read(&[0xa4, 1, 3, 3, 0x39, 1, 0]).is_none());
        assert!(PublicKey::read(&[&[0xa4, 3, 0x27, 1, 1, 0x20, 6, 0x21, 0x58, 0x20], &[7; 32][..]].concat()).is_none());
    }
}
