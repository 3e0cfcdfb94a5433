//! Shares and their sealed credentials.

use keepwell_duties::{At, ShareClock, ShareId, Tier};
use rusqlite::{OptionalExtension, Row, params};

use super::{State, StateError, parsed, text};

/// A new share's id, of random bytes: 16 hexadecimal digits, for ever.
pub fn new_share_id(random: [u8; 8]) -> ShareId {
    ShareId(format!("{:016x}", u64::from_be_bytes(random)))
}

/// What a share's sealed password is bound to.
pub(crate) fn purpose(share: &ShareId) -> String {
    format!("share {share}")
}

/// A share that is to be added.
#[derive(Clone, Debug)]
pub struct NewShare {
    /// Its id.
    pub id: ShareId,
    /// What people call it.
    pub name: String,
    /// Its address.
    pub location: String,
    /// How much it matters.
    pub tier: Tier,
    /// Sealed password.
    pub credential: Option<Vec<u8>>,
    /// Why an account that can write is used.
    pub may_write: Option<String>,
}

/// A share as it is.
#[derive(Clone, Debug)]
pub struct ShareRow {
    /// Its id.
    pub id: ShareId,
    /// What people call it.
    pub name: String,
    /// Its address.
    pub location: String,
    /// How much it matters.
    pub tier: Tier,
    /// It is not backed up for now.
    pub paused: bool,
    /// Sealed password.
    pub credential: Option<Vec<u8>>,
    /// What is known of its runs.
    pub clock: ShareClock,
    /// When it was added.
    pub added_at: i64,
    /// Why an account that can write is used.
    pub may_write: Option<String>,
}

const COLUMNS: &str = "id, name, location, tier, paused, credential, clock, added_at, may_write";

type Raw = (String, String, String, String, bool, Option<Vec<u8>>, String, i64, Option<String>);

impl State {
    /// All shares, by name.
    pub fn shares(&self) -> Result<Vec<ShareRow>, StateError> {
        let rows: Vec<Raw> = self.with("read its shares", |transaction| {
            let mut statement = transaction.prepare_cached(&format!("SELECT {COLUMNS} FROM shares ORDER BY name"))?;
            statement.query_map([], raw)?.collect()
        })?;
        rows.into_iter().map(share).collect()
    }

    /// One of them.
    pub fn share(&self, id: &ShareId) -> Result<Option<ShareRow>, StateError> {
        let row = self.with("read a share", |transaction| {
            transaction.query_row(&format!("SELECT {COLUMNS} FROM shares WHERE id = ?1"), [&id.0], raw).optional()
        })?;
        row.map(share).transpose()
    }

    /// Adds one.
    pub fn add_share(&self, new: &NewShare, now: i64) -> Result<(), StateError> {
        let added = self.change("add a share", |transaction| {
            let sql = "INSERT INTO shares (id, name, location, tier, credential, clock, added_at, may_write) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            transaction.execute(
                sql,
                params![new.id.0, new.name, new.location, text(&new.tier), new.credential, text(&ShareClock::new(At(now))), now, new.may_write],
            )
        });
        added.map(|_| ()).map_err(name_taken)
    }

    /// Writes a changed one; its id and name stay.
    pub fn change_share(&self, share: &ShareRow) -> Result<(), StateError> {
        self.change("change a share", |transaction| {
            let sql = "UPDATE shares SET location = ?2, tier = ?3, paused = ?4, credential = ?5, may_write = ?6 WHERE id = ?1";
            transaction
                .execute(sql, params![share.id.0, share.location, text(&share.tier), share.paused, share.credential, share.may_write])
        })?;
        Ok(())
    }

    /// Forgets one, its password and its runs. Its snapshots stay in the vault.
    pub fn remove_share(&self, id: &ShareId) -> Result<bool, StateError> {
        self.change("remove a share", |transaction| transaction.execute("DELETE FROM shares WHERE id = ?1", [&id.0])).map(|rows| rows > 0)
    }
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?))
}

fn share((id, name, location, tier, paused, credential, clock, added_at, may_write): Raw) -> Result<ShareRow, StateError> {
    Ok(ShareRow {
        id: ShareId(id),
        name,
        location,
        tier: parsed("a tier", &tier)?,
        paused,
        credential,
        clock: parsed("the runs of a share", &clock)?,
        added_at,
        may_write,
    })
}

fn name_taken(error: StateError) -> StateError {
    match error {
        StateError::Database { source: rusqlite::Error::SqliteFailure(cause, _), .. }
            if cause.code == rusqlite::ErrorCode::ConstraintViolation =>
        {
            StateError::NameTaken
        }
        other => other,
    }
}
