//! A grant's bytes: what is signed. One grant has one encoding; numbers are little-endian.

use super::{Grant, NAMES_MAX, Role, Scope, USER_MAX, Verb};

/// Sets these bytes apart from everything else that is ever signed.
const MAGIC: &[u8; 18] = b"keepwell v3 grant\n";

impl Grant {
    /// The bytes that are signed.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.boot);
        out.extend(self.nonce);
        out.extend(self.arguments);
        out.extend(self.expires_at.to_le_bytes());
        out.push(self.background.into());
        out.push(self.max_bytes.is_some().into());
        out.extend(self.max_bytes.unwrap_or(0).to_le_bytes());
        for text in [self.role.as_str(), self.verb.as_str(), &self.user] {
            out.push(text.len() as u8);
            out.extend(text.as_bytes());
        }
        out.push(self.shares.names().len() as u8);
        for name in self.shares.names() {
            out.push(name.len() as u8);
            out.extend(name.as_bytes());
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let boot = array(&mut rest)?;
        let nonce = array(&mut rest)?;
        let arguments = array(&mut rest)?;
        let expires_at = i64::from_le_bytes(array(&mut rest)?);
        let background = array::<1>(&mut rest)? == [1];
        let bounded = array::<1>(&mut rest)? == [1];
        let max_bytes = Some(u64::from_le_bytes(array(&mut rest)?)).filter(|_| bounded);
        let role = text(&mut rest)?.parse::<Role>().ok()?;
        let verb = text(&mut rest)?.parse::<Verb>().ok()?;
        let user = text(&mut rest)?.to_owned();
        let [names] = array(&mut rest)?;
        let names = usize::from(names);
        if names > NAMES_MAX {
            return None;
        }
        // An order of its own is no encoding of ours: found out below.
        let shares = Scope::new((0..names).map(|_| text(&mut rest).map(str::to_owned)).collect::<Option<Vec<_>>>()?).ok()?;
        let grant = Self { boot, user, role, verb, arguments, nonce, expires_at, max_bytes, shares, background };
        (grant.user.len() <= USER_MAX && grant.encode() == bytes).then_some(grant)
    }
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = array(rest)?;
    let (head, tail) = rest.split_at_checked(usize::from(length))?;
    *rest = tail;
    std::str::from_utf8(head).ok()
}
