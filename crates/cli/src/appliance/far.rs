//! A box elsewhere, through its web console: TLS that trusts the box's own authority and nothing else, and a token in place of a person. Writes nothing.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keepwell_api::client::{Connection, Dial, Dialled};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::args::FarArgs;
use crate::exit::CliError;
use crate::unlock::{secret_file, secret_line};

/// For a connection and its handshake.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where a console listens when its address does not say.
const PORT: u16 = 443;

/// A console, and what is shown there.
pub(crate) struct Far {
    url: String,
    /// As browsers say it: with its port, unless that is the usual one.
    host: String,
    name: ServerName<'static>,
    port: u16,
    token: Zeroizing<String>,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Far").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Far {
    /// The one that `--remote` names; none without.
    pub(crate) fn new(args: &FarArgs) -> Result<Option<Self>, CliError> {
        let FarArgs { remote: Some(url), token_file: Some(token), authority: Some(authority) } = args else { return Ok(None) };
        let (host, name, port) = parse(url)?;
        let open = std::fs::metadata(token).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
        if open {
            let path = token.display();
            return Err(CliError::Refused(format!(
                "others can read {path}, and with it the token that it holds: chmod 600 {path}, then try again"
            )));
        }
        let token = secret_line(token, "token")?;
        let token =
            std::str::from_utf8(&token).ok().filter(|token| token.starts_with("kw_") && token.bytes().all(|b| b.is_ascii_graphic()));
        let token = token.ok_or_else(|| CliError::Refused("the file of --token-file holds no token: it begins with kw_".into()))?;
        let token = Zeroizing::new(token.to_owned());
        Ok(Some(Self { url: url.clone(), host, name, port, token, tls: trusting(authority)? }))
    }

    /// What people call it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Dial for Far {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async {
            let connected = async {
                let stream = match &self.name {
                    ServerName::DnsName(name) => TcpStream::connect((name.as_ref(), self.port)).await?,
                    ServerName::IpAddress(ip) => TcpStream::connect((std::net::IpAddr::from(*ip), self.port)).await?,
                    _ => return Err(io::ErrorKind::Unsupported.into()),
                };
                stream.set_nodelay(true)?;
                TlsConnector::from(Arc::clone(&self.tls)).connect(self.name.clone(), stream).await
            };
            let stream = timeout(PATIENCE, connected).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn token(&self) -> &str {
        &self.token
    }
}

fn parse(url: &str) -> Result<(String, ServerName<'static>, u16), CliError> {
    let wrong = || CliError::Usage(format!("'{url}' is no address of a console: wanted is https://box.practice.lan:8443"));
    let host = url.strip_prefix("https://").ok_or_else(wrong)?.trim_end_matches('/');
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port.parse().map_err(|_| wrong())?),
        _ => (host, PORT),
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
    Ok((host.to_owned(), name, port))
}

fn trusting(authority: &Path) -> Result<Arc<ClientConfig>, CliError> {
    let no = || {
        CliError::Refused(format!("{} holds no certificate of an authority; the console gives it at /authority.pem", authority.display()))
    };
    let pem = secret_file(authority)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.ok().and_then(|certificate| roots.add(certificate).ok()).ok_or_else(no)?;
    }
    if roots.is_empty() {
        return Err(no());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    Ok(Arc::new(config.map_err(|_| no())?.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_consoles() {
        let told = |url: &str| parse(url).ok().map(|(host, name, port)| (host, name.to_str().into_owned(), port));
        assert_eq!(told("https://box.lan:8443/"), Some(("box.lan:8443".into(), "box.lan".into(), 8443)));
        assert_eq!(told("https://192.168.1.9"), Some(("192.168.1.9".into(), "192.168.1.9".into(), 443)));
        assert_eq!(told("https://[fd00::1]:8443"), Some(("[fd00::1]:8443".into(), "fd00::1".into(), 8443)));
        for bad in ["box", "http://box", "https://", "https://box:x", "https://box/a", "https://a@b", "https://box:70000"] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_is_not_shown_and_has_to_look_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let args = |token: &str| FarArgs {
            remote: Some("https://box".into()),
            token_file: Some(at("token", token)),
            authority: Some(at("authority.pem", "no certificate")),
        };
        assert!(matches!(Far::new(&args("other\n")), Err(CliError::Refused(text)) if text.contains("kw_")));
        assert!(matches!(Far::new(&args("kw_x\n")), Err(CliError::Refused(text)) if text.contains("authority.pem")));
        let read_by_others = args("kw_x\n");
        std::fs::set_permissions(read_by_others.token_file.as_ref().unwrap(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Far::new(&read_by_others), Err(CliError::Refused(text)) if text.contains("others")));
        assert!(Far::new(&FarArgs { remote: None, token_file: None, authority: None }).unwrap().is_none());
    }
}
