//! The client against a real Samba server. Needs root and `smbd`; says so and passes where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod reading;
#[path = "../../../../tests/samba.rs"]
mod server;
mod writing;

use keepwell_smb::{Credentials, DirEntry, Listing, Options, Share, SmbError, WidePath};
use server::Samba;

impl Samba {
    fn connect(&self, options: Options) -> Result<Share, SmbError> {
        Share::connect("127.0.0.1", self.port, "share", Credentials::new(None, &self.user, &self.password), options)
    }

    fn share(&self) -> Share {
        self.connect(Options::default()).unwrap()
    }
}

fn path(text: &str) -> WidePath {
    WidePath::from_wtf8(text.split('/').filter(|name| !name.is_empty()).map(str::as_bytes)).unwrap()
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn all(mut listing: Listing) -> Vec<DirEntry> {
    let mut entries = Vec::new();
    while let Some(batch) = listing.next_batch().unwrap() {
        assert!(!batch.is_empty());
        entries.extend(batch);
    }
    assert_eq!(listing.refused(), 0);
    assert!(listing.next_batch().unwrap().is_none());
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn names(entries: &[DirEntry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf16(&entry.name).unwrap()).collect()
}

/// Bytes that differ from place to place.
fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
