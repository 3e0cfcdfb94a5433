//! The program `keepwell-diskd`: arguments, and the parts put together. Decides nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use keepwell_api::disks::SOCKET;
use keepwell_api::{Callers, keys, listen, serve};
use keepwell_diskd::identity::KnownBoxes;
use keepwell_diskd::inventory::Places;
use keepwell_diskd::keyd::Keyd;
use keepwell_diskd::mount::MountPlace;
use keepwell_diskd::mounter::Mounter;
use keepwell_diskd::prepare::Tools;
use keepwell_diskd::service::routes;
use keepwell_diskd::smart::{Route, Smartctl};
use keepwell_diskd::watch::{Config, Watch};

/// Finds, watches, prepares, mounts and erases the disks of a Keepwell box.
#[derive(Debug, Parser)]
#[command(name = "keepwell-diskd", version, max_term_width = 100)]
struct Args {
    /// Socket to listen on, unless the service manager gives one
    #[arg(long, default_value = SOCKET)]
    socket: PathBuf,
    /// Folder of the history
    #[arg(long, default_value = "/var/lib/keepwell/diskd")]
    state: PathBuf,
    /// Folder under which disks are mounted
    #[arg(long, default_value = "/run/keepwell/disks")]
    mounts: PathBuf,
    /// User and group who get the mounted disks
    #[arg(long, value_name = "UID:GID", value_parser = keepwell_diskd::mounter::owner)]
    owner: Option<(u32, u32)>,
    /// Group that may read the disks of the pool, for copies to another box
    #[arg(long, value_name = "GID")]
    readers: Option<u32>,
    /// Have it done by keepwell-mount, which listens here
    #[arg(long, value_name = "SOCKET")]
    mount_socket: Option<PathBuf>,
    /// User who may ask; may be given several times [default: who runs this]
    #[arg(long, value_name = "UID")]
    caller: Vec<u32>,
    /// User of the box's own screen, who may give it another box's disks; may be given several times [default: who runs this]
    #[arg(long, value_name = "UID")]
    screen_uid: Vec<u32>,
    /// Socket of keyd, which signs
    #[arg(long, default_value = keys::SOCKET)]
    keyd: PathBuf,
    /// What the box is called [default: the host's name]
    #[arg(long)]
    box_name: Option<String>,
    /// Folder of other boxes' public keys, NAME.pub each
    #[arg(long, value_name = "DIR")]
    boxes: Option<PathBuf>,
    /// Further mount points whose disks are the box's own
    #[arg(long, value_name = "PATH")]
    own_mount: Vec<PathBuf>,
    /// Serial numbers of further disks that are the box's own
    #[arg(long, value_name = "SERIAL")]
    own_disk: Vec<String>,
    /// The program that asks disks for their health
    #[arg(long, default_value = "/usr/sbin/smartctl")]
    smartctl: PathBuf,
    /// Ask them through keepwell-smart, which listens here
    #[arg(long, value_name = "SOCKET", conflicts_with = "smartctl")]
    smart_socket: Option<PathBuf>,
    /// Longest time it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    smartctl_deadline: u64,
    /// Time between two polls of a disk
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    poll_every: u64,
    /// Do not mount this box's disks when they appear
    #[arg(long)]
    no_automount: bool,
    /// Do not let disks test themselves
    #[arg(long)]
    no_self_tests: bool,
    /// Take loop devices whose files are in this folder as disks, for tests
    #[arg(long, value_name = "DIR")]
    allow_loop: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().with_ansi(false).init();
    std::fs::create_dir_all(&args.state)?;
    let listener = listen(&args.socket)?;
    let or_own = |uids: &[u32]| if uids.is_empty() { vec![rustix::process::geteuid().as_raw()] } else { uids.to_vec() };
    let (callers, screens) = (or_own(&args.caller), or_own(&args.screen_uid));
    let keyd = Keyd::new(box_name(&args), &args.keyd, args.state.join("box.pub"));
    let watch = Watch::start(config(args), Box::new(keyd), now)?;
    watch.listen();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(listener, Callers::only(callers).guard(routes(watch, Callers::only(screens)))))?;
    // An erasure that runs is cut; its disk has lost its label already, and is told as what it is.
    runtime.shutdown_background();
    Ok(())
}

fn config(args: Args) -> Config {
    let mut places = Places { loops: args.allow_loop, own_serials: BTreeSet::from_iter(args.own_disk), ..Places::default() };
    places.own_mounts.extend(args.own_mount);
    Config {
        places,
        tools: Tools::default(),
        smartctl: Smartctl {
            route: args.smart_socket.map_or(Route::Program(args.smartctl), Route::Socket),
            deadline: Duration::from_secs(args.smartctl_deadline),
        },
        poll_every: Duration::from_secs(args.poll_every),
        mount: MountPlace {
            base: args.mounts,
            owner: args.owner,
            readers: args.readers,
            mounter: args.mount_socket.map_or(Mounter::Itself, Mounter::Socket),
        },
        automount: !args.no_automount,
        self_tests: !args.no_self_tests,
        known: KnownBoxes(args.boxes),
        former: args.state.join("taken-over.pub"),
        history: args.state.join("disks.sqlite"),
    }
}

fn box_name(args: &Args) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    args.box_name.clone().unwrap_or_else(host)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
