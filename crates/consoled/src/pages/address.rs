//! The address of a share as a person types it, in parts, and as the box has it, in one. A password is never a part of it.

use crate::form::Form;

/// What makes no address. Display is for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedWrong {
    /// Nothing in it.
    #[error("Enter the server's name or address, without slashes.")]
    Server,
    /// Nothing in it.
    #[error("Enter the name of the share on that server.")]
    Share,
    /// An account is needed.
    #[error("Enter the account that the box signs in with.")]
    User,
}

/// In parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// `smb` or `nfs`.
    pub kind: &'static str,
    /// Name or address of the server; a port after a colon.
    pub server: String,
    /// Share, and folders in it, with `/` between.
    pub share: String,
    /// The account; of SMB only.
    pub user: String,
}

impl Address {
    /// As it was typed into a form.
    pub fn typed(form: &Form) -> Self {
        let kind = if form.text("kind") == "nfs" { "nfs" } else { "smb" };
        let slashes: &[char] = &['/', '\\'];
        Self {
            kind,
            server: form.text("server").trim_matches(slashes).to_owned(),
            share: form.text("share").replace('\\', "/").trim_matches('/').to_owned(),
            user: form.text("user").to_owned(),
        }
    }

    /// As the box has it.
    pub fn parse(location: &str) -> Self {
        let (kind, rest) = match location.split_once("://") {
            Some(("nfs", rest)) => ("nfs", rest),
            Some((_, rest)) => ("smb", rest),
            None => ("smb", location),
        };
        let (authority, share) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, server) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { kind, server: server.to_owned(), share: decoded(share), user: decoded(&user.replacen(';', "\\", 1)) }
    }

    /// In one.
    pub fn location(&self) -> Result<String, TypedWrong> {
        let good = |c: char| c.is_alphanumeric() || "-._:[]%".contains(c);
        if self.server.is_empty() || !self.server.chars().all(good) {
            return Err(TypedWrong::Server);
        }
        if self.share.is_empty() {
            return Err(TypedWrong::Share);
        }
        let (server, share) = (&self.server, escaped(&self.share, b"/"));
        match self.kind {
            "nfs" => Ok(format!("nfs://{server}/{share}")),
            _ if self.user.is_empty() => Err(TypedWrong::User),
            // A domain stands before the account, as in `DOMAIN\\ann`.
            _ => {
                let user = self.user.split('\\').map(|part| escaped(part, b"")).collect::<Vec<_>>().join(";");
                Ok(format!("smb://{user}@{server}/{share}"))
            }
        }
    }
}

/// Percent-encoded but for what may stand (RFC 3986, section 2.3).
fn escaped(text: &str, also: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for location in ["smb://backup@server:1445/share/a%20b", "nfs://10.0.0.2/export/data", "smb://DOM;ann@server/x"] {
            assert_eq!(Address::parse(location).location().as_deref(), Ok(location));
        }
    }

    #[test]
    fn what_people_type() {
        let form = Form::parse(b"kind=smb&server=%5C%5Cserver&share=%5Cdata%5Cx&user=ann").expect("a form");
        assert_eq!(Address::typed(&form).location().as_deref(), Ok("smb://ann@server/data/x"));
        for (typed, wrong) in [
            ("kind=smb&share=x&user=a", TypedWrong::Server),
            ("kind=smb&server=a/b&share=x&user=a", TypedWrong::Server),
            ("kind=smb&server=a&user=a", TypedWrong::Share),
            ("kind=smb&server=a&share=x", TypedWrong::User),
        ] {
            assert_eq!(Address::typed(&Form::parse(typed.as_bytes()).expect("a form")).location(), Err(wrong), "{typed}");
        }
    }
}
