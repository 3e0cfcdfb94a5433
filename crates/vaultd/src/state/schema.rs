//! The tables, one step after another: a release adds steps at the end and never changes one that was released.

use rusqlite::{Connection, TransactionBehavior};

use super::StateError;

/// Step n makes version n + 1 of the tables (`PRAGMA user_version`).
const STEPS: [&str; 2] = [
    "
    CREATE TABLE shares (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, location TEXT NOT NULL, tier TEXT NOT NULL, paused INTEGER NOT NULL DEFAULT 0,
        credential BLOB, clock TEXT NOT NULL, added_at INTEGER NOT NULL) STRICT;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, share TEXT NOT NULL REFERENCES shares (id) ON DELETE CASCADE, started_at INTEGER NOT NULL,
        finished_at INTEGER, outcome TEXT, snapshot TEXT, code TEXT, why TEXT, counts TEXT NOT NULL) STRICT;
    CREATE INDEX runs_of_share ON runs (share, id);
    CREATE TABLE restores (
        id INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL, finished_at INTEGER, state TEXT NOT NULL) STRICT;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, notice TEXT NOT NULL, next_at INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE nonces (nonce BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE documents (name TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
",
    "ALTER TABLE shares ADD COLUMN may_write TEXT;",
];

/// Brings the tables to this release's version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StateError> {
    let failed = |source| StateError::Database { what: "bring the box's state to this release", source };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let known = u32::try_from(STEPS.len()).expect("a handful of steps");
    if found > known {
        return Err(StateError::Newer { found, known });
    }
    STEPS[found as usize..].iter().try_for_each(|step| transaction.execute_batch(step)).map_err(failed)?;
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.commit().map_err(failed)
}
