//! Runs a program with a deadline and a cap on what it may say. Never waits for one that can't be killed, never goes through a shell.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output, up to the cap.
    pub out: Vec<u8>,
    /// Standard error, up to 4 KiB, as text.
    pub err: String,
}

/// Why it has nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It can't be started.
    #[error("{program} can't be started")]
    Start {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("{program} did not answer within {seconds} s and was ended")]
    Deadline {
        /// The program.
        program: String,
        /// The deadline.
        seconds: u64,
        /// It can't even be killed: it waits inside the kernel, for the disk.
        stuck: Option<Stuck>,
    },
    /// It said more than it may.
    #[error("{program} said more than {cap} bytes")]
    TooMuch {
        /// The program.
        program: String,
        /// The cap.
        cap: usize,
    },
    /// It ended with an error.
    #[error("{program} failed with status {status}: {said}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit status.
        status: i32,
        /// Its last words.
        said: String,
    },
}

/// A program that can't be killed for now.
#[derive(Debug)]
pub struct Stuck(Arc<AtomicBool>);

impl Stuck {
    /// Until `gone` returns, which a thread of its own waits for.
    pub(crate) fn until(gone: impl FnOnce() + Send + 'static) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        thread::spawn(move || {
            gone();
            seen.store(true, Ordering::Release);
        });
        Self(flag)
    }

    /// Waits until it has ended.
    pub fn wait(&self) {
        while !self.is_gone() {
            thread::sleep(GRACE);
        }
    }

    /// Whether it has ended since.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Most bytes kept of standard error.
const ERR_CAP: usize = 4 << 10;
/// A killed process that is not gone after this waits inside the kernel.
const GRACE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(10);

/// Runs `program` with `args` and `input`, for at most `deadline`; more than `cap` bytes of output are an error.
pub fn run(program: &Path, args: &[&str], input: &[u8], deadline: Duration, cap: usize) -> Result<Said, ProgramError> {
    let name = program.display().to_string();
    let failed = |source| ProgramError::Start { program: name.clone(), source };
    let until = Instant::now() + deadline;
    let mut child = spawn(program, args, until).map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Inputs are shorter than a pipe holds, so this never waits; a program that does not read them says so by its status.
        let _ = stdin.write_all(input);
    }
    let (out, err) = (reader(child.stdout.take(), cap), reader(child.stderr.take(), ERR_CAP));
    let gathered = |from: &mpsc::Receiver<Vec<u8>>| from.recv_timeout(until.saturating_duration_since(Instant::now()));
    let (Ok(out), Ok(err), Some(status)) = (gathered(&out), gathered(&err), ended(&mut child, until)) else {
        return Err(ProgramError::Deadline { program: name, seconds: deadline.as_secs(), stuck: end(child) });
    };
    if out.len() > cap {
        return Err(ProgramError::TooMuch { program: name, cap });
    }
    let err = String::from_utf8_lossy(&err).trim().to_owned();
    Ok(Said { status: status.code().unwrap_or(-1), out, err })
}

/// As [`run`], for a program that has to succeed. Its output is capped at 1 MiB.
pub fn succeed(program: &Path, args: &[&str], input: &[u8], deadline: Duration) -> Result<Said, ProgramError> {
    let said = run(program, args, input, deadline, 1 << 20)?;
    if said.status == 0 {
        return Ok(said);
    }
    let said_text: String = said.err.chars().filter(|c| !c.is_control() || *c == '\n').take(400).collect();
    Err(ProgramError::Failed { program: program.display().to_string(), status: said.status, said: said_text })
}

/// Starts it. One that is being replaced, or whose writer is just being forgotten by a child of ours, is busy for a moment.
fn spawn(program: &Path, args: &[&str], until: Instant) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < until => thread::sleep(STEP),
            other => return other,
        }
    }
}

/// Reads one byte more than `cap`, so that too much is seen, then drains nothing: the program ends by a broken pipe.
fn reader(from: Option<impl Read + Send + 'static>, cap: usize) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What came before an error is what there is.
            let _ = from.take(cap as u64 + 1).read_to_end(&mut bytes);
        }
        // Nobody listens after a deadline.
        let _ = sender.send(bytes);
    });
    receiver
}

fn ended(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(STEP),
            _ => return None,
        }
    }
}

/// Kills it with its children. One that waits inside the kernel is left to a thread of its own.
fn end(mut child: Child) -> Option<Stuck> {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended just now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    if ended(&mut child, Instant::now() + GRACE).is_some() {
        return None;
    }
    // Whatever it says, it is no longer there.
    Some(Stuck::until(move || drop(child.wait())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline_ms: u64, cap: usize) -> Result<Said, ProgramError> {
        run(Path::new("/bin/sh"), &["-c", script], b"typed\n", Duration::from_millis(deadline_ms), cap)
    }

    #[test]
    fn what_it_says_and_how_it_ends() {
        let said = sh("read x; echo \"$x\"; echo oh >&2; exit 68", 20_000, 100).unwrap();
        assert_eq!((said.status, said.out.as_slice(), said.err.as_str()), (68, b"typed\n".as_slice(), "oh"));
    }

    #[test]
    fn one_that_hangs_is_ended_with_its_children() {
        let error = sh("sleep 600 & sleep 600", 100, 100).unwrap_err();
        assert!(matches!(error, ProgramError::Deadline { stuck: None, .. }), "{error:?}");
    }

    #[test]
    fn one_that_talks_without_end_is_cut() {
        assert!(matches!(sh("yes", 20_000, 1000).unwrap_err(), ProgramError::TooMuch { cap: 1000, .. }));
    }

    #[test]
    fn one_that_is_not_there() {
        assert!(matches!(run(Path::new("/no/such"), &[], &[], STEP, 1), Err(ProgramError::Start { .. })));
    }
}
