//! The box's identity, asked from keyd over its socket. Keeps the public keys, which are needed when keyd is not there; never has a private one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use keepwell_api::keys::{self, Sign, Signed};
use keepwell_api::{Base64, Client};

use crate::error::DiskError;
use crate::identity::{Identity, PublicKey, SIGNATURE_BYTES, Statement, signature_from_hex};

/// A TPM takes a second or two.
const DEADLINE: Duration = Duration::from_secs(60);
/// For a public key, which keyd has in memory.
const SHORT: Duration = Duration::from_secs(5);
/// The key of a box hardly ever changes.
const FRESH: Duration = Duration::from_secs(60);

/// keyd.
#[derive(Debug)]
pub struct Keyd {
    name: String,
    client: Client,
    known: Arc<Known>,
}

/// What is known of the box's keys: its own first, then those that it had before.
#[derive(Debug)]
struct Known {
    client: Client,
    kept: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<PublicKey>,
    asked: Option<Instant>,
    is_asking: bool,
}

impl Keyd {
    /// keyd at `socket`; the box is called `name`, and its public keys are kept in the file `kept`.
    pub fn new(name: impl Into<String>, socket: impl Into<PathBuf>, kept: impl Into<PathBuf>) -> Self {
        let (socket, kept) = (socket.into(), kept.into());
        let state = Mutex::new(State { keys: read_kept(&kept), ..State::default() });
        let known = Arc::new(Known { client: Client::new("keyd", &socket, SHORT), kept, state });
        Self { name: name.into(), client: Client::new("keyd", socket, DEADLINE), known }
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(error: E) -> DiskError {
    DiskError::Identity(error.into())
}

impl Identity for Keyd {
    fn name(&self) -> &str {
        &self.name
    }

    fn public_key(&self) -> Result<PublicKey, DiskError> {
        let keys = self.own_keys()?;
        keys.first().copied().ok_or_else(|| DiskError::Identity("keyd has no key".into()))
    }

    fn newest_key(&self) -> Result<PublicKey, DiskError> {
        self.known.ask()?.first().copied().ok_or_else(|| DiskError::Identity("keyd has no key".into()))
    }

    /// What is known is answered at once, and asked for again beside that; only who knows nothing waits.
    fn own_keys(&self) -> Result<Vec<PublicKey>, DiskError> {
        let (keys, due) = {
            let mut state = self.known.state();
            let due = !state.is_asking && state.asked.is_none_or(|since| since.elapsed() >= FRESH);
            let later = due && !state.keys.is_empty();
            state.is_asking |= later;
            (state.keys.clone(), later)
        };
        if due {
            let known = Arc::clone(&self.known);
            thread::spawn(move || {
                if let Err(error) = known.ask() {
                    tracing::debug!(%error, "keyd does not say its key; the known one stands");
                }
            });
        }
        if keys.is_empty() { self.known.ask() } else { Ok(keys) }
    }

    fn sign(&self, statement: Statement<'_>) -> Result<[u8; SIGNATURE_BYTES], DiskError> {
        let request = match statement {
            Statement::DiskLabel(bytes) => Sign::DiskLabel { statement: Base64::from(bytes.to_vec()) },
            Statement::Erasure(text) => Sign::EraseCertificate { statement: text.to_owned() },
        };
        let signed: Signed = self.client.post("/v1/identity/sign", &request).map_err(failed)?;
        signature_from_hex(&signed.signature).ok_or_else(|| DiskError::Identity("keyd's signature is none".into()))
    }
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, with nobody kept waiting for it, and remembers the answer.
    fn ask(&self) -> Result<Vec<PublicKey>, DiskError> {
        let answer: Result<keys::Identity, _> = self.client.get("/v1/identity");
        let keys = answer.map_err(failed).and_then(|identity| {
            let own = PublicKey::from_hex(&identity.public_key).ok_or_else(|| DiskError::Identity("keyd's key is none on P-256".into()))?;
            Ok(std::iter::once(own).chain(identity.former.iter().filter_map(|key| PublicKey::from_hex(key))).collect::<Vec<_>>())
        });
        let mut state = self.state();
        (state.asked, state.is_asking) = (Some(Instant::now()), false);
        let keys = keys?;
        let changed = state.keys != keys;
        state.keys.clone_from(&keys);
        drop(state);
        if changed {
            self.keep(&keys);
        }
        Ok(keys)
    }

    fn keep(&self, keys: &[PublicKey]) {
        if let Err(error) = fs::write(&self.kept, PublicKey::to_lines(keys)) {
            tracing::warn!(%error, path = %self.kept.display(), "the box's public keys could not be kept");
        }
    }
}

/// A box's disks are its own even while keyd is away.
fn read_kept(path: &Path) -> Vec<PublicKey> {
    PublicKey::from_lines(&fs::read_to_string(path).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;

    use super::*;

    fn key(fill: u8) -> PublicKey {
        let mut bytes = [fill; 65];
        bytes[0] = 4;
        PublicKey(bytes)
    }

    #[test]
    fn a_known_key_is_answered_while_keyd_hangs_and_former_ones_are_learnt() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, kept) = (folder.path().join("socket"), folder.path().join("box.pub"));
        fs::write(&kept, key(1).to_hex()).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // It hangs until the known key was answered.
            wait.recv().unwrap();
            let body = format!(r#"{{"public_key":"{}","former":["{}","nonsense"]}}"#, key(2).to_hex(), key(1).to_hex());
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
        let keyd = Keyd::new("Praxis", &socket, &kept);
        assert_eq!(keyd.own_keys().unwrap(), [key(1)]);
        go.send(()).unwrap();
        server.join().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while keyd.known.state().keys.len() < 2 {
            assert!(Instant::now() < end, "the answer is not learnt");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!((keyd.public_key().unwrap(), keyd.own_keys().unwrap()), (key(2), vec![key(2), key(1)]));
    }
}
