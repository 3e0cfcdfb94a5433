//! The program keepwell-notifyd: arguments, and nothing else.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use jiff::tz::TimeZone;
use keepwell_notifyd::service::{Place, routes};

/// Speaks outwards for this box: e-mail, webhooks, syslog.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Answers on its socket until it is told to end.
    Serve(Serve),
}

#[derive(Args)]
struct Serve {
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = keepwell_api::notices::SOCKET)]
    socket: PathBuf,
    /// User id of vaultd, which alone may have something sent; the own one if absent.
    #[arg(long)]
    vaultd_uid: Option<u32>,
    /// Longest time for one delivery, seconds.
    #[arg(long, default_value_t = keepwell_api::notices::DELIVERY_DEADLINE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=30))]
    deadline: u64,
}

fn main() -> anyhow::Result<()> {
    let Verb::Serve(serve) = Program::parse().verb;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let listener = keepwell_api::listen(&serve.socket).with_context(|| format!("notifyd can't listen at {}", serve.socket.display()))?;
    let vaultd = serve.vaultd_uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
    let place = Place { clock, zone: TimeZone::system(), deadline: Duration::from_secs(serve.deadline) };
    let routes = routes(place, vaultd);
    runtime.block_on(keepwell_api::serve(listener, routes)).context("notifyd can't go on")?;
    // Names that are still being looked up.
    runtime.shutdown_background();
    Ok(())
}
