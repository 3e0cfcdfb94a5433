//! Documents by name (policies, duties, incidents, the course of time), and grants that were used.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{State, StateError, parsed, text};

impl State {
    /// A document; none if it was never written.
    pub fn document<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, StateError> {
        let found: Option<String> = self.with("read its settings", |transaction| {
            transaction.query_row("SELECT content FROM documents WHERE name = ?1", [name], |row| row.get(0)).optional()
        })?;
        found.map(|content| parsed(name, &content)).transpose()
    }

    /// Writes a document that has to survive the box.
    pub fn set_document<T: Serialize>(&self, name: &'static str, content: &T) -> Result<(), StateError> {
        self.change("write its settings", |transaction| put(transaction, name, &text(content)))
    }

    /// Writes a document that is of use to this box alone, such as how far a round has come.
    pub fn note<T: Serialize>(&self, name: &'static str, content: &T) -> Result<(), StateError> {
        self.with("write its notes", |transaction| put(transaction, name, &text(content)))
    }

    /// Uses a grant up: whether it was unused. Those that expired a day ago are forgotten: a clock that is set back by less makes none of them good again.
    pub fn burn(&self, nonce: &[u8; 16], expires_at: i64, now: i64) -> Result<bool, StateError> {
        self.with("note the use of a grant", |transaction| {
            transaction.execute("DELETE FROM nonces WHERE expires_at < ?1", [now - 86_400])?;
            transaction.execute("INSERT OR IGNORE INTO nonces VALUES (?1, ?2)", params![nonce, expires_at]).map(|rows| rows == 1)
        })
    }
}

pub(super) fn put(transaction: &rusqlite::Transaction<'_>, name: &str, content: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO documents VALUES (?1, ?2) ON CONFLICT DO UPDATE SET content = excluded.content";
    transaction.execute(sql, params![name, content]).map(|_| ())
}
