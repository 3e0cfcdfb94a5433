//! The program `keepwell-ingestd`: arguments, and nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use keepwell_ingest::{IngestError, answer};
use keepwell_ingestd::{Shares, accept, connection};

/// Reads one share, or restores to one, for the connection it is started with.
#[derive(Debug, Parser)]
#[command(name = "keepwell-ingestd", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Program {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Args)]
struct Caller {
    /// User id of vaultd, which alone may call; the own one if absent
    #[arg(long, value_name = "UID")]
    vaultd_uid: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Listens, and starts itself anew for each connection: where no service manager does that
    Accept {
        /// Where to listen
        #[arg(long)]
        socket: PathBuf,
        #[command(flatten)]
        caller: Caller,
    },
}

fn main() -> ExitCode {
    let program = Program::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().with_ansi(false).init();
    connection::seclude();
    let done = match program.verb {
        None => job(program.caller.vaultd_uid),
        Some(Verb::Accept { socket, caller }) => listen(&socket, caller.vaultd_uid),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn job(vaultd_uid: Option<u32>) -> anyhow::Result<()> {
    keepwell_source::raise_open_files();
    let stream = connection::take()?;
    connection::check(&stream, vaultd_uid.unwrap_or_else(connection::own_uid))?;
    connection::end_with_signals(&stream)?;
    match answer(stream, &Shares) {
        Ok(()) => {}
        // The caller knows why.
        Err(IngestError::Refused(refusal)) => tracing::info!(code = refusal.code, "the share was not opened"),
        Err(IngestError::Gone(_)) => tracing::info!("the caller is gone"),
        Err(IngestError::Protocol(what)) => anyhow::bail!("the caller does not keep to the protocol: {what}"),
        Err(IngestError::Format(error)) => return Err(error).context("the caller does not keep to the protocol"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn listen(socket: &std::path::Path, vaultd_uid: Option<u32>) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("the program's own path can't be had")?;
    Ok(accept::serve(socket, &program, vaultd_uid.unwrap_or_else(connection::own_uid))?)
}
