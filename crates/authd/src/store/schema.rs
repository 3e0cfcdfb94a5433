//! The tables, by version (`user_version`). A file of a later version is refused; an earlier one is brought up in one transaction.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// What brings a file from one version to the next. None is ever changed; new ones are added.
const STEPS: [&str; 4] = [
    "
    CREATE TABLE users (key TEXT PRIMARY KEY, account BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL);",
    // Accounts have recovery codes, shares and wrong attempts of the box's own screen since, which an earlier release would take for damage.
    "
    CREATE TABLE tokens (id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, token BLOB NOT NULL) WITHOUT ROWID;",
    // Accounts tell computers apart since.
    "
    CREATE TABLE sealed_code (one INTEGER PRIMARY KEY CHECK (one = 1), code BLOB NOT NULL);",
    // Accounts have passkeys since. There is no other table.
    "",
];

/// Longest wait for a predecessor that is ending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a file for this process alone, or makes it.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let error = |source| StoreError::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(error)?;
    let version = prepare(&connection).map_err(error)?;
    let steps = usize::try_from(version).ok().and_then(|version| STEPS.get(version..)).ok_or_else(|| StoreError::Newer(path.to_owned()))?;
    if !steps.is_empty() {
        migrate(&mut connection, steps).map_err(error)?;
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(error)?;
    if check == "ok" { Ok(connection) } else { Err(StoreError::Damaged(path.to_owned())) }
}

fn prepare(connection: &Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten, and nothing is put elsewhere.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    steps.iter().try_for_each(|step| transaction.execute_batch(step))?;
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()
}
