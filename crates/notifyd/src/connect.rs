//! Connections to the other ends of channels: found, connected, capped, encrypted. Knows nothing of what is said on them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::{NotifyError, Peer};

/// More than this nobody has to say to one notice, TLS included.
const HEARD_MAX: usize = 256 << 10;
/// One of several addresses that swallows packets must not use up the time of the others.
const ONE_ADDRESS: Duration = Duration::from_secs(8);
const ADDRESSES_MAX: usize = 6;
const CA_PEM_MAX: usize = 64 << 10;

/// Whom to believe: the public authorities, or, if some are given, those alone.
pub(crate) fn trust(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, NotifyError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            if pem.len() > CA_PEM_MAX {
                return Err(NotifyError::Settings("its certificates are longer than 64 KiB"));
            }
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| NotifyError::Settings("its certificates are no PEM"))?;
                roots.add(certificate).map_err(|_| NotifyError::Settings("one of its certificates is none"))?;
            }
            if roots.is_empty() {
                return Err(NotifyError::Settings("there is no certificate in what was given as one"));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| NotifyError::Settings("this build has no version of TLS"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A TCP connection on which only so much is listened to.
#[derive(Debug)]
pub(crate) struct Capped {
    pub(crate) stream: TcpStream,
    left: usize,
}

impl Peer {
    /// Connects to the first of its addresses that answers.
    pub(crate) async fn connect(&self) -> Result<Capped, NotifyError> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let addresses = lookup_host((self.host.as_str(), self.port)).await.map_err(|source| self.unreachable(source))?;
        for address in addresses.take(ADDRESSES_MAX) {
            match tokio::time::timeout(ONE_ADDRESS, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(Capped { stream, left: HEARD_MAX }),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "nobody answers at this address"),
            }
        }
        Err(self.unreachable(last))
    }

    /// Encrypts a connection, once the other end has proven its name.
    pub(crate) async fn encrypt(&self, stream: Capped, config: Arc<ClientConfig>) -> Result<TlsStream<Capped>, NotifyError> {
        let name =
            ServerName::try_from(self.host.as_str().to_owned()).map_err(|_| NotifyError::Settings("no certificate can hold this name"))?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|source| self.broken(source))
    }

    /// What an error on an encrypted connection means: rustls says `InvalidData` for all that is wrong with the encryption.
    pub(crate) fn broken(&self, source: io::Error) -> NotifyError {
        match source.kind() {
            io::ErrorKind::InvalidData => NotifyError::Tls { peer: self.clone(), source },
            _ => self.unreachable(source),
        }
    }

    pub(crate) fn unreachable(&self, source: io::Error) -> NotifyError {
        NotifyError::Unreachable { peer: self.clone(), source }
    }
}

impl AsyncRead for Capped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        match self.left.checked_sub(buf.filled().len() - before) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("it says more than anybody has to say to one notice"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Capped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
