//! Setting up a new box, step by step, until a file came back and the papers exist. How far it is, is judged by facts alone: who leaves comes back to where
//! they were. For owners; what each step does, the box's programs decide as they do elsewhere.

pub mod backup;
pub mod disks;
pub mod kit;
pub mod pick;
pub mod progress;
pub mod restore;

use askama::Template;
use axum::Extension;
use axum::response::Response;
use keepwell_api::offsite::Offsite;
use keepwell_api::vault::Share;
use progress::{Fact, Progress, Stage};

use super::frame::{self, Frame};
use super::offsite;
use crate::app::HowItIs;
use crate::listen::Ends;
use crate::neighbours::Trouble;
use crate::view::{self, Mark, When};
use crate::visit::Visit;

/// What a session remembers of setting up: which file was chosen to come back, and whether it did.
#[derive(Debug, Default)]
pub struct Trial {
    /// The draft that it is chosen in.
    pub(crate) draft: Option<String>,
    /// It was sent to the browser.
    pub(crate) taken: bool,
}

/// A step as it is shown above each of them.
pub(crate) struct Rung {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) here: bool,
    pub(crate) done: bool,
}

/// The steps above one of them.
pub(crate) async fn ladder(visit: &Visit, here: Stage) -> Vec<Rung> {
    rungs(&Progress::of(&visit.app).await, here)
}

pub(crate) fn rungs(progress: &Progress, here: Stage) -> Vec<Rung> {
    let rung = |stage: Stage| Rung {
        name: stage.name(),
        path: stage.path(),
        here: stage == here,
        done: stage != here && progress.at(stage) == Fact::Done,
    };
    Stage::ALL.into_iter().map(rung).collect()
}

/// The steps before anybody is signed in.
pub(crate) fn first_rung() -> Vec<Rung> {
    let rung = |stage: Stage| Rung { name: stage.name(), path: stage.path(), here: stage == Stage::Owner, done: false };
    Stage::ALL.into_iter().map(rung).collect()
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<(&'static str, &'static str)>,
    over: bool,
}

struct Row {
    name: &'static str,
    path: &'static str,
    words: &'static str,
    mark: Mark,
    linked: bool,
}

/// All steps, and which is next.
pub(crate) async fn page(visit: Visit) -> Response {
    let (progress, paired) = tokio::join!(Progress::of(&visit.app), paired(&visit));
    let next = progress.next();
    let row = |stage: Stage| {
        let mark = match (progress.at(stage), next == Some(stage)) {
            _ if stage == Stage::Peer && paired == Some(true) => Mark { status: "ok", icon: "tick", word: "Done" },
            (Fact::Done, _) if stage == Stage::Peer => Mark { status: "muted", icon: "ring", word: "Later" },
            (Fact::Done, _) => Mark { status: "ok", icon: "tick", word: "Done" },
            (Fact::Open, true) => Mark { status: "action", icon: "arrow", word: "Next" },
            (Fact::Open, false) => Mark { status: "muted", icon: "ring", word: "Later" },
            (Fact::Unknown, _) => view::UNKNOWN,
        };
        let linked = progress.at(stage) != Fact::Open || next == Some(stage);
        Row { name: stage.name(), path: stage.path(), words: stage.words(), mark, linked }
    };
    visit.show(&SetupPage {
        frame: visit.frame("Set up this box").reloading(60),
        rows: Stage::ALL.into_iter().map(row).collect(),
        next: next.map(|stage| (stage.name(), stage.path())),
        over: progress.is_over(),
    })
}

#[derive(Template)]
#[template(path = "setup_network.html")]
struct NetworkPage {
    frame: Frame,
    steps: Vec<Rung>,
    facts: Vec<(&'static str, String)>,
    clock: When,
    zone: String,
    doubt: Option<String>,
    silent: Option<String>,
    fingerprint: String,
}

/// What the box found out about the network and the time.
pub(crate) async fn network(visit: Visit, ends: Option<Extension<Ends>>) -> Response {
    let (steps, status) = tokio::join!(ladder(&visit, Stage::Network), visit.app.status());
    let settings = &visit.app.settings;
    let (doubt, silent) = match status {
        HowItIs::Now(status) => (status.doubt.map(|doubt| keepwell_duties::words::duration(doubt.ahead_s.saturating_abs())), None),
        HowItIs::Silent(trouble, _) => (None, Some(trouble.to_string())),
    };
    let mut facts = vec![("You reach it as", visit.host.to_string())];
    facts.extend(ends.map(|ends| ("Its address on this network", ends.local.ip().to_canonical().to_string())));
    facts.push(("Names that it answers to", settings.names.iter().cloned().collect::<Vec<_>>().join(", ")));
    facts.push(("The practice calls it", settings.box_name.clone()));
    visit.show(&NetworkPage {
        frame: visit.frame("Set up: network and time").reloading(60),
        steps,
        facts,
        clock: frame::times(&visit).full(visit.now()),
        zone: settings.zone.iana_name().unwrap_or("the machine's own").to_owned(),
        doubt,
        silent,
        fingerprint: settings.authority.1.clone(),
    })
}

#[derive(Template)]
#[template(path = "setup_share.html")]
struct SharePage {
    frame: Frame,
    steps: Vec<Rung>,
    shares: Result<Vec<(String, String, u8)>, Trouble>,
}

/// What is backed up, and which account to make for that.
pub(crate) async fn share(visit: Visit) -> Response {
    let (steps, shares) = tokio::join!(ladder(&visit, Stage::Share), visit.app.neighbours.get::<Vec<Share>>("/v1/shares"));
    let line = |share: &Share| (share.name.clone(), share.location.clone(), view::tier(share.tier).number());
    visit.show(&SharePage { frame: visit.frame("Set up: share"), steps, shares: shares.map(|all| all.iter().map(line).collect()) })
}

#[derive(Template)]
#[template(path = "setup_peer.html")]
struct PeerPage {
    frame: Frame,
    steps: Vec<Rung>,
    next: Option<(&'static str, &'static str)>,
    /// None: nobody can say.
    paired: Option<bool>,
}

/// The copy elsewhere, and what it means to have none.
pub(crate) async fn peer(visit: Visit) -> Response {
    let (progress, paired) = tokio::join!(Progress::of(&visit.app), paired(&visit));
    let next = progress.next().map(|stage| (stage.name(), stage.path()));
    visit.show(&PeerPage { frame: visit.frame("Set up: second box"), steps: rungs(&progress, Stage::Peer), next, paired })
}

/// Whether another box keeps copies for this one.
async fn paired(visit: &Visit) -> Option<bool> {
    visit.app.neighbours.get::<Offsite>(offsite::ROUTE).await.ok().map(|told| !told.receivers.is_empty())
}
