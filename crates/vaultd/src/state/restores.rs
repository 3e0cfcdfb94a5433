//! Restores, as they are told to whoever asks.

use keepwell_api::Base64;
use keepwell_api::vault::RestoreState;
use rusqlite::{OptionalExtension, params};

use super::{State, StateError, parsed, text};

impl State {
    /// A restore begins; its number is given here.
    pub fn begin_restore(&self, mut restore: RestoreState) -> Result<RestoreState, StateError> {
        restore.id = self.with("begin a restore", |transaction| {
            transaction.execute("INSERT INTO restores (started_at, state) VALUES (?1, '')", [restore.started_at])?;
            let id = transaction.last_insert_rowid();
            transaction.execute(
                "UPDATE restores SET state = ?2 WHERE id = ?1",
                params![id, text(&RestoreState { id: id.cast_unsigned(), ..restore.clone() })],
            )?;
            Ok(id.cast_unsigned())
        })?;
        Ok(restore)
    }

    /// It is over.
    pub fn end_restore(&self, restore: &RestoreState) -> Result<(), StateError> {
        let sql = "UPDATE restores SET finished_at = ?2, state = ?3 WHERE id = ?1 AND finished_at IS NULL";
        self.happened("end a restore", |transaction| {
            transaction.execute("DELETE FROM documents WHERE name = ?1", [course(restore.id)])?;
            transaction.execute(sql, params![restore.id.cast_signed(), restore.finished_at, text(restore)])
        })?;
        Ok(())
    }

    /// How far one is, and what it takes to go on; it is under way still.
    pub fn keep_restore(&self, restore: &RestoreState, sealed: &Base64) -> Result<(), StateError> {
        self.with("keep where a restore is", |transaction| {
            let sql = "UPDATE restores SET state = ?2 WHERE id = ?1 AND finished_at IS NULL";
            if transaction.execute(sql, params![restore.id.cast_signed(), text(restore)])? == 0 {
                return Ok(());
            }
            let sql = "INSERT INTO documents VALUES (?1, ?2) ON CONFLICT DO UPDATE SET content = excluded.content";
            transaction.execute(sql, params![course(restore.id), text(sealed)]).map(drop)
        })
    }

    /// What it takes to go on, sealed.
    pub fn restore_course(&self, id: u64) -> Result<Option<Base64>, StateError> {
        let found: Option<String> = self.with("read where a restore is", |transaction| {
            transaction.query_row("SELECT content FROM documents WHERE name = ?1", [course(id)], |row| row.get(0)).optional()
        })?;
        found.map(|content| parsed("where a restore is", &content)).transpose()
    }

    /// The newest ones, newest first; or only those without an end.
    pub fn restores(&self, open_only: bool, limit: u32) -> Result<Vec<RestoreState>, StateError> {
        let rows: Vec<String> = self.with("read its restores", |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT state FROM restores WHERE NOT ?1 OR finished_at IS NULL ORDER BY id DESC LIMIT ?2")?;
            statement.query_map(params![open_only, limit], |row| row.get(0))?.collect()
        })?;
        rows.iter().map(|row| parsed("a restore", row)).collect()
    }

    /// One of them.
    pub fn restore(&self, id: u64) -> Result<Option<RestoreState>, StateError> {
        let row: Option<String> = self.with("read a restore", |transaction| {
            transaction.query_row("SELECT state FROM restores WHERE id = ?1", [id.cast_signed()], |row| row.get(0)).optional()
        })?;
        row.map(|row| parsed("a restore", &row)).transpose()
    }
}

/// The document that says where a restore is. Another box never takes it over: it would go on writing.
fn course(id: u64) -> String {
    format!("restore-{id}")
}
