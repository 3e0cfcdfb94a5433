//! The thread on which all calls to the TPM run: its library is C, blocks, and a TPM may take seconds or never answer.

use std::fmt;
use std::str::FromStr as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keepwell_crypt::Secret;
use tss_esapi::TctiNameConf;
use zeroize::Zeroizing;

use super::link::Link;
use super::{IdentityBlob, Pcrs, SIGNATURE_LEN, SealedBlob, Terms, TpmError, TpmNames};
use crate::hex::Digest;
use crate::memory::wipe_stack;
use crate::policy::{Authority, Policies};

/// Tasks that may wait while one is under way; more mean that the TPM hangs.
const WAITING_MAX: usize = 4;

/// How long the end of the process waits for it.
const END_MAX: Duration = Duration::from_secs(2);

type Work = Box<dyn FnOnce(Result<&mut Link, TpmError>) + Send>;

struct Task {
    work: Work,
    /// Dropped when the link is closed again.
    closed: SyncSender<()>,
}

/// The box's TPM. Each call takes as long as the TPM does, and never longer than the deadline.
pub struct Tpm {
    tasks: SyncSender<Task>,
    deadline: Duration,
    /// Who it has to be, once that is known.
    known: Mutex<Option<TpmNames>>,
    /// Goes after `tasks`, whose end is the thread's.
    _thread: Joined,
}

/// Waits for the thread's end: a process that ends while the thread's C libraries clean up after it dies of a memory freed twice.
struct Joined {
    thread: Option<JoinHandle<()>>,
    /// Hangs up with the last that the thread does.
    working: Receiver<()>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        // One that waits for a TPM which never answers is left alone.
        if let (Err(RecvTimeoutError::Disconnected), Some(thread)) = (self.working.recv_timeout(END_MAX), self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Tpm {
    /// A TPM by its TCTI: `device:/dev/tpmrm0`, `swtpm:host=localhost,port=2321`. Nothing is asked of it yet; what is no TCTI is [`TpmError::Absent`].
    pub fn at(tcti: &str, deadline: Duration) -> Result<Self, TpmError> {
        let name = tcti.to_owned();
        let tcti = TctiNameConf::from_str(tcti).map_err(|source| TpmError::Absent { tcti: name.clone(), source })?;
        let (tasks, queue) = sync_channel::<Task>(WAITING_MAX);
        let (works, working) = sync_channel::<()>(0);
        let run = move || {
            let _works = works;
            for Task { work, closed } in queue {
                match Link::open(&tcti, &name) {
                    Ok(mut link) => work(Ok(&mut link)),
                    Err(error) => work(Err(error)),
                }
                wipe_stack();
                drop(closed);
            }
        };
        let thread = thread::Builder::new().name("tpm".to_owned()).spawn(run).map_err(|_| TpmError::Silent { seconds: 0 })?;
        Ok(Self { tasks, deadline, known: Mutex::new(None), _thread: Joined { thread: Some(thread), working } })
    }

    /// From now on no other TPM gives random numbers, makes an identity, or signs; none lifts that.
    pub fn expect(&self, names: Option<TpmNames>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Who it is.
    pub fn names(&self) -> Result<TpmNames, TpmError> {
        self.ask(Link::names)
    }

    /// What was measured.
    pub fn pcrs(&self) -> Result<Pcrs, TpmError> {
        self.ask(Link::pcrs)
    }

    /// Random bytes of its own making.
    pub fn random(&self) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        self.ask_known(Link::random)
    }

    /// Seals a secret.
    pub fn seal(&self, secret: &Secret, terms: Terms) -> Result<SealedBlob, TpmError> {
        let secret = Secret::from_bytes(*secret.expose());
        self.ask(move |link| link.seal(&secret, &terms))
    }

    /// Opens whichever of the blobs opens now; there has to be one at least.
    pub fn unseal(&self, blobs: &[SealedBlob], policies: &[Policies], authority: Option<Authority>) -> Result<Secret, TpmError> {
        let (blobs, policies) = (blobs.to_vec(), policies.to_vec());
        self.ask(move |link| link.unseal(&blobs, &policies, authority.as_ref()))
    }

    /// Makes an identity key whose use takes `auth`.
    pub fn make_identity(&self, auth: &Secret) -> Result<IdentityBlob, TpmError> {
        let auth = Secret::from_bytes(*auth.expose());
        self.ask_known(move |link| link.make_identity(&auth))
    }

    /// Signs a SHA-256 with an identity key.
    pub fn sign(&self, identity: &IdentityBlob, auth: &Secret, digest: Digest) -> Result<[u8; SIGNATURE_LEN], TpmError> {
        let (identity, auth) = (identity.clone(), Secret::from_bytes(*auth.expose()));
        self.ask_known(move |link| link.sign(&identity, &auth, &digest))
    }

    fn ask_known<T: Send + 'static>(&self, task: impl FnOnce(&mut Link) -> Result<T, TpmError> + Send + 'static) -> Result<T, TpmError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.ask(move |link| link.is(known.as_ref()).and_then(|()| task(link)))
    }

    fn ask<T: Send + 'static>(&self, task: impl FnOnce(&mut Link) -> Result<T, TpmError> + Send + 'static) -> Result<T, TpmError> {
        let silent = || TpmError::Silent { seconds: self.deadline.as_secs() };
        let (answer, answered) = sync_channel(1);
        // Who waited has gone when the deadline is over; then the answer is dropped, and wiped.
        let (closed, over) = sync_channel(0);
        let task = Task { work: Box::new(move |link| drop(answer.send(link.and_then(task)))), closed };
        self.tasks.try_send(task).map_err(|_| silent())?;
        match answered.recv_timeout(self.deadline) {
            Ok(answer) => {
                // A TPM has room for three sessions: whoever asks it next, and in whatever way, finds it empty.
                let _ = over.recv_timeout(self.deadline);
                answer
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(silent()),
        }
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tpm").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
