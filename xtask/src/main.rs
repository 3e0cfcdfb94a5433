//! The project's own chores. Never part of what is shipped.

mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Number of complaints.
fn run(chore: Option<&str>) -> anyhow::Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    match chore {
        Some("tidy") => tidy::run(root),
        _ => bail!("usage: cargo xtask tidy"),
    }
}
