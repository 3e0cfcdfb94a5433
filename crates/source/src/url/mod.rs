//! URLs of shares and exports, and the parts of them that are spelled alike. Parses strictly; never holds or tells a password.

mod nfs;
mod smb;

pub use nfs::{NfsUrl, NfsVersion};
pub use smb::SmbUrl;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// What follows the scheme, which may be written in any case.
pub(crate) fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..])
}

/// `HOST[:PORT]`; IPv6 in brackets, which are taken away.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a bracket is not closed")?;
            Ipv6Addr::from_str(host).map_err(|_| "what stands in brackets is no IPv6 address")?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("something stands behind the bracket")?) })
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let named = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) && !host.starts_with(['-', '.']);
    if host.is_empty() || !(named || place.starts_with('[')) {
        return Err("the host is no name and no address");
    }
    Ok((host.into(), port.map(port_number).transpose()?))
}

fn port_number(text: &str) -> Result<u16, &'static str> {
    number(text).filter(|port| *port != 0).ok_or("the port is no number from 1 to 65535")
}

/// Decimal digits and nothing else.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// `%XX` stands for a byte, all else for itself.
fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (high, low) = (after.first().and_then(hex), after.get(1).and_then(hex));
        bytes.push(high.zip(low).map(|(high, low)| high << 4 | low).ok_or("% must be followed by two hex digits")?);
        rest = &after[2..];
    }
    Ok(bytes)
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// `host:port`, as one dials it.
fn dialled(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: Option<u16>) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]")?
    } else {
        f.write_str(host)?
    }
    port.map_or(Ok(()), |port| write!(f, ":{port}"))
}
