//! Parsers of `keepwell-source`.

use keepwell_source::SmbUrl;

/// URL of a share.
pub fn smb_url(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(url) = SmbUrl::parse(text) {
        assert!(url.path.iter().all(|name| name != ".." && !name.contains(['/', '\\'])));
        assert_eq!(SmbUrl::parse(&url.to_string()).expect("what is written is read"), url);
    }
}
