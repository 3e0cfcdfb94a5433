//! The Samba server of the tests, as sources and targets know it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

#[path = "../../../../tests/samba.rs"]
mod server;

use keepwell_source::{AsOf, SmbSource, SmbUrl};
pub use server::Samba;

impl Samba {
    pub fn url(&self) -> SmbUrl {
        SmbUrl::parse(&format!("smb://{}@127.0.0.1:{}/share", self.user, self.port)).unwrap()
    }

    /// A folder of the share.
    pub fn below(&self, name: &str) -> SmbUrl {
        SmbUrl { path: vec![name.into()], ..self.url() }
    }

    pub fn connect(&self) -> SmbSource {
        SmbSource::connect(&self.url(), &self.password, AsOf::Live).unwrap()
    }
}
