//! A restore under way, and its receipt when it is over.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Cancel, Done, Outcome, RestoreState, ResumeRestore, Started, Waits};

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
    test: bool,
    going: bool,
    /// It goes on when somebody gives the password.
    password: bool,
    needs_code: bool,
    retry: Option<When>,
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
        // A check restores nothing, so there is nothing to show for it.
        Ok(state) if !state.dry_run && may_see(&visit, &state) => state,
        Ok(_) => return trouble::missing(&visit, "There is no such restore of yours."),
        Err(trouble) => return trouble::failed(&visit, &trouble),
    };
    let (times, going) = (frame::times(&visit), state.finished_at.is_none());
    let took_s = (state.finished_at.unwrap_or_else(|| visit.now()) - state.started_at).max(1);
    let rate = state.written_bytes / took_s.unsigned_abs().max(1);
    let frame = visit.frame(if is_test(&state) { "Test restore" } else { "Restore receipt" });
    visit.show(&JobPage {
        box_name: frame.box_name.clone(),
        // Nobody's typing is lost by a reload.
        frame: if going && state.waits != Some(Waits::Password) { frame.reloading(3) } else { frame },
        id,
        password: state.waits == Some(Waits::Password),
        needs_code: visit.needs_code(Verb::Restore),
        retry: state.retry_at.map(|at| times.full(at)),
        test: is_test(&state),
        mark: mark(&state),
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
        facts: facts(&state),
        printed: times.full(visit.now()),
    })
}

/// Whether the box tried its own copies, and nobody got anything back.
pub(crate) fn is_test(state: &RestoreState) -> bool {
    state.snapshot.is_empty()
}

/// How it went. That nothing had to be written is no restore that went well.
pub(crate) fn mark(state: &RestoreState) -> Mark {
    match state.outcome {
        None if state.waits.is_some() => Mark { status: "warn", icon: "clock", word: "Paused" },
        Some(Outcome::Complete) if all_skipped(state) => Mark { status: "muted", icon: "slash", word: "Skipped" },
        outcome => view::of_outcome(outcome),
    }
}

fn all_skipped(state: &RestoreState) -> bool {
    state.files == 0 && state.skipped > 0
}

fn facts(state: &RestoreState) -> Vec<(&'static str, String)> {
    let test = is_test(state);
    let mut facts = vec![
        (if test { "Files tested" } else { "Files written" }, view::number(state.files)),
        (if test { "In all" } else { "Written" }, view::size(state.written_bytes)),
        ("Read back and compared", view::number(state.compared)),
        ("Not as in the backup", view::number(state.differing)),
        ("Missing or not whole", view::number(state.missing)),
    ];
    if !test {
        facts.push(("Left out, something was there", view::number(state.skipped)));
    }
    if state.resumed > 0 {
        facts.push(("Cut, and went on", view::count(state.resumed.into(), "time", "times")));
    }
    facts
}

fn words(state: &RestoreState) -> String {
    if is_test(state) { of_test(state) } else { of_restore(state) }
}

fn of_test(state: &RestoreState) -> String {
    let files = view::count(state.files, "file", "files");
    let words = match state.outcome {
        None => format!("{files} tested so far. You can sign out; it goes on."),
        Some(Outcome::Complete) => format!("Tested {files}: all came back as they were backed up."),
        Some(Outcome::Partial | Outcome::Held) => {
            let (differing, missing) = (view::number(state.differing), view::number(state.missing));
            format!("Tested {files}: {differing} are not as in the backup, {missing} are missing or not whole.")
        }
        Some(Outcome::Failed) => format!("The test failed after {files}: it proves nothing."),
        Some(Outcome::Cancelled) => format!("Somebody ended the test after {files}: it proves nothing."),
        Some(Outcome::Cut) => format!("The box stopped in the middle of the test, after {files}: it proves nothing."),
    };
    format!("{words} Nothing on your servers was touched.")
}

fn of_restore(state: &RestoreState) -> String {
    let words = of_outcome(state);
    match state.skipped {
        0 => words,
        skipped => format!("{words} Left out, because something was there already: {}.", view::number(skipped)),
    }
}

fn of_outcome(state: &RestoreState) -> String {
    let all = state.files + state.missing;
    let files = view::count(state.files, "file", "files");
    match state.outcome {
        None if state.waits == Some(Waits::Password) => {
            format!(
                "{files} so far; they are whole. It was cut, and goes on where it was when somebody gives the password of the account that writes."
            )
        }
        None if state.waits.is_some() => format!("{files} so far; they are whole. It waits for the server, and goes on by itself."),
        None => format!("{files} so far. You can sign out; it goes on."),
        Some(Outcome::Complete) if state.files == 0 => "No file was written.".into(),
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
    let done = visit.granted::<Done>(Verb::Restore, "/v1/restores/cancel", &Cancel { id }).await;
    visit.after(&format!("/restore/jobs/{id}"), done, "It is being ended. What was written stays.")
}

/// Gives the password again. It is handed on, and kept nowhere here.
pub(crate) async fn resume(visit: Visit, Path(id): Path<u64>) -> Response {
    let order = ResumeRestore { id, password: visit.form.some_secret("password") };
    let begun = visit.granted::<Started>(Verb::Restore, "/v1/restores/resume", &order).await;
    visit.after(&format!("/restore/jobs/{id}"), begun, "It goes on where it was.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(files: u64, skipped: u64, outcome: Outcome) -> RestoreState {
        RestoreState {
            id: 1,
            snapshot: "5a".into(),
            to: "smb://server/share".into(),
            by: "ann".into(),
            started_at: 0,
            finished_at: Some(1),
            outcome: Some(outcome),
            why: None,
            dry_run: false,
            files,
            written_bytes: 0,
            compared: files,
            differing: 0,
            missing: 0,
            skipped,
            ..RestoreState::default()
        }
    }

    #[test]
    fn what_was_skipped_is_not_restored() {
        let skipped = state(0, 1_201, Outcome::Complete);
        assert_eq!(words(&skipped), "No file was written. Left out, because something was there already: 1,201.");
        assert_eq!((mark(&skipped).status, mark(&skipped).word), ("muted", "Skipped"));
        let some = state(7, 2, Outcome::Complete);
        assert_eq!(words(&some), "Restored 7 files. All were read back and are equal. Left out, because something was there already: 2.");
        assert_eq!(mark(&some).status, "ok");
        assert_eq!(mark(&state(0, 5, Outcome::Failed)).status, "bad");
    }

    #[test]
    fn a_test_has_words_of_its_own() {
        let mut test = RestoreState { snapshot: String::new(), ..state(300, 0, Outcome::Complete) };
        assert_eq!(words(&test), "Tested 300 files: all came back as they were backed up. Nothing on your servers was touched.");
        test.outcome = Some(Outcome::Failed);
        assert!(words(&test).contains("proves nothing"));
        assert!(facts(&test).iter().all(|(name, _)| !name.contains("ritten")));
    }
}
