//! The keys and their papers: whether they are open, and when each paper was last tried. Looks only: papers never pass through a browser once the box is in use.

use askama::Template;
use axum::response::Response;
use keepwell_duties::status::Question;
use keepwell_duties::{DutyKind, Status};

use super::frame::{self, Frame};
use super::front::{ProofLine, proof_line};
use crate::app::HowItIs;
use crate::view::{self, Mark, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    unknown: Option<String>,
    last: Option<When>,
    answer: Option<(Mark, String)>,
    promises: Vec<ProofLine>,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let (unknown, last, status): (_, _, Option<Status>) = match visit.app.status().await {
        HowItIs::Now(status) => (None, None, Some(*status)),
        HowItIs::Silent(trouble, last) => (Some(trouble.to_string()), last.as_ref().map(|last| times.at(last.0)), last.map(|last| last.1)),
    };
    let is_now = unknown.is_none();
    let answer = status.as_ref().and_then(|status| status.answers.iter().find(|answer| answer.question == Question::Keys));
    let answer = answer.map(|answer| (if is_now { view::of_answer(answer.mark) } else { view::UNKNOWN }, answer.words.clone()));
    let promises = status.as_ref().map_or_else(Vec::new, |status| {
        let of_keys = status.duties.iter().filter(|(duty, _)| matches!(duty.kind, DutyKind::Keys | DutyKind::KitRehearsal));
        of_keys.map(|(duty, standing)| proof_line(duty, standing, status, &times, is_now)).collect()
    });
    visit.show(&KeysPage { frame: visit.frame("Keys"), unknown, last, answer, promises })
}
