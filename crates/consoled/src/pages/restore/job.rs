//! A restore under way, and its receipt when it is over.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::vault::{Cancel, Done, Outcome, RestoreState};

use super::start::may_see;
use crate::pages::frame::{self, Frame};
use crate::pages::{runs, trouble};
use crate::view::{self, Mark, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "restore_job.html")]
struct JobPage {
    frame: Frame,
    id: u64,
    mark: Mark,
    going: bool,
    words: String,
    why: Option<String>,
    by: String,
    to: String,
    snapshot: String,
    started: When,
    finished: Option<When>,
    took: String,
    rate: String,
    facts: Vec<(&'static str, String)>,
    box_name: String,
    printed: When,
}

/// The page.
pub(crate) async fn page(visit: Visit, Path(id): Path<u64>) -> Response {
    let state = match visit.app.neighbours.get::<RestoreState>(format!("/v1/restores/{id}")).await {
        Ok(state) if may_see(&visit, &state) => state,
        Ok(_) => return trouble::missing(&visit, "There is no such restore of yours."),
        Err(trouble) => return trouble::failed(&visit, &trouble),
    };
    let (times, going) = (frame::times(&visit), state.finished_at.is_none());
    let took_s = (state.finished_at.unwrap_or_else(|| visit.now()) - state.started_at).max(1);
    let rate = state.written_bytes / took_s.unsigned_abs().max(1);
    let facts = vec![
        ("Files written", view::number(state.files)),
        ("Written", view::size(state.written_bytes)),
        ("Read back and compared", view::number(state.compared)),
        ("Not as in the backup", view::number(state.differing)),
        ("Missing or not whole", view::number(state.missing)),
        ("Left out, something was there", view::number(state.skipped)),
    ];
    let frame = visit.frame("Restore receipt");
    visit.show(&JobPage {
        box_name: frame.box_name.clone(),
        frame: if going { frame.reloading(3) } else { frame },
        id,
        mark: view::of_outcome(state.outcome),
        going,
        words: words(&state),
        why: state.why.as_deref().map(runs::capital),
        by: state.by.clone(),
        to: state.to.clone(),
        snapshot: state.snapshot.clone(),
        started: times.full(state.started_at),
        finished: state.finished_at.map(|at| times.full(at)),
        took: view::took(took_s),
        rate: format!("{} a second", view::size(rate)),
        facts,
        printed: times.full(visit.now()),
    })
}

fn words(state: &RestoreState) -> String {
    let all = state.files + state.missing;
    let files = view::count(state.files, "file", "files");
    match state.outcome {
        None => format!("{files} so far. You can sign out; it goes on."),
        Some(Outcome::Complete) if state.compared > 0 && state.differing == 0 => {
            format!("Restored {files}. All were read back and are equal.")
        }
        Some(Outcome::Complete) => format!("Restored {files}."),
        Some(Outcome::Partial) if state.differing > 0 => {
            format!(
                "Restored {} of {}; {} are not as in the backup.",
                view::number(state.files),
                view::number(all),
                view::number(state.differing)
            )
        }
        Some(Outcome::Partial | Outcome::Held) => {
            format!(
                "Restored {} of {}. {} are missing or not whole.",
                view::number(state.files),
                view::number(all),
                view::number(state.missing)
            )
        }
        Some(Outcome::Failed) => format!("It failed after {files}. What was written is whole; nothing is half-written."),
        Some(Outcome::Cancelled) => format!("Somebody ended it after {files}. What was written is whole."),
        Some(Outcome::Cut) => {
            format!("The box stopped in the middle of it, after {files}. Begin it again: what is there already can be skipped.")
        }
    }
}

/// Ends it.
pub(crate) async fn cancel(visit: Visit, Path(id): Path<u64>) -> Response {
    let done = visit.granted::<Done>(keepwell_api::grants::Verb::Restore, "/v1/restores/cancel", &Cancel { id }).await;
    visit.after(&format!("/restore/jobs/{id}"), done, "It is being ended. What was written stays.")
}
