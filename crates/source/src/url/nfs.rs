//! URLs of NFS exports: `nfs://HOST[:PORT]/EXPORT[?version=3|4.1&mountport=N&path=FOLDER&uid=N&gid=N&groups=N,N]`. Parses strictly.

use std::fmt;

use super::{decoded, dialled, host_and_port, number, port_number, strip_scheme, write_host};
use crate::SourceError;

/// Port of NFS (RFC 1813, RFC 8881).
const PORT: u16 = 2049;

/// What a URL must look like.
const FORM: &str = "nfs://HOST[:PORT]/EXPORT[?version=3&mountport=PORT&path=FOLDER&uid=NUMBER&gid=NUMBER&groups=NUMBER,NUMBER]";

/// Supplementary groups that a credential holds (RFC 5531 appendix A).
const MAX_GROUPS: usize = 16;

/// Longest name (RFC 1813 leaves it to the server; no server has more).
const MAX_NAME: usize = 255;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NfsVersion {
    /// Version 3 (RFC 1813).
    #[default]
    V3,
    /// Version 4.1 (RFC 8881).
    V41,
}

/// Where an export is and as whom it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfsUrl {
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port of NFS, where it is given; else the server's portmapper knows it (version 3), or it is 2049.
    pub port: Option<u16>,
    /// Path of the export as the server spells it: `/`, or `/` before each part.
    pub export: Vec<u8>,
    /// Version of the protocol.
    pub version: NfsVersion,
    /// TCP port of the mount service (version 3 only), where it is given.
    pub mount_port: Option<u16>,
    /// Folder below the export, from the top.
    pub path: Vec<Vec<u8>>,
    /// User id that is claimed (AUTH_SYS); none: that of this process.
    pub uid: Option<u32>,
    /// Group id that is claimed; none: that of this process.
    pub gid: Option<u32>,
    /// Further groups that are claimed, at most 16.
    pub groups: Vec<u32>,
}

impl NfsUrl {
    /// Reads a URL. `%XX` stands for a byte, all other characters but control characters for their UTF-8.
    ///
    /// # Errors
    /// [`SourceError::Url`] on anything else: a user, a fragment, unknown or repeated options, empty parts, `..`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        parse(text).map_err(|why| SourceError::Url { why, form: FORM })
    }

    /// `host:port`, as one dials it; with the usual port where none is given.
    pub fn address(&self) -> String {
        dialled(&self.host, self.port.unwrap_or(PORT))
    }
}

fn parse(text: &str) -> Result<NfsUrl, &'static str> {
    let rest = strip_scheme(text, "nfs://").ok_or("it does not begin with nfs://")?;
    if rest.chars().any(char::is_control) {
        return Err("it has control characters in it");
    }
    if rest.contains('#') {
        return Err("# must be written as %23");
    }
    let (rest, options) = rest.split_once('?').map_or((rest, None), |(rest, options)| (rest, Some(options)));
    let (place, export) = rest.split_once('/').ok_or("the export is missing")?;
    if place.contains('@') {
        return Err("NFS has no user names in URLs: who reads is said by ?uid= and gid=");
    }
    let (host, port) = host_and_port(place)?;
    let export = if export.is_empty() { vec![b'/'] } else { folder(export)?.iter().flat_map(|name| [b"/", &name[..]].concat()).collect() };
    let mut url = NfsUrl {
        host,
        port,
        export,
        version: NfsVersion::V3,
        mount_port: None,
        path: Vec::new(),
        uid: None,
        gid: None,
        groups: Vec::new(),
    };
    read_options(&mut url, options)?;
    Ok(url)
}

fn read_options(url: &mut NfsUrl, options: Option<&str>) -> Result<(), &'static str> {
    let mut seen = Vec::new();
    for option in options.into_iter().flat_map(|options| options.split('&')) {
        let (name, value) = option.split_once('=').ok_or("an option behind ? has no value")?;
        if seen.contains(&name) {
            return Err("an option behind ? is given twice");
        }
        seen.push(name);
        match name {
            "version" => url.version = version(value)?,
            "mountport" => url.mount_port = Some(port_number(value)?),
            "path" => url.path = folder(value)?,
            "uid" => url.uid = Some(id(value)?),
            "gid" => url.gid = Some(id(value)?),
            "groups" => url.groups = value.split(',').map(id).collect::<Result<_, _>>()?,
            _ => return Err("an option behind ? is none of version, mountport, path, uid, gid, groups"),
        }
    }
    if url.groups.len() > MAX_GROUPS {
        return Err("NFS takes at most 16 further groups");
    }
    if url.version == NfsVersion::V41 && url.mount_port.is_some() {
        return Err("version 4.1 has no mount service, so no mountport");
    }
    Ok(())
}

fn version(value: &str) -> Result<NfsVersion, &'static str> {
    match value {
        "3" => Ok(NfsVersion::V3),
        "4.1" => Ok(NfsVersion::V41),
        _ => Err("the version must be 3 or 4.1"),
    }
}

fn id(value: &str) -> Result<u32, &'static str> {
    number(value).ok_or("a user or group id is no number")
}

/// Decoded names of a path without leading `/`; one at the end is allowed.
fn folder(path: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    path.strip_suffix('/').unwrap_or(path).split('/').map(name).collect()
}

fn name(text: &str) -> Result<Vec<u8>, &'static str> {
    let name = decoded(text)?;
    if name.is_empty() || name == b"." || name == b".." {
        return Err("a name in it is empty, '.' or '..'");
    }
    if name.len() > MAX_NAME || name.iter().any(|b| matches!(b, b'/' | 0)) {
        return Err("a name in it is too long, or holds a separator or a zero");
    }
    Ok(name)
}

/// The URL again, in the form that [`NfsUrl::parse`] reads.
impl fmt::Display for NfsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nfs://")?;
        write_host(f, &self.host, self.port)?;
        write_bytes(f, &self.export)?;
        let mut mark = '?';
        let mut option = |f: &mut fmt::Formatter<'_>, name: &str| {
            let written = write!(f, "{mark}{name}=");
            mark = '&';
            written
        };
        if self.version == NfsVersion::V41 {
            option(f, "version")?;
            f.write_str("4.1")?;
        }
        for (name, value) in [("mountport", self.mount_port.map(u32::from)), ("uid", self.uid), ("gid", self.gid)] {
            if let Some(value) = value {
                option(f, name)?;
                write!(f, "{value}")?;
            }
        }
        if !self.groups.is_empty() {
            option(f, "groups")?;
            f.write_str(&self.groups.iter().map(u32::to_string).collect::<Vec<_>>().join(","))?;
        }
        if !self.path.is_empty() {
            option(f, "path")?;
            write_bytes(f, &self.path.join(&b'/'))?;
        }
        Ok(())
    }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_ascii_control() || "%?#&=@".contains(c) {
                write!(f, "%{:02X}", u32::from(c))?;
            } else if c.is_control() {
                c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|b| write!(f, "%{b:02X}"))?;
            } else {
                write!(f, "{c}")?;
            }
        }
        chunk.invalid().iter().try_for_each(|b| write!(f, "%{b:02X}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_read() {
        let url = NfsUrl::parse("nfs://nas:20490/srv/R%C3%B6ntgen/%ff/?version=3&mountport=20480&path=a/b%20c&uid=0&groups=4,5").unwrap();
        assert_eq!((url.address(), url.export.as_slice()), ("nas:20490".into(), &b"/srv/R\xc3\xb6ntgen/\xff"[..]));
        assert_eq!((url.version, url.mount_port), (NfsVersion::V3, Some(20480)));
        assert_eq!(url.path, [b"a".to_vec(), b"b c".to_vec()]);
        assert_eq!((url.uid, url.gid, url.groups.as_slice()), (Some(0), None, &[4, 5][..]));
        assert_eq!(url.to_string(), "nfs://nas:20490/srv/Röntgen/%FF?mountport=20480&uid=0&groups=4,5&path=a/b c");
        let url = NfsUrl::parse("NFS://[fe80::1]/?version=4.1").unwrap();
        assert_eq!((url.address(), url.port, url.export.as_slice()), ("[fe80::1]:2049".into(), None, &b"/"[..]));
        assert_eq!(url.to_string(), "nfs://[fe80::1]/?version=4.1");
    }

    #[test]
    fn what_is_no_url_of_an_export_is_refused() {
        for bad in [
            "",
            "nfs:/",
            "smb://u@h/s",
            "nfs://h",
            "nfs:///s",
            "nfs://u@h/s",
            "nfs://h:0/s",
            "nfs://h:+1/s",
            "nfs://h:/s",
            "nfs://h//s",
            "nfs://h/s//p",
            "nfs://h/s/..",
            "nfs://h/s/%2e%2E/x",
            "nfs://h/s/a%2Fb",
            "nfs://h/s%00",
            "nfs://h/s#f",
            "nfs://h/%zz",
            "nfs://h h/s",
            "nfs://h/s\n",
            "nfs://h/s?",
            "nfs://h/s?version",
            "nfs://h/s?version=4",
            "nfs://h/s?version=3&version=3",
            "nfs://h/s?unknown=1",
            "nfs://h/s?mountport=0",
            "nfs://h/s?mountport=70000",
            "nfs://h/s?version=4.1&mountport=1",
            "nfs://h/s?uid=-1",
            "nfs://h/s?gid=4294967296",
            "nfs://h/s?groups=",
            "nfs://h/s?groups=1,,2",
            "nfs://h/s?groups=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
            "nfs://h/s?path=",
            "nfs://h/s?path=/a",
            "nfs://h/s?path=a/../b",
        ] {
            assert!(matches!(NfsUrl::parse(bad), Err(SourceError::Url { .. })), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_comes_back(
            text in "(nfs://)?[a-z.:\\[\\]0-9]{0,9}(/([^/?&]|%[0-9a-f]{2}){0,5}){0,3}([?&](version|mountport|path|uid|groups)=[a-z0-9,./%]{0,4}){0,3}"
        ) {
            if let Ok(url) = NfsUrl::parse(&text) {
                prop_assert_eq!(NfsUrl::parse(&url.to_string()).unwrap(), url);
            }
        }
    }
}
