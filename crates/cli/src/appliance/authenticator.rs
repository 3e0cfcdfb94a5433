//! A person's second factor on this machine (TOTP, RFC 6238): for boxes that are tried out. Makes codes; never shows the secret.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use totp_rs::Totp;
use zeroize::Zeroizing;

use crate::exit::CliError;
use crate::opening;
use crate::unlock::secret_line;

/// How long a code holds, seconds.
const PERIOD_S: u64 = 30;

/// What makes codes.
pub(crate) struct Authenticator(Totp);

impl Authenticator {
    /// From the `otpauth://` URL in a file.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let url = secret_line(path, "authenticator's")?;
        let totp = std::str::from_utf8(&url).ok().and_then(|url| Totp::from_url(url).ok());
        let no_url = || CliError::Refused(format!("{} holds no otpauth:// URL of six digits and 30 seconds", path.display()));
        totp.map(Self).ok_or_else(no_url)
    }

    /// The first code from `now` (Unix seconds) on that is of a later period than `used`, and its period.
    pub(crate) fn fresh(&self, now: u64, used: u64) -> (Zeroizing<String>, u64) {
        let period = now / PERIOD_S;
        // One from far ahead is of a clock that was wrong.
        let period = if used <= period + 3 { period.max(used + 1) } else { period };
        (Zeroizing::new(self.0.generate(period * PERIOD_S).to_string()), period)
    }
}

/// Until a code of this period is taken: authd takes those of the period before and after too.
pub(crate) fn wait_for(period: u64) {
    let from = period.saturating_sub(1) * PERIOD_S;
    let now = opening::now().seconds.max(0).cast_unsigned();
    sleep(Duration::from_secs(from.saturating_sub(now).min(3 * PERIOD_S)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the secret of its SHA-1 rows, in base32.
    const URL: &str = "otpauth://totp/Keepwell:Ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Keepwell";

    #[test]
    fn codes_are_those_of_the_standard_and_never_of_a_period_that_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("totp");
        std::fs::write(&path, format!("{URL}\n")).unwrap();
        let authenticator = Authenticator::read(&path).unwrap();
        let (code, period) = authenticator.fresh(1_111_111_109, 0);
        assert_eq!((code.as_str(), period), ("081804", 37_037_036));
        assert_eq!(authenticator.fresh(1_111_111_109, period).1, period + 1);
        assert_eq!(authenticator.fresh(1_111_111_109, period + 1_000).1, period);
        std::fs::write(&path, "otpauth://hotp/x").unwrap();
        assert!(Authenticator::read(&path).is_err());
    }
}
