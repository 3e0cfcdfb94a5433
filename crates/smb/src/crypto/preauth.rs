//! The hash over everything said before keys exist (MS-SMB2 3.1.1, 3.2.5.2). Owns the chain; whoever changes one byte of the sign-in
//! makes both sides derive different keys.

use aws_lc_rs::digest;

/// The hash so far.
pub(crate) struct Preauth([u8; 64]);

impl Preauth {
    pub(crate) fn new() -> Self {
        Self([0; 64])
    }

    /// Takes in a whole message, header included.
    pub(crate) fn update(&mut self, message: &[u8]) {
        let mut hash = digest::Context::new(&digest::SHA512);
        hash.update(&self.0);
        hash.update(message);
        self.0.copy_from_slice(hash.finish().as_ref());
    }

    pub(crate) fn value(&self) -> &[u8; 64] {
        &self.0
    }
}
