//! What stands around every page: the box's name, where one can go, who is signed in, what is to be said once.

use keepwell_api::grants::Role;

use super::{Who, assets, find};
use crate::passkey::host_name;
use crate::sessions::{Notice, locked};
use crate::view::Times;
use crate::visit::{Person, Visit};

/// A line of the navigation.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where to.
    pub path: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// Its icon.
    pub icon: &'static str,
    /// Whether this is it.
    pub here: bool,
}

const LINKS: [(&str, &str, &str); 13] = [
    ("/", "Overview", "shield"),
    ("/restore", "Restore", "restore"),
    ("/shares", "Shares", "share"),
    ("/incidents", "Incidents", "alert"),
    ("/emergency", "Emergency", "hand"),
    ("/disks", "Disks", "disk"),
    ("/offsite", "Second site", "site"),
    ("/keys", "Keys", "key"),
    ("/people", "People", "people"),
    ("/policies", "Policies", "policy"),
    ("/log", "Log", "log"),
    ("/settings", "Settings", "settings"),
    ("/help", "Help", "help"),
];

/// What a template needs for it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Of the page. Names nobody and nothing: browsers keep titles.
    pub title: &'static str,
    /// What the practice calls the box.
    pub box_name: String,
    /// Who is signed in, and as what.
    pub person: Option<(String, &'static str)>,
    /// Where they can go.
    pub links: Vec<Link>,
    /// To be said once.
    pub notice: Option<Notice>,
    /// What forms carry.
    pub form: String,
    /// The style sheet.
    pub css: &'static str,
    /// The script.
    pub js: &'static str,
    /// The script for passkeys.
    pub passkey_js: &'static str,
    /// `yes` where a passkey can stand in for a code, `new` where one is made.
    pub passkey: Option<&'static str>,
    /// When this was so.
    pub as_of: String,
    /// Seconds until they are signed out unless they do something.
    pub idle_s: Option<i64>,
    /// Whether what is on the page changes by itself.
    pub live: bool,
    /// Reloads by itself where there is no script, after so many seconds.
    pub reload_s: Option<u32>,
}

impl Frame {
    pub(crate) fn new(visit: &Visit, title: &'static str) -> Self {
        let person = visit.person_if_any();
        let times = times(visit);
        let links = person.map_or_else(Vec::new, |person| links(person.known.role, visit.page.path));
        Self {
            title,
            box_name: visit.app.settings.box_name.clone(),
            person: person.map(|person| (person.known.user.clone(), role(person.known.role))),
            links,
            // Said to the person, and not to a script.
            notice: person.filter(|_| !visit.is_by_script()).and_then(|person| locked(&person.kept).notice.take()),
            form: visit.form_token(),
            css: assets::css_path(),
            js: assets::js_path(),
            passkey_js: assets::passkey_js_path(),
            passkey: person.and_then(|person| usable(person, &visit.host)),
            as_of: times.clock(visit.now()),
            idle_s: person.map(|person| person.known.idle_until - visit.now()),
            live: false,
            reload_s: None,
        }
    }

    /// On this page things change by themselves.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// And without a script it is to be loaded again and again.
    #[must_use]
    pub fn reloading(mut self, seconds: u32) -> Self {
        (self.live, self.reload_s) = (true, Some(seconds));
        self
    }
}

/// Moments in the practice's zone.
pub fn times(visit: &Visit) -> Times {
    Times::new(visit.app.settings.zone.clone(), visit.now())
}

/// What people call a role.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "Owner",
        Role::Operator => "Operator",
        Role::RestoreOnly => "Restore only",
        Role::Auditor => "Auditor",
        Role::Technician => "Technician",
        Role::Security => "Security officer",
    }
}

/// Whether they have a passkey for this name of the box.
fn usable(person: &Person, host: &str) -> Option<&'static str> {
    let name = host_name(host)?;
    person.known.passkeys.iter().any(|one| one.host == name).then_some("yes")
}

fn links(role: Role, here: &str) -> Vec<Link> {
    let may = |path: &str| find(path).is_some_and(|page| matches!(page.who, Who::Roles(roles) if roles.contains(&role)));
    let is_here = |path: &str| here == path || (path != "/" && here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    let of_runs = |path: &str| path == "/shares" && here.starts_with("/runs");
    LINKS
        .into_iter()
        .filter(|(path, ..)| may(path))
        .map(|(path, label, icon)| Link { path, label, icon, here: is_here(path) || of_runs(path) })
        .collect()
}
