//! A certificate that an owner has uploaded, for the names of the box that it speaks for. What asks for another name, or for an address, and everybody once it has expired, is met with the box's own
//! certificate: nobody is locked out by it. It lies with its key in one file of the state folder, which is replaced whole. Never says what is in a key.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use crate::authority::write;
use crate::error::ConsoleError;
use crate::reckoning::Moment;

mod validity;

const FILE: &str = "uploaded.pem";
/// What a form can carry is less.
const PEM_MAX: u64 = 128 << 10;
/// The certificate, and those that lead to an authority.
const CHAIN_MAX: usize = 8;

/// Why one is not taken, as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No PEM.
    #[error("There is no certificate in that text: it begins with -----BEGIN CERTIFICATE-----.")]
    NoCertificate,
    /// No PEM of a key, or one that takes a passphrase.
    #[error("There is no private key in that text that can be read without a passphrase: it begins with -----BEGIN PRIVATE KEY-----.")]
    NoKey,
    /// Too many.
    #[error("There are more than eight certificates in that text.")]
    TooMany,
    /// A kind that TLS here does not use.
    #[error("Keys of this kind are not used here: take RSA with 2,048 bits or more, ECDSA with P-256, P-384 or P-521, or Ed25519.")]
    Kind,
    /// Not those of each other.
    #[error(
        "The key is not that of the first certificate. The box's own certificate has to come first, then those that lead to its authority."
    )]
    OtherKey,
    /// It can't be read.
    #[error("The first certificate can't be read, or is one of an authority.")]
    Unreadable,
    /// It is over, or not yet.
    #[error("The certificate has expired, or is not valid yet by this box's clocks.")]
    Time,
    /// For somebody else.
    #[error("The certificate is for none of the names by which this box is asked.")]
    Name,
}

impl Unfit {
    /// Whether it is the key's fault.
    pub fn is_of_key(self) -> bool {
        matches!(self, Self::NoKey | Self::Kind | Self::OtherKey)
    }
}

/// What people see of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Names of the box that it speaks for.
    pub names: Vec<String>,
    /// Its last second, Unix.
    pub until: i64,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
}

/// One that fits.
#[derive(Clone, Debug)]
struct Fit {
    told: Told,
    key: Arc<CertifiedKey>,
}

/// The one of the moment, if there is one.
#[derive(Debug)]
pub struct Uploaded {
    path: PathBuf,
    names: BTreeSet<String>,
    now: Mutex<Option<Fit>>,
    /// When the connection came in that asks now.
    moment: Mutex<Moment>,
}

impl Uploaded {
    /// That of the state folder. One that fits no more is left where it is, and not shown.
    pub fn open(state: &Path, names: &BTreeSet<String>, now: Moment) -> Self {
        let path = state.join(FILE);
        let fit = match read(&path) {
            Ok(None) => None,
            // Whoever has seen it expire sees on the settings page that it did.
            Ok(Some(pem)) => fit(&pem, &pem, names, None)
                .inspect_err(|why| tracing::error!(%why, now = now.wall, "the uploaded certificate is not used"))
                .ok(),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the uploaded certificate can't be read; the box's own is used");
                None
            }
        };
        Self { path, names: names.clone(), now: Mutex::new(fit), moment: Mutex::new(now) }
    }

    /// Looks at one, and touches nothing.
    pub fn check(&self, chain: &[u8], key: &[u8], now: Moment) -> Result<Told, Unfit> {
        self.looked_at(chain, key, now).map(|(fit, _)| fit.told)
    }

    /// Shows this one from the next connection on.
    pub fn replace(&self, chain: &[u8], key: &[u8], now: Moment) -> Result<Result<(), Unfit>, ConsoleError> {
        let (fit, pem) = match self.looked_at(chain, key, now) {
            Ok(good) => good,
            Err(why) => return Ok(Err(why)),
        };
        let mut current = self.lock();
        write(&self.path, &pem)?;
        *current = Some(fit);
        Ok(Ok(()))
    }

    /// The two as they are kept, and what is read from that at the next start: a key among the certificates, or certificates beside the key, may not fit there any more.
    fn looked_at(&self, chain: &[u8], key: &[u8], now: Moment) -> Result<(Fit, Zeroizing<Vec<u8>>), Unfit> {
        fit(chain, key, &self.names, Some(now))?;
        // It has its room from the beginning: growing would leave copies of the key behind.
        let mut pem = Zeroizing::new(Vec::with_capacity(chain.len() + key.len() + 1));
        pem.extend_from_slice(chain);
        pem.push(b'\n');
        pem.extend_from_slice(key);
        Ok((fit(&pem, &pem, &self.names, Some(now))?, pem))
    }

    /// Shows the box's own again. The key is gone from the disk by that, also one that was left half written.
    pub fn remove(&self) -> Result<(), ConsoleError> {
        let mut current = self.lock();
        for path in [self.path.with_extension("new"), self.path.clone()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ConsoleError::file(&path)(error)),
                _ => {}
            }
        }
        *current = None;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(ConsoleError::file(folder))
    }

    /// What somebody sees who opens the box by this name, if that is not the box's own.
    pub fn told_for(&self, name: &str, now: Moment) -> Option<Told> {
        self.fit_for(name, now).map(|fit| fit.told)
    }

    /// The one of the moment.
    pub fn told(&self) -> Option<Told> {
        self.lock().as_ref().map(|fit| fit.told.clone())
    }

    /// A connection comes in.
    pub(crate) fn asked_at(&self, now: Moment) {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn moment(&self) -> Moment {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody is met with who asks for this name.
    fn for_name(&self, name: &str, now: Moment) -> Option<Arc<CertifiedKey>> {
        self.fit_for(name, now).map(|fit| fit.key)
    }

    fn fit_for(&self, name: &str, now: Moment) -> Option<Fit> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let current = self.lock();
        current.as_ref().filter(|fit| now.span().0 <= fit.told.until && fit.told.names.contains(&name)).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fit>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chooses by the name that a connection asks for.
pub(crate) struct ByName {
    pub(crate) own: Arc<CertifiedKey>,
    pub(crate) uploaded: Arc<Uploaded>,
}

impl std::fmt::Debug for ByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByName")
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let uploaded = hello.server_name().and_then(|name| self.uploaded.for_name(name, self.uploaded.moment()));
        Some(uploaded.unwrap_or_else(|| Arc::clone(&self.own)))
    }
}

fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    use std::io::Read as _;
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut pem = Zeroizing::new(Vec::with_capacity(PEM_MAX as usize));
    file.take(PEM_MAX).read_to_end(&mut pem)?;
    Ok(Some(pem))
}

/// A certificate with its key, for one of these names, at this time if one is given.
fn fit(chain: &[u8], key: &[u8], names: &BTreeSet<String>, now: Option<Moment>) -> Result<Fit, Unfit> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(chain).take(CHAIN_MAX + 1).collect::<Result<_, _>>().map_err(|_| Unfit::NoCertificate)?;
    if chain.len() > CHAIN_MAX {
        return Err(Unfit::TooMany);
    }
    let first = chain.first().ok_or(Unfit::NoCertificate)?.clone();
    let leaf = EndEntityCert::try_from(&first).map_err(|_| Unfit::Unreadable)?;
    let (from, until) = validity::of(&first).ok_or(Unfit::Unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unfit::NoKey)?;
    let key = default_provider().key_provider.load_private_key(key).map_err(|_| Unfit::Kind)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| Unfit::OtherKey)?;
    if now.is_some_and(|now| !now.is_within(from, until)) {
        return Err(Unfit::Time);
    }
    let speaks =
        |name: &&String| ServerName::try_from(name.as_str()).is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok());
    let names: Vec<String> = names.iter().filter(speaks).cloned().collect();
    if names.is_empty() {
        return Err(Unfit::Name);
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &first);
    let told = Told { names, until, fingerprint: keepwell_api::hex::encode(digest.as_ref()) };
    Ok(Fit { told, key: Arc::new(certified) })
}

#[cfg(test)]
mod tests;
