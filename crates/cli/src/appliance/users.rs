//! `keepwell users`: who may do what on the box. Set-up codes and authenticators' secrets are shown once, to who asked for them.

use std::fmt::Write as _;
use std::path::Path;

use keepwell_api::auth::{
    AddUser, BreakGlassCode, ByOwner, ChangeFactor, ChangeRole, ChangeShares, Enrol, Enrolled, RecoveryCodes, SetUp, User, UserState, Users,
};
use keepwell_api::grants::Scope;
use keepwell_api::{Base64, ClientError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::UsersCommand;
use super::json;
use super::place::Place;
use super::session::{another_code, current, proving, show_codes, show_enrolled};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;
use crate::unlock::secret_line;

/// Runs it.
pub(crate) fn run(command: &UsersCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        UsersCommand::List => list(place, answer)?,
        UsersCommand::Add { name, role, shares } => {
            let mut request = AddUser { session: current(place)?, name: name.clone(), role: *role, shares: scope(shares)?, code: None };
            let set_up: SetUp = proving(place, |code| {
                request.code = code;
                place.authd().post("/v1/users", &request)
            })?;
            show_set_up(name, &set_up, answer);
        }
        UsersCommand::Enrol { name, code_file, password_file } => enrol(name, code_file, password_file, place, answer)?,
        UsersCommand::Reset { name } => {
            let set_up: SetUp = by_owner(place, name, "reset")?;
            show_set_up(name, &set_up, answer);
        }
        UsersCommand::Role { name, role } => {
            let mut request = ChangeRole { session: current(place)?, role: *role, code: None };
            let _: Value = proving(place, |code| {
                request.code = code;
                of(place, name, "role", &request)
            })?;
            answer.line(format_args!("{} is {role} now.", text::shown(name.as_bytes())));
        }
        UsersCommand::Shares { name, shares, .. } => {
            let mut request = ChangeShares { session: current(place)?, shares: scope(shares)?, code: None };
            let _: Value = proving(place, |code| {
                request.code = code;
                of(place, name, "shares", &request)
            })?;
            let from = if shares.is_empty() { "all shares".into() } else { shares.join(", ") };
            answer.line(format_args!("{} restores from {} now.", text::shown(name.as_bytes()), text::shown(from.as_bytes())));
        }
        UsersCommand::Unlock { name } => {
            let _: Value = of(place, name, "unlock", &Value::Null)?;
            answer.line(format_args!("Wrong attempts at {} are forgotten.", text::shown(name.as_bytes())));
        }
        UsersCommand::RecoveryCodes { password_file } => recovery_codes(password_file, place, answer)?,
        UsersCommand::SealedCode => sealed_code(place, answer)?,
        UsersCommand::Disable { name } => {
            let _: Value = by_owner(place, name, "disable")?;
            answer.line(format_args!("{} can't sign in any more.", text::shown(name.as_bytes())));
        }
    }
    Ok(Exit::Complete)
}

fn list(place: &Place, answer: &mut Answer) -> Result<(), CliError> {
    let users: Users = place.authd().get("/v1/users")?;
    answer.list("users", &users.users, line, json);
    Ok(())
}

fn line(user: &User) -> String {
    let state = match user.state {
        UserState::SetUp => "has not enrolled yet".to_owned(),
        UserState::Active => "can sign in".into(),
        UserState::LockedOut { until } => format!("locked out until {} UTC: too many wrong attempts", text::time(until)),
        UserState::Disabled => "disabled".into(),
    };
    let state = match user.refused_from {
        0 => state,
        computers => format!("{state}, but for now not from {computers} computers with too many wrong attempts"),
    };
    let last = user.signed_in_at.map_or_else(|| "never".into(), |at| format!("{} UTC", text::time(at)));
    format!("{}  {}  {state}; last signed in: {last}", text::shown(user.name.as_bytes()), user.role)
}

fn enrol(name: &str, code: &Path, password: &Path, place: &Place, answer: &mut Answer) -> Result<(), CliError> {
    let request = Enrol { code: Base64(secret_line(code, "set-up code")?), password: Base64(secret_line(password, "password")?) };
    let enrolled: Enrolled = of(place, name, "enrol", &request)?;
    answer.line(format_args!("{} can sign in.", text::shown(name.as_bytes())));
    show_enrolled(&enrolled, answer);
    Ok(())
}

fn scope(shares: &[String]) -> Result<Scope, CliError> {
    Scope::new(shares.to_vec()).map_err(|error| CliError::Usage(error.to_string()))
}

fn recovery_codes(password: &Path, place: &Place, answer: &mut Answer) -> Result<(), CliError> {
    let (session, password) = (current(place)?, Base64(secret_line(password, "password")?));
    let code = another_code(place)?.ok_or_else(|| CliError::Usage("a code is needed, and there is no terminal to ask for it".into()))?;
    let made: RecoveryCodes = place.authd().post("/v1/recovery-codes", &ChangeFactor { session, password, code })?;
    show_codes(&made.recovery_codes, answer);
    Ok(())
}

fn sealed_code(place: &Place, answer: &mut Answer) -> Result<(), CliError> {
    let mut request = ByOwner { session: current(place)?, code: None };
    let made: BreakGlassCode = proving(place, |code| {
        request.code = code;
        place.authd().post("/v1/break-glass-code", &request)
    })?;
    let code = String::from_utf8_lossy(made.code.as_ref());
    answer.field("code", &*code);
    answer.field("made_at", made.made_at);
    answer.line(
        "Put this into a sealed envelope; it is not shown again, opens copies at the box's own screen once, and voids the one from before:",
    );
    answer.line(format_args!("  {}", text::shown(code.as_bytes())));
    Ok(())
}

fn show_set_up(name: &str, set_up: &SetUp, answer: &mut Answer) {
    let code = String::from_utf8_lossy(set_up.code.as_ref());
    answer.field("code", &*code);
    answer.field("expires_at", set_up.expires_at);
    answer.line(format_args!(
        "Tell {} this code; it is not shown again, and good until {} UTC:",
        text::shown(name.as_bytes()),
        text::time(set_up.expires_at)
    ));
    answer.line(format_args!("  {}", text::shown(code.as_bytes())));
    answer.line("With it they enrol: keepwell users enrol");
}

/// What an owner does with one user.
fn by_owner<T: DeserializeOwned>(place: &Place, name: &str, what: &str) -> Result<T, CliError> {
    let mut request = ByOwner { session: current(place)?, code: None };
    proving(place, |code| {
        request.code = code;
        of(place, name, what, &request)
    })
}

/// Something about one user.
fn of<T: DeserializeOwned>(place: &Place, name: &str, what: &str, request: &impl Serialize) -> Result<T, ClientError> {
    place.authd().post(&format!("/v1/users/{}/{what}", percent(name)), request)
}

/// A name as a part of a route (RFC 3986, section 2.1).
fn percent(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_part_of_a_route() {
        assert_eq!(percent("Ann-1"), "Ann-1");
        assert_eq!(percent("Dr. O'Neil/..%ä"), "Dr.%20O%27Neil%2F..%25%C3%A4");
    }
}
