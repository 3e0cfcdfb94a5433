//! One's own account: set up with a code, password, authenticator, recovery codes; and the claim of a new box. Everything goes to authd and is kept nowhere.

use askama::Template;
use axum::response::Response;
use keepwell_api::Base64;
use keepwell_api::auth::{ChangeFactor, ChangePassword, Claim, ConfirmFactor, Enrol, Enrolled, RecoveryCodes};
use keepwell_api::grants::Verb;

use super::frame::Frame;
use super::qr::Qr;
use super::{passkeys, trouble};
use crate::neighbours::Trouble;
use crate::passkey::host_name;
use crate::visit::Visit;

/// For an authenticator, as text and as a picture.
struct Seed {
    url: String,
    qr: Option<Qr>,
}

impl Seed {
    fn of(otpauth: &Base64) -> Self {
        Self { url: String::from_utf8_lossy(otpauth.as_ref()).into_owned(), qr: Qr::of(otpauth.as_ref()) }
    }
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    frame: Frame,
    claim: bool,
    error: Option<String>,
    user: String,
}

#[derive(Template)]
#[template(path = "enrolled.html")]
struct EnrolledPage {
    frame: Frame,
    seed: Option<Seed>,
    codes: Vec<String>,
    signed_in: bool,
    /// The authenticator counts once it has shown a code.
    pending: bool,
}

/// Somebody who has a set-up code.
pub(crate) async fn enrol_form(visit: Visit) -> Response {
    show_form(&visit, false, None)
}

/// Whoever sees the new box's own screen.
pub(crate) async fn claim_form(visit: Visit) -> Response {
    show_form(&visit, true, None)
}

fn show_form(visit: &Visit, claim: bool, error: Option<String>) -> Response {
    let title = if claim { "Claim this box" } else { "Set up your account" };
    visit.show(&EnrolPage { frame: visit.frame(title), claim, error, user: visit.form.text("user").to_owned() })
}

/// The password that was typed twice.
fn password(visit: &Visit) -> Result<Base64, &'static str> {
    let (one, two) = (visit.form.secret("password"), visit.form.secret("again"));
    if one == two { Ok(one) } else { Err("The two passwords are not the same. Nothing was done.") }
}

/// Uses a set-up code.
pub(crate) async fn enrol(visit: Visit) -> Response {
    let password = match password(&visit) {
        Ok(password) => password,
        Err(why) => {
            visit.look_at(&["password", "again"]);
            return show_form(&visit, false, Some(why.into()));
        }
    };
    let code = Base64::from(visit.form.text("setup").to_uppercase().into_bytes());
    let route = super::people::route(visit.form.text("user"), "enrol");
    let done = visit.app.neighbours.knock::<Enrolled>(route, Enrol { code, password }).await;
    after_enrolling(&visit, false, done)
}

/// Claims a box that nobody owns.
pub(crate) async fn claim(visit: Visit) -> Response {
    let password = match password(&visit) {
        Ok(password) => password,
        Err(why) => {
            visit.look_at(&["password", "again"]);
            return show_form(&visit, true, Some(why.into()));
        }
    };
    let code = Some(Base64::from(visit.form.text("setup").to_uppercase().into_bytes()));
    let done =
        visit.app.neighbours.knock::<Enrolled>("/v1/claim", Claim { user: visit.form.text("user").to_owned(), password, code }).await;
    after_enrolling(&visit, true, done)
}

fn after_enrolling(visit: &Visit, claim: bool, done: Result<Enrolled, Trouble>) -> Response {
    match done {
        Ok(enrolled) => show_enrolled(visit, Some(Seed::of(&enrolled.otpauth)), &enrolled.recovery_codes),
        Err(trouble) => {
            visit.blame(&trouble);
            show_form(visit, claim, Some(trouble.to_string()))
        }
    }
}

fn show_enrolled(visit: &Visit, seed: Option<Seed>, codes: &[Base64]) -> Response {
    let codes = codes.iter().map(|code| String::from_utf8_lossy(code.as_ref()).into_owned()).collect();
    let signed_in = visit.person_if_any().is_some();
    let pending = signed_in && seed.is_some();
    visit.show(&EnrolledPage { frame: visit.frame("Your second factor"), seed, codes, signed_in, pending })
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    user: String,
    role: &'static str,
    codes_left: u32,
    shares: String,
    passkeys: Vec<passkeys::Row>,
    /// The name by which the box was asked; none for an address.
    host: Option<String>,
    needs_code: bool,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let frame = visit.frame("Your account");
    match visit.person() {
        Ok(person) => visit.show(&AccountPage {
            frame,
            user: person.known.user.clone(),
            role: super::frame::role(person.known.role),
            codes_left: person.known.recovery_codes_left,
            shares: person.known.shares.names().join(", "),
            passkeys: passkeys::of(&visit),
            host: host_name(&visit.host).map(str::to_owned),
            needs_code: visit.needs_code(Verb::UsersManage),
        }),
        Err(trouble) => trouble::failed(&visit, &trouble),
    }
}

/// Another password.
pub(crate) async fn change_password(visit: Visit) -> Response {
    let Ok(session) = visit.person().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let (new, again) = (visit.form.secret("new"), visit.form.secret("again"));
    if new != again {
        visit.look_at(&["new", "again"]);
        let notice = crate::sessions::Notice { good: false, text: "The two new passwords are not the same. Nothing was changed.".into() };
        return visit.go("/account", Some(notice));
    }
    let code = visit.form.code().unwrap_or_default();
    let ask = ChangePassword { session, password: visit.form.secret("password"), code, new };
    let done = visit.app.neighbours.authd::<serde_json::Value>("/v1/password", ask).await;
    visit.after("/account", done, "Your password was changed. You are signed out everywhere else.")
}

/// Another telephone, or new recovery codes.
pub(crate) async fn change_factor(visit: Visit) -> Response {
    let Ok(session) = visit.person().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let ask = ChangeFactor { session, password: visit.form.secret("password"), code: visit.form.code().unwrap_or_default() };
    let authd = &visit.app.neighbours;
    if visit.form.text("what") == "authenticator" {
        match authd.authd::<Enrolled>("/v1/authenticator", ask).await {
            Ok(enrolled) => show_enrolled(&visit, Some(Seed::of(&enrolled.otpauth)), &enrolled.recovery_codes),
            Err(trouble) => visit.after::<()>("/account", Err(trouble), ""),
        }
    } else {
        match authd.authd::<RecoveryCodes>("/v1/recovery-codes", ask).await {
            Ok(made) => show_enrolled(&visit, None, &made.recovery_codes),
            Err(trouble) => visit.after::<()>("/account", Err(trouble), ""),
        }
    }
}

/// The new authenticator shows that it works: from now on it counts.
pub(crate) async fn confirm_authenticator(visit: Visit) -> Response {
    let Ok(session) = visit.person().map(|person| person.session.clone()) else { return visit.go("/sign-in", None) };
    let ask = ConfirmFactor { session, code: visit.form.code().unwrap_or_default() };
    let done = visit.app.neighbours.authd::<serde_json::Value>("/v1/authenticator/confirm", ask).await;
    visit.after("/account", done, "The new authenticator and its recovery codes count from now on. Those from before are void.")
}
