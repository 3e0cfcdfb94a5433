//! The programs of a box in a folder: which, with which arguments, in whose place of the machine's. Starts none.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::Home;
use crate::exit::CliError;

/// One program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// As in its socket, log and pid file.
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) socket: PathBuf,
    /// After a restart it is of no use before somebody opens the keys.
    pub(crate) needs_passphrase: bool,
}

impl Program {
    /// Whether somebody listens at its socket.
    pub(crate) fn answers(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }
}

/// A TPM in software.
pub(crate) fn tpm(home: &Home) -> Result<Program, CliError> {
    let binary = in_path("swtpm").ok_or_else(|| CliError::Refused("swtpm is not installed: leave --tpm out, or install it".into()))?;
    let state = home.at("state/tpm");
    std::fs::create_dir_all(&state).map_err(CliError::file("make the folder", &state))?;
    let socket = home.socket("swtpm");
    let words = ["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"].map(OsString::from);
    let mut arguments = words.to_vec();
    arguments.push(joined("dir=", &state));
    arguments.push("--server".into());
    arguments.push(joined("type=unixio,path=", &socket));
    arguments.push("--ctrl".into());
    arguments.push(joined("type=unixio,path=", &home.socket("swtpm-control")));
    Ok(Program { name: "swtpm", binary, arguments, socket, needs_passphrase: false })
}

/// The keys.
pub(crate) fn keyd(home: &Home, tpm: bool) -> Result<Program, CliError> {
    let mut program = ours("keyd", home)?;
    if tpm {
        program.arguments.extend(["--tpm".into(), joined("swtpm:path=", &home.socket("swtpm"))]);
    } else {
        program.arguments.push("--without-tpm".into());
        program.needs_passphrase = true;
    }
    with_state(program, home)
}

/// Who may do what.
pub(crate) fn authd(home: &Home) -> Result<Program, CliError> {
    with_state(ours("authd", home)?, home)
}

/// Messages.
pub(crate) fn notifyd(home: &Home) -> Result<Program, CliError> {
    ours("notifyd", home)
}

/// Shares, a process each.
pub(crate) fn ingestd(home: &Home) -> Result<Program, CliError> {
    let (binary, socket) = (beside("keepwell-ingestd")?, home.socket("ingest"));
    let arguments = vec!["accept".into(), "--socket".into(), socket.clone().into()];
    Ok(Program { name: "ingestd", binary, arguments, socket, needs_passphrase: false })
}

/// The vault.
pub(crate) fn vaultd(home: &Home, runs: u8) -> Result<Program, CliError> {
    let mut program = with_state(ours("vaultd", home)?, home)?;
    // It has no verb.
    program.arguments.remove(0);
    for (option, value) in [("--cache", home.at("cache")), ("--pool", home.at("disks"))] {
        program.arguments.extend([option.into(), value.into()]);
    }
    for (option, name) in [("--keyd", "keyd"), ("--authd", "authd"), ("--notifyd", "notifyd"), ("--ingest", "ingest")] {
        program.arguments.extend([option.into(), home.socket(name).into()]);
    }
    program.arguments.extend(["--runs".into(), runs.to_string().into()]);
    Ok(program)
}

fn ours(name: &'static str, home: &Home) -> Result<Program, CliError> {
    let (binary, socket) = (beside(&format!("keepwell-{name}"))?, home.socket(name));
    let arguments = vec!["serve".into(), "--socket".into(), socket.clone().into()];
    Ok(Program { name, binary, arguments, socket, needs_passphrase: false })
}

fn with_state(mut program: Program, home: &Home) -> Result<Program, CliError> {
    let state = home.at("state").join(program.name);
    program.arguments.extend(["--state".into(), state.into()]);
    Ok(program)
}

/// A program of this release: in the folder of this one.
fn beside(name: &str) -> Result<PathBuf, CliError> {
    let own = std::env::current_exe().map_err(CliError::file("find", "keepwell"))?;
    let program = own.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(CliError::Refused(format!("{} is not there: all programs of a box have to lie beside {}", program.display(), own.display())))
}

fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}
