//! URLs of shares: `smb://[DOMAIN;]USER@HOST[:PORT]/SHARE[/PATH]`. Parses strictly; never holds a password.

use std::fmt;

use super::{decoded, dialled, host_and_port, strip_scheme, write_host};
use crate::SourceError;

/// Port of SMB over TCP.
const PORT: u16 = 445;

/// What a URL must look like.
const FORM: &str = "smb://USER@HOST[:PORT]/SHARE[/PATH]";

/// Where a share is and who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmbUrl {
    /// NT domain; mostly none.
    pub domain: Option<String>,
    /// User name.
    pub user: String,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the share.
    pub share: String,
    /// Folder below it, from the top.
    pub path: Vec<String>,
}

impl SmbUrl {
    /// Reads a URL. `%XX` stands for a byte of UTF-8; all other characters but control characters for themselves.
    ///
    /// # Errors
    /// [`SourceError::Url`] on anything else: a password, a query, empty parts, `..`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        parse(text).map_err(|why| SourceError::Url { why, form: FORM })
    }

    /// `host:port`, as one dials it.
    pub fn address(&self) -> String {
        dialled(&self.host, self.port)
    }
}

fn parse(text: &str) -> Result<SmbUrl, &'static str> {
    let rest = strip_scheme(text, "smb://").ok_or("it does not begin with smb://")?;
    if rest.chars().any(char::is_control) {
        return Err("it has control characters in it");
    }
    let (authority, path) = rest.split_once('/').ok_or("the share is missing")?;
    let (who, place) = authority.rsplit_once('@').ok_or("the user is missing")?;
    if who.contains(':') {
        return Err("a password must not stand in it: it would show in process lists. Put it into a file");
    }
    let (domain, user) = match who.split_once(';') {
        Some((domain, user)) => (Some(part(domain)?), part(user)?),
        None => (None, part(who)?),
    };
    let (host, port) = host_and_port(place)?;
    let port = port.unwrap_or(PORT);
    if path.contains(['?', '#']) {
        return Err("? and # must be written as %3F and %23");
    }
    let mut parts = path.strip_suffix('/').unwrap_or(path).split('/').map(part);
    let share = parts.next().ok_or("the share is missing")??;
    Ok(SmbUrl { domain, user, host, port, share, path: parts.collect::<Result<_, _>>()? })
}

/// One decoded name: of a user, share or folder.
fn part(text: &str) -> Result<String, &'static str> {
    let name = String::from_utf8(decoded(text)?).map_err(|_| "a name in it is no UTF-8")?;
    if name.is_empty() || name == "." || name == ".." {
        return Err("a name in it is empty, '.' or '..'");
    }
    if name.contains(['/', '\\']) || name.chars().any(char::is_control) {
        return Err("a name in it holds a separator or a control character");
    }
    Ok(name)
}

/// The URL again, in the form that [`SmbUrl::parse`] reads.
impl fmt::Display for SmbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("smb://")?;
        if let Some(domain) = &self.domain {
            write_part(f, domain)?;
            f.write_str(";")?;
        }
        write_part(f, &self.user)?;
        f.write_str("@")?;
        write_host(f, &self.host, Some(self.port).filter(|port| *port != PORT))?;
        for name in std::iter::once(&self.share).chain(&self.path) {
            f.write_str("/")?;
            write_part(f, name)?;
        }
        Ok(())
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    name.chars().try_for_each(|c| if "%@:;?#".contains(c) { write!(f, "%{:02X}", u32::from(c)) } else { write!(f, "{c}") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_read() {
        let url = SmbUrl::parse("smb://PRAXIS;dr.m%C3%BCller@[fe80::1]:4445/Daten/R%C3%B6ntgen 2026/%23 1/").unwrap();
        assert_eq!((url.domain.as_deref(), url.user.as_str()), (Some("PRAXIS"), "dr.müller"));
        assert_eq!(url.address(), "[fe80::1]:4445");
        assert_eq!((url.share.as_str(), url.path.as_slice()), ("Daten", &["Röntgen 2026".to_owned(), "# 1".into()][..]));
        assert_eq!(url.to_string(), "smb://PRAXIS;dr.müller@[fe80::1]:4445/Daten/Röntgen 2026/%23 1");
        let url = SmbUrl::parse("SMB://user@nas.local/share").unwrap();
        assert_eq!((url.address(), url.to_string()), ("nas.local:445".into(), "smb://user@nas.local/share".into()));
    }

    #[test]
    fn what_is_no_url_of_a_share_is_refused() {
        for bad in [
            "",
            "smb:/",
            "/srv",
            "http://u@h/s",
            "smb://u@h",
            "smb://u@h/",
            "smb://h/s",
            "smb://@h/s",
            "smb://u@/s",
            "smb://u:secret@h/s",
            "smb://u@h:0/s",
            "smb://u@h:65536/s",
            "smb://u@h:+1/s",
            "smb://u@h:/s",
            "smb://u@h//s",
            "smb://u@h/s//p",
            "smb://u@h/s/..",
            "smb://u@h/s/%2e%2E/x",
            "smb://u@h/s/a%2Fb",
            "smb://u@h/s/a\\b",
            "smb://u@h/s/%5c",
            "smb://u@h/s?q",
            "smb://u@h/s#f",
            "smb://u@h/%zz",
            "smb://u@h/%4",
            "smb://u@h/%ff",
            "smb://u@[::1/s",
            "smb://u@[x]/s",
            "smb://u@[::1]x/s",
            "smb://u@h h/s",
            "smb://u@-h/s",
            "smb://u@h/s\n",
            "smb://u@h/%00",
            "smb://;u@h/s",
            "smb://d;@h/s",
        ] {
            let error = SmbUrl::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_comes_back(text in "(smb://)?([a-z%;:@]{0,6}@)?[a-z.:\\[\\]0-9]{0,9}(/[^/]{0,5}){0,3}") {
            if let Ok(url) = SmbUrl::parse(&text) {
                prop_assert_eq!(SmbUrl::parse(&url.to_string()).unwrap(), url);
            }
        }
    }
}
