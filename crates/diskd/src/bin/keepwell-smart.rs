//! The program `keepwell-smart`: answers one question about one disk's health on standard input and output, which the service manager makes a connection of diskd's. It exists
//! so that smartctl, which parses what strange disks say and needs raw access to them, runs in a sandbox with nothing else in it. Decides nothing, keeps nothing.

use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use keepwell_diskd::smart::answer;

/// Asks a disk for its health, for keepwell-diskd.
#[derive(Debug, Parser)]
#[command(name = "keepwell-smart", version, max_term_width = 100)]
struct Args {
    /// The program that asks
    #[arg(long, default_value = "/usr/sbin/smartctl")]
    smartctl: PathBuf,
    /// Longest time it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    Ok(answer(stdin().lock(), stdout().lock(), &args.smartctl, Duration::from_secs(args.deadline))?)
}
