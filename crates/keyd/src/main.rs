//! The program keepwell-keyd: arguments, and nothing else. Its second and third verb are for the image builder's offline machine.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use keepwell_api::state_locked::StateLocked;
use keepwell_keyd::hex::Digest;
use keepwell_keyd::keeper::{Config, Keeper};
use keepwell_keyd::memory;
use keepwell_keyd::policy::SecurityEpoch;
use keepwell_keyd::policy::sign::{AuthorityKey, make_authority};
use keepwell_keyd::service::{Users, routes};
use keepwell_keyd::state::Folder;
use zeroize::Zeroizing;
use zeroizing_alloc::ZeroAlloc;

/// What is freed is wiped, also by libraries that know nothing of secrets: HTTP, JSON, QR codes. keyd has little to do, so it may take its time.
#[global_allocator]
static WIPED: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// Seals and opens the vault keys of this box.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Answers on its socket until it is told to end.
    Serve(Box<Serve>),
    /// Offline: makes the key whose signature lets an image open the keys: authority.key, and authority.pub for the image.
    MakeAuthority {
        /// Folder for the two files.
        #[arg(long)]
        out: PathBuf,
    },
    /// Offline: approves values of PCR 11, and prints the file of signed policies.
    SignPolicy(SignPolicy),
}

#[derive(Args)]
struct Serve {
    /// Folder for the box's state.
    #[arg(long, default_value = "/var/lib/keepwell/keyd")]
    state: PathBuf,
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = keepwell_api::keys::SOCKET)]
    socket: PathBuf,
    /// The TPM, as TCTI.
    #[arg(long, default_value = "device:/dev/tpmrm0", conflicts_with = "without_tpm")]
    tpm: String,
    /// The box has no TPM: a passphrase stands in.
    #[arg(long)]
    without_tpm: bool,
    /// Where the firmware says whether Secure Boot is on.
    #[arg(long, default_value = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")]
    secure_boot: PathBuf,
    /// Longest time for one task of the TPM, seconds.
    #[arg(long, default_value_t = 30)]
    tpm_deadline: u64,
    /// Signed policies of the image: a file of them, or an object that has several in its member `keepwell`, as systemd's tpm2-pcr-signature.json. May be
    /// given several times.
    #[arg(long)]
    policies: Vec<PathBuf>,
    /// Public key of the authority that this image trusts.
    #[arg(long)]
    authority: Option<PathBuf>,
    /// Where the system says, in one word, why the box came up without its own state; no such file, and it has it.
    #[arg(long, value_name = "FILE")]
    state_locked: Option<PathBuf>,
    /// User id of vaultd, which alone gets keys; the own one if absent.
    #[arg(long)]
    vaultd_uid: Option<u32>,
    /// User ids that may set up vaults, and print the first kit of each; the own one if absent.
    #[arg(long)]
    admin_uid: Vec<u32>,
    /// User ids that may handle papers: re-issue, rehearse, recover. For the box's own screen; the own one if absent.
    #[arg(long)]
    screen_uid: Vec<u32>,
    /// User id of diskd, which has labels and certificates signed.
    #[arg(long)]
    diskd_uid: Vec<u32>,
    /// User id of the web console, which shows the papers of a vault's first kit until they are confirmed.
    #[arg(long)]
    consoled_uid: Vec<u32>,
}

#[derive(Args)]
struct SignPolicy {
    /// authority.key.
    #[arg(long)]
    key: PathBuf,
    /// Security epoch of the image.
    #[arg(long)]
    epoch: u32,
    /// Phase of the start, such as enter-initrd. Each has its --pcr11, in the same order.
    #[arg(long, required = true)]
    phase: Vec<String>,
    /// What PCR 11 (SHA-256) holds in that phase.
    #[arg(long, required = true)]
    pcr11: Vec<Digest>,
}

fn main() -> anyhow::Result<()> {
    match Program::parse().verb {
        Verb::Serve(serve) => run(*serve),
        Verb::MakeAuthority { out } => {
            let authority = make_authority(&out).with_context(|| format!("no authority could be made in {}", out.display()))?;
            println!("{authority}");
            Ok(())
        }
        Verb::SignPolicy(sign) => sign_policy(sign),
    }
}

fn run(serve: Serve) -> anyhow::Result<()> {
    // Before there are threads, and long before there are keys.
    let memory = memory::seclude();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,tss_esapi=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let listener = listen(&serve.socket)?;
    let own = nix::unistd::geteuid().as_raw();
    let or_own = |users: Vec<u32>| if users.is_empty() { vec![own] } else { users };
    // Under a service manager its own user is nobody's: without these it would hand keys to whoever broke into it, and to no vaultd.
    anyhow::ensure!(
        serve.vaultd_uid.is_some() && !serve.admin_uid.is_empty() || std::env::var_os("NOTIFY_SOCKET").is_none(),
        "--vaultd-uid and --admin-uid are needed where a service manager starts keyd (/etc/keepwell/keyd.env)"
    );
    let users = Users {
        admins: or_own(serve.admin_uid),
        screen: or_own(serve.screen_uid),
        vaultd: serve.vaultd_uid.unwrap_or(own),
        diskd: serve.diskd_uid,
        consoles: serve.consoled_uid,
    };
    let config = Config {
        tpm: (!serve.without_tpm).then_some(serve.tpm),
        tpm_deadline: Duration::from_secs(serve.tpm_deadline),
        policies: serve.policies,
        authority: serve.authority,
        secure_boot: serve.secure_boot,
        memory,
        state_locked: serve.state_locked.as_deref().and_then(StateLocked::said_in),
        clock: || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
    };
    let keeper = Keeper::start(Folder::open(&serve.state)?, config)?;
    tell(&keeper);
    // One thread serves: requests are few, and verbs run one at a time beside it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
    let routes = routes(keeper, &users);
    memory::wipe_stack();
    runtime.block_on(keepwell_api::serve(listener, routes)).context("keyd can't go on")
}

fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    keepwell_api::listen(socket).with_context(|| format!("keyd can't listen at {}", socket.display()))
}

fn tell(keeper: &Keeper) {
    let status = keeper.status();
    match &status.locked {
        Some(why) => tracing::warn!(code = why.code, "locked: {}", why.text),
        None => tracing::info!(phase = ?status.phase, keeper = ?status.keeper, "started"),
    }
    for warning in &status.warnings {
        tracing::warn!(code = warning.code, "{}", warning.text);
    }
}

fn sign_policy(sign: SignPolicy) -> anyhow::Result<()> {
    anyhow::ensure!(sign.phase.len() == sign.pcr11.len(), "each --phase needs its --pcr11");
    let stored = Zeroizing::new(std::fs::read(&sign.key).with_context(|| format!("{} can't be read", sign.key.display()))?);
    let key = AuthorityKey::parse(&stored).with_context(|| format!("{} is no authority's key", sign.key.display()))?;
    let approved: Vec<_> = sign.phase.into_iter().zip(sign.pcr11).collect();
    println!("{}", serde_json::to_string_pretty(&key.sign(SecurityEpoch(sign.epoch), &approved))?);
    Ok(())
}
