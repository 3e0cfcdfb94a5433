//! The step of the first copy: how it goes, while it goes.

use askama::Template;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Outcome, Run, RunNow, Share, Started};

use super::progress::{Fact, Progress, Stage};
use super::{Rung, rungs};
use crate::neighbours::Trouble;
use crate::pages::frame::Frame;
use crate::pages::runs::capital;
use crate::view::{self, Mark};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "setup_backup.html")]
struct BackupPage {
    frame: Frame,
    steps: Vec<Rung>,
    share: Result<Option<First>, Trouble>,
    others: Vec<(String, Mark)>,
    has_copy: bool,
}

/// The share whose first copy is made.
struct First {
    id: String,
    name: String,
    mark: Mark,
    words: String,
    why: Option<String>,
    going: bool,
    may_begin: bool,
    run: Option<u64>,
    facts: Vec<(&'static str, String)>,
}

const WAITING: Mark = Mark { status: "muted", icon: "ring", word: "Not begun" };

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let (progress, first) = tokio::join!(Progress::of(&visit.app), first(&visit));
    let (share, others) = match first {
        Ok((share, others)) => (Ok(share), others),
        Err(trouble) => (Err(trouble), Vec::new()),
    };
    let going = share.as_ref().is_ok_and(|share| share.as_ref().is_some_and(|share| share.going));
    visit.show(&BackupPage {
        frame: visit.frame("Set up: first backup").reloading(if going { 3 } else { 15 }),
        steps: rungs(&progress, Stage::Backup),
        share,
        others,
        has_copy: progress.at(Stage::Backup) == Fact::Done,
    })
}

/// The share that is looked at: one without a copy, else the first.
async fn first(visit: &Visit) -> Result<(Option<First>, Vec<(String, Mark)>), Trouble> {
    let shares: Vec<Share> = visit.app.neighbours.get("/v1/shares").await?;
    let Some(share) = shares.iter().find(|share| share.newest_copy_at.is_none()).or(shares.first()) else { return Ok((None, Vec::new())) };
    let runs: Vec<Run> = visit.app.neighbours.get(format!("/v1/runs?share={}&limit=1", share.id)).await?;
    let others = shares.iter().filter(|other| other.id != share.id).map(|other| (other.name.clone(), mark(other))).collect();
    Ok((Some(shown(share, runs.first())), others))
}

fn mark(share: &Share) -> Mark {
    match (share.running, &share.last) {
        (Some(_), _) => view::of_outcome(None),
        (None, Some(last)) => view::of_outcome(last.outcome),
        (None, None) => WAITING,
    }
}

fn shown(share: &Share, run: Option<&Run>) -> First {
    let outcome = run.and_then(|run| run.outcome);
    let going = run.is_some_and(|run| run.finished_at.is_none());
    let facts = run.map_or_else(Vec::new, |run| {
        let mut facts = vec![
            ("Files so far", view::number(run.counts.files)),
            ("Read from the server", view::size(run.counts.read_bytes)),
            ("New on the disks", view::size(run.counts.stored_bytes)),
        ];
        if run.counts.gaps > 0 {
            facts.push(("Could not be read", view::number(run.counts.gaps)));
        }
        facts
    });
    First {
        id: share.id.clone(),
        name: share.name.clone(),
        mark: run.map_or(WAITING, |run| view::of_outcome(run.outcome)),
        words: words(run, outcome),
        why: run.and_then(|run| run.why.as_deref()).map(capital),
        going,
        may_begin: !going && !matches!(outcome, Some(Outcome::Complete | Outcome::Partial)),
        run: run.map(|run| run.id),
        facts,
    }
}

fn words(run: Option<&Run>, outcome: Option<Outcome>) -> String {
    match (run, outcome) {
        (None, _) => "The box begins by itself within a minute. You need not wait for it.".into(),
        (Some(_), None) => "It reads the share and keeps what it reads. You may sign out; it goes on.".into(),
        (_, Some(Outcome::Complete)) => "Everything on the share was copied.".into(),
        (Some(run), Some(Outcome::Partial)) => format!(
            "{} could not be read: only these are missing from the copy. All others are in it.",
            view::count(run.counts.gaps, "file or folder", "files or folders")
        ),
        (_, Some(Outcome::Held)) => {
            "The share looked wrong, such as suddenly empty. Look at the share's page, and say there whether it is meant to be so.".into()
        }
        (_, Some(Outcome::Failed)) => "Nothing was copied. Mend what is said here, and begin again.".into(),
        (_, Some(Outcome::Cancelled | Outcome::Cut)) => {
            "It did not come to its end. Begin again: what was read already is not read twice.".into()
        }
    }
}

/// Begins it now.
pub(crate) async fn begin(visit: Visit) -> Response {
    let ask = RunNow { share: visit.form.text("share").to_owned(), intended: false };
    match visit.granted::<Started>(Verb::RunNow, "/v1/runs", &ask).await {
        // It has begun meanwhile, which is what was wanted.
        Err(trouble) if trouble.code() == Some("runs-already") => visit.go("/setup/backup", None),
        done => visit.after("/setup/backup", done, "The backup has begun."),
    }
}
