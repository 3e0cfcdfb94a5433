//! The program keepwell-tty, the box's own screen: arguments, and nothing else. It has no shell, no network and no right of its own: the programs that it asks know it by its
//! user, and what people may do they prove there.

mod ask;
mod console;
mod draw;
mod error;
mod facts;
mod home;
mod machine;
mod neighbours;
mod network;
mod paper;
mod screen;
mod terminal;
mod view;
mod words;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use jiff::tz::TimeZone;
use keepwell_api::state_locked::{self, StateLocked};
use keepwell_api::{auth, disks, keys, recovery, vault};
use zeroizing_alloc::ZeroAlloc;

use crate::console::Console;
use crate::error::TtyError;
use crate::machine::Machine;
use crate::neighbours::Neighbours;
use crate::terminal::{Hands, Looks};

/// Passwords and papers pass through: what is freed is wiped, also by libraries that know nothing of secrets.
#[global_allocator]
static WIPED: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// Shows the box's own screen on this terminal.
#[derive(Debug, Parser)]
#[command(version)]
struct Program {
    /// Socket of keepwell-vaultd.
    #[arg(long, default_value = vault::SOCKET)]
    vaultd: PathBuf,
    /// Socket of keepwell-authd.
    #[arg(long, default_value = auth::SOCKET)]
    authd: PathBuf,
    /// Socket of keepwell-keyd.
    #[arg(long, default_value = keys::SOCKET)]
    keyd: PathBuf,
    /// Socket of keepwell-diskd.
    #[arg(long, default_value = disks::SOCKET)]
    diskd: PathBuf,
    /// Socket of keepwell-recoverd.
    #[arg(long, default_value = recovery::SOCKET)]
    recoverd: PathBuf,
    /// Certificate of the console's authority, whose fingerprint is shown.
    #[arg(long, value_name = "PEM")]
    authority: Option<PathBuf>,
    /// Address of the console, where it is not at the addresses of this machine.
    #[arg(long, value_name = "URL")]
    console: Option<String>,
    /// Its port at the addresses of this machine.
    #[arg(long, default_value_t = 443)]
    console_port: u16,
    /// Time zone of the practice.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// File of the network service (systemd.network) for an address that is set here; without it none is.
    #[arg(long, value_name = "FILE")]
    network_file: Option<PathBuf>,
    /// Program that has the network service read it, called with `reload`.
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/bin/networkctl")]
    network_command: PathBuf,
    /// Program that restarts the box and switches it off, called with `reboot` or `poweroff`.
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/bin/systemctl")]
    power_command: PathBuf,
    /// Where the system says, in one word, why the box came up without its own state; no such file, and it has it.
    #[arg(long, value_name = "FILE", default_value = state_locked::FILE)]
    state_locked: PathBuf,
    /// Use no characters but those of ASCII, as on a serial line.
    #[arg(long)]
    ascii: bool,
}

fn main() -> anyhow::Result<()> {
    let program = Program::parse();
    let zone = TimeZone::get(&program.zone).map_err(|source| TtyError::Zone { zone: program.zone.clone(), source })?;
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name)).is_some_and(|value| value.to_uppercase().contains("UTF"));
    let looks = Looks { ascii: program.ascii || !utf8, colours: set("NO_COLOR").is_none() };
    let mut console = Console::new(zone, program.console, program.console_port, program.network_file.is_some());
    console.state_locked = StateLocked::said_in(&program.state_locked);
    let machine = Machine {
        power: program.power_command,
        network_file: program.network_file,
        network: program.network_command,
        authority: program.authority,
    };
    let neighbours = Neighbours::new([program.vaultd, program.authd, program.keyd, program.diskd, program.recoverd]);
    terminal::run(&mut console, Hands { neighbours, machine }, looks).context("the box's own screen can't be shown")
}
