//! Texts that were checked when they came in: what a notice says, and to whom.
//!
//! None of them can end a line of a protocol (RFC 5322, 5424, 9112) but [`Text`], which is only ever a body.

use std::fmt;
use std::net::IpAddr;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, if it is one of these.
            pub fn parse(text: &str) -> Option<Self> {
                Self::holds(text).then(|| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                if Self::holds(&text) { Ok(Self(text)) } else { Err($what) }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

checked_text!(
    /// A word for programs: 1 to 64 of `a-z A-Z 0-9 . _ -`.
    Word,
    "no word: wanted are 1 to 64 letters, digits, dots, dashes or underscores"
);
checked_text!(
    /// One line for people: 1 to 200 characters, none of which ends a line or turns the direction of writing.
    Line,
    "no line: wanted are 1 to 200 characters without control characters"
);
checked_text!(
    /// Sentences for people: up to 2,000 characters, lines ended by `\n`.
    Text,
    "no text: wanted are up to 2,000 characters without control characters but line feeds"
);
checked_text!(
    /// A mail address (RFC 5321, `Mailbox`), in ASCII and without quotes or comments.
    Address,
    "no mail address"
);
checked_text!(
    /// A host name in ASCII (RFC 1123), or an IP address without brackets.
    Host,
    "no host name and no IP address"
);
checked_text!(
    /// Where a webhook goes: `https`, or `http` to a loopback address; no user, no fragment, at most 2,000 characters.
    HookUrl,
    "no address for a webhook: wanted is https://host/path"
);

impl Word {
    fn holds(text: &str) -> bool {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    }
}

impl Line {
    const MAX: usize = 200;

    fn holds(text: &str) -> bool {
        !text.trim().is_empty() && text.chars().count() <= Self::MAX && !text.chars().any(unprintable)
    }

    /// Whatever it is, as one line: what may not be there becomes a blank, what is too long is cut; `?` if nothing is left.
    pub fn clean(text: &str) -> Self {
        let text = cleaned(text, Self::MAX, unprintable);
        Self(if text.is_empty() { "?".to_owned() } else { text })
    }
}

impl Text {
    const MAX: usize = 2000;

    fn holds(text: &str) -> bool {
        text.chars().count() <= Self::MAX && !text.chars().any(|c| c != '\n' && unprintable(c))
    }

    /// Whatever it is, as sentences: what may not be there becomes a blank, what is too long is cut.
    pub fn clean(text: &str) -> Self {
        Self(cleaned(text, Self::MAX, |c| c != '\n' && unprintable(c)))
    }
}

impl Address {
    fn holds(text: &str) -> bool {
        let Some((local, domain)) = text.rsplit_once('@') else { return false };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(plain));
        atoms && local.len() <= 64 && host_name(domain)
    }

    /// What is behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl Host {
    fn holds(text: &str) -> bool {
        text.parse::<IpAddr>().is_ok() || host_name(text)
    }
}

impl HookUrl {
    fn holds(text: &str) -> bool {
        let Ok(uri) = text.parse::<Uri>() else { return false };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or("?");
        let port = rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let plain = text.len() <= 2000 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'@');
        plain && port && Host::holds(host) && (scheme == "https" || scheme == "http" && loopback)
    }
}

fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// What could end a line, or show a text other than it is (Unicode TR 36, 2.10).
fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cleaned(text: &str, max: usize, unwanted: impl Fn(char) -> bool) -> String {
    let text: String = text.chars().take(max).map(|c| if unwanted(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_line_gets_in() {
        for odd in ["a\rb", "a\nb", "a\0b", "a\u{85}b", "a\u{2028}b", "a\u{202e}b", "a\u{7f}b"] {
            assert_eq!(Line::parse(odd), None, "{odd:?}");
            assert_eq!(Word::parse(odd), None, "{odd:?}");
            assert_eq!(Address::parse(&format!("{odd}@example.org")), None, "{odd:?}");
            assert_eq!(Address::parse(&format!("a@example.org{odd}")), None, "{odd:?}");
            assert_eq!(Host::parse(odd), None, "{odd:?}");
            assert_eq!(HookUrl::parse(&format!("https://example.org/{odd}")), None, "{odd:?}");
            assert_eq!(Line::clean(odd).as_str(), "a b");
            assert_eq!(Text::parse(odd).is_some(), odd == "a\nb");
            assert!(serde_json::from_value::<Line>(odd.into()).is_err());
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(Line::parse(&"ä".repeat(200)).is_some() && Line::parse(&"ä".repeat(201)).is_none());
        assert_eq!(Line::clean(&"ä".repeat(500)).as_str().chars().count(), 200);
        assert_eq!((Line::parse(" "), Line::clean("\n").as_str()), (None, "?"));
        assert!(Text::parse("").is_some() && Text::parse(&"x".repeat(2001)).is_none());
        assert!(Word::parse("").is_none() && Word::parse(&"x".repeat(65)).is_none() && Word::parse("copy-age_s.2").is_some());
    }

    #[test]
    fn addresses_hosts_and_hooks() {
        for good in ["a@b", "o.hara+x@mail.example.org", "x'y@xn--bcher-kva.example"] {
            assert_eq!(Address::parse(good).map(String::from).as_deref(), Some(good));
        }
        for bad in
            ["", "a", "@b", "a@", ".a@b", "a..b@c", "a b@c", "\"a\"@b", "a@b@c", "a@-b", "a@b.", "a@[127.0.0.1]", "ä@b", "a@ä", "<a@b>"]
        {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
        for good in ["mail.example.org", "127.0.0.1", "::1", "localhost"] {
            assert!(Host::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "[::1]", "a/b", "a:25", "a..b", "http://a"] {
            assert!(Host::parse(bad).is_none(), "{bad}");
        }
        for good in ["https://example.org", "https://example.org:8443/a?b=c", "https://[::1]:1/", "http://127.0.0.1:80/x", "http://[::1]/"]
        {
            assert!(HookUrl::parse(good).is_some(), "{good}");
        }
        for bad in [
            "http://example.org/",
            "http://localhost/",
            "ftp://a/",
            "https://u:p@a/",
            "https://a/#b",
            "https://a:99999/",
            "/a",
            "a",
            "https://",
            "https:///x",
        ] {
            assert!(HookUrl::parse(bad).is_none(), "{bad}");
        }
    }
}
