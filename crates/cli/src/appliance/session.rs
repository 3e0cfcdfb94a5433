//! Who is signed in here: claimed, signed in, signed out. The session lies in a file that only its user can read; passwords and codes are kept nowhere.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keepwell_api::auth::{Claim, Enrolled, InSession, SignIn, SignedIn};
use keepwell_api::{Base64, ClientError};
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
    /// Where codes come from without a person, on a box that is tried out.
    #[serde(default)]
    totp_file: Option<PathBuf>,
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
    let totp_file = totp_file.and_then(|path| path.canonicalize().ok());
    let mut kept = Kept { user: user.to_owned(), period, totp_file, ..Kept::default() };
    store(&file, &kept)?;
    let signed_in: SignedIn =
        place.authd().post("/v1/sign-in", &SignIn { user: user.to_owned(), password, code: (*code).clone(), from: None })?;
    (kept.session, kept.expires_at) = (Some(signed_in.session.clone()), signed_in.expires_at);
    store(&file, &kept)?;
    Ok(signed_in)
}

/// Asks for something, and if the second factor has to be shown for it, once more with a code: of the file that the session began with, else of the person at
/// the terminal.
pub(crate) fn proving<T>(place: &Place, mut ask: impl FnMut(Option<String>) -> Result<T, ClientError>) -> Result<T, CliError> {
    match ask(None) {
        Err(ClientError::Refused(refusal)) if refusal.code == "step-up" => {
            let code = another_code(place)?.ok_or(ClientError::Refused(refusal))?;
            Ok(ask(Some(code))?)
        }
        answer => Ok(answer?),
    }
}

/// A code that was not used. None where nobody can be asked.
pub(crate) fn another_code(place: &Place) -> Result<Option<String>, CliError> {
    let file = place.session_file()?;
    let mut kept = load(&file)?.unwrap_or_default();
    if let Some(path) = &kept.totp_file {
        let (code, period) = Authenticator::read(path)?.fresh(opening::now().seconds.max(0).cast_unsigned(), kept.period);
        wait_for(period);
        kept.period = period;
        store(&file, &kept)?;
        return Ok(Some((*code).clone()));
    }
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    eprint!("This needs the second factor once more. Six digits of the authenticator, or a recovery code: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(CliError::file("read", Path::new("the terminal")))?;
    Ok(Some(line.trim().to_owned()).filter(|code| !code.is_empty()))
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
    let enrolled: Enrolled = place.authd().post("/v1/claim", &Claim { user: args.user.clone(), password, code: None })?;
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
    show_codes(&enrolled.recovery_codes, answer);
}

/// Recovery codes, shown once.
pub(crate) fn show_codes(codes: &[Base64], answer: &mut Answer) {
    let codes: Vec<_> = codes.iter().map(|code| String::from_utf8_lossy(code.as_ref())).collect();
    answer.field("recovery_codes", json!(codes));
    answer.line(
        "If the authenticator is lost, each of these stands in for it once. Write them down and lock them away; they are not shown again:",
    );
    codes.chunks(2).for_each(|pair| answer.line(format_args!("  {}", text::shown(pair.join("   ").as_bytes()))));
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
        let kept = Kept { user: "Ann".into(), session: Some(vec![7; 32].into()), expires_at: 5, period: 9, totp_file: Some("/a".into()) };
        store(&file, &kept).unwrap();
        let found = load(&file).unwrap().unwrap();
        assert_eq!((found.user, found.session, found.period, found.totp_file), (kept.user, kept.session, 9, kept.totp_file));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
