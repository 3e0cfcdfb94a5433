//! The program keepwell-authd: arguments, and nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use keepwell_authd::authority::Authority;
use keepwell_authd::proof::Effort;
use keepwell_authd::service::{Programs, routes};
use keepwell_authd::store::Store;
use keepwell_authd::world::System;
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

/// Decides who may do what on this box.
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
    /// Folder for the users.
    #[arg(long, default_value = "/var/lib/keepwell/authd")]
    state: PathBuf,
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = keepwell_api::auth::SOCKET)]
    socket: PathBuf,
    /// User id of vaultd, which writes the ledger and keeps a copy of the users; the own one if absent.
    #[arg(long)]
    vaultd_uid: Option<u32>,
    /// User ids of consoles, which relay what people prove.
    #[arg(long)]
    consoled_uid: Vec<u32>,
    /// User ids that may claim the box; the own one if absent.
    #[arg(long)]
    admin_uid: Vec<u32>,
    /// User ids of the box's own screen, which shows the claim code and unlocks users; the own one if absent.
    #[arg(long)]
    screen_uid: Vec<u32>,
    /// A box without an owner gets one only when vaultd has said that it has no keys, or that two papers of its kit were shown
    #[arg(long)]
    claims_by_vaultd: bool,
}

fn main() -> anyhow::Result<()> {
    let Verb::Serve(serve) = Program::parse().verb;
    // Before there is any secret. A system that refuses is no reason to keep people from their restore.
    let secluded = set_dumpable(false).and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0));
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    if let Err(error) = secluded {
        tracing::warn!(%error, "the system does not let authd switch off its core dumps: a crash may leave secrets on the state disk");
    }
    let own = nix::unistd::geteuid().as_raw();
    let or_own = |users: Vec<u32>| if users.is_empty() { vec![own] } else { users };
    let programs = Programs {
        vaultd: serve.vaultd_uid.unwrap_or(own),
        consoleds: serve.consoled_uid,
        admins: or_own(serve.admin_uid),
        screen: or_own(serve.screen_uid),
    };
    let listener = keepwell_api::listen(&serve.socket).with_context(|| format!("authd can't listen at {}", serve.socket.display()))?;
    let authority = Authority::start(Store::open(&serve.state)?, Effort::BOX, Arc::new(System))?;
    if serve.claims_by_vaultd {
        authority.wait_for_claims();
    }
    let status = authority.status()?;
    tracing::info!(boot = status.boot, users = status.users, claimed = status.claimed, "started");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(24).build()?;
    runtime.block_on(keepwell_api::serve(listener, routes(authority, &programs))).context("authd can't go on")
}
