//! `keepwell test-restore`: has the box prove now that it can restore. It shows among the restores.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{Started, TestRestores};

use super::args::TestRestoreArgs;
use super::place::Place;
use super::restore;
use crate::exit::{CliError, Exit};
use crate::output::Answer;

/// Runs it.
pub(crate) fn run(args: &TestRestoreArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let request = TestRestores { tier: args.tier.map(Into::into) };
    let started: Started = place.granted(Verb::TestRestore, "/v1/test-restores", &request)?;
    restore::begun(&started, "Test restore", args.wait.wait, place, answer)
}
