//! The program keepwell-recoverd: arguments, and nothing else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use keepwell_api::{Callers, recovery, vault};
use keepwell_recover::Patience;
use keepwell_recoverd::service::routes;
use keepwell_recoverd::work::Work;
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use zeroizing_alloc::ZeroAlloc;

/// Papers pass through, and what they open: what is freed is wiped, also by libraries that know nothing of secrets.
#[global_allocator]
static WIPED: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// So long the screen can be told that all is there.
const LAST: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_secs(5);

/// Brings the vault of a lost box back to this one, which is blank.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Answers on its socket until all is there.
    Serve(Serve),
}

#[derive(Args)]
struct Serve {
    /// Folder for what is under way, and for this box's new key.
    #[arg(long, default_value = "/var/lib/keepwell/recoverd")]
    state: PathBuf,
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = recovery::SOCKET)]
    socket: PathBuf,
    /// vaultd's socket.
    #[arg(long, default_value = vault::SOCKET)]
    vaultd: PathBuf,
    /// User ids of the screen, which alone may ask; the own one if absent.
    #[arg(long)]
    screen_uid: Vec<u32>,
}

fn main() -> anyhow::Result<()> {
    let Verb::Serve(serve) = Program::parse().verb;
    // Before there is any secret.
    set_dumpable(false).context("this process can't be kept from being dumped")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("core files can't be switched off")?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let listener = keepwell_api::listen(&serve.socket).with_context(|| format!("recoverd can't listen at {}", serve.socket.display()))?;
    std::fs::create_dir_all(&serve.state).with_context(|| format!("{} can't be made", serve.state.display()))?;
    let screens = if serve.screen_uid.is_empty() { vec![nix::unistd::geteuid().as_raw()] } else { serve.screen_uid };
    let work = Arc::new(Work::new(&serve.state, &serve.vaultd, Patience::default()));
    // One of them waits for disks.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().max_blocking_threads(16).build()?;
    let served = runtime.block_on(async {
        let ending = Arc::clone(&work);
        tokio::spawn(async move {
            while !ending.is_done() {
                tokio::time::sleep(LOOK).await;
            }
            tokio::time::sleep(LAST).await;
            // As if it was told to end: there is nothing left to do.
            raise(Signal::SIGTERM)
        });
        keepwell_api::serve(listener, routes(work, Callers::only(screens))).await
    });
    // What is under way is cut here as a loss of power would.
    runtime.shutdown_background();
    served.context("recoverd can't go on")
}
