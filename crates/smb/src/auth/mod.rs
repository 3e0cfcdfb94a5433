//! Signing in. Owns credentials and the tokens made from them; never prints, stores or copies a password.

mod ntlm;
mod spnego;

use zeroize::Zeroizing;

pub(crate) use ntlm::SignIn;
pub(crate) use spnego::offers_ntlm;

/// A server's token around an NTLM message, for fuzzing.
pub(crate) fn wrap(ntlm: &[u8]) -> Vec<u8> {
    spnego::next(ntlm, &[])
}

/// Who signs in. Erased from memory when dropped.
#[expect(missing_debug_implementations, reason = "a password is never printed")]
pub struct Credentials {
    pub(crate) domain: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Zeroizing<String>,
}

impl Credentials {
    /// `domain` is the Windows domain or workgroup, if the server needs one.
    pub fn new(domain: Option<&str>, user: &str, password: &str) -> Self {
        Self { domain: domain.map(str::to_owned), user: user.to_owned(), password: Zeroizing::new(password.to_owned()) }
    }
}
