//! The recovery kit at the screen: two papers open the keys, one paper is rehearsed. A paper is typed row by row, each looked at at once. What was typed is gone when it was
//! sent or left.

use keepwell_api::Base64;
use keepwell_api::keys::{Keeper, Phase, Rehearse, Rehearsed, Status, Unlock, UnlockByKit, UnlockedByKit};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Console;
use crate::ask::{About, Ask, Trouble, Whom, read};
use crate::paper::{self, ROWS, Rows};
use crate::screen::{Form, Kind, Line, Look, Menu, Pick, Purpose, Screen};
use crate::words::plain;

/// Papers that were typed and not sent yet.
#[derive(Default)]
pub(super) struct Typing {
    /// Which of the three, and its text.
    first: Option<(u8, Base64)>,
    both: Option<[Base64; 2]>,
}

/// Looks at the row before the one that is typed now.
pub(super) fn look(form: &mut Form) {
    let row = form.at.saturating_sub(1);
    match paper::look(&rows(form), row) {
        Ok(()) => form.error = None,
        Err(wrong) => (form.at, form.error) = (row, Some(wrong)),
    }
}

fn rows(form: &Form) -> Rows {
    std::array::from_fn(|row| Zeroizing::new(form.text(row).to_owned()))
}

impl Console {
    pub(super) fn pick_papers(&mut self, pick: Pick) {
        match pick {
            Pick::TwoPapers(vault) => self.type_paper(vault, false),
            Pick::OnePaper(vault) => self.type_paper(vault, true),
            Pick::Strangers(key) => self.stranger_form(&key),
            Pick::Passphrase => {
                let lead = vec![Line::of("This box has no TPM: a passphrase opens its keys after each start.")];
                let form = Form::new(Purpose::Passphrase, "Open the keys", lead).field("Passphrase", Kind::Secret);
                self.screen = Screen::Form(form.back(Pick::Papers));
            }
            _ => {
                self.papers = Typing::default();
                self.away = super::away::Away::default();
                self.papers_page = true;
                self.screen = Screen::Menu(self.papers_menu());
            }
        }
    }

    /// What it tells may be otherwise by now.
    pub(super) fn papers_anew(&mut self) {
        if let (true, Screen::Menu(shown)) = (self.papers_page, &self.screen) {
            let page = shown.page;
            let menu = self.papers_menu();
            self.screen = Screen::Menu(Menu { page: page.min(menu.pages() - 1), ..menu });
        }
    }

    fn papers_menu(&self) -> Menu {
        let Some(status) = self.facts.keys.now(self.up) else {
            let why = self.facts.keys.silent.clone().unwrap_or_else(|| "It is being asked: come back in a moment.".into());
            return Menu::new(
                "Recovery papers",
                vec![Line::looking(Look::Warn, "The program with the keys does not answer."), Line::of(why)],
            );
        };
        let mut lead = said(status);
        lead.push(Line::of(
            "Two different papers of one kit open the keys, whatever became of the box's own. One paper alone opens nothing: it can be rehearsed.",
        ));
        let mut menu = Menu::new("Recovery papers", lead);
        if status.phase == Phase::Locked && status.keeper == Keeper::StandIn {
            menu = menu.item("Open the keys with the passphrase", Pick::Passphrase);
        }
        menu = self.away_items(menu);
        if status.vaults.is_empty() {
            return self.strange_items(menu, status);
        }
        for vault in &status.vaults {
            let of = if status.vaults.len() > 1 { format!(" (vault {})", plain(&vault.vault, 8)) } else { String::new() };
            menu = menu.item(format!("Rehearse one paper{of}"), Pick::OnePaper(vault.vault.clone()));
            menu = menu.item(format!("Open the keys with two papers{of}"), Pick::TwoPapers(vault.vault.clone()));
        }
        menu
    }

    pub(super) fn type_paper(&mut self, vault: String, rehearsal: bool) {
        let (title, how) = match (rehearsal, &self.papers.first) {
            (true, _) => ("Rehearse a paper", "Type the four rows of words of one paper. That it is good is remembered with the date."),
            (false, None) => ("First paper of two", "Type the four rows of words of one paper."),
            (false, Some(_)) => ("Second paper of two", "Now the four rows of another paper of the same kit."),
        };
        let how_words = "Four letters of a word are enough, in capitals or not. Each row is looked at when you press Enter.";
        let lead = vec![Line::of(how), Line::looking(Look::Muted, how_words)];
        let form = Form::new(Purpose::Paper { vault, rehearsal }, title, lead).back(Pick::Papers);
        let form = ["Row 1", "Row 2", "Row 3", "Row 4"].into_iter().fold(form, |form, label| form.field(label, Kind::Words));
        self.screen = Screen::Form(form);
    }

    pub(super) fn typed_paper(&mut self, mut form: Form, vault: &str, rehearsal: bool) {
        let rows = rows(&form);
        // Somebody may have gone back to a row and not ended it.
        let wrong = (0..ROWS).find_map(|row| Some((row, paper::look(&rows, row).err()?)));
        let text = wrong.map_or_else(|| paper::text(&rows, vault).map_err(|wrong| (ROWS - 1, wrong)), Err);
        match text {
            Ok(text) if rehearsal => {
                let ask = Ask::post(About::Rehearse, Whom::Keyd, "/v1/rehearse", &Rehearse { paper: text, slots: None });
                self.ask(ask, "The paper is being tried");
            }
            Ok(text) => self.one_more(form, (paper::number(&rows).unwrap_or_default(), text), vault),
            Err((row, wrong)) => {
                (form.at, form.error) = (row, Some(wrong));
                self.screen = Screen::Form(form);
            }
        }
    }

    /// A paper is whole: the second one is asked for, or both are used.
    fn one_more(&mut self, mut form: Form, (number, text): (u8, Base64), vault: &str) {
        match self.papers.first.take() {
            None => {
                self.papers.first = Some((number, text));
                self.type_paper(vault.to_owned(), false);
            }
            Some(same) if same.0 == number => {
                self.papers.first = Some(same);
                (form.at, form.error) = (0, Some(format!("This is paper {number} again: another one of the three is needed.")));
                self.screen = Screen::Form(form);
            }
            Some((_, first)) => {
                self.papers.both = Some([first, text]);
                self.open_with_papers();
            }
        }
    }

    fn open_with_papers(&mut self) {
        let status = self.facts.keys.now(self.up);
        // A passphrase would be gone with the state that it is in.
        if self.state_locked.is_some() || !status.is_some_and(|status| status.keeper == Keeper::StandIn && status.phase != Phase::Open) {
            return self.send_papers(None);
        }
        let lead = vec![Line::of("This box has no TPM: choose the passphrase that opens its keys from now on.")];
        let form = Form::new(Purpose::NewPassphrase, "A new passphrase", lead).back(Pick::Papers);
        self.screen = Screen::Form(form.field("Passphrase", Kind::Secret).field("Once more", Kind::Secret));
    }

    pub(super) fn typed_new_passphrase(&mut self, mut form: Form) {
        if form.exact(0) == form.exact(1) {
            return self.send_papers(Some(Base64::from(form.exact(0).as_bytes().to_vec())));
        }
        form.again("The two are not the same.".into());
        self.screen = Screen::Form(form);
    }

    fn send_papers(&mut self, passphrase: Option<Base64>) {
        let Some(papers) = self.papers.both.take() else { return self.home() };
        if self.away.is_under_way() {
            return self.begin_away(papers, passphrase);
        }
        let body = UnlockByKit { papers, slots: None, keyring: None, passphrase };
        self.ask(Ask::post(About::Unlock, Whom::Keyd, "/v1/unlock-by-kit", &body), "The papers are being tried");
    }

    pub(super) fn typed_passphrase(&mut self, form: &Form) {
        let passphrase = Base64::from(form.exact(0).as_bytes().to_vec());
        self.ask(Ask::post(About::Passphrase, Whom::Keyd, "/v1/unlock", &Unlock { passphrase }), "The passphrase is being tried");
    }

    pub(super) fn papers_answered(&mut self, ask: &Ask, answer: Value) -> Result<(), Trouble> {
        let soon = "Backups and restores go on within a minute.";
        let text = match ask.about {
            About::Rehearse => {
                let done: Rehearsed = read(answer)?;
                vec![
                    format!("Paper {} of set {} is good.", done.paper, done.set),
                    "With another paper of its set it opens the newest key of this box's backups. The date is remembered.".into(),
                    "Put it back where it is kept.".into(),
                ]
            }
            About::Unlock => {
                let done: UnlockedByKit = read(answer)?;
                let sealed = match done.not_sealed {
                    None => "They are kept for this box: it opens them at its next start as it did before.".into(),
                    Some(notice) => {
                        format!("They could not be kept for this box, so the next start needs the papers again: {}", notice.text)
                    }
                };
                let back = "On a box that is new to these backups, people, shares and history come back with them: then sign in as before.";
                vec!["The keys are open.".into(), sealed, back.into(), format!("{soon} Put the papers back, in two different places.")]
            }
            _ => {
                let status: Status = read(answer)?;
                let open = status.phase == Phase::Open;
                vec![if open { format!("The keys are open. {soon}") } else { "The keys are still locked.".into() }]
            }
        };
        self.say("Recovery papers", Look::Good, text, Pick::Home);
        Ok(())
    }
}

/// How the keys are, and what is known of the papers.
fn said(status: &Status) -> Vec<Line> {
    let mut lead = vec![match status.phase {
        Phase::New => Line::of("This box has no backups of its own yet."),
        Phase::Locked => Line::looking(Look::Bad, "The keys are LOCKED: nothing can be backed up or restored."),
        Phase::Open => Line::looking(Look::Good, "The keys are open."),
    }];
    lead.extend(status.locked.iter().map(|why| Line::of(why.text.clone())));
    for vault in &status.vaults {
        let papers = vault.papers.iter().zip(1..).map(|(paper, at)| {
            let stands = match (paper.confirmed_at, paper.rehearsed_at, paper.failed_at) {
                (_, _, Some(_)) => "FAILED its last rehearsal",
                (None, ..) => "not known to exist",
                (_, None, _) => "never rehearsed",
                (_, Some(_), _) => "rehearsed",
            };
            format!("paper {at} {stands}")
        });
        let papers: Vec<String> = papers.collect();
        lead.push(Line::looking(Look::Muted, format!("Kit of set {}: {}.", vault.set, papers.join(", "))));
    }
    lead
}
