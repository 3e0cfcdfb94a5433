//! The connection to a share. Owns the runtime and the session; never writes to the share, never talks unsigned.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keepwell_format::port::{Encoding, ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, Key};
use smb2::client::connection::Connection;
use smb2::{ClientConfig, ErrorKind, SmbClient, Tree};
use tokio::runtime::{Builder, Runtime};

use super::gap;
use super::read::SmbFile;
use super::walk::SmbWalk;
use crate::{SmbUrl, SourceError};

/// Reads in flight that hide a network's latency.
const PARALLEL_READS: usize = 16;

/// How long a server may take to be dialled.
const DIAL: Duration = Duration::from_secs(10);

/// A folder of an SMB share.
pub struct SmbSource {
    info: SourceInfo,
    pub(super) runtime: Runtime,
    pub(super) connection: Connection,
    pub(super) tree: Arc<Tree>,
    /// Path of the root below the share, components joined by `/`.
    root: String,
    /// Holds the session open.
    _client: SmbClient,
}

impl SmbSource {
    /// Signs in and opens the share. Blocks; must not be called from asynchronous code, nor may any other method.
    ///
    /// # Errors
    /// [`SourceError`]: unreachable, refused, not signed, no such share or folder.
    pub fn connect(url: &SmbUrl, password: &str) -> Result<Self, SourceError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(SourceError::Threads)?;
        let opened = runtime.block_on(open(url, password));
        let (client, tree) = opened?;
        let connection = client.connection().clone();
        let server = connection.params().map_or_else(String::new, |params| {
            let guid = params.server_guid;
            format!("{:08x}-{:04x}-{:04x}-{:016x}", guid.data1, guid.data2, guid.data3, u64::from_be_bytes(guid.data4))
        });
        let root = url.path.join("/");
        let info = SourceInfo {
            location: url.to_string(),
            identity: format!("smb:{server}:{}/{root}", url.share),
            encoding: Encoding::Wtf8,
            parallel_reads: PARALLEL_READS,
        };
        Ok(Self { info, runtime, connection, tree: Arc::new(tree), root, _client: client })
    }

    /// The path on the share of an entry.
    pub(super) fn path(&self, key: &Key) -> String {
        let below = String::from_utf8_lossy(&key.to_path()).into_owned();
        match (self.root.is_empty(), below.is_empty()) {
            (true, _) => below,
            (false, true) => self.root.clone(),
            (false, false) => format!("{}/{below}", self.root),
        }
    }
}

async fn open(url: &SmbUrl, password: &str) -> Result<(SmbClient, Tree), SourceError> {
    // The client would take a guest session for this name.
    if url.user.eq_ignore_ascii_case("guest") {
        return Err(SourceError::Unprotected { server: url.address(), source: "the session is not signed".into() });
    }
    let config = ClientConfig {
        addr: url.address(),
        timeout: DIAL,
        username: url.user.clone(),
        password: password.into(),
        domain: url.domain.clone().unwrap_or_default(),
        compression: false,
        dfs_enabled: false,
        ..ClientConfig::default()
    };
    let mut client = SmbClient::connect(config).await.map_err(|source| refused(url, source))?;
    let session = client.session();
    if !session.should_sign && !session.should_encrypt {
        return Err(SourceError::Unprotected { server: url.address(), source: "the session is not signed".into() });
    }
    let share = |source| SourceError::Share { location: url.to_string(), source: Box::new(source) };
    let tree = client.connect_share(&url.share).await.map_err(share)?;
    let mut connection = client.connection().clone();
    let seen = tree.stat(&mut connection, &url.path.join("/")).await.map_err(share)?;
    if !seen.is_directory {
        return Err(SourceError::NotFolder(url.to_string().into()));
    }
    Ok((client, tree))
}

fn refused(url: &SmbUrl, source: smb2::Error) -> SourceError {
    let server = url.address();
    match source.kind() {
        ErrorKind::AuthRequired => SourceError::SignIn { server, user: url.user.clone(), source: Box::new(source) },
        ErrorKind::GuestSessionRefused | ErrorKind::SigningRequired | ErrorKind::SignatureInvalid => {
            SourceError::Unprotected { server, source: Box::new(source) }
        }
        ErrorKind::AccessDenied => SourceError::Share { location: url.to_string(), source: Box::new(source) },
        _ => SourceError::Unreachable { server, service: "SMB 2 or 3", source: Box::new(source) },
    }
}

impl fmt::Debug for SmbSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmbSource").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Source for SmbSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(Box::new(SmbWalk::new(self)))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        SmbFile::open(self, entry).map(|file| Box::new(file) as Box<dyn ReadFile>).map_err(|error| gap(&error))
    }
}
