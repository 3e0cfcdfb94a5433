//! `keepwell dev`: a whole box in one folder, as real processes that talk over their sockets, for trying out and for tests. Its passphrase, password and
//! second factor lie in that folder: never for data that matters.

pub(crate) mod args;
mod first;
mod keep;
mod programs;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use keepwell_api::vault::VaultState;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use serde_json::{Map, Value, json};

use crate::appliance::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use args::{BecomeArgs, DevArgs};
use keep::Kept;
use programs::Program;

/// Longest wait for a program to answer after it was started, on a machine that does much else.
const START: Duration = Duration::from_secs(180);

/// Where everything of a box in a folder lies.
pub(crate) struct Home {
    folder: PathBuf,
    /// Keeps a second one from running in the same folder.
    _lock: File,
}

/// Runs it until it is told to end.
pub(crate) fn run(args: &DevArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    // Before there are threads, which inherit it: then only `wait` below hears them.
    let mut told = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| told.add(signal));
    told.thread_block().map_err(|error| CliError::Refused(format!("signals can't be waited for: {error}")))?;
    let home = Home::make(&args.folder)?;
    let running = start(args, &home, answer)?;
    ready(&home, &running, answer)?;
    let signal = told.wait().map_err(|error| CliError::Refused(format!("signals can't be waited for: {error}")))?;
    tracing::debug!(%signal, "ending");
    // In reverse order, each waited for.
    drop(running);
    answer.line("All programs of the box have ended.");
    Ok(Exit::Complete)
}

/// Turns into another program that is told to end when the thread that started it ends, however that comes about.
pub(crate) fn become_program(args: &BecomeArgs) -> Result<Exit, CliError> {
    let (program, arguments) = args.words.split_first().ok_or_else(|| CliError::Usage("become what?".into()))?;
    let failed = |error: nix::Error| CliError::file("tie to its parent", program)(error.into());
    // `run` does not hear signals as it waits for them, which is inherited.
    SigSet::empty().thread_set_mask().map_err(failed)?;
    set_pdeathsig(Signal::SIGTERM).map_err(failed)?;
    Err(CliError::file("start", program)(Command::new(program).args(arguments).exec()))
}

/// Each program when those it asks answer. What was started is ended again if one does not.
fn start(args: &DevArgs, home: &Home, answer: &mut Answer) -> Result<Running, CliError> {
    let mut running = Running::default();
    let tpm = if args.tpm { Some(programs::tpm(home)?) } else { None };
    if let Some(tpm) = &tpm {
        running.add(tpm, home)?;
    }
    running.add(&programs::keyd(home, tpm.as_ref(), args.state_locked.as_deref())?, home)?;
    if tpm.is_none() && args.state_locked.is_none() {
        first::open_keys(home)?;
    }
    if !args.without_pool {
        first::make_vault(args, home, answer)?;
    }
    running.add(&programs::authd(home)?, home)?;
    running.add(&programs::notifyd(home)?, home)?;
    running.add(&programs::ingestd(home)?, home)?;
    running.add(&programs::replicad(home, args.offsite, args.diskd.as_ref().map(|_| args.mounts.as_path()))?, home)?;
    running.add(&programs::vaultd(home, args.runs, args.diskd.as_deref())?, home)?;
    if args.without_pool && args.diskd.is_some() {
        // On a box the screen starts it; here it waits for that.
        running.add(&programs::recoverd(home)?, home)?;
    }
    if args.unclaimed {
        running.claim_code = first::claim_code(home)?;
    } else {
        first::sign_in(home)?;
    }
    if !args.without_pool {
        await_vault(home)?;
    }
    if let Some(at) = args.console {
        let (program, at) = programs::consoled(home, at)?;
        running.add(&program, home)?;
        running.console = Some(json!({ "url": format!("https://{at}"), "fingerprint": programs::fingerprint(&program, home)? }));
    }
    Ok(running)
}

/// The programs, in the order in which they were started.
#[derive(Default)]
struct Running {
    kept: Vec<Kept>,
    /// Where browsers find the console, and how they know it.
    console: Option<Value>,
    /// What the box's own screen would show, while nobody owns it.
    claim_code: Option<String>,
}

impl Running {
    fn add(&mut self, program: &Program, home: &Home) -> Result<(), CliError> {
        self.kept.push(Kept::start(program.clone(), home)?);
        let end = Instant::now() + START;
        while !program.answers() {
            if Instant::now() > end {
                let log = home.log(program.name);
                return Err(CliError::Refused(format!("{} does not answer; {} may say why", program.name, log.display())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        while let Some(kept) = self.kept.pop() {
            drop(kept);
        }
    }
}

fn await_vault(home: &Home) -> Result<(), CliError> {
    let client = home.place().vaultd();
    let end = Instant::now() + START;
    loop {
        let state: VaultState = client.get("/v1/vault")?;
        match state.unready {
            None => return Ok(()),
            // Another box's: nothing but papers opens it, which takes a box that runs.
            Some(unready) if unready.code == "locked" => {
                tracing::warn!("the vault is locked: 'keepwell --box {} keys recover' opens it with two papers", home.folder.display());
                return Ok(());
            }
            Some(unready) if Instant::now() > end => {
                return Err(CliError::Refused(format!("the vault is not open after {} s: {}", START.as_secs(), unready.text)));
            }
            Some(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Says that all of it can be used. Programs get one line at once, and the answer's object when it is over.
fn ready(home: &Home, running: &Running, answer: &mut Answer) -> Result<(), CliError> {
    let folder = home.folder.display();
    if !answer.is_json() {
        answer.line(format_args!(
            "The box in {folder} is ready. Keys, password and second factor lie in that folder: it is for trying out only."
        ));
        answer.line(format_args!("  keepwell --box {folder} status"));
        match &running.claim_code {
            Some(code) => answer.line(format_args!("  nobody owns it yet; claim code: {code}")),
            None => answer.line(format_args!("  keepwell --box {folder} {}", first::how_to_sign_in(home))),
        }
        if let Some(console) = &running.console {
            let said = |name: &str| console[name].as_str().unwrap_or_default().to_owned();
            answer.line(format_args!("  console: {}", said("url")));
            answer.line(format_args!("  the fingerprint of its certificate authority: {}", said("fingerprint")));
        }
        let url = running.console.as_ref().and_then(|console| console["url"].as_str());
        answer.line(format_args!("  its own screen: {}", programs::screen(home, url)));
        answer.line("It runs until Ctrl-C.");
        return answer.flush();
    }
    let of = |value: &dyn Fn(&Kept) -> Value| running.kept.iter().map(|kept| (kept.name().to_owned(), value(kept))).collect::<Map<_, _>>();
    let line = json!({
        "event": "ready",
        "folder": home.folder.to_string_lossy(),
        "sockets": of(&|kept| json!(kept.socket().map(|path| path.to_string_lossy().into_owned()))),
        "pids": of(&|kept| json!(kept.pid())),
        "owner": first::owner_fields(home),
        "console": running.console,
        "claim_code": running.claim_code,
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(CliError::Output)
}

impl Home {
    fn make(folder: &Path) -> Result<Self, CliError> {
        let make =
            |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(CliError::file("make the folder", folder));
        make(folder)?;
        let folder = folder.canonicalize().map_err(CliError::file("find", folder))?;
        ["run", "log", "state", "owner"].iter().try_for_each(|part| make(&folder.join(part)))?;
        // The longest address of a Unix socket, unix(7).
        if folder.join("run/notifyd.sock").as_os_str().len() > 107 {
            return Err(CliError::Refused(format!("the name {} is too long for sockets in it; give a shorter one", folder.display())));
        }
        let path = folder.join("run/lock");
        let lock = File::create(&path).map_err(CliError::file("make", &path))?;
        lock.try_lock().map_err(|_| CliError::Refused(format!("a box runs in {} already", folder.display())))?;
        Ok(Self { folder, _lock: lock })
    }

    fn at(&self, part: impl AsRef<Path>) -> PathBuf {
        self.folder.join(part)
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.at("run").join(format!("{name}.sock"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.at("log").join(format!("{name}.log"))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.at("run").join(format!("{name}.pid"))
    }

    fn place(&self) -> Place {
        Place::new(Some(&self.folder))
    }
}

/// Writes a file that only this user can read, all at once.
fn write_secret(path: &Path, content: &[u8]) -> Result<(), CliError> {
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&new);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(CliError::file("write", path))
}
