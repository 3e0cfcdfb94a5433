//! The program keepwell-replicad: arguments, and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use keepwell_api::offsite;
use keepwell_replicad::house::House;
use keepwell_replicad::keep;
use keepwell_replicad::service::routes;
use keepwell_replicad::world::System;
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};

/// Sends this box's backups to another one, and keeps what others send. Has no key to either.
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
    /// Folder for its keys, receipts, and what is known of other boxes.
    #[arg(long, default_value = "/var/lib/keepwell/replicad")]
    state: PathBuf,
    /// Folder in which the disks of the vault are mounted.
    #[arg(long, default_value = "/run/keepwell/disks")]
    pool: PathBuf,
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = offsite::SOCKET)]
    socket: PathBuf,
    /// Where other boxes find this one, once that is switched on.
    #[arg(long, default_value_t = SocketAddr::from(([0, 0, 0, 0], offsite::PORT)))]
    listen: SocketAddr,
    /// User id of vaultd, which alone may ask; the own one if absent.
    #[arg(long)]
    vaultd_uid: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let Verb::Serve(serve) = Program::parse().verb;
    // Before there is any secret.
    set_dumpable(false).context("this process can't be kept from being dumped")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("core files can't be switched off")?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let listener = keepwell_api::listen(&serve.socket).with_context(|| format!("replicad can't listen at {}", serve.socket.display()))?;
    let world = Arc::new(System::new().context("the system gives no random numbers")?);
    let house = House::start(&serve.state, &serve.pool, world).context("replicad can't take up its state")?;
    let vaultd = serve.vaultd_uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().max_blocking_threads(64).build()?;
    let served = runtime.block_on(async {
        house.set_out();
        tokio::spawn(keep::listen(Arc::clone(&house), serve.listen));
        tokio::spawn(keep::tend(Arc::clone(&house)));
        let rekeyed = Arc::clone(&house);
        tokio::spawn(async move {
            rekeyed.has_other_key().await;
            // As if it was told to end: what is being answered is answered.
            raise(Signal::SIGTERM)
        });
        keepwell_api::serve(listener, routes(Arc::clone(&house), vaultd)).await
    });
    // A round that is under way is cut here as a line would be.
    runtime.shutdown_background();
    served.context("replicad can't go on")?;
    // A failure, so that whoever watches over programs starts it again.
    anyhow::ensure!(!house.is_over(), "this box has another key among boxes by now: replicad begins anew with it");
    Ok(())
}
