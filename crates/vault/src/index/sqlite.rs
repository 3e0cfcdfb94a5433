//! The index in SQLite: one table of packs, one of frames keyed by the first 16 bytes of the blob id.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keepwell_format::blob::{BlobKind, Compression, FrameInfo};
use keepwell_format::{BlobId, Epoch, PackId, PackSeq, VaultId};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Index, IndexPlace, IndexedPack, Location};
use crate::VaultError;

/// Rises when the tables change; an index of another version is made anew.
const SCHEMA: i64 = 1;

const TABLES: &str = "
    CREATE TABLE meta (schema INTEGER NOT NULL, vault BLOB NOT NULL);
    CREATE TABLE packs (no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, seq INTEGER NOT NULL);
    CREATE TABLE frames (
        prefix BLOB NOT NULL, pack INTEGER NOT NULL, at INTEGER NOT NULL, rest BLOB NOT NULL, stored INTEGER NOT NULL,
        plain INTEGER NOT NULL, kind INTEGER NOT NULL, compression INTEGER NOT NULL, epoch INTEGER NOT NULL, keep INTEGER NOT NULL,
        PRIMARY KEY (prefix, pack)) WITHOUT ROWID;";

const COLUMNS: &str = "p.id, p.seq, f.at, f.stored, f.prefix, f.rest, f.kind, f.compression, f.epoch, f.plain, f.keep";

/// An index file, or one in memory.
#[derive(Debug)]
pub struct SqliteIndex {
    connection: Mutex<Connection>,
    path: String,
}

impl SqliteIndex {
    /// Opens the index of `vault`. One that is damaged, of another vault or of another version is replaced by an empty one.
    pub fn open(place: &IndexPlace, vault: VaultId) -> Result<Self, VaultError> {
        match place {
            IndexPlace::Memory => Self::new(Connection::open_in_memory(), "memory", vault),
            IndexPlace::File(path) => Self::open_file(path, vault).or_else(|error| {
                if is_busy(&error) {
                    return Err(error);
                }
                remove_database(path);
                Self::open_file(path, vault)
            }),
        }
    }

    fn open_file(path: &Path, vault: VaultId) -> Result<Self, VaultError> {
        Self::new(Connection::open(path), &path.display().to_string(), vault)
    }

    fn new(connection: rusqlite::Result<Connection>, path: &str, vault: VaultId) -> Result<Self, VaultError> {
        let prepared = connection.and_then(|mut connection| prepare(&mut connection, vault).map(|()| connection));
        let connection = prepared.map_err(|source| VaultError::Index { path: path.to_owned(), source })?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, VaultError> {
        let mut guard: MutexGuard<'_, Connection> = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut guard).map_err(|source| VaultError::Index { path: self.path.clone(), source })
    }
}

fn prepare(connection: &mut Connection, vault: VaultId) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(60))?;
    // A lost transaction is read back from the pool, so NORMAL is enough.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.set_prepared_statement_cache_capacity(16);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let present: bool = transaction.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'meta'", [], |row| row.get(0))?;
    if !present {
        transaction.execute_batch(TABLES)?;
        transaction.execute("INSERT INTO meta VALUES (?1, ?2)", params![SCHEMA, vault.0])?;
    }
    let ours =
        transaction.query_row("SELECT 1 FROM meta WHERE schema = ?1 AND vault = ?2", params![SCHEMA, vault.0], |_| Ok(())).optional()?;
    transaction.commit()?;
    ours.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Whether somebody else has it at the moment; nothing is wrong with it then.
pub(super) fn is_busy(error: &VaultError) -> bool {
    matches!(error, VaultError::Index { source, .. }
        if matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)))
}

fn remove_database(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // What can't be removed shows when it is opened again.
        let _ = std::fs::remove_file(name);
    }
}

impl Index for SqliteIndex {
    fn packs(&self) -> Result<Vec<(PackId, PackSeq)>, VaultError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, seq FROM packs ORDER BY id")?;
            statement.query_map([], |row| Ok((PackId(row.get(0)?), PackSeq(unsigned(row, 1)?))))?.collect()
        })
    }

    fn add(&self, packs: &[IndexedPack]) -> Result<(), VaultError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            packs.iter().try_for_each(|pack| insert(&transaction, pack))?;
            transaction.commit()
        })
    }

    fn drop_packs(&self, packs: &[PackId]) -> Result<(), VaultError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone (no INTEGER PRIMARY KEY); DELETE FROM gone;")?;
            for pack in packs {
                transaction.execute("INSERT OR IGNORE INTO gone SELECT no FROM packs WHERE id = ?1", params![pack.0])?;
            }
            // One pass over the frames for all of them: there is no way from a pack to its frames but to look at each.
            transaction.execute("DELETE FROM frames WHERE pack IN (SELECT no FROM gone)", [])?;
            transaction.execute("DELETE FROM packs WHERE no IN (SELECT no FROM gone)", [])?;
            transaction.commit()
        })
    }

    fn locate(&self, blob: &BlobId) -> Result<Vec<Location>, VaultError> {
        self.with(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM frames f JOIN packs p ON p.no = f.pack WHERE f.prefix = ?1 AND f.rest = ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![&blob.0[..16], &blob.0[16..]], location)?.collect()
        })
    }

    fn content(&self, pack: &PackId) -> Result<Vec<Location>, VaultError> {
        self.with(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM packs p JOIN frames f ON f.pack = p.no WHERE p.id = ?1 ORDER BY f.at");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![pack.0], location)?.collect()
        })
    }

    fn totals(&self) -> Result<(u64, u64), VaultError> {
        self.with(|connection| {
            let sql = "SELECT count(*), coalesce(sum(plain), 0) FROM (SELECT min(plain) AS plain FROM frames GROUP BY prefix)";
            connection.query_row(sql, [], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
        })
    }

    fn discard(&self) {
        // Whoever has it open goes on with it; whoever opens it next finds a version that is none.
        if self.with(|connection| connection.execute("UPDATE meta SET schema = 0", [])).is_err() {
            remove_database(Path::new(&self.path));
        }
    }
}

fn insert(transaction: &Transaction<'_>, pack: &IndexedPack) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO packs (id, seq) VALUES (?1, ?2)")?;
    if statement.execute(params![pack.id.0, pack.seq.0.cast_signed()])? == 0 {
        return Ok(());
    }
    let no = transaction.last_insert_rowid();
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO frames VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    for Location { offset, stored_len, frame, .. } in pack.locations() {
        statement.execute(params![
            &frame.blob.0[..16],
            no,
            offset.cast_signed(),
            &frame.blob.0[16..],
            stored_len,
            frame.plain_len,
            frame.kind as u8,
            frame.compression as u8,
            frame.epoch.0,
            frame.keep_map.cast_signed(),
        ])?;
    }
    Ok(())
}

fn location(row: &Row<'_>) -> rusqlite::Result<Location> {
    let (prefix, rest): ([u8; 16], [u8; 16]) = (row.get(4)?, row.get(5)?);
    let mut blob = [0; 32];
    blob[..16].copy_from_slice(&prefix);
    blob[16..].copy_from_slice(&rest);
    let unknown = |column| rusqlite::Error::IntegralValueOutOfRange(column, 0);
    let frame = FrameInfo {
        blob: BlobId(blob),
        kind: BlobKind::try_from(row.get::<_, u8>(6)?).map_err(|_| unknown(6))?,
        compression: Compression::try_from(row.get::<_, u8>(7)?).map_err(|_| unknown(7))?,
        epoch: Epoch(row.get(8)?),
        plain_len: row.get(9)?,
        keep_map: row.get::<_, i64>(10)?.cast_unsigned(),
    };
    Ok(Location { pack: PackId(row.get(0)?), seq: PackSeq(unsigned(row, 1)?), offset: unsigned(row, 2)?, stored_len: row.get(3)?, frame })
}

/// A number that was never negative when it was written.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
