//! What stands on the screen, as data: a choice, a form, or waiting. Owns how keys move in them; what is chosen or typed means something to `console` alone.

use keepwell_api::vault::{Conflict, RestoreState};
use zeroize::Zeroizing;

/// Items of one page of a choice: the digits 1 to 7; 8 and 9 turn pages, 0 goes back.
pub(crate) const PAGE: usize = 7;
/// Longest text in a field, characters.
const TYPED_MAX: usize = 512;

/// A key, as far as this screen knows any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// The end of a field.
    Enter,
    /// Back to where one was.
    Escape,
    /// The last character goes.
    Backspace,
    /// The next field.
    Down,
    /// The field before.
    Up,
}

/// How a line looks. Words always say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Look {
    /// As text.
    #[default]
    Plain,
    /// What counts most.
    Strong,
    /// Beside the point.
    Muted,
    /// Proven, complete.
    Good,
    /// Late, partial, not proven.
    Warn,
    /// Failed, refused.
    Bad,
}

/// A line of text, wrapped when it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From wherever: it is made plain when it is shown.
    pub(crate) text: Zeroizing<String>,
    /// How.
    pub(crate) look: Look,
}

impl Line {
    /// Plain text.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        Self::looking(Look::Plain, text)
    }

    /// Text that looks so.
    pub(crate) fn looking(look: Look, text: impl Into<String>) -> Self {
        Self { text: Zeroizing::new(text.into()), look }
    }
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Home,
    SignIn,
    SignOut,
    Network,
    FixedAddress,
    GivenAddress,
    SetAddress,
    Papers,
    TwoPapers(String),
    OnePaper(String),
    /// Disks with the labels of this key.
    Strangers(String),
    Passphrase,
    /// The backups are at another site.
    Away,
    Emergency,
    WithSealedCode,
    AsPerson,
    Close(u64),
    NewSealedCode,
    Disks,
    Locate(String),
    Power,
    AskRestart,
    AskPowerOff,
    Restart,
    PowerOff,
    Move,
    Restore,
    Share(usize),
    Snapshot(usize),
    ToOrigin,
    ToUsb,
    UsbDisk(String),
    Rule(Conflict),
    Begin,
    Restores,
    Watch(u64),
}

/// A page with digits to choose from. Without items it is a text that one goes back from.
#[derive(Clone, Debug)]
pub(crate) struct Menu {
    pub(crate) title: String,
    pub(crate) lead: Vec<Line>,
    pub(crate) items: Vec<(String, Pick)>,
    pub(crate) page: usize,
    pub(crate) back: Pick,
}

impl Menu {
    pub(crate) fn new(title: impl Into<String>, lead: Vec<Line>) -> Self {
        Self { title: title.into(), lead, items: Vec::new(), page: 0, back: Pick::Home }
    }

    #[must_use]
    pub(crate) fn item(mut self, label: impl Into<String>, pick: Pick) -> Self {
        self.items.push((label.into(), pick));
        self
    }

    #[must_use]
    pub(crate) fn back(self, back: Pick) -> Self {
        Self { back, ..self }
    }

    /// Pages that there are.
    pub(crate) fn pages(&self) -> usize {
        self.items.len().div_ceil(PAGE).max(1)
    }

    /// What is on this page, with its digits.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (usize, &(String, Pick))> {
        self.items.iter().skip(self.page * PAGE).take(PAGE).enumerate().map(|(at, item)| (at + 1, item))
    }

    /// What a key chooses, if anything.
    pub(crate) fn press(&mut self, key: Key) -> Option<Pick> {
        match key {
            Key::Escape | Key::Char('0') => return Some(self.back.clone()),
            Key::Char('8') | Key::Up => self.page = self.page.saturating_sub(1),
            Key::Char('9') | Key::Down => self.page = (self.page + 1).min(self.pages() - 1),
            Key::Char(digit @ '1'..='7') => {
                let at = usize::from(digit as u8 - b'1');
                return self.shown().nth(at).map(|(_, (_, pick))| pick.clone());
            }
            _ => {}
        }
        None
    }
}

/// How a field is shown and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Never shown.
    Secret,
    /// A row of a paper: shown while it is typed, looked at when it is done.
    Words,
}

/// One thing to type.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) label: &'static str,
    pub(crate) kind: Kind,
    pub(crate) text: Zeroizing<String>,
}

/// What a form is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    SignIn,
    /// The question that is kept goes on with the code.
    StepUp,
    Address,
    /// A paper for the vault, and whether it is the second of two.
    Paper {
        vault: String,
        rehearsal: bool,
    },
    NewPassphrase,
    Passphrase,
    /// The code of the sheet of the second site.
    Place,
    /// Blank disks are taken.
    PlaceDisks,
    /// A serial number for the disks with the labels of this key.
    Strangers(String),
    WritingAccount,
    Usb(String),
    OpenEmergency {
        sealed: bool,
    },
    SealedCode,
}

/// Fields, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) title: String,
    pub(crate) lead: Vec<Line>,
    pub(crate) fields: Vec<Field>,
    pub(crate) at: usize,
    pub(crate) error: Option<String>,
    pub(crate) purpose: Purpose,
    pub(crate) back: Pick,
}

/// What a key did to a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// It is still being filled in.
    More,
    /// A field was ended, which is not the last.
    Next,
    /// All is typed.
    Whole,
    /// Back.
    Left,
}

impl Form {
    pub(crate) fn new(purpose: Purpose, title: impl Into<String>, lead: Vec<Line>) -> Self {
        Self { title: title.into(), lead, fields: Vec::new(), at: 0, error: None, purpose, back: Pick::Home }
    }

    #[must_use]
    pub(crate) fn field(mut self, label: &'static str, kind: Kind) -> Self {
        // Room for all that can be typed, so that it never moves and leaves a copy behind.
        self.fields.push(Field { label, kind, text: Zeroizing::new(String::with_capacity(4 * TYPED_MAX)) });
        self
    }

    #[must_use]
    pub(crate) fn holding(mut self, text: &str) -> Self {
        if let Some(field) = self.fields.last_mut() {
            field.text.push_str(text);
        }
        self
    }

    #[must_use]
    pub(crate) fn back(self, back: Pick) -> Self {
        Self { back, ..self }
    }

    /// What was typed into a field.
    pub(crate) fn text(&self, field: usize) -> &str {
        self.fields.get(field).map_or("", |field| field.text.trim())
    }

    /// The same, with the blanks around it: for passwords.
    pub(crate) fn exact(&self, field: usize) -> &str {
        self.fields.get(field).map_or("", |field| field.text.as_str())
    }

    pub(crate) fn press(&mut self, key: Key) -> Typed {
        let last = self.fields.len().saturating_sub(1);
        let Some(field) = self.fields.get_mut(self.at) else { return Typed::Left };
        match key {
            Key::Escape => return Typed::Left,
            Key::Char(c) if !c.is_control() && field.text.chars().count() < TYPED_MAX => field.text.push(c),
            Key::Backspace => drop(field.text.pop()),
            Key::Up => self.at = self.at.saturating_sub(1),
            Key::Down => self.at = (self.at + 1).min(last),
            Key::Enter if self.at < last => {
                self.at += 1;
                return Typed::Next;
            }
            Key::Enter => return Typed::Whole,
            Key::Char(_) => {}
        }
        Typed::More
    }

    /// What is secret is gone, and typing begins there again.
    pub(crate) fn again(&mut self, error: String) {
        for field in self.fields.iter_mut().filter(|field| field.kind == Kind::Secret) {
            // Clearing alone would leave it in memory.
            field.text = Zeroizing::new(String::with_capacity(4 * TYPED_MAX));
        }
        self.at = self.fields.iter().position(|field| field.text.is_empty()).unwrap_or(0);
        self.error = Some(error);
    }
}

/// What is shown now.
#[derive(Debug)]
pub(crate) enum Screen {
    Home,
    Menu(Menu),
    Form(Form),
    /// For the answer to this question, since then.
    Waiting {
        number: u64,
        what: String,
        since: u64,
        /// What it answers is shown once, so nobody may miss it.
        to_the_end: bool,
    },
    /// A restore, as it goes on.
    Progress {
        id: u64,
        state: Option<Box<RestoreState>>,
        asked: u64,
        silent: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_choose_on_the_page_that_is_shown() {
        let mut menu = (0..9).fold(Menu::new("t", Vec::new()), |menu, at| menu.item(format!("item {at}"), Pick::Share(at)));
        assert_eq!(menu.press(Key::Char('7')), Some(Pick::Share(6)));
        assert_eq!(menu.press(Key::Char('9')), None);
        assert_eq!(menu.press(Key::Char('2')), Some(Pick::Share(8)));
        assert_eq!(menu.press(Key::Char('3')), None);
        assert_eq!((menu.press(Key::Char('9')), menu.page), (None, 1));
        assert_eq!((menu.press(Key::Char('8')), menu.page), (None, 0));
        assert_eq!(menu.press(Key::Escape), Some(Pick::Home));
        assert_eq!(Menu::new("t", Vec::new()).press(Key::Char('1')), None);
    }

    #[test]
    fn a_form_takes_what_is_typed_and_no_more_than_fits() {
        let mut form = Form::new(Purpose::SignIn, "t", Vec::new()).field("a", Kind::Text).field("b", Kind::Secret);
        for c in "annX".chars() {
            form.press(Key::Char(c));
        }
        form.press(Key::Backspace);
        assert_eq!((form.press(Key::Enter), form.text(0)), (Typed::Next, "ann"));
        for _ in 0..2 * TYPED_MAX {
            form.press(Key::Char('p'));
        }
        assert_eq!(form.exact(1).len(), TYPED_MAX);
        assert_eq!(form.press(Key::Enter), Typed::Whole);
        form.again("wrong".into());
        assert_eq!((form.text(0), form.exact(1), form.at), ("ann", "", 1));
        assert_eq!(form.press(Key::Escape), Typed::Left);
    }
}
