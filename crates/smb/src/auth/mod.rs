//! Signing in. Owns credentials and the tokens made from them; never prints, stores or copies a password.

use zeroize::Zeroizing;

/// Who signs in. Erased from memory when dropped.
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

#[expect(clippy::missing_fields_in_debug, reason = "a password is never printed")]
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("domain", &self.domain).field("user", &self.user).finish()
    }
}
