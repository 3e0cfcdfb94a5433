//! `keepwell test-restore`: has the box prove now that it can restore. What came of it the status says, and the log.

use keepwell_api::grants::Verb;
use keepwell_api::vault::Done;
use serde_json::json;

use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;

/// Runs it.
pub(crate) fn run(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let _: Done = place.granted(Verb::TestRestore, "/v1/test-restores", &json!({}))?;
    answer.line("A test restore of each tier has begun. What comes of it stands in 'keepwell status' and 'keepwell log'.");
    Ok(Exit::Complete)
}
