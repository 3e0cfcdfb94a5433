//! Exports over NFS version 4.1, read only, through the crate `nfs-rs`. The asynchronous runtime stays inside this module.
//!
//! What version 3 has and this has not: names that are no UTF-8 (a folder with one can't be listed, which is its gap), access lists (none are read,
//! neither POSIX nor NFSv4), supplementary groups, times before 1970 and after 2106 (they come as the nearest that it knows), holes, a new
//! connection of our own when one breaks (the library's is used), and writing. Every call has a deadline of its own.

mod read;
mod rights;
mod walk;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use keepwell_format::port::{ReadFile, Walk, Walked};
use keepwell_format::{Gap, GapReason};
use keepwell_nfs::{Attributes, Device, FileType, Timestamp};
use nfs_rs::{Attr, Mount, Nfs4ErrorCode, NfsError};
use tokio::runtime::Runtime;

use super::handles::split;
use super::until_error;
use crate::{NfsUrl, SourceError};

/// Folders whose handles are kept.
const FOLDERS: usize = 4096;

/// A mounted export.
pub(super) struct Tree41 {
    runtime: Runtime,
    mount: Arc<dyn Mount>,
    root: Bytes,
    seen: Attributes,
    timeout: Duration,
    /// By encoded key.
    folders: Mutex<HashMap<Vec<u8>, Bytes>>,
}

impl Tree41 {
    pub(super) fn connect(url: &NfsUrl, timeout: Duration) -> Result<Self, SourceError> {
        let location = url.to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(SourceError::Threads)?;
        let failed = |error: NfsError| match error {
            NfsError::Io(source) => SourceError::Unreachable { server: url.address(), service: "NFS 4.1", source: source.into() },
            other => SourceError::Share { location: location.clone(), source: other.into() },
        };
        let mut last = None;
        // From a privileged port where that is allowed, as most servers ask for one.
        let mounted = [false, true].into_iter().find_map(|any_port| {
            let mounted = within(&runtime, timeout, nfs_rs::parse_url_and_mount(&library_url(url, any_port)));
            mounted.map_err(|error| last = Some(error)).ok()
        });
        let Some(mount) = mounted else { return Err(failed(last.unwrap_or_else(|| NfsError::Io(io::ErrorKind::NotConnected.into())))) };
        let mount: Arc<dyn Mount> = mount.into();
        let mut found = within(&runtime, timeout, mount.lookup_path("/")).map_err(failed)?.fh;
        for name in &url.path {
            let name = String::from_utf8_lossy(name);
            found = within(&runtime, timeout, mount.lookup(found, &name)).map_err(failed)?.fh;
        }
        let seen = within(&runtime, timeout, mount.getattr(found.clone())).map_err(failed)?;
        match attributes(&seen) {
            Some(seen) if seen.kind == FileType::Folder => {
                Ok(Self { runtime, mount, root: found, seen, timeout, folders: Mutex::default() })
            }
            _ => Err(SourceError::NotFolder(location.into())),
        }
    }

    pub(super) fn fsid(&self) -> u64 {
        self.seen.fsid
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        let mut walk = walk::Walk41::new(self);
        until_error(move || walk.step(), |error| gap(error, GapReason::Read))
    }

    pub(super) fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Ok(Box::new(read::File41::open(self, entry)?))
    }

    fn call<T>(&self, call: impl Future<Output = nfs_rs::Result<T>>) -> nfs_rs::Result<T> {
        within(&self.runtime, self.timeout, call)
    }

    /// The folder that the entry with this encoded key is in, looked up from the root if need be, and the entry's name.
    fn place(&self, key: &[u8]) -> nfs_rs::Result<(Bytes, String)> {
        let (folder, name) = split(key);
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder).cloned();
        let handle = match known {
            Some(handle) => handle,
            None if folder.is_empty() => self.root.clone(),
            None => {
                let mut handle = self.root.clone();
                for part in folder.split(|byte| *byte == 0) {
                    handle = self.call(self.mount.lookup(handle, &String::from_utf8_lossy(part)))?.fh;
                }
                self.keep(folder, handle.clone());
                handle
            }
        };
        Ok((handle, String::from_utf8_lossy(name).into_owned()))
    }

    fn keep(&self, key: &[u8], handle: Bytes) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= FOLDERS {
            folders.clear();
        }
        folders.insert(key.to_vec(), handle);
    }
}

impl std::fmt::Debug for Tree41 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree41").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

fn within<T>(runtime: &Runtime, limit: Duration, call: impl Future<Output = nfs_rs::Result<T>>) -> nfs_rs::Result<T> {
    let late = || NfsError::Io(io::Error::new(io::ErrorKind::TimedOut, "the NFS server did not answer in time"));
    runtime.block_on(async { tokio::time::timeout(limit, call).await }).unwrap_or_else(|_| Err(late()))
}

/// The URL as the library reads it.
fn library_url(url: &NfsUrl, any_port: bool) -> String {
    let path: String = url.export.iter().map(|byte| if *byte == b'/' { "/".to_owned() } else { format!("%{byte:02X}") }).collect();
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let port = url.port.unwrap_or(2049);
    let uid = url.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let gid = url.gid.unwrap_or_else(|| rustix::process::getegid().as_raw());
    format!("nfs://{host}:{port}{path}?version=4.1&uid={uid}&gid={gid}&noresvport={any_port}")
}

/// None if the server tells no type that there is.
fn attributes(seen: &Attr) -> Option<Attributes> {
    let kind = FileType::from_number(seen.type_)?;
    let time = |time: &nfs_rs::Time| Timestamp { seconds: time.seconds, nanos: time.nseconds.min(999_999_999) };
    Some(Attributes {
        kind,
        mode: seen.file_mode,
        links: seen.nlink,
        uid: seen.uid,
        gid: seen.gid,
        size: seen.filesize,
        used: seen.used,
        device: Device { major: seen.spec_data[0], minor: seen.spec_data[1] },
        fsid: seen.fsid,
        fileid: seen.fileid,
        mtime: time(&seen.mtime),
        ctime: time(&seen.ctime),
    })
}

/// Whether the server can't be had any more.
fn is_gone(error: &NfsError) -> bool {
    matches!(error, NfsError::Io(_) | NfsError::ClientClosed(_)) || error.is_connection_lost()
}

fn gap(error: &NfsError, otherwise: GapReason) -> Gap {
    let reason = match error {
        NfsError::Nfs4(Nfs4ErrorCode::NFS4ERR_ACCESS | Nfs4ErrorCode::NFS4ERR_PERM) => GapReason::Permission,
        NfsError::Nfs4(
            Nfs4ErrorCode::NFS4ERR_NOENT | Nfs4ErrorCode::NFS4ERR_STALE | Nfs4ErrorCode::NFS4ERR_NOTDIR | Nfs4ErrorCode::NFS4ERR_ISDIR,
        )
        | NfsError::Nfs4(Nfs4ErrorCode::NFS4ERR_SYMLINK | Nfs4ErrorCode::NFS4ERR_FHEXPIRED) => GapReason::Vanished,
        NfsError::Nfs4(Nfs4ErrorCode::NFS4ERR_SHARE_DENIED | Nfs4ErrorCode::NFS4ERR_LOCKED) => GapReason::Locked,
        _ => otherwise,
    };
    Gap { reason, text: error.to_string() }
}
