//! Tokens of programs, and the sealed code: the rights that no telephone stands behind. Made and ended by owners; authd decides and keeps, and each is shown once.

use askama::Template;
use axum::response::Response;
use keepwell_api::auth::{BreakGlassCode, ByOwner, MakeToken, Revoke, Token, TokenMade, Tokens};
use keepwell_api::grants::{Role, Scope, Verb, allows, needs_person, takes_scope};

use super::frame::{self, Frame};
use crate::neighbours::Trouble;
use crate::sessions::Notice;
use crate::view::{Times, When};
use crate::visit::Visit;

const DAY_S: i64 = 24 * 3600;
/// No token is good for longer.
const DAYS_MAX: i64 = 400;
/// Tokens end at a full hour: what a passkey signs is the same when it is sent again.
const HOUR_S: i64 = 3600;

/// A token in the list.
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) does: String,
    pub(crate) shares: String,
    pub(crate) made_by: String,
    pub(crate) made: When,
    pub(crate) until: When,
    pub(crate) used: Option<When>,
    pub(crate) holds: bool,
}

/// All of them.
pub(crate) async fn rows(visit: &Visit, times: &Times) -> Result<Vec<Row>, Trouble> {
    let all = visit.app.neighbours.ask_authd::<Tokens>("/v1/tokens").await?.tokens;
    Ok(all.into_iter().enumerate().map(|(number, token)| row(number, token, times, visit.now())).collect())
}

fn row(number: usize, token: Token, times: &Times, now: i64) -> Row {
    Row {
        number,
        id: token.id,
        name: token.name,
        does: token.verbs.iter().map(|verb| does(*verb)).collect::<Vec<_>>().join(", "),
        shares: token.shares.names().join(", "),
        made_by: token.made_by,
        made: times.at(token.made_at),
        until: times.at(token.revoked_at.unwrap_or(token.expires_at)),
        used: token.last_used_at.map(|at| times.at(at)),
        holds: token.revoked_at.is_none() && now < token.expires_at,
    }
}

/// What a program can be given, as its word and in words.
pub(crate) fn for_programs() -> Vec<(&'static str, &'static str)> {
    Verb::ALL.iter().filter(|verb| !needs_person(**verb)).map(|verb| (verb.as_str(), does(*verb))).collect()
}

pub(crate) fn does(verb: Verb) -> &'static str {
    match verb {
        Verb::SharesAdd => "add shares",
        Verb::SharesChange => "change where shares are",
        Verb::SharesRemove => "remove shares",
        Verb::PolicyChange => "promise more",
        Verb::PolicyLoosen => "promise less",
        Verb::RunNow => "begin backups",
        Verb::RunCancel => "end backups",
        Verb::SnapshotsList => "list copies",
        Verb::FilesList => "list names of files",
        Verb::Restore => "restore to shares",
        Verb::Download => "get files",
        Verb::DisksChange => "add and remove disks",
        Verb::DisksTest => "have disks test themselves",
        Verb::TestRestore => "begin test restores",
        Verb::IncidentsAcknowledge => "take incidents",
        Verb::SettingsChange => "change settings",
        Verb::LogRead => "read the log",
        Verb::SupportBundle => "make support files",
        Verb::EmergencyOpen => "open copies in an emergency",
        Verb::DeletionsFreeze => "freeze deletions",
        Verb::DeletionsThaw => "end a freeze of deletions",
        Verb::KitPrint => "print papers",
        Verb::OffsiteChange => "pair with other boxes",
        Verb::UsersManage => "change people",
    }
}

/// The role with the fewest rights that may do all of this. None for what no program may.
fn role_for(verbs: &[Verb]) -> Option<Role> {
    let fits = |role: &&Role| **role != Role::Owner && verbs.iter().all(|verb| allows(**role, *verb) && !needs_person(*verb));
    let rights = |role: &&Role| Verb::ALL.iter().filter(|verb| allows(**role, **verb)).count();
    Role::ALL.iter().filter(fits).min_by_key(rights).copied()
}

#[derive(Template)]
#[template(path = "shown_once.html")]
struct ShownOnce {
    frame: Frame,
    heading: &'static str,
    secret: String,
    until: Option<When>,
    sealed: bool,
}

/// Makes a token, and shows it.
pub(crate) async fn make(visit: Visit) -> Response {
    let Some(session) = visit.person_if_any().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let (verbs, shares, days) = match wanted(&visit) {
        Ok(wanted) => wanted,
        Err(why) => return visit.go("/people", Some(Notice { good: false, text: format!("{why} No token was made.") })),
    };
    let Some(role) = role_for(&verbs) else {
        let text =
            "No role but an owner's may do all of this, and a program is no owner. No token was made: make two, or tick less.".into();
        return visit.go("/people", Some(Notice { good: false, text }));
    };
    let (name, expires_at) = (visit.form.text("name").to_owned(), ends(visit.now(), days));
    let ask = MakeToken { session, name, role, verbs, shares, expires_at, code: visit.form.code() };
    match visit.app.neighbours.authd::<TokenMade>("/v1/tokens", ask).await {
        Ok(made) => {
            let until = Some(frame::times(&visit).at(made.expires_at));
            show(&visit, "The token", &made.token, until, false)
        }
        Err(trouble) => visit.after::<()>("/people", Err(trouble), ""),
    }
}

/// The full hour after so many days, and none later than any token may end.
fn ends(now: i64, days: i64) -> i64 {
    let full = |at: i64| at / HOUR_S * HOUR_S;
    (full(now + HOUR_S - 1) + days * DAY_S).min(full(now + DAYS_MAX * DAY_S))
}

fn wanted(visit: &Visit) -> Result<(Vec<Verb>, Scope, i64), &'static str> {
    let verbs: Vec<Verb> =
        visit.form.all("verb").map(|word| word.parse().map_err(|_| "There is no such right.")).collect::<Result<_, _>>()?;
    if verbs.is_empty() {
        visit.look_at(&["verb"]);
        return Err("Tick what the program may do.");
    }
    let Some(days) = visit.form.number::<i64>("days").filter(|days| (1..=DAYS_MAX).contains(days)) else {
        visit.look_at(&["days"]);
        return Err("It ends after 1 to 400 days.");
    };
    let shares = super::people::names(visit.form.text("shares")).inspect_err(|_| visit.look_at(&["shares"]))?;
    if !shares.is_all() && !verbs.iter().all(|verb| takes_scope(*verb)) {
        visit.look_at(&["verb"]);
        return Err("Something of what you ticked can't be limited to shares.");
    }
    Ok((verbs, shares, days))
}

fn show(visit: &Visit, heading: &'static str, secret: &keepwell_api::Base64, until: Option<When>, sealed: bool) -> Response {
    let secret = String::from_utf8_lossy(secret.as_ref()).into_owned();
    visit.show(&ShownOnce { frame: visit.frame(heading), heading, secret, until, sealed })
}

/// Ends a token.
pub(crate) async fn revoke(visit: Visit) -> Response {
    let Some(session) = visit.person_if_any().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let id = visit.form.text("id");
    // What no id is of is no way into another route.
    let route =
        if id.bytes().all(|byte| byte.is_ascii_hexdigit()) { format!("/v1/tokens/{id}/revoke") } else { "/v1/tokens/0/revoke".into() };
    let done = visit.app.neighbours.authd::<serde_json::Value>(route, Revoke { session }).await;
    visit.after("/people", done, "The token is void from now on.")
}

/// Makes a sealed code, and shows it.
pub(crate) async fn seal(visit: Visit) -> Response {
    let Some(session) = visit.person_if_any().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let ask = ByOwner { session, code: visit.form.code() };
    match visit.app.neighbours.authd::<BreakGlassCode>("/v1/break-glass-code", ask).await {
        Ok(made) => show(&visit, "The sealed code", &made.code, None, true),
        Err(trouble) => visit.after::<()>("/people", Err(trouble), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_the_smallest_role_that_will_do() {
        assert_eq!(role_for(&[Verb::LogRead]), Some(Role::Auditor));
        assert_eq!(role_for(&[Verb::RunNow, Verb::RunCancel]), Some(Role::Technician));
        assert_eq!(role_for(&[Verb::Download]), Some(Role::RestoreOnly));
        assert_eq!(role_for(&[Verb::Download, Verb::RunNow]), Some(Role::Operator));
        assert!([Verb::UsersManage, Verb::EmergencyOpen, Verb::SharesRemove].iter().all(|verb| role_for(&[*verb]).is_none()));
        assert!(for_programs().iter().all(|(word, _)| role_for(&[word.parse().unwrap()]).is_some()));
    }
}
