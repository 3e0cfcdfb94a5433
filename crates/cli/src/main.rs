//! The command line `keepwell`: a vault directory and what opens it, the sources and targets beside it, and a box that looks after one. Never prompts,
//! never has a network but that of a source or target, and of a box that a vault comes back from.

mod appliance;
mod args;
mod backup;
mod dev;
mod diff;
mod disk;
mod disks;
mod exit;
mod forget;
mod init;
mod keys;
mod list;
mod ls;
mod manual;
mod memory;
mod opening;
mod order;
mod output;
mod progress;
mod random;
mod receipt;
mod recover;
mod remote;
mod repair;
mod restore;
mod scrub;
mod source;
mod stats;
mod tend;
mod text;
mod to_do;
mod unlock;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use appliance::far::Far;
use appliance::place::Place;
use args::{Area, Cli, Command};
use exit::{CliError, Exit};
use output::Answer;

fn main() -> ExitCode {
    memory::share_arena();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    start_log(cli.json);
    keepwell_source::raise_open_files();
    let mut answer = Answer::new(cli.area.name(), cli.json);
    let place = match elsewhere(&cli) {
        Ok(far) => Place::new(cli.box_folder.as_deref()).or_far(far),
        Err(error) => return answer.finish(Err(error)).into(),
    };
    let result = match &cli.area {
        Area::Vault(command) => run(command, &mut answer),
        Area::Source(command) => source::run(command, &mut answer),
        Area::Keys(command) => keys::run(command, &place, &mut answer),
        Area::Disks(command) => disks::run(command, &place, &mut answer),
        Area::Appliance(command) => appliance::run(command, &place, &mut answer),
        Area::Order(command) => order::run(command, &mut answer),
        Area::Recover(args) => recover::run(args, &mut answer),
        Area::Dev(args) => dev::run(args, &mut answer),
        Area::Completions(args) => manual::completions(args, &mut answer),
        Area::Man(args) => manual::pages(args, &mut answer),
        Area::Become(args) => dev::become_program(args),
    };
    answer.finish(result).into()
}

/// The box elsewhere that is meant, if one is. What is about this machine, or about who is signed in at it, is no question for one.
fn elsewhere(cli: &Cli) -> Result<Option<Far>, CliError> {
    let far = Far::new(&cli.far)?;
    let local = || CliError::Usage("this is done at the box itself, and not with --remote".into());
    match &cli.area {
        Area::Appliance(command) if command.is_for_programs() => Ok(far),
        _ if far.is_some() => Err(local()),
        _ => Ok(None),
    }
}

fn run(command: &Command, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => init::run(args, answer),
        Command::Backup(args) => backup::run(args, answer),
        Command::List(args) => list::run(args, answer),
        Command::Ls(args) => ls::run(args, answer),
        Command::Diff(args) => diff::run(args, answer),
        Command::Restore(args) => restore::run(args, answer),
        Command::Verify(args) => verify::run(args, answer),
        Command::Repair(args) => repair::run(args, answer),
        Command::Stats(args) => stats::run(args, answer),
        Command::Forget(args) => forget::run(args, answer),
        Command::Disk(command) => disk::run(command, answer),
        Command::Scrub(args) => scrub::run(args, answer),
        Command::Tend(args) => tend::run(args, answer),
    }
}

/// Help and version are answers; anything else that clap stops at is wrong usage, which programs hear as an object too.
fn usage(error: &clap::Error) -> Exit {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if !error.use_stderr() || !json {
        // Nothing better can be done when standard error is closed.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage } else { Exit::Complete };
    }
    let known = Cli::command();
    let is_command = |word: &str| {
        known.get_subcommands().any(|area| area.find_subcommand(word).is_some() || area.get_name() == word && !area.has_subcommands())
    };
    let mut typed = std::env::args_os().filter_map(|arg| arg.into_string().ok());
    let command = typed.find(|arg| is_command(arg)).unwrap_or_default();
    Answer::new(&command, true).finish(Err(CliError::Usage(error.to_string().trim_end().to_owned())))
}

/// The log goes to standard error: warnings, or what `RUST_LOG` asks for.
fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Log).without_time();
    if json { log.json().init() } else { log.with_target(false).with_ansi(false).init() }
}

/// Standard error, where a line of progress may stand.
struct Log;

impl<'a> MakeWriter<'a> for Log {
    type Writer = io::Stderr;

    fn make_writer(&'a self) -> Self::Writer {
        let mut err = io::stderr();
        if err.is_terminal() {
            let _ = err.write_all(progress::CLEAR.as_bytes());
        }
        err
    }
}
