//! What the box has to remember: shares, runs, restores, proofs, what is to be sent, and documents such as policies and incidents. One SQLite file, each change durable
//! before it is answered (WAL, `synchronous=FULL`).
//!
//! Never holds a key, nor a password that is not sealed by the vault; never the name of a file.

mod documents;
mod outbox;
mod restores;
mod runs;
mod schema;
mod shares;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use outbox::Letter;
pub(crate) use shares::purpose;
pub use shares::{NewShare, ShareRow, new_share_id};

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database failed.
    #[error("the box could not {what}; what was there before is untouched")]
    Database {
        /// What was being done.
        what: &'static str,
        /// The database's words.
        #[source]
        source: rusqlite::Error,
    },
    /// A later release wrote it.
    #[error("the box's state is of version {found}, this release knows {known}: start the newer release again")]
    Newer {
        /// Its version.
        found: u32,
        /// The latest known here.
        known: u32,
    },
    /// A row is not what this program writes.
    #[error("the box's state holds {what} that can't be read")]
    Row {
        /// Of which kind.
        what: &'static str,
        /// How.
        #[source]
        source: serde_json::Error,
    },
    /// The name is taken.
    #[error("there is a share with this name already; nothing was changed")]
    NameTaken,
}

/// The state, shared by all threads.
#[derive(Debug)]
pub struct State {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// Rises with each change that has to survive the box.
    version: AtomicU64,
    /// Rises when a run or restore ends.
    history: AtomicU64,
}

impl State {
    /// Opens or makes it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Database { what: "open its state", source };
        let mut connection = Connection::open(path).map_err(failed)?;
        prepare(&connection).map_err(failed)?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned(), version: AtomicU64::new(1), history: AtomicU64::new(1) })
    }

    /// Rises with each change that has to survive the box.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Rises when a run or restore ends.
    pub fn history(&self) -> u64 {
        self.history.load(Ordering::Acquire)
    }

    /// Whether nobody has set anything up here yet.
    pub fn is_blank(&self) -> Result<bool, StateError> {
        self.with("read its state", |transaction| {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM shares) AND NOT EXISTS (SELECT 1 FROM documents WHERE name = ?1)";
            transaction.query_row(sql, [SETTLED], |row| row.get(0))
        })
    }

    /// Takes over what another box's state of this release's version holds, but for what is of use to that box alone.
    pub fn adopt(&self, other: &Path) -> Result<(), StateError> {
        let failed = |source| StateError::Database { what: "take over the state of the box before", source };
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.execute("ATTACH ?1 AS other", [other.to_string_lossy()]).map_err(failed)?;
        let taken = connection.execute_batch(ADOPT);
        if taken.is_err() {
            // What was begun is undone by ending the connection's transaction.
            let _ = connection.execute_batch("ROLLBACK");
        }
        connection.execute_batch("DETACH other").map_err(failed)?;
        taken.map_err(failed)?;
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Writes a copy of the whole, consistent in itself, to a file that is not there yet.
    pub fn copy_to(&self, path: &Path) -> Result<(), StateError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let done = connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]);
        done.map(|_| ()).map_err(|source| StateError::Database { what: "copy its state", source })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn with<T>(&self, what: &'static str, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| StateError::Database { what, source };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = work(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// As [`State::with`], for what has happened.
    fn happened<T>(&self, what: &'static str, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let done = self.with(what, work)?;
        self.history.fetch_add(1, Ordering::AcqRel);
        Ok(done)
    }

    /// As [`State::with`], for changes that have to survive the box.
    fn change<T>(&self, what: &'static str, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let done = self.with(what, work)?;
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(done)
    }
}

/// Document that is there once it was decided whose state this is.
pub(crate) const SETTLED: &str = "settled";

const ADOPT: &str = "
    BEGIN IMMEDIATE;
    DELETE FROM documents WHERE name = 'watch';
    INSERT INTO shares SELECT * FROM other.shares;
    INSERT INTO runs SELECT * FROM other.runs;
    INSERT INTO restores SELECT * FROM other.restores;
    INSERT OR IGNORE INTO documents SELECT * FROM other.documents WHERE name NOT IN ('time', 'scrub', 'scrub-lost', 'lost-objects', 'forgetting', 'authd-events', 'replicad-events', 'place', 'ledger', 'settled', 'digest', 'channels-heard', 'first-pool') AND name NOT LIKE 'restore-%';
    UPDATE documents SET content = json_set(content, '$.open', NULL, '$.to_review', json_insert(content -> 'to_review', '$[#]', json_object('id', content ->> '$.open.id', 'hours', content ->> '$.open.hours', 'files_opened', content ->> '$.open.files_opened', 'code', iif(content ->> '$.open.by' = 'break-glass', 'sealed-code', 'signed-in')))) WHERE name = 'emergency' AND json_valid(content) AND json_type(content, '$.open') = 'object';
    COMMIT;";

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// A value of a closed list, or a nested one, as the text that its column has.
fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data becomes JSON")
}

/// Back again.
fn parsed<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StateError> {
    serde_json::from_str(text).map_err(|source| StateError::Row { what, source })
}
