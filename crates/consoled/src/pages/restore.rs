//! Getting files back, step by step: when, what, where, a check that writes nothing, then the restore and its receipt. What was chosen is kept on this side of
//! the browser, so that no name is ever in an address, and going back loses nothing.

pub mod browse;
pub mod calendar;
pub mod compare;
pub mod download;
pub mod draft;
pub mod job;
pub mod place;
pub mod start;

use axum::response::Response;

use crate::neighbours::Trouble;
use crate::pages::trouble;
use crate::visit::Visit;
use draft::Draft;

/// The steps, as they are shown above each of them.
pub(crate) const STEPS: [&str; 4] = ["When", "What", "Where", "Check"];

/// A step as it is shown.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) here: bool,
}

pub(crate) fn steps(at: usize) -> Vec<Step> {
    STEPS.iter().enumerate().map(|(number, name)| Step { name, here: number == at }).collect()
}

/// What is prepared under this id, as it is now.
pub(crate) fn draft(visit: &Visit, id: &str) -> Result<Draft, Response> {
    match visit.kept(|kept| kept.drafts.get(id).cloned()) {
        Ok(Some(draft)) => Ok(draft),
        Ok(None) => Err(trouble::missing(visit, "This restore is not being prepared any more. Begin again under Restore.")),
        Err(trouble) => Err(trouble::failed(visit, &trouble)),
    }
}

/// Changes what is prepared.
pub(crate) fn change<T>(visit: &Visit, id: &str, change: impl FnOnce(&mut Draft) -> T) -> Result<T, Trouble> {
    visit.kept(|kept| kept.drafts.get_mut(id).map(change))?.ok_or(Trouble::SignedOut)
}

/// A page of a draft.
pub(crate) fn at(id: &str, step: &str) -> String {
    format!("/restore/drafts/{id}/{step}")
}
