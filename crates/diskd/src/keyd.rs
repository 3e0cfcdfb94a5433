//! The box's identity, asked from keyd over its socket. Keeps the public key, which is needed when keyd is not there; never has a private one.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::keys::{self, Sign, Signed};
use keepwell_api::{Base64, Client};

use crate::error::DiskError;
use crate::identity::{Identity, PublicKey, SIGNATURE_BYTES, Statement, signature_from_hex};

/// A TPM takes a second or two.
const DEADLINE: Duration = Duration::from_secs(60);
/// The key of a box hardly ever changes.
const FRESH: Duration = Duration::from_secs(60);

/// keyd.
#[derive(Debug)]
pub struct Keyd {
    name: String,
    client: Client,
    kept: PathBuf,
    known: Mutex<Option<(Instant, PublicKey)>>,
}

impl Keyd {
    /// keyd at `socket`; the box is called `name`, and its public key is kept in the file `kept`.
    pub fn new(name: impl Into<String>, socket: impl Into<PathBuf>, kept: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), client: Client::new("keyd", socket, DEADLINE), kept: kept.into(), known: Mutex::new(None) }
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
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = known.filter(|(since, _)| since.elapsed() < FRESH) {
            return Ok(key);
        }
        let key = self.ask()?;
        *known = Some((Instant::now(), key));
        Ok(key)
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

impl Keyd {
    fn ask(&self) -> Result<PublicKey, DiskError> {
        let answer: Result<keys::Identity, _> = self.client.get("/v1/identity");
        match answer {
            Ok(identity) => {
                let key =
                    PublicKey::from_hex(&identity.public_key).ok_or_else(|| DiskError::Identity("keyd's key is none on P-256".into()))?;
                if fs::read_to_string(&self.kept).ok().as_deref() != Some(&identity.public_key)
                    && let Err(error) = fs::write(&self.kept, &identity.public_key)
                {
                    tracing::warn!(%error, path = %self.kept.display(), "the box's public key could not be kept");
                }
                Ok(key)
            }
            // Its disks are this box's even while keyd is away.
            Err(error) => fs::read_to_string(&self.kept).ok().and_then(|text| PublicKey::from_hex(&text)).ok_or_else(|| failed(error)),
        }
    }
}
