//! Shares: what is protected and how well, and what is done about it.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::grants::{Role, Verb};
use keepwell_api::vault::{
    AddShare, ChangeShare, CheckShare, Done, ListSnapshots, RemoveShare, Run, RunNow, Share, ShareAdded, ShareChecked, Snapshot, Started,
    Tier,
};
use keepwell_duties::ShareId;
use keepwell_duties::status::ShareStatus;

use super::address::Address;
use super::frame::{self, Frame};
use super::front::{ProofLine, proof_line};
use super::runs::{self, RunLine};
use super::setup::progress;
use super::trouble;
use crate::app::HowItIs;
use crate::neighbours::Trouble;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

/// Runs on a share's page.
const RUNS: u32 = 30;

#[derive(Template)]
#[template(path = "shares.html")]
struct SharesPage {
    frame: Frame,
    may_add: bool,
    shares: Result<Vec<Row>, Trouble>,
}

struct Row {
    id: String,
    name: String,
    location: String,
    tier: u8,
    mark: Mark,
    words: String,
    copy: Option<(When, String)>,
    next: String,
}

/// All of them, those that need somebody first.
pub(crate) async fn list(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let (shares, status) = tokio::join!(visit.app.neighbours.get::<Vec<Share>>("/v1/shares"), visit.app.status());
    let shares = shares.map(|shares| {
        let known = of_status(&status);
        let mut rows: Vec<_> = shares.iter().map(|share| (place(known, &share.id), row(share, find(known, &share.id), &times))).collect();
        rows.sort_by_key(|(place, _)| *place);
        rows.into_iter().map(|(_, row)| row).collect()
    });
    visit.show(&SharesPage { frame: visit.frame("Shares").reloading(60), may_add: visit.may(Verb::SharesAdd), shares })
}

fn of_status(status: &HowItIs) -> &[ShareStatus] {
    match status {
        HowItIs::Now(status) => &status.shares,
        HowItIs::Silent(..) => &[],
    }
}

fn find<'a>(known: &'a [ShareStatus], id: &str) -> Option<&'a ShareStatus> {
    known.iter().find(|status| status.id == ShareId(id.to_owned()))
}

fn place(known: &[ShareStatus], id: &str) -> usize {
    known.iter().position(|status| status.id.0 == id).unwrap_or(usize::MAX)
}

fn row(share: &Share, status: Option<&ShareStatus>, times: &Times) -> Row {
    let (mark, words) = match status {
        _ if share.paused => (view::PAUSED, "Somebody paused it: it is not backed up.".to_owned()),
        Some(status) => (view::of_share(status.state), status.words.clone()),
        None => (view::UNKNOWN, "The box does not say how it is.".to_owned()),
    };
    Row {
        id: share.id.clone(),
        name: share.name.clone(),
        location: share.location.clone(),
        tier: view::tier(share.tier).number(),
        mark,
        words,
        copy: share.newest_copy_at.map(|at| (times.at(at), times.ago(at))),
        next: next(share, times),
    }
}

fn next(share: &Share, times: &Times) -> String {
    match (share.paused, share.running, share.next_due) {
        (true, ..) => "paused".into(),
        (_, Some(_), _) => "running now".into(),
        (_, _, Some(due)) => times.due(due),
        (_, _, None) => "not planned".into(),
    }
}

#[derive(Template)]
#[template(path = "share.html")]
struct SharePage {
    frame: Frame,
    share: Row,
    running: Option<u64>,
    added: When,
    paused: bool,
    held: bool,
    location: Address,
    may_write: Option<String>,
    may: Rights,
    needs_code: bool,
    promises: Vec<ProofLine>,
    runs: Result<Vec<RunLine>, Trouble>,
    days: Option<Result<Vec<Day>, Trouble>>,
}

/// What it is called, and its snapshots.
type Day = (String, Vec<SnapshotLine>);

struct Rights {
    run: bool,
    change: bool,
    restore: bool,
}

/// A snapshot in a list.
pub(crate) struct SnapshotLine {
    pub(crate) id: String,
    pub(crate) time: String,
    pub(crate) mark: Mark,
    pub(crate) counts: String,
}

/// One share.
pub(crate) async fn one(visit: Visit, Path(id): Path<String>) -> Response {
    let shares = match visit.app.neighbours.get::<Vec<Share>>("/v1/shares").await {
        Ok(shares) => shares,
        Err(trouble) => return trouble::failed(&visit, &trouble),
    };
    let Some(share) = shares.into_iter().find(|share| share.id == id) else {
        return trouble::missing(&visit, "There is no such share; it may have been removed. Its snapshots stay, under Restore.");
    };
    let times = frame::times(&visit);
    let lists_snapshots = visit.may(Verb::SnapshotsList);
    let runs = visit.app.neighbours.get::<Vec<Run>>(format!("/v1/runs?share={}&limit={RUNS}", share.id));
    let (runs, status) = tokio::join!(runs, visit.app.status());
    let days = match lists_snapshots {
        true => Some(snapshots(&visit, &share.name).await.map(|all| by_day(&all, &times))),
        false => None,
    };
    let promises = match &status {
        HowItIs::Now(status) => {
            let own = status.duties.iter().filter(|(duty, _)| duty.subject == keepwell_duties::Subject::Share(ShareId(share.id.clone())));
            own.map(|(duty, standing)| proof_line(duty, standing, status, &times, true)).collect()
        }
        HowItIs::Silent(..) => Vec::new(),
    };
    let row = row(&share, find(of_status(&status), &share.id), &times);
    visit.show(&SharePage {
        frame: visit.frame("Share").reloading(30),
        running: share.running,
        added: times.at(share.added_at),
        paused: share.paused,
        held: row.mark.status == "held",
        location: Address::parse(&share.location),
        may_write: share.may_write.clone(),
        may: Rights { run: visit.may(Verb::RunNow), change: visit.may(Verb::SharesChange), restore: visit.may(Verb::Restore) },
        needs_code: visit.needs_code(Verb::SharesChange),
        promises,
        runs: runs.map(|runs| runs.iter().map(|run| runs::line(run, &times)).collect()),
        days,
        share: row,
    })
}

/// A share's snapshots, newest first.
pub(crate) async fn snapshots(visit: &Visit, share: &str) -> Result<Vec<Snapshot>, Trouble> {
    let ask = ListSnapshots { share: Some(share.to_owned()) };
    let mut all: Vec<Snapshot> = visit.granted(Verb::SnapshotsList, "/v1/snapshots", &ask).await?;
    // They come oldest first; of two within one second the later one is the newer one.
    all.reverse();
    all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken_at));
    Ok(all)
}

/// The newest 14 days that have any.
fn by_day(all: &[Snapshot], times: &Times) -> Vec<Day> {
    let mut days: Vec<(jiff::civil::Date, Vec<SnapshotLine>)> = Vec::new();
    for snapshot in all {
        let (day, line) = (times.day(snapshot.taken_at), snapshot_line(snapshot, times));
        let full = days.len() >= 14;
        match days.last_mut() {
            Some((last, lines)) if *last == day => lines.push(line),
            _ if full => break,
            _ => days.push((day, vec![line])),
        }
    }
    days.into_iter().map(|(day, lines)| (day.strftime("%A, %-d %B %Y").to_string(), lines)).collect()
}

/// A snapshot in a list.
pub(crate) fn snapshot_line(snapshot: &Snapshot, times: &Times) -> SnapshotLine {
    let counts = format!("{}, {}", view::count(snapshot.counts.files, "file", "files"), view::size(snapshot.counts.content_bytes));
    SnapshotLine { id: snapshot.id.clone(), time: times.clock(snapshot.taken_at), mark: view::of_outcome(Some(snapshot.outcome)), counts }
}

#[derive(Template)]
#[template(path = "share_add.html")]
struct AddPage {
    frame: Frame,
    error: Option<String>,
    called: String,
    address: Address,
    tier: String,
    checked: Option<Checked>,
    /// What was typed as the reason; none while nobody has to give one.
    why: Option<String>,
}

/// What the server said of the account.
struct Checked {
    rights: Mark,
    asked: String,
    protocol: String,
    protection: String,
    findings: Vec<String>,
}

/// The form for a new one.
pub(crate) async fn add_form(visit: Visit) -> Response {
    show_add(&visit, None, None)
}

fn show_add(visit: &Visit, error: Option<String>, checked: Option<ShareChecked>) -> Response {
    let why = visit.form.some("may_write");
    let asks_why = why.is_some() || checked.as_ref().is_some_and(|checked| checked.rights != keepwell_api::vault::Rights::ReadOnly);
    let tier = visit.form.some("tier").unwrap_or_else(|| "two".into());
    let page = AddPage {
        frame: visit.frame("Add a share"),
        error,
        called: visit.form.text("name").to_owned(),
        address: Address::typed(&visit.form),
        tier,
        checked: checked.map(checked_lines),
        why: asks_why.then(|| why.unwrap_or_default()),
    };
    visit.show(&page)
}

fn checked_lines(checked: ShareChecked) -> Checked {
    let may = checked.may.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (status, icon, word) = match checked.rights {
        keepwell_api::vault::Rights::ReadOnly => ("ok", "tick", "It can only read"),
        keepwell_api::vault::Rights::CanWrite => ("bad", "cross", "It can do more than read"),
        keepwell_api::vault::Rights::Unknown => ("muted", "question", "The server does not say what it may do"),
    };
    let rights = Mark { status, icon, word };
    let of = view::count(checked.asked, "file or folder", "files and folders");
    let asked = match checked.changeable {
        0 => format!("The server was asked about {of}; nothing was tried out"),
        some => format!("It may {may}: the server was asked about {of}, and allows it in {some} of them; nothing was tried out"),
    };
    Checked { rights, asked, protocol: checked.server.protocol, protection: checked.server.protection, findings: checked.server.findings }
}

/// Adds it. Its first backup begins by itself.
pub(crate) async fn add(visit: Visit) -> Response {
    let location = match Address::typed(&visit.form).location() {
        Ok(location) => location,
        Err(why) => {
            visit.blame(&Trouble::Typed(why));
            return show_add(&visit, Some(why.to_string()), None);
        }
    };
    let check = CheckShare { location: location.clone(), password: visit.form.some_secret("password") };
    if visit.form.has("check") {
        return match visit.granted::<ShareChecked>(Verb::SharesAdd, "/v1/shares/check", &check).await {
            Ok(checked) => show_add(&visit, None, Some(checked)),
            Err(Trouble::SignedOut) => visit.go("/sign-in", None),
            Err(trouble) => show_add(&visit, Some(told(&visit, &trouble)), None),
        };
    }
    let ask = AddShare {
        name: visit.form.text("name").to_owned(),
        location,
        password: visit.form.some_secret("password"),
        tier: tier(&visit),
        may_write: visit.form.some("may_write"),
    };
    match visit.granted::<ShareAdded>(Verb::SharesAdd, "/v1/shares", &ask).await {
        Ok(added) => {
            // Who sets a box up goes on with that.
            let owns = visit.role() == Some(Role::Owner);
            let next = match owns && progress::open_at(&visit.app).await.is_some() {
                true => "/setup/backup".to_owned(),
                false => format!("/shares/{}", added.id),
            };
            visit.after(&next, Ok(()), "The share was added. Its first backup begins as soon as there is a place.")
        }
        Err(Trouble::SignedOut) => visit.go("/sign-in", None),
        // Once more, for what is to be shown of it.
        Err(trouble) if trouble.code() == Some("can-write") => {
            let checked = visit.granted::<ShareChecked>(Verb::SharesAdd, "/v1/shares/check", &check).await.ok();
            visit.blame(&trouble);
            show_add(&visit, Some(trouble.to_string()), checked)
        }
        Err(trouble) => show_add(&visit, Some(told(&visit, &trouble)), None),
    }
}

/// With what the server itself said: wrong passwords and addresses are told there.
fn told(visit: &Visit, trouble: &Trouble) -> String {
    visit.blame(trouble);
    match trouble {
        Trouble::Refused(refusal) => {
            std::iter::once(trouble.to_string()).chain(refusal.causes.first().cloned()).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn tier(visit: &Visit) -> Tier {
    match visit.form.text("tier") {
        "one" => Tier::One,
        "three" => Tier::Three,
        _ => Tier::Two,
    }
}

/// Begins a backup now.
pub(crate) async fn run(visit: Visit, Path(id): Path<String>) -> Response {
    let ask = RunNow { share: id.clone(), intended: visit.form.has("intended") };
    match visit.granted::<Started>(Verb::RunNow, "/v1/runs", &ask).await {
        Ok(started) => visit.after(&format!("/runs/{}", started.id), Ok(()), "The backup has begun."),
        Err(trouble) => visit.after::<()>(&back(&id), Err(trouble), ""),
    }
}

/// Where to go after something was done with a share. Whatever the browser put in the path, it stays on this page.
fn back(id: &str) -> String {
    if keepwell_api::hex::decode::<8>(id).is_some() { format!("/shares/{id}") } else { "/shares".into() }
}

/// Pauses it, or goes on.
pub(crate) async fn pause(visit: Visit, Path(id): Path<String>) -> Response {
    let paused = visit.form.text("paused") == "yes";
    let ask = ChangeShare { id: id.clone(), paused: Some(paused), ..ChangeShare::default() };
    let done = visit.granted::<Done>(Verb::SharesChange, "/v1/shares/change", &ask).await;
    visit.after(&back(&id), done, if paused { "It is paused: it is not backed up until you go on." } else { "It is backed up again." })
}

/// Changes address, password or tier. A lower tier promises less, and takes who may do that.
pub(crate) async fn change(visit: Visit, Path(id): Path<String>) -> Response {
    let share = match visit.app.neighbours.get::<Vec<Share>>("/v1/shares").await {
        Ok(shares) => shares.into_iter().find(|share| share.id == id),
        Err(trouble) => return visit.after::<()>(&back(&id), Err(trouble), ""),
    };
    let Some(share) = share else { return trouble::missing(&visit, "There is no such share; it may have been removed.") };
    let typed = Address::typed(&visit.form);
    // An address that nobody touched may say more than the form shows.
    let location = match typed == Address::parse(&share.location) {
        true => Ok(None),
        false => typed.location().map(Some),
    };
    let location = match location {
        Ok(location) => location,
        Err(why) => return visit.after::<()>(&back(&id), Err(Trouble::Typed(why)), ""),
    };
    let tier = Some(tier(&visit)).filter(|tier| *tier != share.tier);
    let (password, may_write) = (visit.form.some_secret("password"), visit.form.some("may_write"));
    let ask = ChangeShare { id: id.clone(), location, password, tier, paused: None, may_write };
    let done = visit.granted::<Done>(ask.verb(share.tier), "/v1/shares/change", &ask).await;
    visit.after(&back(&id), done, "The share was changed. The next backup uses what you entered.")
}

#[derive(Template)]
#[template(path = "share_remove.html")]
struct RemovePage {
    frame: Frame,
    id: String,
    name: String,
    needs_code: bool,
}

/// What removing means, before it is done.
pub(crate) async fn remove_form(visit: Visit, Path(id): Path<String>) -> Response {
    match visit.app.neighbours.get::<Vec<Share>>("/v1/shares").await {
        Ok(shares) => match shares.into_iter().find(|share| share.id == id) {
            Some(share) => visit.show(&RemovePage {
                frame: visit.frame("Remove a share"),
                id: share.id,
                name: share.name,
                needs_code: visit.needs_code(Verb::SharesRemove),
            }),
            None => trouble::missing(&visit, "There is no such share; it may have been removed already."),
        },
        Err(trouble) => trouble::failed(&visit, &trouble),
    }
}

/// Removes it.
pub(crate) async fn remove(visit: Visit, Path(id): Path<String>) -> Response {
    let done = visit.granted::<Done>(Verb::SharesRemove, "/v1/shares/remove", &RemoveShare { id: id.clone() }).await;
    let next = if done.is_ok() { "/shares".to_owned() } else { format!("{}/remove", back(&id)) };
    visit.after(&next, done, "The share was removed: it is not backed up any more. Its snapshots stay.")
}
