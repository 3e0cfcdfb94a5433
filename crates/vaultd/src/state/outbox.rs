//! What is to be sent, until notifyd says that it was.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction, params};
use serde::Serialize;

use super::documents::put;
use super::{State, StateError, text};

/// One message for one way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: u64,
    /// Name of the channel in the settings.
    pub channel: String,
    /// The notice, JSON.
    pub notice: String,
    /// How often it was tried.
    pub tries: u32,
}

impl State {
    /// Puts a message in.
    pub fn post(&self, channel: &str, notice: &str, now: i64) -> Result<(), StateError> {
        self.with("keep a message that is to be sent", |transaction| post(transaction, channel, notice, now))
    }

    /// Puts a message in for each of these channels: for all or none.
    pub fn post_to_all(&self, channels: &[String], notice: &str, now: i64) -> Result<(), StateError> {
        self.with("keep a message that is to be sent", |transaction| {
            channels.iter().try_for_each(|channel| post(transaction, channel, notice, now))
        })
    }

    /// Puts a message in for each of these channels, and writes a document that says so: both or none.
    pub fn post_and_note<T: Serialize>(
        &self,
        channels: &[String],
        notice: &str,
        now: i64,
        name: &'static str,
        content: &T,
    ) -> Result<(), StateError> {
        self.with("keep a message that is to be sent", |transaction| {
            channels.iter().try_for_each(|channel| post(transaction, channel, notice, now))?;
            put(transaction, name, &text(content))
        })
    }

    /// Messages that wait, by channel.
    pub fn waiting(&self) -> Result<BTreeMap<String, u64>, StateError> {
        self.with("count what is to be sent", |transaction| {
            let mut statement = transaction.prepare_cached("SELECT channel, count(*) FROM outbox GROUP BY channel")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?.collect()
        })
    }

    /// Channels that have messages whose time has come.
    pub fn channels_due(&self, now: i64) -> Result<Vec<String>, StateError> {
        self.with("read what is to be sent", |transaction| {
            let mut statement = transaction.prepare_cached("SELECT DISTINCT channel FROM outbox WHERE next_at <= ?1")?;
            statement.query_map([now], |row| row.get(0))?.collect()
        })
    }

    /// Those of a channel whose time has come, oldest first.
    pub fn letters(&self, channel: &str, now: i64, limit: u32) -> Result<Vec<Letter>, StateError> {
        self.with("read what is to be sent", |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, channel, notice, tries FROM outbox WHERE channel = ?1 AND next_at <= ?2 ORDER BY id LIMIT ?3",
            )?;
            statement.query_map(params![channel, now, limit], letter)?.collect()
        })
    }

    /// Messages that wait.
    pub fn unsent(&self) -> Result<u64, StateError> {
        self.with("count what is to be sent", |transaction| {
            transaction.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        })
    }

    /// Whether a message that waits could not be sent when it was tried.
    pub fn is_any_tried_in_vain(&self) -> Result<bool, StateError> {
        self.with("read what is to be sent", |transaction| {
            transaction.query_row("SELECT EXISTS (SELECT 1 FROM outbox WHERE tries > 0)", [], |row| row.get(0))
        })
    }

    /// It was sent, or never can be.
    pub fn take_out(&self, id: u64) -> Result<(), StateError> {
        self.with("strike out what was sent", |transaction| transaction.execute("DELETE FROM outbox WHERE id = ?1", [id.cast_signed()]))?;
        Ok(())
    }

    /// It was tried in vain.
    pub fn try_again(&self, id: u64, at: i64) -> Result<(), StateError> {
        self.with("put off what is to be sent", |transaction| {
            transaction.execute("UPDATE outbox SET tries = tries + 1, next_at = ?2 WHERE id = ?1", params![id.cast_signed(), at])
        })?;
        Ok(())
    }
}

fn post(transaction: &Transaction<'_>, channel: &str, notice: &str, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO outbox (channel, notice, next_at) VALUES (?1, ?2, ?3)";
    transaction.execute(sql, params![channel, notice, now]).map(drop)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter { id: row.get::<_, i64>(0)?.cast_unsigned(), channel: row.get(1)?, notice: row.get(2)?, tries: row.get(3)? })
}
