//! What proves who somebody is: a password (Argon2id, RFC 9106) and a code of an authenticator (TOTP, RFC 6238, SHA-1, six digits, 30 s).
//!
//! Owns how both are checked and stored. The same work is done for somebody who does not exist.

use argon2::{Algorithm, Argon2, Params, Version};
use keepwell_api::Base64;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::error::AuthError;
use crate::world::{World, random};

const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 12..=256;
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// RFC 4226, section 4, R6.
const TOTP_LEN: usize = 20;
const ISSUER: &str = "Keepwell";

/// What somebody has shown beside the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// A code of the authenticator.
    Authenticator,
    /// A recovery code, which is gone now.
    RecoveryCode,
    /// A passkey.
    Passkey,
}

impl Factor {
    /// A word for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticator => "authenticator",
            Self::RecoveryCode => "recovery-code",
            Self::Passkey => "passkey",
        }
    }
}

/// How much work a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effort {
    /// Memory in KiB.
    pub kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Effort {
    /// What the box uses.
    pub const BOX: Self = Self { kib: 64 << 10, passes: 3 };
    /// More than this comes from no box.
    const MAX: Self = Self { kib: 256 << 10, passes: 16 };
}

/// A password as it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Password {
    effort: Effort,
    salt: Base64,
    hash: Base64,
}

impl Password {
    /// Stores a new one: 12 to 256 characters.
    pub fn new(password: &Base64, effort: Effort, world: &dyn World) -> Result<Self, AuthError> {
        let text = std::str::from_utf8(password.as_ref()).map_err(|_| AuthError::WeakPassword)?;
        if !PASSWORD_CHARS.contains(&text.chars().count()) {
            return Err(AuthError::WeakPassword);
        }
        let salt = random::<SALT_LEN>(world)?.to_vec();
        let hash = work(password, &salt, effort)?;
        Ok(Self { effort, salt: salt.into(), hash: Base64(hash) })
    }

    /// Of nobody: no password fits, and finding that out takes as long.
    pub fn of_nobody(effort: Effort, world: &dyn World) -> Result<Self, AuthError> {
        let (salt, hash) = (random::<SALT_LEN>(world)?, random::<HASH_LEN>(world)?);
        Ok(Self { effort, salt: salt.to_vec().into(), hash: hash.to_vec().into() })
    }

    /// Whether this is it. Takes its time and memory.
    pub fn fits(&self, password: &Base64) -> Result<bool, AuthError> {
        // Longer ones were never taken.
        let given = if password.as_ref().len() <= 4 * PASSWORD_CHARS.end() { password.as_ref() } else { &[] };
        let hash = work(&Base64(Zeroizing::new(given.to_vec())), self.salt.as_ref(), self.effort)?;
        Ok(bool::from(hash.ct_eq(self.hash.as_ref())))
    }

    /// Whether both are the same stored password.
    pub fn is(&self, other: &Self) -> bool {
        self.salt == other.salt && self.hash == other.hash
    }

    /// Whether what was stored elsewhere is one.
    pub fn is_plausible(&self) -> bool {
        let Effort { kib, passes } = self.effort;
        let work = (8..=Effort::MAX.kib).contains(&kib) && (1..=Effort::MAX.passes).contains(&passes);
        work && self.salt.as_ref().len() == SALT_LEN && self.hash.as_ref().len() == HASH_LEN
    }
}

fn work(password: &Base64, salt: &[u8], effort: Effort) -> Result<Zeroizing<Vec<u8>>, AuthError> {
    let params = Params::new(effort.kib, effort.passes, 1, Some(HASH_LEN)).map_err(|_| AuthError::Hashing)?;
    let mut hash = Zeroizing::new(vec![0; HASH_LEN]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_ref(), salt, &mut hash).map_err(|_| AuthError::Hashing)?;
    Ok(hash)
}

/// An authenticator's secret, and which of its codes were used.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Authenticator {
    secret: Base64,
    /// The period (RFC 6238, T) of the last code that was taken.
    used: u64,
}

impl Authenticator {
    /// A new one.
    pub fn new(world: &dyn World) -> Result<Self, AuthError> {
        Ok(Self { secret: random::<TOTP_LEN>(world)?.to_vec().into(), used: 0 })
    }

    /// Whether this is the code of now, of the 30 s before or after, and neither it nor a later one was used. It is used by this.
    pub fn take(&mut self, code: &str, wall: i64) -> bool {
        let (Ok(time), Some(totp)) = (u64::try_from(wall), self.totp(None)) else { return false };
        let taken = totp.check(code, time).filter(|period| *period > self.used);
        self.used = taken.unwrap_or(self.used);
        taken.is_some()
    }

    /// What a person's authenticator takes in.
    pub fn otpauth(&self, user: &str) -> Option<Base64> {
        Some(self.totp(Some(user))?.to_url().ok()?.into_bytes().into())
    }

    /// Whether what was stored elsewhere is one.
    pub fn is_plausible(&self) -> bool {
        self.secret.as_ref().len() == TOTP_LEN
    }

    fn totp(&self, user: Option<&str>) -> Option<Totp> {
        let builder = Builder::new().with_skew(1).with_secret(self.secret.as_ref().to_vec());
        builder.with_issuer(Some(ISSUER)).with_account_name(user.unwrap_or_default()).build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six digits of the SHA-1 rows.
    #[test]
    fn codes_are_those_of_the_rfc() {
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")] {
            let fresh = || Authenticator { secret: b"12345678901234567890".to_vec().into(), used: 0 };
            assert!(fresh().take(code, time));
            assert!(fresh().take(code, time - 30) && fresh().take(code, time + 30));
            assert!(!fresh().take(code, time - 60) && !fresh().take(code, time + 60));
            let mut once = fresh();
            assert!(once.take(code, time) && !once.take(code, time) && !once.take(code, time + 30));
        }
        let mut any = Authenticator { secret: vec![1; TOTP_LEN].into(), used: 0 };
        for wrong in ["", "28708", "2870822", "-87082", "２８７０８２", &"1".repeat(100_000)] {
            assert!(!any.take(wrong, 59), "{wrong}");
        }
        assert!(!any.take("287082", -1));
    }

    #[test]
    fn what_an_authenticator_takes_in() {
        let authenticator = Authenticator { secret: b"12345678901234567890".to_vec().into(), used: 0 };
        let url = authenticator.otpauth("Dr. Müller").unwrap();
        let expected = "otpauth://totp/Keepwell:Dr.%20M%C3%BCller?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Keepwell";
        assert_eq!(std::str::from_utf8(url.as_ref()), Ok(expected));
    }

    #[test]
    fn a_password_fits_itself_alone() {
        let effort = Effort { kib: 8, passes: 1 };
        let text = |text: &str| Base64::from(text.as_bytes().to_vec());
        let stored = Password::new(&text("correct horse ß"), effort, &crate::world::System).unwrap();
        assert!(stored.fits(&text("correct horse ß")).unwrap() && stored.is_plausible());
        for wrong in ["", "correct horse", "Correct horse ß", &"x".repeat(100_000)] {
            assert!(!stored.fits(&text(wrong)).unwrap(), "{wrong}");
        }
        let nobody = Password::of_nobody(effort, &crate::world::System).unwrap();
        assert!(!nobody.fits(&text("")).unwrap() && !nobody.fits(&text(&"x".repeat(2000))).unwrap());
        for weak in ["elevenchars", &"x".repeat(257)] {
            assert!(matches!(Password::new(&text(weak), effort, &crate::world::System), Err(AuthError::WeakPassword)), "{weak}");
        }
    }
}
