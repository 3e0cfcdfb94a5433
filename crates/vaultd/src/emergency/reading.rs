//! What is read in an emergency, by whoever has the secret: folders, entries, bytes of files. Each folder and file that is opened stands in the ledger, its name sealed, before
//! anything of it is given. Shows no snapshot but those that were opened, and nothing after the time is over.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use keepwell_api::grants::{Verb, digest};
use keepwell_api::outflow::outflow;
use keepwell_api::vault::{EMERGENCY_USER, EmergencyContent, EmergencyEntry, EmergencyFiles, EmergencyKey, File, Files};
use keepwell_api::{Base64, Ending, Refusal, hex};
use keepwell_audit::{Event, Value};
use keepwell_vault::{Snapshot, StoredFile, Vault};

use super::{Answer, DOCUMENT, Kept, Open, SECRET_LETTERS, load, opened};
use crate::appliance::Appliance;
use crate::doors::Place;
use crate::download::{Sink, begin};
use crate::error::VaultdError;
use crate::{reading, restore};

/// Whether the secret is the one, however it was typed. By its hash: whoever tries learns nothing from the time that it takes.
fn is_right(open: &Open, secret: &Base64) -> bool {
    let letter = |byte: &u8| match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let bytes = secret.as_ref();
    let letters: zeroize::Zeroizing<Vec<u8>> =
        bytes.iter().filter(|byte| !b"- ".contains(byte)).take(SECRET_LETTERS + 1).map(letter).collect::<Vec<_>>().into();
    hex::encode(&digest(&letters)) == open.secret
}

/// What is open, for who has its secret.
fn shown(appliance: &Appliance, key: &EmergencyKey) -> Answer<Open> {
    let refused = |error: VaultdError| {
        appliance.gate.note(appliance, Verb::EmergencyOpen, EMERGENCY_USER, &Refusal::from(&error));
        error
    };
    let open = load(appliance)?.open.filter(|open| open.id == key.id && open.left_s(appliance) > 0);
    let open = open.ok_or(VaultdError::EmergencyClosed)?;
    if is_right(&open, &key.secret) { Ok(open) } else { Err(refused(VaultdError::EmergencySecret)) }
}

/// One of the snapshots that were opened.
fn snapshot(open: &Open, vault: &Vault, wanted: &str) -> Answer<Snapshot> {
    let known = open.shares.iter().any(|share| share.snapshot == wanted);
    if known { Ok(vault.resolve(wanted)?) } else { Err(VaultdError::NoSuch("snapshot that is open in this emergency")) }
}

/// Writes into the ledger that something is opened, unless it was just now.
fn note(appliance: &Appliance, key: &EmergencyKey, vault: &Vault, snapshot: &Snapshot, what: &str, path: &[u8]) -> Answer<()> {
    let (emergency, id) = (&appliance.emergency, snapshot.id.to_string());
    let one = opened::one(key.id, key.from, &id, what, path);
    let mut fields = vec![
        ("what".to_owned(), Value::Text(format!("emergency-{what}"))),
        ("opening".to_owned(), Value::Number(key.id.cast_signed())),
        ("snapshot".to_owned(), Value::Text(id)),
        reading::sealed(vault, "path", path),
    ];
    fields.extend(key.from.map(|from| ("from".to_owned(), Value::Text(from.to_string()))));
    // What can't be recorded is not given, nor is it the next time.
    let is_new = emergency.opened.once(one, Instant::now(), || appliance.record(EMERGENCY_USER, Event::Retrieval, fields))?;
    if is_new && what == "content" {
        let _changing = emergency.changing();
        let mut kept: Kept = load(appliance)?;
        if let Some(open) = kept.open.as_mut().filter(|open| open.id == key.id) {
            open.files_opened += 1;
            appliance.state.note(DOCUMENT, &kept)?;
        }
    }
    Ok(())
}

/// One file or folder.
pub(crate) fn entry(appliance: &Arc<Appliance>, order: EmergencyEntry) -> Answer<File> {
    let open = shown(appliance, &order.key)?;
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let snapshot = snapshot(&open, &vault, &order.snapshot)?;
    let key = restore::key(order.path.as_ref())?;
    let node = vault.entry(&snapshot, &key)?.ok_or_else(|| keepwell_vault::VaultError::NoPath(key.to_string()))?;
    Ok(reading::file(key.name(), &node))
}

/// What lies directly in a folder.
pub(crate) fn files(appliance: &Arc<Appliance>, order: EmergencyFiles) -> Answer<Files> {
    let open = shown(appliance, &order.key)?;
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let snapshot = snapshot(&open, &vault, &order.snapshot)?;
    let folder = restore::key(order.path.as_ref())?;
    note(appliance, &order.key, &vault, &snapshot, "files", order.path.as_ref())?;
    reading::page(&vault, &snapshot, &folder, order.after.as_ref(), order.limit)
}

/// A part of a file that may be sent.
pub(crate) struct Content {
    appliance: Arc<Appliance>,
    vault: Arc<Vault>,
    file: StoredFile,
    opening: u64,
    part: std::ops::Range<u64>,
    place: Place,
}

/// Finds the file, and whether it may be sent.
pub(crate) fn content(appliance: &Arc<Appliance>, order: EmergencyContent, place: Place) -> Answer<Content> {
    let open = shown(appliance, &order.key)?;
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let snapshot = snapshot(&open, &vault, &order.snapshot)?;
    let file = vault.open_file(&snapshot, &restore::key(order.path.as_ref())?)?;
    let start = order.offset.min(file.size());
    let end = order.length.map_or(file.size(), |length| start.saturating_add(length).min(file.size()));
    note(appliance, &order.key, &vault, &snapshot, "content", order.path.as_ref())?;
    Ok(Content { appliance: Arc::clone(appliance), vault, file, opening: open.id, part: start..end, place })
}

impl Content {
    /// Sends it, as long as it is open.
    pub(crate) fn flow(self, ending: Ending) -> Answer<Response> {
        let Self { appliance, vault, file, opening, part, place } = self;
        let (out, body) = outflow(Some(part.end - part.start));
        begin(Sink::new(out, ending), place, move |sink| {
            // Once a second is often enough to end it with its time.
            let mut looked = None::<Instant>;
            let mut is_open = || {
                if looked.is_some_and(|at| at.elapsed().as_secs() < 1) {
                    return true;
                }
                looked = Some(Instant::now());
                load(&appliance).is_ok_and(|kept| kept.open.is_some_and(|open| open.id == opening && open.left_s(&appliance) > 0))
            };
            let mut put =
                |bytes: &[u8]| if is_open() && sink.put(bytes).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            let whole = part == (0..file.size());
            let read = if whole { vault.read_file(&file, &mut put) } else { vault.read_part(&file, part, &mut put) };
            read.map(|flow| flow.is_continue())
        })?;
        Ok(([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response())
    }
}
