//! The programs of a box in a folder: which, with which arguments, in whose place of the machine's. Starts none.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Home, write_secret};
use crate::exit::CliError;

/// One program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// As in its socket, log and pid file.
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) door: Door,
    /// After a restart it is of no use before somebody opens the keys.
    pub(crate) needs_passphrase: bool,
}

/// Where it listens.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Socket(PathBuf),
    /// Of this machine.
    Port(u16),
}

impl Program {
    /// Whether somebody listens there.
    pub(crate) fn answers(&self) -> bool {
        match &self.door {
            Door::Socket(path) => UnixStream::connect(path).is_ok(),
            Door::Port(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok(),
        }
    }

    fn new(name: &'static str, binary: PathBuf, door: Door) -> Self {
        Self { name, binary, arguments: Vec::new(), door, needs_passphrase: false }
    }
}

/// A TPM in software, which has measured nothing. Its commands come over TCP, as the TSS knows no other way to it.
pub(crate) fn tpm(home: &Home) -> Result<Program, CliError> {
    let binary = in_path("swtpm").ok_or_else(|| CliError::Refused("swtpm is not installed: leave --tpm out, or install it".into()))?;
    let state = home.at("state/tpm");
    std::fs::create_dir_all(&state).map_err(CliError::file("make the folder", &state))?;
    let port = free_pair().ok_or_else(|| CliError::Refused("there are no two free ports for swtpm".into()))?;
    let mut program = Program::new("swtpm", binary, Door::Port(port));
    program.arguments = ["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"].map(OsString::from).to_vec();
    program.arguments.push(joined("dir=", &state));
    let server = format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect");
    let control = format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1);
    program.arguments.extend(["--server".into(), server.into(), "--ctrl".into(), control.into()]);
    Ok(program)
}

/// The keys.
pub(crate) fn keyd(home: &Home, tpm: Option<&Program>, state_locked: Option<&Path>) -> Result<Program, CliError> {
    let mut program = ours("keyd", home)?;
    program.arguments.extend(state_locked.iter().flat_map(|file| ["--state-locked".into(), file.into()]));
    match tpm.map(|tpm| &tpm.door) {
        Some(Door::Port(port)) => {
            let (authority, policies) = image(&program.binary, home)?;
            program.arguments.extend(["--tpm".into(), format!("swtpm:host=127.0.0.1,port={port}").into()]);
            program.arguments.extend(["--authority".into(), authority.into(), "--policies".into(), policies.into()]);
        }
        _ => {
            program.arguments.push("--without-tpm".into());
            program.needs_passphrase = true;
        }
    }
    Ok(with_state(program, home))
}

/// What a maker's image has, made once: whom it trusts, and a signature that it may open the keys where nothing was measured.
fn image(keyd: &Path, home: &Home) -> Result<(PathBuf, PathBuf), CliError> {
    let (maker, policies) = (home.at("owner/maker"), home.at("owner/maker/policies.json"));
    let authority = maker.join("authority.pub");
    if !policies.exists() {
        let of = |words: &[&std::ffi::OsStr]| {
            let done = Command::new(keyd).args(words).output().map_err(CliError::file("run", keyd))?;
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            if done.status.success() {
                Ok(done.stdout)
            } else {
                Err(CliError::Refused(format!("no image can be made up for the TPM: {said}")))
            }
        };
        of(&["make-authority".as_ref(), "--out".as_ref(), maker.as_os_str()])?;
        let (key, zeros) = (maker.join("authority.key"), "0".repeat(64));
        let sign = ["sign-policy", "--epoch", "1", "--phase", "dev", "--pcr11", &zeros, "--key"].map(OsString::from);
        let sign: Vec<_> = sign.iter().map(OsString::as_os_str).chain([key.as_os_str()]).collect();
        write_secret(&policies, &of(&sign)?)?;
    }
    Ok((authority, policies))
}

fn free_pair() -> Option<u16> {
    (0..100).find_map(|_| {
        let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let port = one.local_addr().ok()?.port();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port.checked_add(1)?)).ok().map(|_| port)
    })
}

/// Who may do what.
pub(crate) fn authd(home: &Home) -> Result<Program, CliError> {
    Ok(with_state(ours("authd", home)?, home))
}

/// Messages.
pub(crate) fn notifyd(home: &Home) -> Result<Program, CliError> {
    ours("notifyd", home)
}

/// The second site.
pub(crate) fn replicad(home: &Home, at: SocketAddrV4, mounts: Option<&Path>) -> Result<Program, CliError> {
    let mut program = with_state(ours("replicad", home)?, home);
    let pool = mounts.map_or_else(|| home.at("disks"), Path::to_owned);
    program.arguments.extend(["--pool".into(), pool.into(), "--listen".into(), at.to_string().into()]);
    Ok(program)
}

/// Shares, a process each.
pub(crate) fn ingestd(home: &Home) -> Result<Program, CliError> {
    let (binary, socket) = (beside("keepwell-ingestd")?, home.socket("ingest"));
    let mut program = Program::new("ingestd", binary, Door::Socket(socket.clone()));
    program.arguments = vec!["accept".into(), "--socket".into(), socket.into()];
    Ok(program)
}

/// The vault.
pub(crate) fn vaultd(home: &Home, runs: u8, diskd: Option<&Path>) -> Result<Program, CliError> {
    let mut program = with_state(ours("vaultd", home)?, home);
    // It has no verb.
    program.arguments.remove(0);
    for (option, value) in [("--cache", home.at("cache")), ("--pool", home.at("disks"))] {
        program.arguments.extend([option.into(), value.into()]);
    }
    for (option, name) in
        [("--keyd", "keyd"), ("--authd", "authd"), ("--notifyd", "notifyd"), ("--replicad", "replicad"), ("--ingest", "ingest")]
    {
        program.arguments.extend([option.into(), home.socket(name).into()]);
    }
    program.arguments.extend(["--runs".into(), runs.to_string().into()]);
    if let Some(diskd) = diskd {
        program.arguments.extend(["--diskd-socket".into(), diskd.into(), "--pool-from-diskd".into()]);
    }
    Ok(program)
}

/// What brings a vault back to a blank box.
pub(crate) fn recoverd(home: &Home) -> Result<Program, CliError> {
    let mut program = with_state(ours("recoverd", home)?, home);
    program.arguments.extend(["--vaultd".into(), home.socket("vaultd").into()]);
    Ok(program)
}

/// The web console: where browsers find it, too.
pub(crate) fn consoled(home: &Home, at: SocketAddrV4) -> Result<(Program, SocketAddrV4), CliError> {
    if !at.ip().is_loopback() {
        return Err(CliError::Usage("a box for trying out shows its console to this machine alone: --console 127.0.0.1:8443".into()));
    }
    let free = || TcpListener::bind(at).and_then(|listener| listener.local_addr()).map(|bound| bound.port());
    let port =
        if at.port() == 0 { free().map_err(|error| CliError::Refused(format!("there is no free port: {error}")))? } else { at.port() };
    let at = SocketAddrV4::new(*at.ip(), port);
    let mut program = Program::new("consoled", beside("keepwell-consoled")?, Door::Port(port));
    program.arguments = vec!["serve".into(), "--listen".into(), at.to_string().into(), "--name".into(), "A box for trying out".into()];
    for name in ["authd", "vaultd", "keyd"] {
        program.arguments.extend([format!("--{name}").into(), home.socket(name).into()]);
    }
    Ok((with_state(program, home), at))
}

/// What its certificate authority is known by.
pub(crate) fn fingerprint(consoled: &Program, home: &Home) -> Result<String, CliError> {
    let done = Command::new(&consoled.binary).arg("fingerprint").arg("--state").arg(home.at("state/consoled")).output();
    let done = done.map_err(CliError::file("run", &consoled.binary))?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// The command that shows the box's own screen on a terminal. It restarts and switches off nothing: this is somebody's own machine.
pub(crate) fn screen(home: &Home, console: Option<&str>) -> String {
    let binary = beside("keepwell-tty").map_or_else(|_| "keepwell-tty".into(), |path| path.display().to_string());
    let sockets =
        ["vaultd", "authd", "keyd", "diskd", "recoverd"].map(|name| format!(" --{name} {}", home.socket(name).display())).concat();
    let authority = home.at("state/consoled/authority.pem");
    let console = console.map_or_else(String::new, |url| format!(" --console {url} --authority {}", authority.display()));
    format!("{binary}{sockets}{console} --power-command /bin/true")
}

fn ours(name: &'static str, home: &Home) -> Result<Program, CliError> {
    let (binary, socket) = (beside(&format!("keepwell-{name}"))?, home.socket(name));
    let mut program = Program::new(name, binary, Door::Socket(socket.clone()));
    program.arguments = vec!["serve".into(), "--socket".into(), socket.into()];
    Ok(program)
}

fn with_state(mut program: Program, home: &Home) -> Program {
    let state = home.at("state").join(program.name);
    program.arguments.extend(["--state".into(), state.into()]);
    program
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
