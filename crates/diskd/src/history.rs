//! What was seen of each disk, poll by poll, in a SQLite file of diskd's own. Keeps state, not only events; old polls are thinned to one a day. Never judges.

use std::path::{Path, PathBuf};

use keepwell_api::disks::{Certificate, SelfTestKind, Serial, Verdict};
use rusqlite::{Connection, OptionalExtension, params};

use crate::calendar::Tests;
use crate::error::DiskError;
use crate::inventory::Found;
use crate::smart::{Dated, Reading};

const DAY: i64 = 86_400;
/// All polls of this time are kept, then one a day.
const WHOLE: i64 = 35 * DAY;
/// After this they are dropped: longer than any disk's guarantee.
const OLDEST: i64 = 10 * 365 * DAY;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS disk (
        serial TEXT PRIMARY KEY, wwn TEXT, model TEXT NOT NULL, bus TEXT NOT NULL, size_bytes INTEGER NOT NULL, rotational INTEGER NOT NULL,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, short_at INTEGER, long_at INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS poll (
        serial TEXT NOT NULL, at INTEGER NOT NULL, verdict TEXT NOT NULL, reading TEXT NOT NULL, PRIMARY KEY (serial, at)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS certificate (
        id INTEGER PRIMARY KEY, serial TEXT NOT NULL, at INTEGER NOT NULL, certificate TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 1;
";

/// The history of the disks.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    db: Connection,
}

/// A disk as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Serial number.
    pub serial: Serial,
    /// World wide name.
    pub wwn: Option<String>,
    /// Maker and model.
    pub model: String,
    /// How it was connected, as the API writes it.
    pub bus: keepwell_api::disks::Bus,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Whether it turns.
    pub rotational: bool,
    /// Last seen, Unix seconds.
    pub last_seen: i64,
    /// First seen, and its self-tests.
    pub tests: Tests,
}

/// A poll as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What the disk said and when.
    pub dated: Dated,
    /// What was thought of it then.
    pub verdict: Verdict,
}

impl History {
    /// Opens or makes the file. Its writes are durable when they return.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let failed = |source| DiskError::History { path: path.to_owned(), source };
        let db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        db.execute_batch(SCHEMA).map_err(failed)?;
        Ok(Self { path: path.to_owned(), db })
    }

    /// As [`History::open`]. A file that can't be used is set aside and a new one begun, and where nothing can be written it is kept in memory: the disks of the
    /// box have to be mounted all the same.
    pub fn open_anyhow(path: &Path) -> Result<Self, DiskError> {
        let usable = |history: Self| history.disks().map(|_| history);
        let error = match Self::open(path).and_then(usable) {
            Ok(history) => return Ok(history),
            Err(error) => error,
        };
        if is_full(&error) {
            // What is there is good, and written to again when there is room.
            tracing::error!("{error}: the box's own disk is full; nothing is kept beyond the next restart");
            return Self::open(Path::new(":memory:"));
        }
        tracing::error!(cause = std::error::Error::source(&error).map(ToString::to_string), "{error}; it is begun anew");
        for ending in ["", "-wal", "-shm"] {
            let name = |middle: &str| PathBuf::from(format!("{}{middle}{ending}", path.display()));
            match std::fs::rename(name(""), name(".damaged")) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => tracing::error!(%error, "it can't be set aside"),
                _ => {}
            }
        }
        Self::open(path).and_then(usable).or_else(|error| {
            tracing::error!(
                cause = std::error::Error::source(&error).map(ToString::to_string),
                "{error}; nothing is kept beyond the next restart"
            );
            Self::open(Path::new(":memory:"))
        })
    }

    /// Notes that a disk is connected.
    pub fn saw(&self, found: &Found, now: i64) -> Result<(), DiskError> {
        let Some(serial) = &found.serial else { return Ok(()) };
        let bus = word(&found.bus);
        let sql = "INSERT INTO disk (serial, wwn, model, bus, size_bytes, rotational, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
            ON CONFLICT (serial) DO UPDATE SET wwn = ?2, model = ?3, bus = ?4, size_bytes = ?5, rotational = ?6, last_seen = max(last_seen, ?7)";
        let size = found.size_bytes.cast_signed();
        self.done(self.db.execute(sql, params![serial.as_str(), found.wwn, found.model, bus, size, found.rotational, now]))
    }

    /// Every disk that was ever seen, by serial number.
    pub fn disks(&self) -> Result<Vec<Remembered>, DiskError> {
        let sql =
            "SELECT serial, wwn, model, bus, size_bytes, rotational, first_seen, last_seen, short_at, long_at FROM disk ORDER BY serial";
        self.all(sql, params![], |row| {
            Ok(Some(Remembered {
                serial: match Serial::parse(&row.get::<_, String>(0)?) {
                    Some(serial) => serial,
                    None => return Ok(None),
                },
                wwn: row.get(1)?,
                model: row.get(2)?,
                bus: unword(&row.get::<_, String>(3)?).unwrap_or(keepwell_api::disks::Bus::Other),
                size_bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                rotational: row.get(5)?,
                tests: Tests { first_seen: row.get(6)?, short_at: row.get(8)?, long_at: row.get(9)? },
                last_seen: row.get(7)?,
            }))
        })
    }

    /// Keeps a poll, and thins the older ones of this disk.
    pub fn keep(&self, serial: &Serial, kept: &Kept) -> Result<(), DiskError> {
        let reading = serde_json::to_string(&kept.dated.reading)
            .map_err(|error| self.failed(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        let newest = "SELECT max(at) FROM poll WHERE serial = ?1 AND at < ?2";
        let before: Option<i64> =
            self.db.query_row(newest, params![serial.as_str(), kept.dated.at], |row| row.get(0)).map_err(|error| self.failed(error))?;
        let sql = "INSERT OR REPLACE INTO poll (serial, at, verdict, reading) VALUES (?1, ?2, ?3, ?4)";
        self.done(self.db.execute(sql, params![serial.as_str(), kept.dated.at, word(&kept.verdict), reading]))?;
        // Of each day the last one stays.
        let thin = "DELETE FROM poll WHERE serial = ?1 AND (at < ?3 OR (at < ?2 AND EXISTS (
            SELECT 1 FROM poll later WHERE later.serial = poll.serial AND later.at > poll.at AND later.at / 86400 = poll.at / 86400)))";
        // One poll by a clock that runs years ahead makes nothing old.
        let now = before.map_or(kept.dated.at, |before| kept.dated.at.min(before.saturating_add(WHOLE)));
        self.done(self.db.execute(thin, params![serial.as_str(), now - WHOLE, now - OLDEST]))
    }

    /// Polls of a disk since a time, oldest first. A row that a later release wrote is passed over.
    pub fn polls(&self, serial: &Serial, since: i64) -> Result<Vec<Kept>, DiskError> {
        let sql = "SELECT at, verdict, reading FROM poll WHERE serial = ?1 AND at >= ?2 ORDER BY at";
        self.all(sql, params![serial.as_str(), since], |row| {
            let reading: Option<Reading> = serde_json::from_str(&row.get::<_, String>(2)?).ok();
            let verdict: Option<Verdict> = unword(&row.get::<_, String>(1)?);
            let at = row.get(0)?;
            Ok(reading.zip(verdict).map(|(reading, verdict)| Kept { dated: Dated { at, reading }, verdict }))
        })
    }

    /// Notes that a self-test began.
    pub fn test_began(&self, serial: &Serial, kind: SelfTestKind, now: i64) -> Result<(), DiskError> {
        let sql = match kind {
            SelfTestKind::Short => "UPDATE disk SET short_at = ?2 WHERE serial = ?1",
            SelfTestKind::Long => "UPDATE disk SET long_at = ?2 WHERE serial = ?1",
        };
        self.done(self.db.execute(sql, params![serial.as_str(), now]))
    }

    /// Keeps the certificate of an erasure, for ever.
    pub fn certify(&self, serial: &Serial, certificate: &Certificate, now: i64) -> Result<(), DiskError> {
        let sql = "INSERT INTO certificate (serial, at, certificate) VALUES (?1, ?2, ?3)";
        self.done(self.db.execute(sql, params![serial.as_str(), now, word(certificate)]))
    }

    /// The certificate of a disk's last erasure.
    pub fn certificate(&self, serial: &Serial) -> Result<Option<Certificate>, DiskError> {
        let sql = "SELECT certificate FROM certificate WHERE serial = ?1 ORDER BY id DESC LIMIT 1";
        let text: Option<String> =
            self.db.query_row(sql, params![serial.as_str()], |row| row.get(0)).optional().map_err(|error| self.failed(error))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, DiskError> {
        let mut statement = self.db.prepare_cached(sql).map_err(|error| self.failed(error))?;
        let rows = statement.query_map(params, row).map_err(|error| self.failed(error))?;
        let rows: Result<Vec<_>, _> = rows.collect();
        Ok(rows.map_err(|error| self.failed(error))?.into_iter().flatten().collect())
    }

    fn done(&self, result: rusqlite::Result<usize>) -> Result<(), DiskError> {
        result.map(drop).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: rusqlite::Error) -> DiskError {
        DiskError::History { path: self.path.clone(), source }
    }
}

/// How the API writes it; a plain word without its quotes.
fn is_full(error: &DiskError) -> bool {
    matches!(error, DiskError::History { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
}

fn word(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain data without maps of odd keys becomes JSON");
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&text).to_owned()
}

fn unword<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}
