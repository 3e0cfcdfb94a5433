//! The worst day: the downtime share is opened with the sealed code, or by somebody who is signed in and may. Address, name and password are shown once. Owns no right: the
//! sealed code and the session are authd's to judge, and vaultd opens.

use keepwell_api::Base64;
use keepwell_api::auth::{BreakGlassCode, ByOwner};
use keepwell_api::grants::{Role, Verb, allows};
use keepwell_api::vault::{CloseEmergency, EMERGENCY_HOURS_MAX, EMERGENCY_USER, EmergencyOpened, EmergencyState, OpenEmergency};
use serde_json::Value;

use super::Console;
use crate::ask::{About, Ask, Leave, Trouble, Whom, read};
use crate::facts::Known;
use crate::home;
use crate::screen::{Form, Kind, Line, Look, Menu, Pick, Purpose, Screen};
use crate::words::{count, time};

impl Console {
    pub(super) fn pick_emergency(&mut self, pick: &Pick) {
        match pick {
            Pick::WithSealedCode => self.emergency_form(true),
            Pick::AsPerson => self.emergency_form(false),
            Pick::Close(id) => {
                let says = "Close the emergency access: whoever reads from it now can't any more.";
                // As in the console: who may open it, and who looks after incidents.
                let opens = self.person.as_ref().is_some_and(|person| allows(person.role, Verb::EmergencyOpen));
                let verb = if opens { Verb::EmergencyOpen } else { Verb::IncidentsAcknowledge };
                self.ask_as_person(About::CloseEmergency, verb, "/v1/emergency/close", &CloseEmergency { id: *id }, says);
            }
            Pick::NewSealedCode => {
                let lead = vec![
                    Line::of("The sealed code opens the emergency access here when nobody can sign in. It is good once."),
                    Line::of("Write it down, seal it in an envelope and keep it near the box. The one from before is void by this."),
                ];
                let form = Form::new(Purpose::SealedCode, "A new sealed code", lead).back(Pick::Emergency);
                self.screen = Screen::Form(form.field("Code of the authenticator, or a recovery code", Kind::Text));
            }
            _ => self.ask(Ask::get(About::Emergency, Whom::Vaultd, "/v1/emergency"), "Looking what can be opened"),
        }
    }

    fn emergency_form(&mut self, sealed: bool) {
        let lead = vec![
            Line::of(format!(
                "Everybody is told at once. It closes by itself, after {EMERGENCY_HOURS_MAX} hours at most; each file that is opened is recorded."
            )),
            Line::looking(Look::Muted, "Nothing can be changed through it, and nothing of the backups is."),
        ];
        let form = Form::new(Purpose::OpenEmergency { sealed }, "Open the emergency access", lead).back(Pick::Emergency);
        let form = form.field("Why (for the log)", Kind::Text).field("For how many hours", Kind::Text).holding("4");
        self.screen = Screen::Form(if sealed { form.field("Sealed code", Kind::Text) } else { form });
    }

    pub(super) fn typed_emergency(&mut self, mut form: Form, sealed: bool) {
        let hours = form.text(1).parse().ok().filter(|hours| (1..=EMERGENCY_HOURS_MAX).contains(hours));
        let Some(hours) = hours else { return self.wrong(form, 1, format!("Type a number from 1 to {EMERGENCY_HOURS_MAX}.")) };
        if form.text(0).chars().count() < 3 {
            return self.wrong(form, 0, "Say in a few words what happened.".into());
        }
        let body = OpenEmergency { reason: form.text(0).to_owned(), hours };
        let route = "/v1/emergency/open";
        if sealed {
            let code = Base64::from(std::mem::take(&mut *form.fields[2].text).into_bytes());
            let ask = Ask::post(About::OpenEmergency, Whom::Vaultd, route, &body).by(Leave::SealedCode(code), "");
            return self.ask(ask, "It is being opened");
        }
        let says =
            format!("Open the emergency access for {hours} hours: the last good copies of what is needed most can be read on the network.");
        self.ask_as_person(About::OpenEmergency, Verb::EmergencyOpen, route, &body, &says);
    }

    /// The form again, at what is wrong in it.
    pub(super) fn wrong(&mut self, mut form: Form, at: usize, error: String) {
        (form.at, form.error) = (at, Some(error));
        self.screen = Screen::Form(form);
    }

    pub(super) fn typed_for_sealed_code(&mut self, form: &Form) {
        let Some(person) = &self.person else { return self.sign_in_first() };
        let body = ByOwner { session: person.session.clone(), code: Some(form.text(0).to_owned()) };
        self.ask(Ask::post(About::SealedCode, Whom::Authd, "/v1/break-glass-code", &body), "A code is being made");
    }

    pub(super) fn emergency_answered(&mut self, ask: &Ask, answer: Value) -> Result<(), Trouble> {
        match ask.about {
            About::OpenEmergency => {
                let opened: EmergencyOpened = read(answer)?;
                let lead = self.opened(&opened);
                self.screen = Screen::Menu(Menu::new("Emergency access is open", lead));
            }
            About::CloseEmergency => {
                let text = vec![
                    "The emergency access is closed.".into(),
                    "Somebody has to look at what was opened: it stays among what is to do.".into(),
                ];
                self.say("Emergency access", Look::Good, text, Pick::Home);
            }
            About::SealedCode => {
                let made: BreakGlassCode = read(answer)?;
                // What was said of people before knows nothing of it.
                self.facts.people = Known::default();
                let lead = vec![
                    Line::of("Write this down now; it is not shown again:"),
                    Line::of(""),
                    Line::looking(Look::Strong, format!("    {}", String::from_utf8_lossy(made.code.as_ref()))),
                    Line::of(""),
                    Line::of("Seal it in an envelope. It is typed here, under Emergency access, and is good once."),
                ];
                self.screen = Screen::Menu(Menu::new("The sealed code", lead));
            }
            _ => {
                let state: EmergencyState = read(answer)?;
                self.screen = Screen::Menu(self.emergency_menu(&state));
            }
        }
        Ok(())
    }

    fn emergency_menu(&self, state: &EmergencyState) -> Menu {
        let role = self.person.as_ref().map(|person| person.role);
        let may = role.is_some_and(|role| allows(role, Verb::EmergencyOpen));
        let mut lead = vec![Line::of(
            "The last good copies of what is needed most, to be read on the practice's network while its own servers are down.",
        )];
        lead.push(match state.ready.iter().map(|share| share.taken_at).min() {
            Some(oldest) => Line::of(format!(
                "{} can be opened; the oldest copy is of {}.",
                count(state.ready.len() as u64, "share"),
                time(oldest, &self.zone)
            )),
            None => Line::looking(Look::Bad, "There is no good copy of any share of tier 1, so there is nothing to open."),
        });
        if !state.without_copy.is_empty() {
            lead.push(Line::looking(
                Look::Warn,
                format!("{} of tier 1 without a good copy.", count(state.without_copy.len() as u64, "share")),
            ));
        }
        let mut menu = Menu::new("Emergency access", lead);
        if let Some(open) = &state.open {
            let until = time(open.until, &self.zone);
            let files = count(open.files_opened, "file");
            menu.lead.push(Line::looking(
                Look::Warn,
                format!("It is OPEN, until {until}; {files} opened. Opening it anew makes another password."),
            ));
            if may || role.is_some_and(|role| allows(role, Verb::IncidentsAcknowledge)) {
                menu = menu.item("Close it", Pick::Close(open.id));
            }
        }
        if !state.ready.is_empty() {
            if may {
                menu = menu.item("Open it", Pick::AsPerson);
            }
            if self.facts.people.now(self.up).is_none_or(|people| people.break_glass) {
                menu = menu.item("Open it with the sealed code", Pick::WithSealedCode);
            }
        }
        if role == Some(Role::Owner) { menu.item("Make a new sealed code", Pick::NewSealedCode) } else { menu }
    }

    fn opened(&self, opened: &EmergencyOpened) -> Vec<Line> {
        let secret = String::from_utf8_lossy(opened.secret.as_ref()).into_owned();
        let mut lead = vec![Line::of("Write this down now; it is not shown again, and this page goes after five minutes.")];
        lead.extend(home::addresses(self).into_iter().map(|url| Line::looking(Look::Strong, format!("  Address    {url}/downtime/"))));
        lead.push(Line::looking(Look::Strong, format!("  User       {EMERGENCY_USER}")));
        lead.push(Line::looking(Look::Strong, format!("  Password   {secret}")));
        lead.push(Line::of(format!("It is open until {}. Everybody is told.", time(opened.until, &self.zone))));
        let shares = opened.shares.iter().map(|share| format!("  {}  {}", time(share.taken_at, &self.zone), share.share));
        lead.push(Line::of("What can be read, as it was then:"));
        lead.extend(shares.map(Line::of));
        lead.extend(opened.without_copy.iter().map(|name| Line::looking(Look::Warn, format!("  no good copy  {name}"))));
        lead
    }
}
