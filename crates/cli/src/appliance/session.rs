//! Who is signed in here: claimed, signed in, signed out. The session lies in a file that only its user can read; passwords and codes are kept nowhere.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keepwell_api::Base64;
use keepwell_api::auth::{Claim, Enrolled, InSession, SignIn, SignedIn};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::args::{ClaimArgs, SignInArgs};
use super::authenticator::{Authenticator, wait_for};
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::unlock::{secret_file, secret_line};
use crate::{opening, text};

/// What is kept of a session.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Whose it is.
    user: String,
    /// None once they have signed out.
    session: Option<Base64>,
    /// When it ends, whatever happens.
    expires_at: i64,
    /// The period of the last code, which is not taken twice.
    period: u64,
}

/// The session of whoever is signed in here.
pub(crate) fn current(place: &Place) -> Result<Base64, CliError> {
    let kept = load(&place.session_file()?)?.and_then(|kept| kept.session);
    kept.ok_or(CliError::NotSignedIn)
}

/// `sign-in`.
pub(crate) fn sign_in(place: &Place, args: &SignInArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let password = Base64(secret_line(&args.password_file, "password")?);
    let signed_in = begin(place, &args.user, password, args.code.as_deref(), args.totp_file.as_deref())?;
    answer.field("user", &*args.user);
    answer.field("role", signed_in.role.as_str());
    answer.field("expires_at", signed_in.expires_at);
    answer.field("idle_s", signed_in.idle_s);
    answer.line(format_args!(
        "{} is signed in as {}, until {} UTC at most, or until nothing was asked for {} minutes.",
        text::shown(args.user.as_bytes()),
        signed_in.role,
        text::time(signed_in.expires_at),
        signed_in.idle_s / 60
    ));
    Ok(Exit::Complete)
}

/// Signs a person in, with a code or with what makes codes, and keeps the session.
pub(crate) fn begin(
    place: &Place,
    user: &str,
    password: Base64,
    code: Option<&str>,
    totp_file: Option<&Path>,
) -> Result<SignedIn, CliError> {
    let file = place.session_file()?;
    let before = load(&file)?.unwrap_or_default();
    let now = opening::now().seconds.max(0).cast_unsigned();
    let (code, period) = match (code, totp_file) {
        (Some(code), _) => (Zeroizing::new(code.to_owned()), 0),
        (None, Some(path)) => Authenticator::read(path)?.fresh(now, if before.user == user { before.period } else { 0 }),
        (None, None) => return Err(CliError::Usage("--code or --totp-file is needed".into())),
    };
    wait_for(period);
    // What was tried is used, whatever comes of it.
    let mut kept = Kept { user: user.to_owned(), period, ..Kept::default() };
    store(&file, &kept)?;
    let signed_in: SignedIn = place.authd().post("/v1/sign-in", &SignIn { user: user.to_owned(), password, code: (*code).clone() })?;
    (kept.session, kept.expires_at) = (Some(signed_in.session.clone()), signed_in.expires_at);
    store(&file, &kept)?;
    Ok(signed_in)
}

/// `sign-out`. Whatever authd says, it is forgotten here.
pub(crate) fn sign_out(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let file = place.session_file()?;
    let mut kept = load(&file)?.unwrap_or_default();
    let Some(session) = kept.session.take() else {
        answer.line("Nobody was signed in here.");
        return Ok(Exit::Complete);
    };
    store(&file, &kept)?;
    let _: serde_json::Value = place.authd().post("/v1/sign-out", &InSession { session })?;
    answer.line(format_args!("{} is signed out.", text::shown(kept.user.as_bytes())));
    Ok(Exit::Complete)
}

/// `box claim`.
pub(crate) fn claim(place: &Place, args: &ClaimArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let password = Base64(secret_line(&args.password_file, "password")?);
    let enrolled: Enrolled = place.authd().post("/v1/claim", &Claim { user: args.user.clone(), password })?;
    answer.line(format_args!("{} owns this box once signed in.", text::shown(args.user.as_bytes())));
    show_enrolled(&enrolled, answer);
    Ok(Exit::Complete)
}

/// What an authenticator takes in, shown once.
pub(crate) fn show_enrolled(enrolled: &Enrolled, answer: &mut Answer) {
    let url = String::from_utf8_lossy(enrolled.otpauth.as_ref());
    answer.field("otpauth", json!(url));
    answer.line("Enter this into the authenticator now; it is not shown again:");
    answer.line(format_args!("  {}", text::shown(url.as_bytes())));
}

fn load(file: &Path) -> Result<Option<Kept>, CliError> {
    if !file.try_exists().map_err(CliError::file("look for", file))? {
        return Ok(None);
    }
    let content = secret_file(file)?;
    // What is no session any more is none: the way out is to sign in, as for one that has ended.
    Ok(serde_json::from_slice(&content).ok())
}

/// Only ever readable by its user, and never half.
fn store(file: &Path, kept: &Kept) -> Result<(), CliError> {
    let content = Zeroizing::new(serde_json::to_vec(kept).expect("plain data becomes JSON"));
    let new = file.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&new);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?.write_all(&content)?;
        fs::rename(&new, file)
    };
    write().map_err(CliError::file("keep the session in", file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_session_is_kept_for_its_user_alone_and_what_is_none_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session");
        assert!(load(&file).unwrap().is_none());
        fs::write(&file, "no session").unwrap();
        assert!(load(&file).unwrap().is_none());
        let kept = Kept { user: "Ann".into(), session: Some(vec![7; 32].into()), expires_at: 5, period: 9 };
        store(&file, &kept).unwrap();
        let found = load(&file).unwrap().unwrap();
        assert_eq!((found.user, found.session, found.period), (kept.user, kept.session, 9));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
