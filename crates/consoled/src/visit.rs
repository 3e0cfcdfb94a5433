//! One request of one browser, once the guard has let it in.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use keepwell_api::Base64;
use keepwell_api::auth::Session;
use keepwell_api::grants::{Role, Verb, allows, may_repeat, needs_fresh_factor, needs_own_factor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::form::Form;
use crate::guard;
use crate::neighbours::Trouble;
use crate::pages::Page;
use crate::pages::frame::Frame;
use crate::passkey;
use crate::refill::{self, Sent};
use crate::sessions::{Cookie, Kept, Notice, Shared, locked};

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// What authd says of them now.
    pub known: Session,
    /// What authd knows them by.
    pub session: Base64,
    /// What the console keeps for them.
    pub kept: Shared,
}

/// A request, to a page that is for whoever asks here.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What all pages share.
    pub app: Arc<App>,
    /// Which page.
    pub page: &'static Page,
    /// What was sent with it.
    pub form: Arc<Form>,
    /// What was asked, with its port.
    pub host: Arc<str>,
    cookie: Cookie,
    is_new: bool,
    by_script: bool,
    acts: bool,
    /// Where a form was sent to.
    posted_to: Option<Arc<str>>,
    at_fault: Arc<Mutex<Vec<&'static str>>>,
    person: Option<Arc<Person>>,
}

/// What a browser says of its request.
pub(crate) struct Asked {
    /// What was asked, with its port.
    pub host: String,
    /// By a page, to bring itself up to date.
    pub by_script: bool,
    /// By a person, and not by a page alone.
    pub acts: bool,
    /// Where a form was sent to.
    pub posted_to: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

impl Visit {
    pub(crate) fn new(
        app: Arc<App>,
        page: &'static Page,
        (cookie, is_new): (Cookie, bool),
        person: Option<Person>,
        form: Form,
        asked: Asked,
    ) -> Self {
        let Asked { host, by_script, acts, posted_to } = asked;
        let (posted_to, at_fault) = (posted_to.map(Into::into), Arc::default());
        let (form, person) = (Arc::new(form), person.map(Arc::new));
        Self { app, page, form, host: host.into(), cookie, is_new, by_script, acts, posted_to, at_fault, person }
    }

    /// Who asks, if anybody.
    pub fn person_if_any(&self) -> Option<&Person> {
        self.person.as_deref()
    }

    /// Who asks; on pages that are for roles, where the guard lets nobody else in.
    pub fn person(&self) -> Result<&Person, Trouble> {
        self.person.as_deref().ok_or(Trouble::SignedOut)
    }

    /// Their role.
    pub fn role(&self) -> Option<Role> {
        self.person.as_ref().map(|person| person.known.role)
    }

    /// Whether their role may do this.
    pub fn may(&self, verb: Verb) -> bool {
        self.role().is_some_and(|role| allows(role, verb))
    }

    /// Whether this would be asked for with a new code of theirs.
    pub fn needs_code(&self, verb: Verb) -> bool {
        let until = |known: &Session| match verb {
            Verb::KitPrint => known.papers_until,
            verb if needs_own_factor(verb) => known.people_until,
            _ => known.fresh_until,
        };
        needs_fresh_factor(verb, None) && self.person.as_ref().is_some_and(|person| until(&person.known) <= self.now())
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        self.app.now()
    }

    /// The cookie they came with, or got.
    pub fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    /// Whether a page of theirs asks by itself, to bring itself up to date.
    pub fn is_by_script(&self) -> bool {
        self.by_script
    }

    /// What their forms carry.
    pub fn form_token(&self) -> String {
        self.app.sessions.form_token(&self.cookie)
    }

    /// What stands around a page.
    pub fn frame(&self, title: &'static str) -> Frame {
        Frame::new(self, title)
    }

    /// A page, finished.
    pub fn show(&self, page: &impl askama::Template) -> Response {
        self.show_with(StatusCode::OK, page)
    }

    /// The same with a status.
    pub fn show_with(&self, status: StatusCode, page: &impl askama::Template) -> Response {
        match page.render() {
            Ok(html) => self.settled((status, axum::response::Html(self.given_back(html))).into_response()),
            Err(error) => {
                tracing::error!(%error, page = self.page.path, "a page could not be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// The fields that a refusal is about are marked when the form is given back.
    pub fn blame(&self, trouble: &Trouble) {
        self.look_at(refill::at_fault(trouble, &self.form));
    }

    /// So are these.
    pub fn look_at(&self, fields: &[&'static str]) {
        self.at_fault.lock().unwrap_or_else(PoisonError::into_inner).extend(fields);
    }

    fn sent(&self) -> Option<Sent> {
        let at_fault = self.at_fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.posted_to.as_ref().map(|path| Sent::new(path, &self.form, at_fault))
    }

    /// A page that says that a form was not taken shows it as it was typed: the form that came, or the one of the page before.
    fn given_back(&self, html: String) -> String {
        let sent = match &self.posted_to {
            Some(_) => self.sent().filter(|_| html.contains(" id=\"error\"")),
            None if self.by_script => None,
            None => self.person.as_ref().and_then(|person| locked(&person.kept).returned.take()),
        };
        match sent {
            Some(sent) => refill::given_back(html, &sent),
            None => html,
        }
    }

    /// On to another page (303: RFC 9110, section 15.4.4), with something to say there.
    pub fn go(&self, path: &str, notice: Option<Notice>) -> Response {
        if let (Some(person), Some(notice), false) = (&self.person, notice, passkey::is_asked()) {
            let returned = self.sent().filter(|sent| !notice.good && sent.is_small());
            let mut kept = locked(&person.kept);
            (kept.notice, kept.returned) = (Some(notice), returned);
        }
        self.settled(Redirect::to(path).into_response())
    }

    /// On to another page, and say how it went.
    pub fn after<T>(&self, path: &str, done: Result<T, Trouble>, well: &str) -> Response {
        let notice = match done {
            Ok(_) => Notice { good: true, text: well.to_owned() },
            Err(Trouble::SignedOut) => return self.go("/sign-in", None),
            Err(trouble) => {
                self.blame(&trouble);
                Notice { good: false, text: trouble.to_string() }
            }
        };
        self.go(path, Some(notice))
    }

    /// What is kept for them, changed or looked at.
    pub fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> Result<T, Trouble> {
        let person = self.person()?;
        Ok(look(&mut locked(&person.kept)))
    }

    /// Has vaultd do something in their name. A code that they typed goes along.
    pub async fn granted<T: DeserializeOwned + Send + 'static>(
        &self,
        verb: Verb,
        route: &'static str,
        request: &impl Serialize,
    ) -> Result<T, Trouble> {
        let person = self.person()?;
        if !self.acts && may_repeat(verb) {
            return self.app.neighbours.granted_again(&person.session, verb, route, request).await;
        }
        self.app.neighbours.granted((&person.session, self.form.code()), verb, route, request).await
    }

    fn settled(&self, answer: Response) -> Response {
        if self.is_new { guard::with_visitor(answer, &self.cookie) } else { answer }
    }
}
