//! Files that leave the box as bytes: one as it is, or several in an archive that is made while it is sent. All is decided, and written into the ledger, before the first byte goes out.
//!
//! Each has a thread of its own, and a few pieces in memory. Whoever asked and takes no more ends it; damage in the middle breaks it off, so that no one takes a part for the whole.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use keepwell_api::Ending;
use keepwell_api::error::chain;
use keepwell_api::grants::Grant;
use keepwell_api::outflow::{Hung, Outflow, outflow};
use keepwell_api::vault::{Download, DownloadZip};
use keepwell_audit::Value;
use keepwell_format::Key;
use keepwell_vault::{Below, Snapshot, StoredFile, Vault, VaultError};
use tokio::runtime::Handle;

use crate::appliance::Appliance;
use crate::archive::{self, Archive};
use crate::doors::Place;
use crate::error::VaultdError;
use crate::{reading, restore, scope};

/// Bytes that are handed on at a time.
const PIECE: usize = 256 << 10;
/// Paths in one request.
const PATHS: std::ops::RangeInclusive<usize> = 1..=200;
/// Entries of an archive: its directory is kept in memory until its end.
const ENTRIES_MAX: u64 = 100_000;
/// Bytes of their paths, for the same reason: names of 4 KiB are nothing but an attack.
const NAMES_MAX: u64 = 32 << 20;

/// A file that may be sent.
pub(crate) struct OneFile {
    vault: Arc<Vault>,
    file: StoredFile,
    place: Place,
}

/// Files and folders that may be sent.
pub(crate) struct Several {
    vault: Arc<Vault>,
    snapshot: Snapshot,
    folder: Key,
    keys: Vec<Key>,
    place: Place,
}

/// Finds the file, and whether it may be sent.
pub(crate) fn one_file(appliance: &Arc<Appliance>, grant: &Grant, order: Download, place: Place) -> Result<OneFile, VaultdError> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let snapshot = scope::snapshot(appliance, grant, &vault, &order.snapshot)?;
    reading::of_a_share(&snapshot)?;
    let file = vault.open_file(&snapshot, &restore::key(order.path.as_ref())?)?;
    enough(grant, file.size())?;
    let more = vec![reading::sealed(&vault, "path", order.path.as_ref()), bytes(file.size())];
    reading::note(appliance, grant, "content", Some(&snapshot), more)?;
    Ok(OneFile { vault, file, place })
}

/// Finds all, counts it, and whether it may be sent.
pub(crate) fn several(appliance: &Arc<Appliance>, grant: &Grant, order: DownloadZip, place: Place) -> Result<Several, VaultdError> {
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    if !PATHS.contains(&order.paths.len()) {
        return Err(VaultdError::Invalid("an archive is made of 1 to 200 files and folders".into()));
    }
    let mut keys = order.paths.iter().map(|path| restore::key(path.as_ref())).collect::<Result<Vec<_>, _>>()?;
    keys.sort_unstable();
    keys.dedup();
    let folder = keys.first().and_then(Key::parent).unwrap_or_default();
    if keys.iter().any(|key| key.parent().unwrap_or_default() != folder || (key.is_root() && keys.len() > 1)) {
        return Err(VaultdError::Invalid("what is put into one archive has to lie in one folder".into()));
    }
    let snapshot = scope::snapshot(appliance, grant, &vault, &order.snapshot)?;
    reading::of_a_share(&snapshot)?;
    let size = size(&vault, &snapshot, &keys)?;
    enough(grant, size)?;
    let paths = order.paths.iter().map(|path| path.as_ref().to_vec()).collect::<Vec<_>>().join(&0);
    reading::note(appliance, grant, "zip", Some(&snapshot), vec![reading::sealed(&vault, "paths", &paths), bytes(size)])?;
    Ok(Several { vault, snapshot, folder, keys, place })
}

fn bytes(size: u64) -> (String, Value) {
    ("bytes".to_owned(), Value::Number(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn enough(grant: &Grant, bytes: u64) -> Result<(), VaultdError> {
    match grant.max_bytes.filter(|most| bytes > *most) {
        Some(most) => Err(VaultdError::GrantTooSmall { bytes, most }),
        None => Ok(()),
    }
}

/// Bytes of all files.
fn size(vault: &Vault, snapshot: &Snapshot, keys: &[Key]) -> Result<u64, VaultdError> {
    let (mut entries, mut names, mut bytes) = (0u64, 0u64, 0u64);
    for key in keys {
        vault.walk_below(snapshot, key, &mut |below| {
            entries += 1;
            if let Below::Entry(key, node) = below {
                names += key.as_bytes().len() as u64;
                bytes = bytes.saturating_add(archive::size(vault, snapshot, &node));
            }
            if entries > ENTRIES_MAX || names > NAMES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if entries > ENTRIES_MAX || names > NAMES_MAX {
            return Err(VaultdError::TooLarge(ENTRIES_MAX));
        }
    }
    Ok(bytes)
}

impl OneFile {
    /// Sends it.
    pub(crate) fn flow(self, ending: Ending) -> Result<Response, VaultdError> {
        let Self { vault, file, place } = self;
        let (out, body) = outflow(Some(file.size()));
        begin(Sink::new(out, ending), place, move |sink| {
            let read = vault
                .read_file(&file, &mut |bytes| if sink.put(bytes).is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            read.map(|flow| flow.is_continue())
        })?;
        Ok(answer("application/octet-stream", body))
    }
}

impl Several {
    /// Sends them.
    pub(crate) fn flow(self, ending: Ending) -> Result<Response, VaultdError> {
        let Self { vault, snapshot, folder, keys, place } = self;
        let (out, body) = outflow(None);
        begin(Sink::new(out, ending), place, move |sink| {
            let mut archive = Archive::new(&vault, &snapshot, &folder, sink);
            for key in &keys {
                if archive.add(key)?.is_break() {
                    return Ok(false);
                }
            }
            Ok(archive.finish().is_ok())
        })?;
        Ok(answer("application/zip", body))
    }
}

fn answer(kind: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Sends in a thread of its own: `work` answers whether all was taken.
pub(crate) fn begin(
    mut sink: Sink,
    place: Place,
    work: impl FnOnce(&mut Sink) -> Result<bool, VaultError> + Send + 'static,
) -> Result<(), VaultdError> {
    let span = tracing::Span::current();
    let send = move || {
        let _place = place;
        span.in_scope(|| match work(&mut sink) {
            Ok(true) => drop(sink.end()),
            Ok(false) => tracing::info!("a download was ended by whoever asked for it, or with the program"),
            Err(error) => tracing::error!(error = chain(&error), "a download broke off: a part of it can't be read from the vault"),
        });
    };
    std::thread::Builder::new().name("download".into()).spawn(send).map(drop).map_err(VaultdError::Thread)
}

/// Breaks a sink while somebody else has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker(Arc<AtomicBool>);

impl Breaker {
    /// Nothing more goes out: what was sent is not the whole.
    pub(crate) fn give_up(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where the bytes go, for a thread that may wait.
pub(crate) struct Sink {
    out: Outflow,
    ending: Ending,
    runtime: Handle,
    /// Small writes are put together.
    waiting: Vec<u8>,
    broken: Breaker,
}

impl Sink {
    pub(crate) fn new(out: Outflow, ending: Ending) -> Self {
        Self { out, ending, runtime: Handle::current(), waiting: Vec::new(), broken: Breaker::default() }
    }

    /// Waits until there is room.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Hung> {
        for piece in bytes.chunks(PIECE) {
            let Self { out, ending, runtime, .. } = self;
            let put = runtime.block_on(async {
                tokio::select! {
                    put = out.put(piece.to_vec()) => put,
                    () = ending.comes() => Err(Hung),
                }
            });
            if put.is_err() {
                self.broken.give_up();
            }
            put?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Hung> {
        let rest = std::mem::take(&mut self.waiting);
        if self.broken.is_broken() {
            return Err(Hung);
        }
        self.put(&rest)?;
        self.runtime.block_on(self.out.end())
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.broken.clone()
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken.is_broken() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            let full = std::mem::take(&mut self.waiting);
            self.put(&full).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
