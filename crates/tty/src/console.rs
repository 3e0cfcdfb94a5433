//! The state of the screen and what each key makes of it: pure, so that all of it is tested without a terminal. Owns who is signed in here and when that is over; what is to
//! be asked or done goes out as orders, and what came of them comes back. Never shows a file's name.

pub(crate) mod away;
mod emergency;
mod machine;
mod papers;
mod restore;
mod sign_in;
pub(crate) mod strangers;

use jiff::tz::TimeZone;
use keepwell_api::Base64;
use keepwell_api::auth::InSession;
use keepwell_api::grants::{Role, Scope, Verb};
use keepwell_api::state_locked::StateLocked;
use keepwell_api::vault::RestoreState;
use serde::Serialize;
use serde_json::Value;

use crate::ask::{About, Ask, Deed, Leave, Order, SILENT, Told, Trouble, Whom};
use crate::facts::Facts;
use crate::home;
use crate::network::Fixed;
use crate::screen::{Form, Key, Line, Look, Menu, Pick, Purpose, Screen, Typed};

/// Who does not press a key for so long is signed out, seconds.
pub(crate) const LOGOFF_S: u64 = 5 * 60;

/// Somebody who is signed in.
pub(crate) struct Person {
    pub(crate) user: String,
    pub(crate) role: Role,
    /// Of no other is anything shown to them.
    pub(crate) shares: Scope,
    pub(crate) session: Base64,
}

/// The screen.
pub(crate) struct Console {
    pub(crate) facts: Facts,
    pub(crate) person: Option<Person>,
    pub(crate) screen: Screen,
    pub(crate) zone: TimeZone,
    /// Of the web console, where it is known beforehand.
    pub(crate) url: Option<String>,
    /// Of the web console, on the addresses of this machine.
    pub(crate) port: u16,
    /// Whether there is a place for an address of the box.
    pub(crate) can_set_address: bool,
    /// Why the box came up without its own state, if so.
    pub(crate) state_locked: Option<StateLocked>,
    /// The session of somebody of whom no more is known yet.
    entering: Option<Base64>,
    orders: Vec<Order>,
    numbers: u64,
    pressed: u64,
    up: u64,
    /// What goes on when a code was typed.
    pending: Option<Box<Ask>>,
    draft: restore::Draft,
    papers: papers::Typing,
    /// What was typed of where the backups are.
    away: away::Away,
    /// The page about papers is shown, and changes with what it tells of.
    papers_page: bool,
    /// Disks of another box that were taken over just now.
    taken: Option<usize>,
    /// What was typed, until it is set.
    address: Option<Fixed>,
    /// Lines that were scrolled away.
    pub(crate) top: usize,
}

impl Console {
    pub(crate) fn new(zone: TimeZone, url: Option<String>, port: u16, can_set_address: bool) -> Self {
        Self {
            facts: Facts::default(),
            person: None,
            screen: Screen::Home,
            zone,
            url,
            port,
            can_set_address,
            state_locked: None,
            entering: None,
            orders: Vec::new(),
            numbers: 0,
            pressed: 0,
            up: 0,
            pending: None,
            draft: restore::Draft::default(),
            papers: papers::Typing::default(),
            away: away::Away::default(),
            papers_page: false,
            taken: None,
            address: None,
            top: 0,
        }
    }

    /// What is to be done now, taken once.
    pub(crate) fn orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// Time goes on: `up` in seconds, on a clock that never goes back.
    pub(crate) fn tick(&mut self, up: u64) {
        self.up = up;
        self.orders.extend(self.facts.due(up));
        self.watch_on();
        self.papers_anew();
        let away = up.saturating_sub(self.pressed) >= LOGOFF_S;
        if away && (self.person.is_some() || !matches!(self.screen, Screen::Home)) {
            self.leave();
        }
    }

    /// A key was pressed.
    pub(crate) fn press(&mut self, key: Key, up: u64) {
        (self.up, self.pressed) = (up, up);
        match &mut self.screen {
            Screen::Home => {
                if let Some(pick) = home::menu(self).press(key).filter(|pick| *pick != Pick::Home) {
                    self.pick(pick);
                }
            }
            Screen::Menu(menu) if menu.items.is_empty() && matches!(key, Key::Up | Key::Down) => {
                self.top = if key == Key::Up { self.top.saturating_sub(1) } else { (self.top + 1).min(menu.lead.len() * 4) };
            }
            Screen::Menu(menu) => {
                if let Some(pick) = menu.press(key) {
                    self.pick(pick);
                }
            }
            Screen::Form(form) => match form.press(key) {
                Typed::More => {}
                Typed::Next => self.look_at_field(),
                Typed::Left => {
                    let back = form.back.clone();
                    self.pending = None;
                    self.pick(back);
                }
                Typed::Whole => self.whole(),
            },
            // What was asked goes on; nobody waits for it here any more.
            Screen::Waiting { to_the_end: false, .. } if key == Key::Escape => self.home(),
            Screen::Progress { .. } if matches!(key, Key::Escape | Key::Char('0')) => self.home(),
            Screen::Waiting { .. } | Screen::Progress { .. } => {}
        }
    }

    /// Something came of an order.
    pub(crate) fn told(&mut self, told: Told, up: u64) {
        self.up = up;
        match self.advised(told) {
            Told::Looked(local) => self.facts.local = local,
            Told::Done(deed, result) => self.done(&deed, result),
            Told::Answer(ask, answer) if ask.about == About::Progress => self.progressed(ask.number, answer),
            Told::Answer(ask, answer) if ask.about.is_background() => self.facts.tell(ask.about, up, answer),
            Told::Answer(ask, answer) => {
                let awaited = matches!(&self.screen, Screen::Waiting { number, .. } if *number == ask.number);
                match answer {
                    // The person went away meanwhile: nobody is signed in by that.
                    Ok(answer) if !awaited => self.unheard(&ask, answer),
                    Err(_) if !awaited => {}
                    Err(trouble) => self.refused(ask, trouble),
                    Ok(answer) => {
                        if let Err(trouble) = self.answered(&ask, answer) {
                            self.refused(ask, trouble);
                        }
                    }
                }
            }
        }
    }

    /// What helps against silence, as far as it is known from here: a restart does mostly, and never where a program has no room to start in.
    fn advised(&self, mut told: Told) -> Told {
        if let Told::Answer(_, Err(trouble)) = &mut told
            && trouble.code == SILENT
        {
            trouble.text.push_str(if self.facts.local.disk_full {
                " The box's own disk is full: without room there it can't start, and a restart gives none."
            } else {
                " If it stays, restart the box."
            });
        }
        told
    }

    fn pick(&mut self, pick: Pick) {
        self.top = 0;
        self.papers_page = false;
        match pick {
            Pick::Home => self.home(),
            Pick::SignIn | Pick::SignOut => self.pick_sign_in(&pick),
            Pick::Papers | Pick::TwoPapers(_) | Pick::OnePaper(_) | Pick::Passphrase | Pick::Strangers(_) => self.pick_papers(pick),
            Pick::Away => self.pick_away(),
            Pick::Emergency | Pick::WithSealedCode | Pick::AsPerson | Pick::Close(_) | Pick::NewSealedCode => self.pick_emergency(&pick),
            Pick::Restore | Pick::Share(_) | Pick::Snapshot(_) | Pick::ToOrigin | Pick::ToUsb | Pick::UsbDisk(_) => self.pick_restore(pick),
            Pick::Rule(_) | Pick::Begin | Pick::Restores | Pick::Watch(_) => self.pick_restore(pick),
            _ => self.pick_machine(pick),
        }
    }

    /// A field was ended that is not the last one.
    fn look_at_field(&mut self) {
        if let Screen::Form(form) = &mut self.screen
            && matches!(form.purpose, Purpose::Paper { .. })
        {
            papers::look(form);
        }
    }

    fn whole(&mut self) {
        let Screen::Form(form) = std::mem::replace(&mut self.screen, Screen::Home) else { return };
        match form.purpose.clone() {
            Purpose::SignIn => self.typed_sign_in(&form),
            Purpose::StepUp => self.typed_code(&form),
            Purpose::Address => self.typed_address(form),
            Purpose::Paper { vault, rehearsal } => self.typed_paper(form, &vault, rehearsal),
            Purpose::NewPassphrase => self.typed_new_passphrase(form),
            Purpose::Passphrase => self.typed_passphrase(&form),
            Purpose::Place => self.typed_place(form),
            Purpose::PlaceDisks => self.typed_place_disks(form),
            Purpose::Strangers(key) => self.typed_stranger(&form, &key),
            Purpose::WritingAccount => self.typed_account(form),
            Purpose::Usb(serial) => self.typed_usb(form, &serial),
            Purpose::OpenEmergency { sealed } => self.typed_emergency(form, sealed),
            Purpose::SealedCode => self.typed_for_sealed_code(&form),
        }
    }

    fn answered(&mut self, ask: &Ask, answer: Value) -> Result<(), Trouble> {
        match ask.about {
            About::SignIn => self.signed_in(answer),
            About::Session => self.known(answer),
            About::Unlock | About::Passphrase | About::Rehearse => self.papers_answered(ask, answer),
            About::TakeOver => self.took_over(answer),
            About::BeginRecovery | About::AwayKeys | About::GoOn => self.away_answered(ask, answer),
            About::Emergency | About::OpenEmergency | About::CloseEmergency | About::SealedCode => self.emergency_answered(ask, answer),
            About::Disks | About::Locate | About::Address => self.machine_answered(ask, answer),
            _ => self.restore_answered(ask, answer),
        }
    }

    /// Nobody waits for this answer any more; what it opened is closed again.
    fn unheard(&mut self, ask: &Ask, answer: Value) {
        if ask.about == About::SignIn
            && let Ok(signed_in) = crate::ask::read::<keepwell_api::auth::SignedIn>(answer)
        {
            self.end(signed_in.session);
        }
    }

    fn refused(&mut self, mut ask: Ask, trouble: Trouble) {
        let again = matches!(trouble.code.as_str(), "step-up" | "wrong-code");
        if let Leave::Person { code, .. } = &mut ask.leave
            && again
        {
            let error = code.take().map(|_| trouble.text);
            self.ask_for_code(ask, error);
            return;
        }
        self.draft.forget_password();
        self.away = away::Away::default();
        if let Some(session) = self.entering.take() {
            self.end(session);
        }
        if trouble.code == "no-session" {
            self.person = None;
            self.say("You are signed out", Look::Warn, vec![trouble.text, "Sign in again; nothing was begun.".into()], Pick::Home);
            return;
        }
        let back = match ask.about {
            About::SignIn | About::Session => Pick::SignIn,
            About::Unlock | About::Rehearse | About::Passphrase | About::TakeOver => Pick::Papers,
            About::BeginRecovery | About::AwayKeys | About::GoOn => Pick::Papers,
            About::DryRun | About::Restore | About::Prepare => Pick::Restore,
            About::OpenEmergency | About::CloseEmergency => Pick::Emergency,
            _ => Pick::Home,
        };
        self.say("This was not done", Look::Bad, vec![trouble.text], back);
    }

    fn ask_for_code(&mut self, ask: Ask, error: Option<String>) {
        let lead = vec![
            Line::looking(Look::Strong, ask.says.clone()),
            Line::of(
                "This takes your second factor once more: six digits of the authenticator that were not used yet, or a recovery code.",
            ),
        ];
        let mut form = Form::new(Purpose::StepUp, "Show that it is you", lead).field("Code", crate::screen::Kind::Text);
        form.error = error;
        self.pending = Some(Box::new(ask));
        self.screen = Screen::Form(form);
    }

    fn typed_code(&mut self, form: &Form) {
        let Some(mut ask) = self.pending.take() else { return };
        if let Leave::Person { code, .. } = &mut ask.leave {
            *code = Some(Base64::from(form.text(0).as_bytes().to_vec()));
        }
        self.ask(*ask, "Waiting for the answer");
    }

    /// Goes out now; the screen waits for it.
    fn ask(&mut self, mut ask: Ask, what: &str) {
        self.numbers += 1;
        ask.number = self.numbers;
        let to_the_end = matches!(ask.about, About::OpenEmergency | About::SealedCode | About::Unlock | About::Prepare | About::TakeOver)
            || matches!(ask.about, About::BeginRecovery | About::AwayKeys | About::GoOn);
        self.screen = Screen::Waiting { number: self.numbers, what: what.to_owned(), since: self.up, to_the_end };
        self.orders.push(Order::Ask(ask));
    }

    /// Asks vaultd for what takes a grant of the person who is signed in. `says` is what it does.
    fn ask_as_person(&mut self, about: About, verb: Verb, route: &str, body: &impl Serialize, says: &str) {
        let Some(person) = &self.person else { return self.sign_in_first() };
        let leave = Leave::Person { session: person.session.clone(), verb, code: None };
        self.ask(Ask::post(about, Whom::Vaultd, route, body).by(leave, says), "Waiting for the answer");
    }

    fn order(&mut self, deed: Deed) {
        self.orders.push(Order::Do(deed));
    }

    /// Some sentences, and back.
    fn say(&mut self, title: &str, look: Look, text: Vec<String>, back: Pick) {
        let lead = text.into_iter().enumerate().map(|(at, text)| Line::looking(if at == 0 { look } else { Look::Plain }, text)).collect();
        (self.top, self.papers_page) = (0, false);
        self.screen = Screen::Menu(Menu::new(title, lead).back(back));
    }

    fn home(&mut self) {
        if let Some(session) = self.entering.take() {
            self.end(session);
        }
        self.screen = Screen::Home;
        (self.papers_page, self.taken) = (false, None);
        self.pending = None;
        self.draft = restore::Draft::default();
        self.papers = papers::Typing::default();
        self.away = away::Away::default();
        self.address = None;
    }

    /// Nobody is here any more: what was typed is gone, and whoever was signed in is not.
    fn leave(&mut self) {
        self.home();
        if let Some(person) = self.person.take() {
            self.end(person.session);
        }
    }

    fn end(&mut self, session: Base64) {
        self.orders.push(Order::Ask(Ask::post(About::SignOut, Whom::Authd, "/v1/sign-out", &InSession { session })));
    }
}

/// How far a restore is.
pub(crate) fn restore_progress(state: Option<&RestoreState>, silent: Option<&str>) -> Vec<Line> {
    let mut lines = state.map_or_else(|| vec![Line::of("Looking how far it is.")], restore::text::progress);
    lines.extend(silent.map(|why| Line::looking(Look::Warn, format!("How far it is can't be said at the moment: {why}"))));
    lines
}

#[cfg(test)]
mod tests;
