//! Stands in for the service manager where there is none: one process for each connection. Reads no byte of any.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{IngestdError, connection};

/// Jobs at a time. Further ones wait to be accepted.
const MOST: usize = 64;
/// Time that jobs get to end after they were told to.
const GRACE: Duration = Duration::from_secs(10);

/// Listens at `socket` until this process is told to end, and starts `program` for each caller that is `vaultd_uid`.
///
/// # Errors
/// [`IngestdError`] if nothing can be listened at, or nothing can be accepted any more.
pub fn serve(socket: &Path, program: &Path, vaultd_uid: u32) -> Result<(), IngestdError> {
    let failed = |source| IngestdError::Listen { path: socket.to_owned(), source };
    let listener = keepwell_api::listen(socket).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(IngestdError::system("starting"))?;
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        let (over, jobs_over) = watch::channel(false);
        let mut jobs = Jobs { program, vaultd_uid, over: jobs_over, running: JoinSet::new() };
        let ended = tokio::select! {
            error = jobs.accept(&listener) => Err(failed(error)),
            () = told_to_end() => Ok(()),
        };
        drop(listener);
        // All of them listen as long as they run.
        let _ = over.send(true);
        while jobs.running.join_next().await.is_some() {}
        ended
    })
}

/// SIGTERM or SIGINT; never if they can't be waited for.
pub(crate) async fn told_to_end() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
}

/// The jobs that are running, and how they are started.
struct Jobs<'a> {
    program: &'a Path,
    vaultd_uid: u32,
    over: watch::Receiver<bool>,
    running: JoinSet<()>,
}

impl Jobs<'_> {
    /// Accepts until that fails for good.
    async fn accept(&mut self, listener: &UnixListener) -> io::Error {
        loop {
            while self.running.len() >= MOST {
                self.running.join_next().await;
            }
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.start(stream),
                    // The caller is gone again.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => return error,
                },
                Some(_) = self.running.join_next() => {}
            }
        }
    }

    fn start(&mut self, stream: UnixStream) {
        match self.spawn(stream) {
            Ok(child) => drop(self.running.spawn(tend(child, self.over.clone()))),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a connection was refused"),
        }
    }

    fn spawn(&self, stream: UnixStream) -> Result<Child, IngestdError> {
        connection::check(&stream, self.vaultd_uid)?;
        let stream = stream.into_std().and_then(|stream| stream.set_nonblocking(false).map(|()| stream));
        let stream = stream.map_err(IngestdError::system("handing a connection over"))?;
        Command::new(self.program)
            .args(["--vaultd-uid", &self.vaultd_uid.to_string()])
            .stdin(Stdio::from(OwnedFd::from(stream)))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(IngestdError::system("starting a process"))
    }
}

/// Waits for a job; ends it when `over` says so.
async fn tend(mut child: Child, mut over: watch::Receiver<bool>) {
    let told = async { drop(over.wait_for(|over| *over).await) };
    let by_itself = tokio::select! {
        ended = child.wait() => Some(ended),
        () = told => None,
    };
    let ended = match by_itself {
        Some(ended) => ended,
        None => {
            if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                // It may have ended just now.
                let _ = kill_process(pid, Signal::TERM);
            }
            // What does not end by itself is killed when it is let go.
            let Ok(ended) = timeout(GRACE, child.wait()).await else { return };
            ended
        }
    };
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, "a job's process failed"),
        Err(error) => tracing::warn!(%error, "a job's process was lost"),
    }
}
