//! A whole share, brought back as it was at a date: to where it came from, with an account that may write there, or onto a USB disk. It is checked first, without writing
//! anything, and begun when a person has read what would happen. The account's password is kept until then, and no longer.

pub(super) mod text;

use keepwell_api::Base64;
use keepwell_api::disks::Serial;
use keepwell_api::grants::{Role, Verb, allows};
use keepwell_api::vault::{
    BoxDisk, BoxDisks, Conflict, ListSnapshots, Membership, PrepareOutward, Restore, RestoreState, Share, Snapshot, Started,
};
use serde_json::Value;

use super::{Console, Person, machine};
use crate::ask::{About, Ask, Order, Trouble, Whom, read};
use crate::screen::{Form, Kind, Line, Look, Menu, Pick, Purpose, Screen};
use crate::words::{plain, time};

/// Snapshots that are offered; who wants an older one takes the console.
const SNAPSHOTS_MAX: usize = 700;

/// What was chosen so far.
#[derive(Default)]
pub(super) struct Draft {
    shares: Vec<Share>,
    share: Option<Share>,
    snapshots: Vec<Snapshot>,
    snapshot: Option<Snapshot>,
    to: String,
    password: Option<Base64>,
    conflict: Conflict,
}

impl Draft {
    pub(super) fn forget_password(&mut self) {
        self.password = None;
    }
}

impl Console {
    pub(super) fn pick_restore(&mut self, pick: Pick) {
        match pick {
            _ if self.person.is_none() => self.sign_in_first(),
            Pick::Share(at) => {
                self.draft.share = self.draft.shares.get(at).cloned();
                let name = self.draft.share.as_ref().map(|share| share.name.clone());
                self.ask_as_person(
                    About::Snapshots,
                    Verb::SnapshotsList,
                    "/v1/snapshots",
                    &ListSnapshots { share: name },
                    "List the copies of a share.",
                );
            }
            Pick::Snapshot(at) => {
                self.draft.snapshot = self.draft.snapshots.get(at).cloned();
                self.screen = Screen::Menu(self.where_menu());
            }
            Pick::ToOrigin => self.ask_account(),
            Pick::ToUsb => self.ask(Ask::get(About::UsbDisks, Whom::Vaultd, "/v1/disks"), "Looking at the disks"),
            Pick::UsbDisk(serial) => self.usb_form(serial),
            Pick::Rule(conflict) => {
                self.draft.conflict = conflict;
                self.send_restore(true);
            }
            Pick::Begin => self.send_restore(false),
            Pick::Restores => self.ask(Ask::get(About::Restores, Whom::Vaultd, "/v1/restores"), "Looking at the restores"),
            Pick::Watch(id) => self.watch(id),
            _ => self.ask(Ask::get(About::Shares, Whom::Vaultd, "/v1/shares"), "Looking at the shares"),
        }
    }

    fn when_menu(&self) -> Menu {
        let share = self.draft.share.as_ref().map_or("", |share| &share.name);
        let title = format!("{}: as it was when?", plain(share, 50));
        if self.draft.snapshots.is_empty() {
            return Menu::new(title, vec![Line::looking(Look::Warn, "There is no copy of this share yet.")]).back(Pick::Restore);
        }
        let menu =
            Menu::new(title, vec![Line::of("The newest first. The whole share is brought back as it was then.")]).back(Pick::Restore);
        let lines = self.draft.snapshots.iter().enumerate();
        lines.fold(menu, |menu, (at, snapshot)| menu.item(text::snapshot(snapshot, &self.zone), Pick::Snapshot(at)))
    }

    fn where_menu(&self) -> Menu {
        let when = self.draft.snapshot.as_ref().map_or_else(String::new, |snapshot| time(snapshot.taken_at, &self.zone));
        let share = self.draft.share.as_ref();
        let origin = share.map_or_else(String::new, |share| text::without_account(&share.location));
        let lead = vec![Line::of(format!("{}, as of {when}.", plain(share.map_or("", |share| &share.name), 60)))];
        let menu =
            Menu::new("Where to?", lead).item(format!("Where it came from: {}", plain(&origin, 46)), Pick::ToOrigin).back(Pick::Restore);
        let erases = self.person.as_ref().is_some_and(|person| allows(person.role, Verb::DisksChange));
        if erases { menu.item("A USB disk; all that is on it is erased", Pick::ToUsb) } else { menu }
    }

    fn ask_account(&mut self) {
        let Some(share) = &self.draft.share else { return self.home() };
        if share.location.starts_with("nfs://") {
            self.draft.to.clone_from(&share.location);
            self.screen = Screen::Menu(rule_menu());
            return;
        }
        let lead = vec![
            Line::of("The box's own account can't write there. Give one that can: it is used for this restore only, and kept nowhere."),
            Line::looking(Look::Muted, "As user, or DOMAIN\\user."),
        ];
        let form = Form::new(Purpose::WritingAccount, "An account that may write", lead).back(Pick::Restore);
        self.screen = Screen::Form(form.field("Account", Kind::Text).field("Its password", Kind::Secret));
    }

    pub(super) fn typed_account(&mut self, form: Form) {
        let Some(share) = &self.draft.share else { return self.home() };
        if form.text(0).is_empty() {
            return self.wrong(form, 0, "Type the name of the account.".into());
        }
        self.draft.to = text::with_account(&share.location, form.text(0));
        self.draft.password = Some(Base64::from(form.exact(1).as_bytes().to_vec()));
        self.screen = Screen::Menu(rule_menu());
    }

    fn usb_form(&mut self, serial: String) {
        let lead = vec![
            Line::looking(Look::Bad, format!("All that is on disk {} is ERASED.", plain(&serial, 60))),
            Line::of(
                "Type its serial number from its sticker, and the word ERASE. It can be read on any computer afterwards: keep it as you keep the patients' files.",
            ),
        ];
        let form = Form::new(Purpose::Usb(serial), "Onto a USB disk", lead).back(Pick::ToUsb);
        self.screen = Screen::Form(form.field("Serial number", Kind::Text).field("ERASE", Kind::Text));
    }

    pub(super) fn typed_usb(&mut self, form: Form, serial: &str) {
        if form.text(0) != serial {
            return self.wrong(form, 0, "This is not the serial number of the disk that was chosen. Nothing was changed.".into());
        }
        if form.text(1) != "ERASE" {
            return self.wrong(form, 1, "Type ERASE in capitals to go on. Nothing was changed.".into());
        }
        let may = self.person.as_ref().is_some_and(|person| allows(person.role, Verb::DisksChange) && allows(person.role, Verb::Restore));
        let Some(disk) = Serial::parse(serial).filter(|_| may) else { return self.sign_in_first() };
        self.draft.to = format!("usb:{serial}");
        self.draft.conflict = Conflict::Refuse;
        let order = PrepareOutward { serial: disk, typed_serial: form.text(0).to_owned() };
        let says = format!("Erase disk {}, and make it ready to be taken away with a restore on it.", plain(serial, 60));
        self.ask_as_person(About::Prepare, Verb::DisksChange, "/v1/disks/outward", &order, &says);
    }

    fn send_restore(&mut self, dry_run: bool) {
        let (Some(share), Some(snapshot)) = (&self.draft.share, &self.draft.snapshot) else { return self.home() };
        let (name, when) = (plain(&share.name, 60), time(snapshot.taken_at, &self.zone));
        let body = Restore {
            snapshot: snapshot.id.clone(),
            path: Base64::default(),
            to: self.draft.to.clone(),
            password: self.draft.password.clone(),
            conflict: self.draft.conflict,
            dry_run,
        };
        let (about, says) = if dry_run {
            (About::DryRun, format!("Check what restoring {name}, as of {when}, would do. Nothing is written."))
        } else {
            (About::Restore, format!("Restore {name}, as of {when}, to {}.", plain(&self.draft.to, 200)))
        };
        self.ask_as_person(about, Verb::Restore, "/v1/restores", &body, &says);
    }

    fn watch(&mut self, id: u64) {
        self.screen = Screen::Progress { id, state: None, asked: self.up, silent: None };
        self.look_again(id);
    }

    fn look_again(&mut self, id: u64) {
        let ask = Ask { number: id, ..Ask::get(About::Progress, Whom::Vaultd, format!("/v1/restores/{id}")) };
        self.orders.push(Order::Ask(ask));
    }

    /// Once a second, while somebody looks.
    pub(super) fn watch_on(&mut self) {
        let up = self.up;
        if let Screen::Progress { id, asked, .. } = &mut self.screen
            && up > *asked
        {
            *asked = up;
            let id = *id;
            self.look_again(id);
        }
    }

    pub(super) fn progressed(&mut self, restore: u64, answer: Result<Value, Trouble>) {
        let Screen::Progress { id, state, silent, .. } = &mut self.screen else { return };
        if *id != restore {
            return;
        }
        match answer.and_then(read::<RestoreState>) {
            Err(trouble) => *silent = Some(trouble.text),
            Ok(told) if told.finished_at.is_none() => (*state, *silent) = (Some(Box::new(told)), None),
            Ok(told) => self.ended(&told),
        }
    }

    fn ended(&mut self, told: &RestoreState) {
        let is_draft = told.dry_run && self.draft.snapshot.as_ref().is_some_and(|snapshot| snapshot.id == told.snapshot);
        let mut menu = Menu::new(if told.dry_run { "Check before restoring" } else { "Receipt" }, text::receipt(told, &self.zone));
        if is_draft && text::is_good(told) {
            menu = menu.item("Restore now", Pick::Begin).back(Pick::Restore);
        }
        self.screen = Screen::Menu(menu);
    }

    pub(super) fn restore_answered(&mut self, ask: &Ask, answer: Value) -> Result<(), Trouble> {
        match ask.about {
            About::Shares => {
                self.draft = Draft { shares: read(answer)?, ..Draft::default() };
                self.draft.shares.retain(|share| self.person.as_ref().is_some_and(|person| person.shares.covers(&share.name)));
                self.draft.shares.sort_by(|a, b| (a.tier, &a.name).cmp(&(b.tier, &b.name)));
                let shares = self.draft.shares.iter().enumerate();
                let lead = vec![Line::of("Which share? Those that are needed most come first.")];
                let menu = shares.fold(Menu::new("Restore a share", lead), |menu, (at, share)| {
                    menu.item(text::share(share, &self.zone), Pick::Share(at))
                });
                self.screen = Screen::Menu(menu.item("Restores under way", Pick::Restores));
            }
            About::Snapshots => {
                self.draft.snapshots = read(answer)?;
                self.draft.snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken_at));
                self.draft.snapshots.truncate(SNAPSHOTS_MAX);
                self.screen = Screen::Menu(self.when_menu());
            }
            About::UsbDisks => {
                let disks: BoxDisks = read(answer)?;
                self.screen = Screen::Menu(usb_menu(&disks));
            }
            About::Prepare => self.send_restore(true),
            About::Restores => {
                let mut restores: Vec<RestoreState> = read(answer)?;
                restores.retain(|restore| self.person.as_ref().is_some_and(|person| may_see(person, restore)));
                restores.sort_by_key(|restore| std::cmp::Reverse(restore.id));
                let lead = vec![Line::of(if restores.is_empty() { "Nothing was restored yet." } else { "The newest first." })];
                let menu = Menu::new("Restores", lead);
                let lines = restores.iter().take(SNAPSHOTS_MAX);
                self.screen = Screen::Menu(lines.fold(menu, |menu, one| menu.item(text::restore(one, &self.zone), Pick::Watch(one.id))));
            }
            About::DryRun | About::Restore => {
                let started: Started = read(answer)?;
                if ask.about == About::Restore {
                    self.draft = Draft::default();
                }
                self.watch(started.id);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Who began it, and who answers for the box; as in the console.
fn may_see(person: &Person, restore: &RestoreState) -> bool {
    matches!(person.role, Role::Owner | Role::Operator) || person.user == restore.by
}

fn rule_menu() -> Menu {
    let lead = vec![
        Line::of("What if a file is there already, and is another one?"),
        Line::looking(
            Look::Muted,
            "Files that are as in the copy stay as they are. First it is checked what would happen; nothing is written by that.",
        ),
    ];
    Menu::new("Check before restoring", lead)
        .item("Keep both: the copy gets another name", Pick::Rule(Conflict::Rename))
        .item("Leave what is there", Pick::Rule(Conflict::Skip))
        .item("Replace it by the copy", Pick::Rule(Conflict::Replace))
        .item("Keep whichever is newer", Pick::Rule(Conflict::Newer))
        .back(Pick::Restore)
}

fn usb_menu(disks: &BoxDisks) -> Menu {
    let free = disks.disks.iter().filter(|disk| disk.membership == Membership::None);
    let free: Vec<_> = free.filter_map(|BoxDisk { disk, .. }| disk.as_ref()).filter(|disk| text::can_leave(disk)).collect();
    let lead = match (&disks.diskd_silent, free.is_empty()) {
        (Some(why), _) => Line::looking(Look::Warn, format!("The disks can't be asked: {why}")),
        (None, true) => Line::looking(Look::Warn, "There is no disk that could be used. Plug one in, wait a few seconds, and come back."),
        (None, false) => Line::of("Which disk?"),
    };
    let menu = Menu::new("Onto a USB disk", vec![lead]).back(Pick::Restore);
    free.into_iter().fold(menu, |menu, disk| menu.item(machine::disk_line(disk), Pick::UsbDisk(disk.serial.to_string())))
}
