//! The box is gone with its disks, and its backups are at another site: a blank box fetches them. A person types what stands on the sheet of the second site, agrees that the blank disks are used,
//! and types two papers. recoverd asks the other box, keyd gets the keys, and then it comes. Papers are in no order but these two.

use keepwell_api::Base64;
use keepwell_api::disks::{Disk, Serial, Standing};
use keepwell_api::keys::UnlockByKit;
use keepwell_api::recovery::{BeginRecovery, GoOn, RecoveryBegun, RecoveryPhase, RecoveryStatus};
use keepwell_duties::words::duration;
use keepwell_wire::PlaceCode;
use serde_json::Value;

use super::Console;
use crate::ask::{About, Ask, Trouble, Whom, read};
use crate::facts::Facts;
use crate::screen::{Form, Kind, Line, Look, Menu, Pick, Purpose, Screen};
use crate::words::{count, plain, size};

/// Rows of the sheet's code; a long address makes a row longer.
const ROWS: usize = 5;
/// What is typed before disks are written to.
const ERASE: &str = "ERASE";

/// What was typed until now.
#[derive(Default)]
pub(super) struct Away {
    place: Option<PlaceCode>,
    address: Option<String>,
    disks: Vec<Serial>,
    passphrase: Option<Base64>,
    papers: Option<[Base64; 2]>,
}

impl Away {
    /// Whether papers that are typed are for this.
    pub(super) fn is_under_way(&self) -> bool {
        self.place.is_some()
    }
}

impl Console {
    /// What can be begun, or gone on with, on the page about papers.
    pub(super) fn away_items(&self, mut menu: Menu) -> Menu {
        let Some(pool) = self.facts.pool.now(self.up) else { return menu };
        if pool.recovering.is_some() {
            menu.lead.extend(lines(&self.facts, self.up));
            let idle = self.facts.recovery.now(self.up).is_none_or(|status| status.phase == RecoveryPhase::Idle);
            return if idle { menu.item("Go on: type the two papers again", Pick::Away) } else { menu };
        }
        let free = pool.phase == keepwell_api::vault::PoolPhase::None && (self.facts.is_unclaimed(self.up) || self.state_locked.is_some());
        if free { menu.item("The box is gone, its backups are at another site", Pick::Away) } else { menu }
    }

    pub(super) fn pick_away(&mut self) {
        self.away = Away::default();
        self.papers = super::papers::Typing::default();
        let recovering = self.facts.pool.now(self.up).and_then(|pool| pool.recovering.clone());
        let kept = self.facts.recovery.now(self.up).and_then(|status| status.place.clone()).filter(|_| recovering.is_some());
        match kept.and_then(|code| PlaceCode::parse(&code).ok()) {
            Some(place) => self.with_place(place),
            None => self.place_form(),
        }
    }

    fn place_form(&mut self) {
        let lead = vec![
            Line::of(
                "Take the sheet 'Second site' that is kept with the papers. Type its code, row by row as it is printed; capitals and blanks do not matter.",
            ),
            Line::looking(
                Look::Muted,
                "Rows that are not on the sheet stay empty. The last field only if that box has another address by now: HOST:PORT.",
            ),
        ];
        let form = Form::new(Purpose::Place, "Where the backups are", lead).back(Pick::Papers);
        let form = ["Row 1", "Row 2", "Row 3", "Row 4", "Row 5"].into_iter().fold(form, |form, label| form.field(label, Kind::Text));
        self.screen = Screen::Form(form.field("New address", Kind::Text));
    }

    pub(super) fn typed_place(&mut self, mut form: Form) {
        let code: String = (0..ROWS).map(|row| form.text(row)).collect();
        let address = Some(form.text(ROWS).to_owned()).filter(|address| !address.is_empty());
        match PlaceCode::parse(&code) {
            Ok(place) => {
                self.away.address = address;
                self.with_place(place);
            }
            Err(error) => {
                (form.at, form.error) = (0, Some(error.to_string()));
                self.screen = Screen::Form(form);
            }
        }
    }

    fn with_place(&mut self, place: PlaceCode) {
        let vault = place.vault.to_string();
        self.away.place = Some(place);
        // Disks were chosen when it was begun.
        if self.facts.pool.now(self.up).is_some_and(|pool| pool.recovering.is_some()) {
            return self.away_passphrase(&vault);
        }
        let blank: Vec<&Disk> = blank(&self.facts, self.up);
        if blank.is_empty() {
            let text = vec![
                "This box has no blank disks.".into(),
                "Put new ones in, and come back here. A disk with anything on it is never taken for this.".into(),
            ];
            return self.say("Which disks", Look::Warn, text, Pick::Papers);
        }
        let mut lead = vec![Line::of("These blank disks become this box's, all of them. Pull out those that are not meant.")];
        lead.extend(blank.iter().map(|disk| Line::of(format!("  {}  {}", plain(disk.serial.as_str(), 30), size(disk.size_bytes)))));
        lead.push(Line::of(format!("What is on them is gone then. To agree, type {ERASE}.")));
        self.away.disks = blank.iter().map(|disk| disk.serial.clone()).collect();
        let form = Form::new(Purpose::PlaceDisks, "Which disks", lead).back(Pick::Papers);
        self.screen = Screen::Form(form.field("Agreed", Kind::Text));
    }

    pub(super) fn typed_place_disks(&mut self, mut form: Form) {
        if form.text(0) != ERASE {
            form.error = Some(format!("Type {ERASE} in capitals, or go back."));
            self.screen = Screen::Form(form);
            return;
        }
        let Some(place) = &self.away.place else { return self.home() };
        let vault = place.vault.to_string();
        self.away_passphrase(&vault);
    }

    fn away_passphrase(&mut self, vault: &str) {
        self.type_paper(vault.to_owned(), false);
    }

    /// Two papers are typed. The passphrase is that of a box without a TPM.
    pub(super) fn begin_away(&mut self, papers: [Base64; 2], passphrase: Option<Base64>) {
        let Some(place) = &self.away.place else { return self.home() };
        let order = BeginRecovery { place: place.to_text(), address: self.away.address.clone(), papers: papers.clone() };
        (self.away.papers, self.away.passphrase) = (Some(papers), passphrase);
        self.ask(Ask::post(About::BeginRecovery, Whom::Recoverd, "/v1/recovery", &order), "The other box is being asked");
    }

    pub(super) fn away_answered(&mut self, ask: &Ask, answer: Value) -> Result<(), Trouble> {
        match ask.about {
            About::BeginRecovery => {
                let begun: RecoveryBegun = read(answer)?;
                let Some(papers) = self.away.papers.take() else { return Ok(()) };
                match begun.locks {
                    Some(locks) if !self.has_keys() => {
                        let passphrase = self.away.passphrase.take();
                        let body = UnlockByKit { papers, slots: Some(locks.slots), keyring: Some(locks.keyring), passphrase };
                        let ask = Ask::post(About::AwayKeys, Whom::Keyd, "/v1/unlock-by-kit", &body);
                        self.ask(ask, "The papers are good. The keys are being kept for this box");
                    }
                    Some(_) => self.go_on_away(),
                    None => self.pick_papers(Pick::Papers),
                }
            }
            About::AwayKeys => self.go_on_away(),
            _ => {
                self.away = Away::default();
                let text = vec![
                    "The backups are on their way.".into(),
                    "Disks are made ready first. Under 'Recovery papers' stands how far it is, and the box's settings and people come first.".into(),
                    "As soon as they are here, people sign in as before, and what has come can be restored while the rest is on its way.".into(),
                    "It goes on when this page is left. After a restart or a power cut, the two papers have to be typed again.".into(),
                    "Keep the papers at hand until all is here.".into(),
                ];
                self.say("Recovery", Look::Good, text, Pick::Papers);
            }
        }
        Ok(())
    }

    fn has_keys(&self) -> bool {
        let vault = self.away.place.as_ref().map(|place| place.vault.to_string());
        self.facts.keys.now(self.up).is_some_and(|keys| keys.vaults.iter().any(|known| known.open && Some(&known.vault) == vault.as_ref()))
    }

    fn go_on_away(&mut self) {
        let order = GoOn { disks: std::mem::take(&mut self.away.disks) };
        self.ask(Ask::post(About::GoOn, Whom::Recoverd, "/v1/recovery/go", &order), "It begins");
    }
}

fn blank(facts: &Facts, up: u64) -> Vec<&Disk> {
    let disks = facts.disks.now(up).map(|known| &known.disks[..]).unwrap_or_default();
    disks.iter().filter(|disk| disk.standing == Standing::Blank && !disk.removable).collect()
}

/// How far it is; nothing where nothing comes.
pub(crate) fn lines(facts: &Facts, up: u64) -> Vec<Line> {
    if facts.pool.now(up).is_none_or(|pool| pool.recovering.is_none()) {
        return Vec::new();
    }
    let Some(status) = facts.recovery.now(up) else {
        return vec![Line::looking(Look::Warn, "BACKUPS ARE COMING BACK from the other site. How far it is can't be said at the moment.")];
    };
    let mut lines = match status.phase {
        RecoveryPhase::Idle => vec![
            Line::looking(Look::Bad, "BACKUPS WERE COMING BACK from the other site, and do not any more."),
            Line::of("What came is kept. To go on, type the two papers again (Recovery papers)."),
        ],
        RecoveryPhase::Asking | RecoveryPhase::Proven => {
            vec![Line::looking(Look::Strong, "The other site is being asked for the backups.")]
        }
        RecoveryPhase::Disks => vec![Line::looking(Look::Strong, "Disks are made ready for the backups. This takes minutes.")],
        RecoveryPhase::Fetching => coming(status),
        RecoveryPhase::Done => vec![Line::looking(Look::Good, "All backups are here. The box is opening them: wait a moment.")],
    };
    if let Some(why) = status.failed.as_ref().filter(|_| status.phase == RecoveryPhase::Idle) {
        lines.push(Line::looking(Look::Warn, format!("Why: {why}.")));
    }
    if status.taken_back {
        lines.push(Line::looking(
            Look::Bad,
            "Another box had taken this one's place at the other site, with two papers. If that was nobody of yours, somebody has two of your papers.",
        ));
    }
    lines
}

fn coming(status: &RecoveryStatus) -> Vec<Line> {
    let left = status.bytes.saturating_sub(status.came);
    let time = |bytes: u64| status.rate.map(|rate| duration(i64::try_from(bytes / rate).unwrap_or(i64::MAX)));
    let takes = time(left).map_or_else(String::new, |time| format!(", about {time} at this rate"));
    let mut lines = vec![Line::looking(
        Look::Strong,
        format!("BACKUPS ARE COMING BACK from the other site: {} of {}{takes}.", size(status.came.min(status.bytes)), size(status.bytes)),
    )];
    let first = status.first_bytes.saturating_sub(status.came);
    lines.push(Line::of(match (status.newest, first) {
        (0, _) => "Settings and people come first, then the newest copy of what matters most.".to_owned(),
        (_, 0) => format!("The newest copy of every share is here, {} of {} in all.", status.whole, count(status.snapshots, "backup")),
        (_, first) => format!(
            "{} of {} here. {} to come for the newest copy of every share{}.",
            status.whole,
            count(status.snapshots, "backup"),
            size(first),
            time(first).map_or_else(String::new, |time| format!(", about {time}"))
        ),
    }));
    if status.newest > 0 {
        lines.push(Line::of("What is here can be restored now: sign in as before."));
    }
    if status.damaged > 0 {
        lines.push(Line::looking(Look::Warn, format!("Of {} the other site has lost something.", count(status.damaged, "backup"))));
    }
    lines
}
