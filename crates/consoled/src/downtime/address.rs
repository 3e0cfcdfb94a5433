//! Addresses below `/downtime/` as paths, and back: percent-encoded names (RFC 3986, 2.1) with slashes between. A path that is odd is none; vaultd checks each name again.

use super::AT;

/// Longest path, bytes as they are sent.
const PATH_MAX: usize = 16 << 10;

/// The names of an address, with `/` between them; empty at the top.
pub(super) fn path(address: &str) -> Option<Vec<u8>> {
    let below = address.strip_prefix(AT).filter(|below| below.is_empty() || below.starts_with('/'))?;
    if below.len() > PATH_MAX {
        return None;
    }
    let names: Option<Vec<Vec<u8>>> = below.split('/').filter(|name| !name.is_empty()).map(decoded).collect();
    Some(names?.join(&b'/'))
}

/// A name; none that leads anywhere else.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                name.push(u8::try_from(high << 4 | low).ok()?);
            }
            plain => name.push(plain),
        }
    }
    let odd = name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, 0 | b'/'));
    (!odd).then_some(name)
}

/// A name as part of an address.
pub(super) fn encoded(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// The address of a folder, with a slash at its end.
pub(super) fn folder(path: &[u8]) -> String {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    names.fold(format!("{AT}/"), |base, name| format!("{base}{}/", encoded(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_paths_and_back_and_lead_nowhere_else() {
        assert_eq!(encoded(b"a b/\"<\xff"), "a%20b%2F%22%3C%FF");
        for (address, known) in [
            ("/downtime", &b""[..]),
            ("/downtime/", b""),
            ("/downtime//EHR/a%20b/", b"EHR/a b"),
            ("/downtime/%ff", b"\xff"),
            ("/downtime/a%2Eb", b"a.b"),
        ] {
            assert_eq!(path(address).as_deref(), Some(known), "{address}");
        }
        for bad in [
            "/downtimes",
            "/",
            "/downtime/..",
            "/downtime/a/%2e%2e/b",
            "/downtime/.",
            "/downtime/a%2fb",
            "/downtime/%00",
            "/downtime/%",
            "/downtime/%4",
            "/downtime/%zz",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
        assert_eq!(folder(b"EHR/a b"), "/downtime/EHR/a%20b/");
        assert_eq!(path(&format!("/downtime/{}", "a".repeat(PATH_MAX))), None);
    }
}
