//! Who may do what: the list, and what an owner changes in it. authd decides and keeps; the console knows nobody's password.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::auth::{AddUser, ByOwner, ChangeRole, ChangeShares, SetUp, Status, User, UserState, Users};
use keepwell_api::grants::{Role, Scope, Verb};

use super::frame::{self, Frame};
use super::{passkeys, tokens, trouble};
use crate::neighbours::Trouble;
use crate::sessions::Notice;
use crate::view::{Mark, Times, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Result<Vec<Row>, Trouble>,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    tokens: Result<Vec<tokens::Row>, Trouble>,
    rights: Vec<(&'static str, &'static str)>,
    sealed: Option<bool>,
    may_change: bool,
    needs_code: bool,
}

struct Row {
    number: usize,
    name: String,
    role: &'static str,
    role_word: &'static str,
    mark: Mark,
    note: String,
    added: When,
    last: Option<When>,
    shares: String,
    passkeys: Vec<passkeys::Row>,
    /// Can be limited to shares.
    restores: bool,
    own: bool,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let own = visit.person_if_any().map(|person| person.known.user.clone()).unwrap_or_default();
    let people = visit.app.neighbours.ask_authd::<Users>("/v1/users").await;
    let people = people.map(|people| people.users.iter().enumerate().map(|(number, user)| row(number, user, &own, &times)).collect());
    let sealed = visit.app.neighbours.ask_authd::<Status>("/v1/status").await.map(|status| status.break_glass);
    visit.show(&PeoplePage {
        frame: visit.frame("People"),
        people,
        tokens: tokens::rows(&visit, &times).await,
        rights: tokens::for_programs(),
        sealed: sealed.ok(),
        roles: Role::ALL.iter().map(|role| (role.as_str(), frame::role(*role), does(*role))).collect(),
        may_change: visit.may(Verb::UsersManage),
        needs_code: visit.needs_code(Verb::UsersManage),
    })
}

fn row(number: usize, user: &User, own: &str, times: &Times) -> Row {
    let (mark, note) = match user.state {
        UserState::Active => (Mark { status: "ok", icon: "tick", word: "Can sign in" }, refused(user.refused_from)),
        UserState::SetUp => {
            (Mark { status: "warn", icon: "clock", word: "Not set up yet" }, "Waits for the set-up code to be used.".into())
        }
        UserState::LockedOut { until } => (
            Mark { status: "warn", icon: "slash", word: "Locked out" },
            format!("Too many wrong attempts; until {}.", times.at(until).text),
        ),
        UserState::Disabled => (Mark { status: "muted", icon: "slash", word: "Disabled" }, String::new()),
    };
    Row {
        number,
        name: user.name.clone(),
        role: user.role.as_str(),
        role_word: frame::role(user.role),
        mark,
        note,
        added: times.at(user.added_at),
        last: user.signed_in_at.map(|at| times.at(at)),
        shares: user.shares.names().join(", "),
        passkeys: passkeys::rows(&user.passkeys, times),
        restores: user.role == Role::RestoreOnly,
        own: user.name == own,
    }
}

fn refused(computers: u32) -> String {
    match computers {
        0 => String::new(),
        1 => "Too many wrong attempts came from one computer; it has to wait, others do not.".into(),
        several => format!("Too many wrong attempts came from {several} computers; these have to wait, others do not."),
    }
}

/// What a role is for.
fn does(role: Role) -> &'static str {
    match role {
        Role::Owner => "Everything, people and looser promises too.",
        Role::Operator => "Runs it day by day: all but people and looser promises.",
        Role::RestoreOnly => "Gets files back, and nothing else.",
        Role::Auditor => "Reads the log. Never sees names of files.",
        Role::Technician => "Keeps it running. Never sees names of files.",
        Role::Security => "Reads the log and takes incidents.",
    }
}

#[derive(Template)]
#[template(path = "set_up.html")]
struct SetUpPage {
    frame: Frame,
    name: String,
    code: String,
    until: When,
    host: String,
}

fn shown(visit: &Visit, name: &str, made: Result<SetUp, Trouble>) -> Response {
    match made {
        Ok(made) => visit.show(&SetUpPage {
            frame: visit.frame("Set-up code"),
            name: name.to_owned(),
            code: String::from_utf8_lossy(made.code.as_ref()).into_owned(),
            until: frame::times(visit).at(made.expires_at),
            host: visit.host.to_string(),
        }),
        Err(trouble) => visit.after::<()>("/people", Err(trouble), ""),
    }
}

/// Adds somebody.
pub(crate) async fn add(visit: Visit) -> Response {
    let Some(session) = visit.person_if_any().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let (name, role) = (visit.form.text("name").to_owned(), visit.form.text("role").parse());
    let Ok(role) = role else { return trouble::missing(&visit, "There is no such role.") };
    let shares = match scope(role, visit.form.text("shares")) {
        Ok(shares) => shares,
        Err(why) => {
            visit.look_at(&["shares"]);
            return visit.go("/people", Some(Notice { good: false, text: format!("{why} Nobody was added.") }));
        }
    };
    let ask = AddUser { session, name: name.clone(), role, shares, code: visit.form.code() };
    let made = visit.app.neighbours.authd("/v1/users", ask).await;
    shown(&visit, &name, made)
}

/// What was typed as a limit of somebody.
fn scope(role: Role, typed: &str) -> Result<Scope, &'static str> {
    let scope = names(typed)?;
    if !scope.is_all() && role != Role::RestoreOnly {
        return Err("Only somebody who restores only can be limited to shares.");
    }
    Ok(scope)
}

/// Names with commas between. Empty is everything, so what can't be a limit is refused and never dropped.
pub(crate) fn names(typed: &str) -> Result<Scope, &'static str> {
    let names: Vec<_> = typed.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() != typed.trim().is_empty() {
        return Err("The list of shares has no name in it.");
    }
    Scope::new(names).map_err(|_| "At most 32 shares can be listed, with commas between their names, each of 1 to 64 bytes.")
}

/// A way for a name into a route of authd's.
pub(crate) fn route(name: &str, verb: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let name: String = name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    format!("/v1/users/{name}/{verb}")
}

/// Disables somebody, has them enrol again, gives them another role or other shares.
pub(crate) async fn change(visit: Visit, Path(verb): Path<String>) -> Response {
    let Some(session) = visit.person_if_any().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let (name, code) = (visit.form.text("name").to_owned(), visit.form.code());
    let authd = &visit.app.neighbours;
    match verb.as_str() {
        "disable" => {
            let done = authd.authd::<serde_json::Value>(route(&name, "disable"), ByOwner { session, code }).await;
            visit.after("/people", done, "Disabled: they can't sign in any more, and are signed out everywhere.")
        }
        "reset" => {
            let made = authd.authd(route(&name, "reset"), ByOwner { session, code }).await;
            shown(&visit, &name, made)
        }
        "role" => {
            let Ok(role) = visit.form.text("role").parse() else { return trouble::missing(&visit, "There is no such role.") };
            let done = authd.authd::<serde_json::Value>(route(&name, "role"), ChangeRole { session, role, code }).await;
            visit.after("/people", done, "The role was changed. It holds from their next click on.")
        }
        "shares" => {
            let shares = match names(visit.form.text("shares")) {
                Ok(shares) => shares,
                Err(why) => {
                    visit.look_at(&["shares"]);
                    return visit.go("/people", Some(Notice { good: false, text: format!("{why} Nothing was changed.") }));
                }
            };
            let done = authd.authd::<serde_json::Value>(route(&name, "shares"), ChangeShares { session, shares, code }).await;
            visit.after("/people", done, "The limit was changed. It holds from their next click on.")
        }
        "passkey" => {
            let Some(id) = passkeys::id(&visit) else { return trouble::missing(&visit, "There is no such passkey.") };
            let route = route(&name, &format!("passkeys/{id}/remove"));
            let done = authd.authd::<serde_json::Value>(route, ByOwner { session, code }).await;
            visit.after("/people", done, "The passkey proves nothing any more.")
        }
        _ => trouble::missing(&visit, "There is no such page."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_none_is_not_taken_for_everything() {
        let names = |typed| scope(Role::RestoreOnly, typed).map(|scope| scope.names().to_vec());
        assert_eq!(names("EHR, SCANS\r\nBilling,"), Ok(vec!["Billing".into(), "EHR".into(), "SCANS".into()]));
        assert_eq!(names(" "), Ok(Vec::new()));
        let many: String = (0..33).map(|n| format!("share {n},")).collect();
        for bad in [",", &"a".repeat(65), "a\u{7}b", &*many] {
            assert!(names(bad).is_err(), "{bad:?}");
        }
        assert!(scope(Role::Operator, "EHR").is_err() && scope(Role::Operator, "").is_ok_and(|scope| scope.is_all()));
    }
}
