//! One run of one share: what happened, and what could not be read. Names of files are for those alone who may list files.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Cancel, Done, Gaps, ListGaps, Run, Share};

use super::frame::{self, Frame};
use super::trouble;
use crate::neighbours::Trouble;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

/// A run in a list.
pub(crate) struct RunLine {
    pub(crate) id: u64,
    pub(crate) mark: Mark,
    pub(crate) started: When,
    pub(crate) took: String,
    pub(crate) why: String,
    pub(crate) counts: String,
}

/// A run in a list.
pub(crate) fn line(run: &Run, times: &Times) -> RunLine {
    let counts = &run.counts;
    let gaps = if counts.gaps > 0 { format!(", {} not read", view::number(counts.gaps)) } else { String::new() };
    RunLine {
        id: run.id,
        mark: view::of_outcome(run.outcome),
        started: times.at(run.started_at),
        took: run.finished_at.map_or_else(String::new, |end| view::took(end - run.started_at)),
        why: run.why.as_deref().map(capital).unwrap_or_default(),
        counts: format!("{}, {} read{gaps}", view::count(counts.files, "file", "files"), view::size(counts.read_bytes)),
    }
}

/// Words of the box as a sentence of their own.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let text: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    id: u64,
    share: Option<(String, String)>,
    share_id: String,
    mark: Mark,
    going: bool,
    words: String,
    started: When,
    finished: Option<When>,
    took: String,
    facts: Vec<(&'static str, String)>,
    why: Option<String>,
    missing: u64,
    gaps: Option<Result<GapList, Trouble>>,
    may_cancel: bool,
    may_run: bool,
}

struct GapList {
    lines: Vec<(String, String)>,
    total: u64,
}

/// The page.
pub(crate) async fn page(visit: Visit, Path(id): Path<u64>) -> Response {
    let run = match visit.app.neighbours.get::<Run>(format!("/v1/runs/{id}")).await {
        Ok(run) => run,
        Err(trouble) => return trouble::failed(&visit, &trouble),
    };
    let shares = visit.app.neighbours.get::<Vec<Share>>("/v1/shares").await.unwrap_or_default();
    let share = shares.into_iter().find(|share| share.id == run.share).map(|share| (share.id, share.name));
    let gaps = match run.counts.gaps > 0 && run.outcome.is_some() && visit.may(Verb::FilesList) {
        true => Some(gaps(&visit, id).await),
        false => None,
    };
    let (times, counts, going) = (frame::times(&visit), run.counts, run.finished_at.is_none());
    let end = run.finished_at.unwrap_or_else(|| visit.now());
    let facts = vec![
        ("Files, folders and links", view::number(counts.entries)),
        ("Files", view::number(counts.files)),
        ("Size of all files", view::size(counts.content_bytes)),
        ("Read from the server", view::size(counts.read_bytes)),
        ("New in the vault", view::size(counts.stored_bytes)),
        ("Could not be read", view::number(counts.gaps)),
        ("Changed while being read", view::number(counts.inconsistent)),
    ];
    let frame = visit.frame("Backup");
    visit.show(&RunPage {
        frame: if going { frame.reloading(5) } else { frame },
        id,
        share,
        share_id: run.share.clone(),
        mark: view::of_outcome(run.outcome),
        going,
        words: words(&run),
        started: times.full(run.started_at),
        finished: run.finished_at.map(|at| times.full(at)),
        took: view::took(end - run.started_at),
        facts,
        why: run.why.as_deref().map(capital),
        missing: counts.gaps,
        gaps,
        may_cancel: going && visit.may(Verb::RunCancel),
        may_run: !going && visit.may(Verb::RunNow),
    })
}

async fn gaps(visit: &Visit, run: u64) -> Result<GapList, Trouble> {
    let gaps: Gaps = visit.granted(Verb::FilesList, "/v1/runs/gaps", &ListGaps { run }).await?;
    let lines = gaps.gaps.iter().map(|gap| (view::name(gap.path.as_ref()), capital(&gap.why))).collect();
    Ok(GapList { lines, total: gaps.total })
}

/// What it means for the data.
fn words(run: &Run) -> String {
    use keepwell_api::vault::Outcome;
    match run.outcome {
        None => "It goes on. The copies from before stay as they are.".into(),
        Some(Outcome::Complete) => "Everything on the share was copied.".into(),
        Some(Outcome::Partial) => {
            format!("{} could not be read. Only these lack today's version; all others are copied.", view::count(run.counts.gaps, "file or folder", "files or folders"))
        }
        Some(Outcome::Held) => "The share looked wrong, suddenly empty or another one. This copy is held aside; the older ones stay and are what a restore brings back.".into(),
        Some(Outcome::Failed) => "Nothing came of it. The newest copy from before stays; work since then is unprotected.".into(),
        Some(Outcome::Cancelled) => "Somebody ended it. The newest copy from before stays.".into(),
        Some(Outcome::Cut) => "The box or its engine stopped in the middle of it. It is tried again by itself.".into(),
    }
}

/// Ends it.
pub(crate) async fn cancel(visit: Visit, Path(id): Path<u64>) -> Response {
    let done = visit.granted::<Done>(Verb::RunCancel, "/v1/runs/cancel", &Cancel { id }).await;
    visit.after(&format!("/runs/{id}"), done, "It is being ended. The copies from before stay.")
}
