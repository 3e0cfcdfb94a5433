//! "Can I restore today?": the box's own status on one page, and nothing else. When the box is silent, it says what was last known, and since when.

use askama::Template;
use axum::response::Response;
use keepwell_api::grants::{Role, Scope, Verb};
use keepwell_duties::status::{Question, ShareStatus};
use keepwell_duties::{Duty, DutyKind, Standing, Status, Subject, words};

use super::find;
use super::frame::{self, Frame};
use super::setup::progress;
use crate::app::HowItIs;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

/// Incidents on the front page; the others are one click away.
const FIRST: usize = 4;

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage {
    frame: Frame,
    may_restore: bool,
    may_add: bool,
    nothing: bool,
    may_see_shares: bool,
    may_take: bool,
    silent: Option<String>,
    known: Option<Known>,
    set_up: Option<SetUp>,
}

/// The box is not set up yet: at which step it is, and whether who looks can go on with it.
struct SetUp {
    step: &'static str,
    theirs: bool,
}

struct Known {
    last: Option<When>,
    headline: Mark,
    words: String,
    answers: Vec<Answer>,
    shares: Vec<Share>,
    todo: Vec<ToDo>,
    further: usize,
    running: String,
    room: Option<(String, u64, u64)>,
    doubt: Option<String>,
}

struct Answer {
    name: &'static str,
    asks: &'static str,
    mark: Mark,
    words: String,
    proofs: Vec<ProofLine>,
    /// Where more is said of it, for whoever may see that.
    more: Option<(&'static str, &'static str)>,
}

/// One promise, how it stands, and the date of its proof.
pub(crate) struct ProofLine {
    pub(crate) promise: String,
    pub(crate) mark: Mark,
    pub(crate) proven: Option<When>,
    pub(crate) until: Option<When>,
    pub(crate) failed: Option<When>,
}

struct Share {
    id: String,
    label: String,
    tier: u8,
    mark: Mark,
    words: String,
    next: String,
}

/// Something for a person to do.
pub(crate) struct ToDo {
    pub(crate) id: u64,
    pub(crate) mark: Mark,
    pub(crate) happened: String,
    pub(crate) for_your_data: String,
    pub(crate) to_do: String,
    pub(crate) taken_by: Option<String>,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let all = Scope::default();
    let scope = visit.person_if_any().map_or(&all, |person| &person.known.shares);
    let (status, open) = tokio::join!(visit.app.status(), progress::open_at(&visit.app));
    let (silent, known) = match status {
        HowItIs::Now(status) => (None, Some(known(&limited(*status, scope), &times, None, visit.role()))),
        HowItIs::Silent(trouble, last) => {
            (Some(trouble.to_string()), last.map(|last| known(&limited(last.1, scope), &times, Some(times.at(last.0)), visit.role())))
        }
    };
    visit.show(&FrontPage {
        frame: visit.frame("Can I restore today?").reloading(60),
        may_restore: visit.may(Verb::Restore),
        may_add: visit.may(Verb::SharesAdd),
        nothing: known.as_ref().is_some_and(|known| known.shares.is_empty()),
        may_see_shares: visit.may(Verb::RunNow),
        may_take: visit.may(Verb::IncidentsAcknowledge),
        silent,
        known,
        set_up: open.map(|stage| SetUp { step: stage.name(), theirs: visit.role() == Some(Role::Owner) }),
    })
}

/// What somebody is told who is limited to some shares: nothing about the others, not even that they are there. What can't be told apart is left out.
pub(crate) fn limited(mut status: Status, scope: &Scope) -> Status {
    if scope.is_all() {
        return status;
    }
    let (own, others): (Vec<_>, Vec<_>) = std::mem::take(&mut status.shares).into_iter().partition(|share| scope.covers(&share.label));
    let is_theirs = |duty: &Duty| match &duty.subject {
        Subject::Share(id) => own.iter().any(|share| share.id == *id),
        _ => true,
    };
    let names_others = |text: &str| others.iter().any(|share| text.contains(&share.label));
    status.incidents.retain(|incident| is_theirs(&incident.duty));
    let (todo, withheld): (Vec<_>, Vec<_>) =
        std::mem::take(&mut status.todo).into_iter().partition(|todo| status.incidents.iter().any(|incident| incident.id == todo.incident));
    status.todo = todo;
    status.duties.retain(|(duty, _)| is_theirs(duty));
    // Of a share that was removed, its incident still has the name.
    if names_others(&status.words) || withheld.iter().any(|todo| status.words.contains(&todo.text.happened)) {
        status.words = "Something of this box that is not about your shares needs somebody.".into();
    }
    status.running = own.iter().map(|share| u32::from(share.running)).sum();
    status.shares = own;
    status
}

/// What is shown of a status. Of one that is `last` and not of now, nothing is proven any more.
fn known(status: &Status, times: &Times, last: Option<When>, role: Option<Role>) -> Known {
    let is_now = last.is_none();
    let faded = |mark: Mark| if is_now { mark } else { view::UNKNOWN };
    let answers = status.answers.iter().map(|answer| {
        let (name, asks) = question(answer.question);
        let words = if is_now { answer.words.clone() } else { format!("Last known: {}", answer.words) };
        let duties = status.duties.iter().filter(|(duty, _)| belongs(answer.question, duty.kind));
        let proofs = duties.map(|(duty, standing)| proof_line(duty, standing, status, times, is_now)).collect();
        Answer { name, asks, mark: faded(view::of_answer(answer.mark)), words, proofs, more: more(answer.question, role) }
    });
    Known {
        headline: faded(view::of_headline(status.headline)),
        words: if is_now { status.words.clone() } else { format!("Last known: {}. {}", status.headline, status.words) },
        answers: answers.collect(),
        shares: status.shares.iter().map(|one| share(one, times, is_now)).collect(),
        todo: todo(status).into_iter().take(FIRST).map(|one| ToDo { mark: faded_severity(one.mark, is_now), ..one }).collect(),
        further: status.todo.len().saturating_sub(FIRST),
        running: view::count(status.running.into(), "backup is running", "backups are running"),
        room: status.pool.filter(|_| is_now).map(|pool| {
            let used = pool.total_bytes.saturating_sub(pool.free_bytes);
            (format!("{} free of {}", view::size(pool.free_bytes), view::size(pool.total_bytes)), used, pool.total_bytes)
        }),
        doubt: status.doubt.map(|doubt| words::duration(doubt.ahead_s.saturating_abs())),
        last,
    }
}

/// How bad it was is still to be read, and in no colour of now.
fn faded_severity(mark: Mark, is_now: bool) -> Mark {
    if is_now { mark } else { Mark { status: "muted", ..mark } }
}

/// What a person has to do, the worst first.
pub(crate) fn todo(status: &Status) -> Vec<ToDo> {
    let one = |todo: &keepwell_duties::status::ToDo| ToDo {
        id: todo.incident,
        mark: view::of_severity(todo.severity),
        happened: todo.text.happened.clone(),
        for_your_data: todo.text.for_your_data.clone(),
        to_do: todo.text.to_do.clone(),
        taken_by: todo.taken_by.clone(),
    };
    status.todo.iter().map(one).collect()
}

fn share(share: &ShareStatus, times: &Times, is_now: bool) -> Share {
    Share {
        id: share.id.to_string(),
        label: share.label.clone(),
        tier: share.tier.number(),
        mark: if is_now { view::of_share(share.state) } else { view::UNKNOWN },
        words: share.words.clone(),
        next: if share.running { "now".into() } else { times.due(share.next_due.at.0) },
    }
}

fn more(question: Question, role: Option<Role>) -> Option<(&'static str, &'static str)> {
    let (path, label) = match question {
        Question::Here => return None,
        Question::Offsite => ("/offsite", "Second site"),
        Question::Keys => ("/keys", "Keys"),
        Question::People => ("/people", "People"),
    };
    let page = find(path)?;
    role.is_some_and(|role| page.is_for(role)).then_some((path, label))
}

fn question(question: Question) -> (&'static str, &'static str) {
    match question {
        Question::Here => ("Here", "Are the copies in this box good?"),
        Question::Offsite => ("Offsite", "Is there a copy in another place?"),
        Question::Keys => ("Keys", "Can they be opened after a fire?"),
        Question::People => ("People", "Can enough people restore?"),
    }
}

fn belongs(question: Question, kind: DutyKind) -> bool {
    use DutyKind::{CopyAge, Gaps, Held, Keys, KitRehearsal, Pool, Runs, Scrub, TestRestore};
    match question {
        Question::Here => matches!(kind, CopyAge | Runs | Gaps | Held | Scrub | TestRestore | Pool),
        Question::Keys => matches!(kind, Keys | KitRehearsal),
        Question::Offsite => kind.is_offsite(),
        Question::People => false,
    }
}

/// A promise as a line with its proof's date.
pub(crate) fn proof_line(duty: &Duty, standing: &Standing, status: &Status, times: &Times, is_now: bool) -> ProofLine {
    let (proven, until) = match standing {
        Standing::Proven { at, until } => (Some(at.0), until.map(|until| until.0)),
        Standing::Overdue { at, .. } => (Some(at.0), None),
        Standing::NeverProven { .. } | Standing::Failed { .. } | Standing::Unknown => (None, None),
    };
    let mark = if is_now { view::of_standing(standing) } else { view::UNKNOWN };
    let failed = match standing {
        Standing::Failed { at, .. } => Some(times.at(at.0)),
        _ => None,
    };
    ProofLine { promise: promise(duty, status), mark, proven: proven.map(|at| times.at(at)), until: until.map(|at| times.at(at)), failed }
}

fn promise(duty: &Duty, status: &Status) -> String {
    let subject = match &duty.subject {
        Subject::Box => String::new(),
        Subject::Share(id) => {
            status.shares.iter().find(|share| share.id == *id).map_or_else(|| format!("share {id}"), |share| share.label.clone())
        }
        Subject::Tier(tier) => format!("tier {}", tier.number()),
        Subject::Paper(paper) => paper.clone(),
        Subject::Disk(disk) => disk.clone(),
        Subject::Opening(opening) => opening.to_string(),
        Subject::Peer(name) | Subject::Tenant(name) => view::name(name.as_bytes()),
    };
    match duty.kind {
        DutyKind::CopyAge => format!("{subject}: the newest copy is young enough"),
        DutyKind::Runs => format!("{subject}: backups succeed"),
        DutyKind::Gaps => format!("{subject}: nothing is left out"),
        DutyKind::Held => format!("{subject}: nothing looks wrong"),
        DutyKind::Scrub => "All copies were read and are whole".into(),
        DutyKind::TestRestore => format!("A test restore of {subject} was equal"),
        DutyKind::KitRehearsal => format!("Paper {subject} opens the newest key"),
        DutyKind::Disk => format!("Disk {subject} is healthy"),
        DutyKind::Time => "The clock is right".into(),
        DutyKind::Power => "The box has power".into(),
        DutyKind::Pool => "The disks can be read and have room".into(),
        DutyKind::Keys => "There are two ways to unlock the keys".into(),
        DutyKind::Log => "The log is whole".into(),
        DutyKind::State => "The box's settings are in its vault".into(),
        DutyKind::Notices => "Messages reach people".into(),
        DutyKind::Emergency => format!("Emergency access {subject} is closed"),
        DutyKind::EmergencyReview => format!("Somebody looked at emergency access {subject}"),
        DutyKind::Deletions => "Old copies are forgotten as promised".into(),
        DutyKind::OffsiteContact => format!("{subject} answers, and is the box that was paired"),
        DutyKind::OffsiteCopy => format!("What {subject} has is young enough, and was proven to be there"),
        DutyKind::OffsiteLoss => format!("{subject} has what it signed for"),
        DutyKind::OffsiteReceipts => format!("What {subject} signs can be right"),
        DutyKind::OffsiteRoom => match duty.subject {
            Subject::Tenant(_) => format!("{subject} has room left on this box"),
            _ => format!("There is room left at {subject}"),
        },
        DutyKind::OffsiteOrders => match duty.subject {
            Subject::Tenant(_) => format!("What is kept here for {subject} is kept as long as was promised"),
            _ => format!("{subject} keeps everything as long as was promised"),
        },
        DutyKind::OffsiteDoor => "Nobody tried to get in where other boxes do".into(),
    }
}
