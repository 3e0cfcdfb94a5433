//! What needs somebody: one thread for each trouble, worst first, and all promises with the dates of their proofs.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Acknowledge, Done};

use super::frame::{self, Frame};
use super::front::{ProofLine, ToDo, proof_line, todo};
use crate::app::HowItIs;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    frame: Frame,
    unknown: Option<String>,
    todo: Vec<ToDo>,
    promises: Vec<ProofLine>,
    may_take: bool,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let (unknown, status) = match visit.app.status().await {
        HowItIs::Now(status) => (None, Some((*status, true))),
        HowItIs::Silent(trouble, last) => (Some(trouble.to_string()), last.map(|last| (last.1, false))),
    };
    let (todo, promises) = match &status {
        Some((status, is_now)) => {
            let promises = status.duties.iter().map(|(duty, standing)| proof_line(duty, standing, status, &times, *is_now)).collect();
            (todo(status), promises)
        }
        None => (Vec::new(), Vec::new()),
    };
    let may_take = visit.may(Verb::IncidentsAcknowledge) && unknown.is_none();
    visit.show(&IncidentsPage { frame: visit.frame("Incidents").reloading(60), unknown, todo, promises, may_take })
}

/// Somebody takes one.
pub(crate) async fn take(visit: Visit, Path(id): Path<u64>) -> Response {
    let done = visit.granted::<Done>(Verb::IncidentsAcknowledge, "/v1/incidents/acknowledge", &Acknowledge { id }).await;
    visit.after("/incidents", done, "It is yours. It closes by itself when it is proven to be over.")
}
