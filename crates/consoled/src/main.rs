//! The program keepwell-consoled: arguments, and nothing else.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use jiff::tz::TimeZone;
use keepwell_consoled::app::{App, Settings};
use keepwell_consoled::authority::{self, Authority};
use keepwell_consoled::listen::{self, Limits};
use keepwell_consoled::neighbours::Neighbours;
use keepwell_consoled::reckoning::Moment;
use keepwell_consoled::sessions::Sessions;
use keepwell_consoled::{live, pages};

/// The local web console of a box.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Answers browsers until it is told to end.
    Serve(Serve),
    /// Prints all routes and the roles that may use each, as JSON lines.
    Routes,
    /// Prints the SHA-256 fingerprint of the box's certificate authority, for its screen.
    Fingerprint {
        /// The console's folder.
        #[arg(long, default_value = "/var/lib/keepwell/consoled")]
        state: PathBuf,
    },
}

#[derive(Args)]
struct Serve {
    /// Folder of the console: certificates and their keys, nothing else.
    #[arg(long, default_value = "/var/lib/keepwell/consoled")]
    state: PathBuf,
    /// Where to listen, unless the service manager gives a socket.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Name or address under which browsers ask for it, again for each; the address that is connected to is always one.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// What the practice calls the box.
    #[arg(long, default_value = "Keepwell")]
    name: String,
    /// Time zone of the practice; the machine's if absent.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Where authd listens.
    #[arg(long, default_value = keepwell_api::auth::SOCKET)]
    authd: PathBuf,
    /// Where vaultd listens.
    #[arg(long, default_value = keepwell_api::vault::SOCKET)]
    vaultd: PathBuf,
    /// Where keyd listens: for the papers of a first kit, until they are confirmed.
    #[arg(long, value_name = "SOCKET", default_value = keepwell_api::keys::SOCKET)]
    keyd: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Program::parse().verb {
        Verb::Serve(arguments) => serve(&arguments),
        Verb::Routes => {
            pages::PAGES.iter().for_each(|page| println!("{}", page.told()));
            Ok(())
        }
        Verb::Fingerprint { state } => {
            println!("{}", authority::fingerprint_in(&state)?);
            Ok(())
        }
    }
}

fn serve(arguments: &Serve) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let state = &arguments.state;
    DirBuilder::new().recursive(true).mode(0o700).create(state).with_context(|| format!("{} can't be made", state.display()))?;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    let (names, addresses) = hosts(&arguments.hosts);
    let authority = Arc::new(Authority::open(state, &names, Moment { wall: clock(), reckoned: None })?);
    let zone = match &arguments.zone {
        Some(name) => TimeZone::get(name).with_context(|| format!("there is no time zone {name}"))?,
        None => TimeZone::system(),
    };
    let settings = Settings {
        box_name: arguments.name.clone(),
        names,
        addresses,
        zone,
        clock,
        authority: (authority.pem()?, authority.fingerprint()),
    };
    let app = Arc::new(
        App::new(settings, Neighbours::new(&arguments.authd, &arguments.vaultd).with_keyd(&arguments.keyd), Sessions::new()?)
            .with_certificate(&authority),
    );
    let given = listenfd::ListenFd::from_env().take_tcp_listener(0).context("the service manager's socket can't be used")?;
    let listener = match given {
        Some(listener) => listener,
        None => TcpListener::bind(arguments.listen).with_context(|| format!("consoled can't listen at {}", arguments.listen))?,
    };
    tracing::info!(fingerprint = authority.fingerprint(), "the certificate authority of this box");
    live::listen(&app);
    let (swept, reckoning) = (Arc::clone(&app), Arc::clone(&app.reckoning));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(64).enable_all().build()?;
    runtime.spawn(async move {
        let mut minutes = tokio::time::interval(Duration::from_secs(60));
        loop {
            minutes.tick().await;
            swept.sessions.sweep();
            // For certificates, which go by no clock that the box itself doubts.
            let _ = swept.status().await;
        }
    });
    runtime
        .block_on(listen::serve(listener, authority, pages::routes(app), Limits::default(), reckoning))
        .context("consoled can't go on")?;
    // Questions that nobody waits for any more.
    runtime.shutdown_background();
    Ok(())
}

/// Names in lower case, and addresses apart.
fn hosts(given: &[String]) -> (BTreeSet<String>, BTreeSet<IpAddr>) {
    let addresses = given.iter().filter_map(|host| host.parse().ok()).collect();
    let names = given.iter().filter(|host| host.parse::<IpAddr>().is_err()).map(|host| host.to_ascii_lowercase());
    (names.chain(["localhost".to_owned()]).collect(), addresses)
}
