//! Signing in and out at the screen.

use keepwell_api::Base64;
use keepwell_api::auth::{InSession, Session, SignIn, SignedIn};
use serde_json::Value;

use super::{Console, Person};
use crate::ask::{About, Ask, Trouble, Whom, read};
use crate::screen::{Form, Kind, Line, Look, Pick, Purpose, Screen};
use crate::words::plain;

impl Console {
    pub(super) fn pick_sign_in(&mut self, pick: &Pick) {
        if *pick == Pick::SignOut {
            return self.leave();
        }
        let lead = vec![Line::of("What you can do here is what your role allows. After five minutes without a key you are signed out.")];
        self.screen = Screen::Form(
            Form::new(Purpose::SignIn, "Sign in", lead)
                .field("Name", Kind::Text)
                .field("Password", Kind::Secret)
                .field("Code of the authenticator, or a recovery code", Kind::Text),
        );
    }

    pub(super) fn sign_in_first(&mut self) {
        self.say("Sign in first", Look::Warn, vec!["This is for people who are signed in.".into()], Pick::SignIn);
    }

    pub(super) fn typed_sign_in(&mut self, form: &Form) {
        let password = Base64::from(form.exact(1).as_bytes().to_vec());
        let body = SignIn { from: None, user: form.text(0).to_owned(), password, code: form.text(2).to_owned() };
        let ask = Ask::post(About::SignIn, Whom::Authd, "/v1/sign-in", &body);
        self.ask(ask, "Your password is being checked");
    }

    /// Nobody is here before it is known which shares are theirs: of those alone they are shown anything.
    pub(super) fn signed_in(&mut self, answer: Value) -> Result<(), Trouble> {
        let session = read::<SignedIn>(answer)?.session;
        let ask = Ask::post(About::Session, Whom::Authd, "/v1/sessions/check", &InSession { session: session.clone() });
        self.entering = Some(session);
        self.ask(ask, "Looking what you may do");
        Ok(())
    }

    pub(super) fn known(&mut self, answer: Value) -> Result<(), Trouble> {
        let known: Session = read(answer)?;
        self.person = self.entering.take().map(|session| Person { user: known.user, role: known.role, shares: known.shares, session });
        self.home();
        Ok(())
    }

    /// Who is here, for the first line.
    pub(crate) fn who(&self) -> String {
        self.person.as_ref().map_or_else(String::new, |person| format!("{} ({})", plain(&person.user, 64), person.role.as_str()))
    }
}
