//! The disks of a box that is no more, at the screen of this one: a person says that they are to be this box's, and types a serial number from a sticker. What is on them opens with papers
//! afterwards. diskd decides whether it is done.

use std::collections::BTreeMap;

use keepwell_api::disks::{Disk, Standing, TakeOver, TakenOver};
use keepwell_api::keys::Status;
use serde_json::Value;

use super::Console;
use crate::ask::{About, Ask, Trouble, Whom, read};
use crate::facts::Facts;
use crate::screen::{Form, Kind, Line, Look, Menu, Pick, Purpose, Screen};
use crate::words::{count, plain};

/// Disks with labels of one box that is not this one.
struct Stranger<'a> {
    name: &'a str,
    disks: Vec<&'a Disk>,
}

impl Console {
    /// What papers can open, and which disks can be taken over, of a box that has no vault of its own.
    pub(super) fn strange_items(&self, mut menu: Menu, status: &Status) -> Menu {
        if let Some(waiting) = &status.waiting {
            let vault = plain(&waiting.vault, 8);
            menu.lead.push(Line::looking(Look::Strong, format!("Backups are here whose keys this box never had (vault {vault}).")));
            menu.lead.push(Line::of(format!(
                "Two papers of their kit of set {} open them. Shares, people and history come back with them.",
                waiting.set
            )));
            menu = menu.item(format!("Open the backups with two papers (vault {vault})"), Pick::TwoPapers(waiting.vault.clone()));
        } else if let Some(mounted) = &self.taken {
            menu.lead
                .push(Line::of(format!("{} taken over. It is looked what is on them: wait a moment.", count(*mounted as u64, "disk"))));
        }
        let strangers = strangers(&self.facts, self.up);
        if status.waiting.is_none() && strangers.is_empty() && self.taken.is_none() {
            menu.lead
                .push(Line::of("To bring back the backups of a box that is no more, put its disks into this one and look here again."));
        }
        for (key, stranger) in strangers {
            let label = format!("Use {} of the box '{}'", count(stranger.disks.len() as u64, "disk"), plain(stranger.name, 24));
            menu = menu.item(label, Pick::Strangers(key.to_owned()));
        }
        menu
    }

    pub(super) fn stranger_form(&mut self, key: &str) {
        let strangers = strangers(&self.facts, self.up);
        let Some(stranger) = strangers.get(key) else { return self.pick_papers(Pick::Papers) };
        let serials: Vec<String> = stranger.disks.iter().map(|disk| plain(disk.serial.as_str(), 30)).collect();
        let lead = vec![
            Line::of(format!("Labels of the box '{}' are on: {}.", plain(stranger.name, 40), serials.join(", "))),
            Line::of("They become this box's disks, with all that is on them. Nothing is erased."),
            Line::looking(Look::Warn, "Only if they are yours: a disk that somebody else has made can harm this box."),
            Line::of("Type the serial number of one of them, as it stands on its sticker."),
        ];
        let form = Form::new(Purpose::Strangers(key.to_owned()), "Use the disks of another box", lead).back(Pick::Papers);
        self.screen = Screen::Form(form.field("Serial number", Kind::Text));
    }

    pub(super) fn typed_stranger(&mut self, form: &Form, key: &str) {
        let body = TakeOver { key: key.to_owned(), typed_serial: form.text(0).to_owned() };
        self.ask(Ask::post(About::TakeOver, Whom::Diskd, "/v1/boxes/take-over", &body), "The disks are being mounted");
    }

    pub(super) fn took_over(&mut self, answer: Value) -> Result<(), Trouble> {
        let TakenOver { mounted, left } = read(answer)?;
        self.taken = Some(mounted.len());
        if left.is_empty() {
            self.pick_papers(Pick::Papers);
            return Ok(());
        }
        let names: Vec<String> = left.iter().map(|serial| plain(serial.as_str(), 30)).collect();
        let text = vec![
            format!("{} can be used; {} could not be mounted: {}.", count(mounted.len() as u64, "disk"), left.len(), names.join(", ")),
            "Go on with the papers: the backups may be whole without them.".into(),
        ];
        self.say("Not all disks are there", Look::Warn, text, Pick::Papers);
        Ok(())
    }
}

/// By the keys of their boxes, as long as this box has no vault of its own.
fn strangers(facts: &Facts, up: u64) -> BTreeMap<&str, Stranger<'_>> {
    let mut found = BTreeMap::<&str, Stranger<'_>>::new();
    for disk in facts.disks.now(up).iter().flat_map(|known| &known.disks) {
        if let Standing::OtherBox { key, name, mounted_at: None, .. } = &disk.standing {
            found.entry(key).or_insert(Stranger { name, disks: Vec::new() }).disks.push(disk);
        }
    }
    found
}

/// What somebody who stands before such a box should know before anything else.
pub(crate) fn first(facts: &Facts, up: u64) -> Option<Line> {
    let keys = facts.keys.now(up).filter(|keys| keys.vaults.is_empty())?;
    let text = if keys.waiting.is_some() {
        "BACKUPS ARE HERE whose keys this box never had: two papers open them (Recovery papers).".to_owned()
    } else {
        let strangers = strangers(facts, up);
        let (_, stranger) = strangers.first_key_value()?;
        format!("DISKS OF THE BOX '{}' are here. To bring its backups back: Recovery papers.", plain(stranger.name, 24))
    };
    Some(Line::looking(Look::Strong, text))
}
