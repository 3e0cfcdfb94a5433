//! Parsers of `keepwell-source`.

use keepwell_source::{AsOf, NfsUrl, SmbUrl};

/// URL of a share.
pub fn smb_url(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(url) = SmbUrl::parse(text) {
        assert!(url.path.iter().all(|name| name != ".." && !name.contains(['/', '\\'])));
        assert_eq!(SmbUrl::parse(&url.to_string()).expect("what is written is read"), url);
    }
}

/// URL of an export.
pub fn nfs_url(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(url) = NfsUrl::parse(text) {
        assert!(url.path.iter().all(|name| name != b".." && !name.contains(&b'/')));
        assert_eq!(NfsUrl::parse(&url.to_string()).expect("what is written is read"), url);
    }
}

/// Time of a server's snapshot.
pub fn as_of(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(AsOf::Time(time)) = AsOf::parse(text) {
        assert_eq!(AsOf::parse(&keepwell_source::utc(time)).expect("what is written is read"), AsOf::Time(time));
    }
}
