//! A box's transport key, and the certificate that carries it.

use std::fmt;

use keepwell_wire::KeyName;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A key, its name and its certificate.
pub struct Identity {
    name: KeyName,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Why a file is no transport key, or none could be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It is no key in PEM.
    #[error("the file holds no private key")]
    NoKey(#[source] tokio_rustls::rustls::pki_types::pem::Error),
    /// The key is of another kind, or damaged.
    #[error("the transport key can't be used")]
    Unusable(#[source] rcgen::Error),
}

impl Identity {
    /// A new key, as PEM (PKCS #8): to be kept where nobody else reads it.
    pub fn make() -> Result<String, IdentityError> {
        Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Unusable)?.serialize_pem())
    }

    /// That of a key. Its certificate is made anew each time: nothing in it but the key means anything.
    pub fn of(pem: &str) -> Result<Self, IdentityError> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(IdentityError::NoKey)?;
        let pair = KeyPair::from_pem(pem).map_err(IdentityError::Unusable)?;
        let name = KeyName::of(&pair.subject_public_key_info());
        let certificate = CertificateParams::default().self_signed(&pair).map_err(IdentityError::Unusable)?.der().clone();
        Ok(Self { name, certificate, key })
    }

    /// What others know it by.
    pub fn name(&self) -> KeyName {
        self.name
    }

    pub(crate) fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.certificate.clone()], self.key.clone_key())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}
