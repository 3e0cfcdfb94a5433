//! What concerns the machine: its addresses, which disk is which, restart, off, and what to do before it is moved.

use keepwell_api::disks::{Disk, DiskDetail, Disks, Locate, Standing};
use keepwell_api::grants::{Verb, allows};
use keepwell_api::keys::Keeper;
use keepwell_api::vault::NoteAddress;
use serde_json::Value;

use super::Console;
use crate::ask::{About, Ask, Deed, Trouble, Whom, read};
use crate::network::Fixed;
use crate::screen::{Form, Kind, Line, Look, Menu, Pick, Purpose, Screen};
use crate::words::{count, plain, size};

/// How long a disk blinks.
const BLINK_S: u64 = 60;

impl Console {
    pub(super) fn pick_machine(&mut self, pick: Pick) {
        match pick {
            Pick::FixedAddress => self.address_form(),
            Pick::GivenAddress => {
                self.address = None;
                self.set_address();
            }
            Pick::SetAddress => self.set_address(),
            Pick::Disks => self.ask(Ask::get(About::Disks, Whom::Diskd, "/v1/disks"), "Looking at the disks"),
            Pick::Locate(route) => {
                let ask = Ask::post(About::Locate, Whom::Diskd, format!("/v1/disks/{route}/locate"), &Locate { seconds: BLINK_S });
                self.ask(ask, "The disk is being asked to blink");
            }
            Pick::Power => self.screen = Screen::Menu(self.power_menu()),
            Pick::AskRestart => self.sure("Restart the box?", "Yes, restart it now", Pick::Restart),
            Pick::AskPowerOff => self.sure("Shut the box down?", "Yes, shut it down now", Pick::PowerOff),
            Pick::Restart => self.order(Deed::Restart),
            Pick::PowerOff => self.order(Deed::PowerOff),
            Pick::Move => self.screen = Screen::Menu(self.move_menu()),
            _ => self.screen = Screen::Menu(self.network_menu()),
        }
    }

    fn network_menu(&self) -> Menu {
        let local = &self.facts.local;
        let mut lead = Vec::new();
        for card in &local.cards {
            let link = if card.linked { "connected" } else { "no cable, or nothing at its other end" };
            lead.push(Line::looking(if card.linked { Look::Plain } else { Look::Warn }, format!("{}  {}  {link}", card.name, card.mac)));
            let none = || "    no address".to_owned();
            let addresses = card.addresses.iter().map(|address| format!("    {address}"));
            lead.extend(addresses.chain(card.addresses.is_empty().then(none)).map(Line::of));
        }
        let router = local.gateway.map_or_else(|| "none".into(), |gateway| gateway.to_string());
        lead.push(Line::of(format!(
            "Router: {router}. Addresses are {}.",
            if local.fixed { "set here" } else { "what the network gives" }
        )));
        let menu = Menu::new("Network", lead);
        if !self.can_set_address {
            return menu;
        }
        if !self.may_set_address() {
            let mut menu = menu;
            menu.lead.push(Line::looking(Look::Muted, "To set an address, sign in as somebody who may change settings."));
            return menu;
        }
        menu.item("Set a fixed address", Pick::FixedAddress).item("Take the address that the network gives", Pick::GivenAddress)
    }

    /// Whoever may change settings; and anybody in front of a box that nobody owns yet.
    fn may_set_address(&self) -> bool {
        self.can_set_address && (self.may_change_settings() || self.facts.is_unclaimed(self.up))
    }

    fn may_change_settings(&self) -> bool {
        self.person.as_ref().is_some_and(|person| allows(person.role, Verb::SettingsChange))
    }

    fn address_form(&mut self) {
        let cards = &self.facts.local.cards;
        let card = cards.iter().find(|card| card.linked).or(cards.first()).map_or("", |card| &card.name).to_owned();
        let lead = vec![Line::of("Ask whoever looks after the network for an address that nobody else has.")];
        let form = Form::new(Purpose::Address, "A fixed address", lead).back(Pick::Network);
        let form = form.field("Network card", Kind::Text).holding(&card).field("Address, as 192.168.1.20/24", Kind::Text);
        let mut form = form.field("Router (may be empty)", Kind::Text).field("Name servers (may be empty)", Kind::Text);
        form.at = usize::from(!card.is_empty());
        self.screen = Screen::Form(form);
    }

    pub(super) fn typed_address(&mut self, form: Form) {
        match Fixed::typed(&self.facts.local.cards, form.text(0), form.text(1), form.text(2), form.text(3)) {
            Err(wrong) => {
                let at = form.at;
                self.wrong(form, at, wrong.to_string());
            }
            Ok(fixed) => {
                let lead =
                    vec![Line::of(fixed.words()), Line::of("The console is at the new address then; connections to the old one end.")];
                self.address = Some(fixed);
                self.screen = Screen::Menu(Menu::new("Set this address?", lead).item("Yes, set it", Pick::SetAddress).back(Pick::Network));
            }
        }
    }

    /// Somebody who is signed in shows again that they may, and the log has it before it is done. Nobody can of a box that nobody owns.
    fn set_address(&mut self) {
        if self.can_set_address && self.may_change_settings() {
            let address = self.address.as_ref().map(Fixed::words);
            let says = match &address {
                Some(words) => format!("Set the box's address: {words}."),
                None => "Take the address that the network gives.".to_owned(),
            };
            self.ask_as_person(About::Address, Verb::SettingsChange, "/v1/address", &NoteAddress { address }, &says);
        } else if self.may_set_address() {
            let fixed = self.address.take();
            self.order(Deed::Address(fixed));
        } else {
            self.sign_in_first();
        }
    }

    fn power_menu(&self) -> Menu {
        let lead = vec![self.under_way(), Line::of("Nothing is lost by a restart: what is under way goes on or begins again afterwards.")];
        Menu::new("Restart, shut down, move", lead)
            .item("Restart", Pick::AskRestart)
            .item("Shut down", Pick::AskPowerOff)
            .item("Prepare to move the box", Pick::Move)
    }

    fn under_way(&self) -> Line {
        match self.facts.status.now(self.up) {
            Some(status) if status.running == 0 => Line::of("No backup is under way."),
            Some(status) => {
                Line::looking(Look::Warn, format!("{} under way: better wait until the end.", count(status.running.into(), "backup")))
            }
            None => Line::looking(Look::Warn, "Whether a backup is under way is not known."),
        }
    }

    fn sure(&mut self, title: &str, yes: &str, pick: Pick) {
        self.screen = Screen::Menu(Menu::new(title, vec![self.under_way()]).item(yes, pick).back(Pick::Power));
    }

    fn move_menu(&self) -> Menu {
        let keeper = self.facts.keys.now(self.up).map(|keys| keys.keeper);
        let opens = match keeper {
            Some(Keeper::Tpm) => "4. At the new place it opens its keys by itself, as long as its board and its start are as they are now.",
            Some(Keeper::StandIn) => "4. At the new place it waits for its passphrase, under Recovery papers.",
            None => "4. How it opens its keys at the new place is not known: have two papers at hand.",
        };
        let lead = [
            "1. Have two papers of the recovery kit, and carry them apart from the box: if it is lost on the way, they and the second site bring all back.",
            "2. Shut down here, and wait until no light blinks. Leave the disks in their bays.",
            "3. Pack it against shocks; disks break by falls.",
            opens,
            "5. A fixed address may not fit the new network: look under Network before you leave, or change it there.",
        ];
        let lead = std::iter::once(self.under_way()).chain(lead.map(Line::of)).collect();
        Menu::new("Prepare to move the box", lead).item("Shut down now", Pick::AskPowerOff).back(Pick::Power)
    }

    pub(super) fn machine_answered(&mut self, ask: &Ask, answer: Value) -> Result<(), Trouble> {
        if ask.about == About::Address {
            let fixed = self.address.take();
            self.order(Deed::Address(fixed));
            return Ok(());
        }
        if ask.about == About::Locate {
            let found: DiskDetail = read(answer)?;
            let serial = plain(found.disk.serial.as_str(), 60);
            let text = vec![
                format!("Disk {serial} blinks for {BLINK_S} seconds."),
                "A disk without a lamp of its own is read from, so that its bay's lamp flickers.".into(),
            ];
            self.say("Find a disk", Look::Good, text, Pick::Disks);
            return Ok(());
        }
        let found: Disks = read(answer)?;
        let menu = Menu::new("Find a disk", vec![Line::of("Choose one, and it blinks for a minute. Serial numbers are on the stickers.")]);
        let present = found.disks.iter().filter(|disk| disk.standing != Standing::Absent);
        self.screen = Screen::Menu(present.fold(menu, |menu, disk| menu.item(disk_line(disk), Pick::Locate(disk.serial.in_route()))));
        Ok(())
    }

    pub(super) fn done(&mut self, deed: &Deed, result: Result<(), Trouble>) {
        match (deed, result) {
            (_, Err(trouble)) => self.say("This was not done", Look::Bad, vec![trouble.text], Pick::Home),
            (Deed::Restart, Ok(())) => self.say("Restarting", Look::Good, vec!["The box starts again now.".into()], Pick::Home),
            (Deed::PowerOff, Ok(())) => {
                self.say("Shutting down", Look::Good, vec!["The box shuts down. Wait until no light blinks.".into()], Pick::Home);
            }
            (Deed::Address(_), Ok(())) => {
                let text = vec!["The address is set.".into(), "In a few seconds it stands under Network.".into()];
                self.say("Network", Look::Good, text, Pick::Network);
            }
            (Deed::Look, Ok(())) => {}
        }
    }
}

/// A disk in one line.
pub(super) fn disk_line(disk: &Disk) -> String {
    let note = if disk.standing.unreadable().is_some() { "  CAN'T BE READ" } else { "" };
    format!("{}  {}  {}{note}", plain(disk.serial.as_str(), 24), plain(&disk.model, 24), size(disk.size_bytes))
}
