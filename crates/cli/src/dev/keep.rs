//! Keeps one program running, as a service manager would: started again when it ends, after a second at first, and later when it goes on ending.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::programs::{Door, Program};
use super::{Home, first};
use crate::exit::CliError;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Whoever lived so long may be started again at once.
const STEADY: Duration = Duration::from_secs(60);
/// Time to end in, before it is killed.
const GRACE: Duration = Duration::from_secs(30);

/// A program that is kept running until this is dropped.
pub(crate) struct Kept {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    program: Program,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Process id; held as long as it belongs to the program, so that no other is ever told to end.
    pid: Option<Pid>,
    ending: bool,
    over: bool,
}

impl Kept {
    /// Starts it, for the first time here, so that one that can't be started at all is told at once.
    pub(crate) fn start(program: Program, home: &Home) -> Result<Self, CliError> {
        let shared = Arc::new(Shared { program, state: Mutex::default(), changed: Condvar::new() });
        let keeper = Keeper { shared: Arc::clone(&shared), places: Places::of(&shared.program, home)? };
        let thread = std::thread::Builder::new().name(shared.program.name.into()).spawn(move || keeper.keep());
        let thread = thread.map_err(CliError::file("start", &shared.program.binary))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.shared.program.name
    }

    /// None for a TPM.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match &self.shared.program.door {
            Door::Socket(path) => Some(path),
            Door::Port(_) => None,
        }
    }

    /// None between two lives.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.shared.lock().pid.map(Pid::as_raw)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ending = true;
        self.shared.changed.notify_all();
        tell(&state, Signal::SIGTERM);
        let (state, waited) =
            self.shared.changed.wait_timeout_while(state, GRACE, |state| !state.over).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            tracing::warn!(program = self.name(), "it does not end, so it is killed");
            tell(&state, Signal::SIGKILL);
        }
        drop(state);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told already.
            let _ = thread.join();
        }
    }
}

fn tell(state: &State, signal: Signal) {
    if let Some(pid) = state.pid {
        // It may just have ended by itself.
        let _ = kill(pid, signal);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files of one program.
struct Places {
    log: File,
    pid_file: std::path::PathBuf,
    passphrase: Option<(std::path::PathBuf, std::path::PathBuf)>,
}

impl Places {
    fn of(program: &Program, home: &Home) -> Result<Self, CliError> {
        let log = home.log(program.name);
        let opened = OpenOptions::new().append(true).create(true).open(&log).map_err(CliError::file("open", &log))?;
        let passphrase = program.needs_passphrase.then(|| (home.socket(program.name), first::passphrase_file(home)));
        Ok(Self { log: opened, pid_file: home.pid_file(program.name), passphrase })
    }
}

/// What the thread of a program does. It starts the program, which is told to end when the thread does ([`super::become_program`]).
struct Keeper {
    shared: Arc<Shared>,
    places: Places,
}

impl Keeper {
    fn keep(self) {
        let mut wait = FIRST_WAIT;
        let mut lives = 0u32;
        loop {
            let began = Instant::now();
            let how = self.live(lives);
            lives += 1;
            if began.elapsed() >= STEADY {
                wait = FIRST_WAIT;
            }
            let state = self.shared.lock();
            if !state.ending {
                let (name, wait_s) = (self.shared.program.name, wait.as_secs());
                tracing::warn!("{name} ended ({how}); it is started again in {wait_s} s");
            }
            let ended = self.shared.changed.wait_timeout_while(state, wait, |state| !state.ending);
            let mut state = ended.unwrap_or_else(PoisonError::into_inner).0;
            if state.ending {
                state.over = true;
                self.shared.changed.notify_all();
                return;
            }
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    /// One life: how it ended, in words.
    fn live(&self, lives: u32) -> String {
        let mut state = self.shared.lock();
        if state.ending {
            return "not started".into();
        }
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => return format!("it can't be started: {error}"),
        };
        let pid = Pid::from_raw(child.id().cast_signed());
        state.pid = Some(pid);
        drop(state);
        if let Err(error) = std::fs::write(&self.places.pid_file, format!("{pid}\n")) {
            tracing::warn!(%error, "the process id could not be written down");
        }
        if lives > 0
            && let Some((socket, passphrase)) = self.places.passphrase.clone()
        {
            std::thread::spawn(move || first::open_again(&socket, &passphrase));
        }
        // Ended, but not reaped: its id is still its own until nobody can ask for it any more.
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::errno::Errno::EINTR) {}
        let mut state = self.shared.lock();
        state.pid = None;
        let _ = std::fs::remove_file(&self.places.pid_file);
        child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// In a process group of its own, so that Ctrl-C reaches it in its turn and not by itself.
    fn spawn(&self) -> std::io::Result<Child> {
        let program = &self.shared.program;
        // This very program, also when its file was replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg("become").arg(&program.binary).args(&program.arguments).process_group(0);
        // What a service manager gave is for this process alone.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        let log = || self.places.log.try_clone().map(Stdio::from);
        command.stdin(Stdio::null()).stdout(log()?).stderr(log()?).spawn()
    }
}
