//! The program keepwell-vaultd: arguments, and nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use keepwell_api::Callers;
use keepwell_vaultd::Household;
use keepwell_vaultd::appliance::{Appliance, Config};
use keepwell_vaultd::bays::Diskd;
use keepwell_vaultd::engine::Places;
use keepwell_vaultd::service::routes;
use nix::sys::resource::{Resource, setrlimit};

/// Backs the practice's shares up, keeps and checks the vault, restores.
#[derive(Parser)]
#[command(version)]
struct Program {
    /// Folder for the box's state and log.
    #[arg(long, default_value = "/var/lib/keepwell/vaultd")]
    state: PathBuf,
    /// Folder for what can be made anew.
    #[arg(long, default_value = "/var/cache/keepwell/vaultd")]
    cache: PathBuf,
    /// Folder in which the disks of the vault are mounted as disk-1, disk-2 and so on.
    #[arg(long, default_value = "/run/keepwell/disks")]
    pool: PathBuf,
    /// diskd's socket, where it has the box's disks.
    #[arg(long)]
    diskd_socket: Option<PathBuf>,
    /// The vault's disks are where diskd mounted them, and not in a folder.
    #[arg(long, requires = "diskd_socket")]
    pool_from_diskd: bool,
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = keepwell_api::vault::SOCKET)]
    socket: PathBuf,
    /// keyd's socket.
    #[arg(long, default_value = keepwell_api::keys::SOCKET)]
    keyd: PathBuf,
    /// authd's socket.
    #[arg(long, default_value = keepwell_api::auth::SOCKET)]
    authd: PathBuf,
    /// notifyd's socket.
    #[arg(long, default_value = keepwell_api::notices::SOCKET)]
    notifyd: PathBuf,
    /// replicad's socket.
    #[arg(long, default_value = keepwell_api::offsite::SOCKET)]
    replicad: PathBuf,
    /// Where ingestd is reached.
    #[arg(long, default_value = "/run/keepwell/ingest.sock")]
    ingest: PathBuf,
    /// What the box is called in messages.
    #[arg(long, default_value = "Keepwell")]
    name: String,
    /// Runs at a time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8))]
    runs: u8,
    /// User ids that may ask; the own one if absent.
    #[arg(long)]
    caller_uid: Vec<u32>,
}

fn main() -> anyhow::Result<()> {
    let program = Program::parse();
    // Keys will be in this memory: no dumps, no debugger.
    nix::sys::prctl::set_dumpable(false).context("this process can't be kept from being dumped")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("core files can't be switched off")?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let listener = keepwell_api::listen(&program.socket).with_context(|| format!("vaultd can't listen at {}", program.socket.display()))?;
    let callers = if program.caller_uid.is_empty() { vec![nix::unistd::geteuid().as_raw()] } else { program.caller_uid };
    let diskd = program.diskd_socket.map(|socket| Diskd { socket, has_pool: program.pool_from_diskd });
    let config = Config {
        state: program.state,
        places: Places { pool: program.pool, diskd, cache: program.cache, keyd: program.keyd },
        ingest: program.ingest,
        authd: program.authd,
        notifyd: program.notifyd,
        replicad: program.replicad,
        name: program.name,
        slots: usize::from(program.runs),
    };
    let appliance = Appliance::start(config).context("vaultd can't take up its state")?;
    let household = Household::start(&appliance)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().max_blocking_threads(32).build()?;
    let watched = Arc::clone(&appliance);
    let routes = routes(appliance, Callers::only(callers));
    let served = runtime.block_on(keepwell_api::serve_while(listener, routes, Arc::new(move || watched.goes_on())));
    household.end();
    // What still waits for another program, such as a disk that is being prepared, is cut here as a loss of power would.
    runtime.shutdown_background();
    served.context("vaultd can't go on")
}
