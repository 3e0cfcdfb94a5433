//! What replicad has to remember, in one SQLite file: its keys, boxes it keeps for and boxes that keep for it, receipts, what happened. Each change is durable when it returns
//! (WAL, `synchronous=FULL`). Decides nothing, and holds no key of a vault.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keepwell_api::offsite::{Event, OrderState};
use keepwell_offsite::sampling::Known;
use keepwell_wire::{Class, KeyName, Receipt};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Events that nobody takes: the oldest go.
const EVENTS_MAX: i64 = 10_000;
/// Told at a time.
const EVENTS_AT_ONCE: i64 = 500;
/// Tables of this release.
const VERSION: u32 = 1;

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("the folder {} can't be used; what other boxes have of this one is unharmed", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database refuses.
    #[error("replicad could not {what}; what was there before is untouched")]
    Database {
        /// What was being done.
        what: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Not what this program writes.
    #[error("replicad's state holds {what} that can't be read")]
    Row {
        /// Of which kind.
        what: &'static str,
        /// How.
        source: serde_json::Error,
    },
    /// A later release wrote it.
    #[error("replicad's state is of version {found}, this release knows {VERSION}: start the newer release again")]
    Newer {
        /// Its version.
        found: u32,
    },
}

/// A box that this one keeps for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TenantRow {
    /// Its transport key.
    #[serde(with = "digits")]
    pub name: [u8; 32],
    /// Its vault.
    #[serde(with = "digits")]
    pub vault: [u8; 16],
    /// Checks its manifests: that of the first slots it gave.
    #[serde(with = "digits")]
    pub verify_key: [u8; 32],
    /// Kits whose papers may speak for it, by their recipients.
    pub recipients: Vec<String>,
    /// What people there call it.
    pub practice: String,
    /// Bytes that are kept at most.
    pub quota: u64,
    /// Seconds that each snapshot is kept at least.
    pub floor: u64,
    /// Hours, days, weeks, months of which the first snapshot is kept.
    pub keepers: [u32; 4],
    /// The box's elapsed seconds when it began.
    pub began: u64,
    /// The same for people, seconds since 1970.
    pub since: i64,
    /// The second organisation's key, without which nothing is kept for a shorter time than was promised; as digits.
    #[serde(default)]
    pub second_key: Option<String>,
    /// Since when nothing more is taken of it, seconds since 1970.
    #[serde(default)]
    pub ended_at: Option<i64>,
}

impl TenantRow {
    /// The second organisation's key.
    pub(crate) fn second(&self) -> Option<[u8; 32]> {
        self.second_key.as_deref().and_then(keepwell_api::hex::decode)
    }
}

/// An order that was taken: for good, since an order counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderRow {
    #[serde(with = "digits")]
    pub id: [u8; 16],
    #[serde(with = "digits")]
    pub vault: [u8; 16],
    /// As it was given, as digits.
    pub signed: String,
    pub state: OrderState,
    /// From when it counts, in the tenant's elapsed seconds.
    pub from: u64,
    /// When it was given, seconds since 1970.
    pub given: i64,
    /// Receipts that it names.
    pub receipts: Vec<u64>,
    /// The floor that it sets.
    pub floor: Option<u64>,
    /// Snapshots that it was about when it was given, and when the first and the last one came.
    pub snapshots: u64,
    pub came: [i64; 2],
}

/// A box that keeps for this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiverRow {
    /// Its transport key.
    #[serde(with = "digits")]
    pub name: [u8; 32],
    /// Checks its receipts.
    #[serde(with = "digits")]
    pub receipt_key: [u8; 32],
    /// The vault that was paired.
    #[serde(with = "digits")]
    pub vault: [u8; 16],
    /// `host:port`.
    pub address: String,
    /// What people there call it.
    pub place: String,
    /// Bytes that it keeps at most.
    pub quota: u64,
    /// Seconds that it keeps each snapshot at least.
    pub floor: u64,
    /// When.
    pub paired_at: i64,
}

/// An object as it is kept in a document: class by its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownRow {
    class: String,
    #[serde(with = "digits")]
    id: [u8; 32],
    length: u64,
}

impl From<Known> for KnownRow {
    fn from(known: Known) -> Self {
        Self { class: known.class.folder().to_owned(), id: known.id, length: known.length }
    }
}

impl KnownRow {
    /// None of a class that this release does not know.
    pub(crate) fn known(&self) -> Option<Known> {
        Some(Known { class: Class::of_folder(&self.class)?, id: self.id, length: self.length })
    }
}

/// Bytes as hexadecimal digits.
pub(crate) mod digits {
    use keepwell_api::hex;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<const N: usize, S: Serializer>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).ok_or_else(|| serde::de::Error::custom("other than so many digits"))
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens or makes it, in a folder that only this user may look into.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let private = made.and_then(|()| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)));
        private.map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
        let failed = |source| StoreError::Database { what: "open its state", source };
        let connection = Connection::open(folder.join("replicad.sqlite")).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(failed)?;
        for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("secure_delete", "ON")] {
            connection.pragma_update(None, pragma, value).map_err(failed)?;
        }
        let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        if found > VERSION {
            return Err(StoreError::Newer { found });
        }
        let store = Self { connection: Mutex::new(connection) };
        store.with("make its tables", |transaction| {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)
        })?;
        Ok(store)
    }

    /// A document; none if it was never written.
    pub(crate) fn document<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let read = |transaction: &Transaction<'_>| {
            transaction.query_row("SELECT content FROM documents WHERE name = ?1", [name], |row| row.get::<_, String>(0)).optional()
        };
        self.with("read its state", read)?.map(|text| parsed("a document", &text)).transpose()
    }

    /// Replaces a document.
    pub(crate) fn set(&self, name: &str, content: &impl Serialize) -> Result<(), StoreError> {
        let text = text(content);
        self.with("write its state", |transaction| {
            transaction.execute("INSERT OR REPLACE INTO documents (name, content) VALUES (?1, ?2)", params![name, text]).map(drop)
        })
    }

    /// Boxes that this one keeps for.
    pub(crate) fn tenants(&self) -> Result<Vec<TenantRow>, StoreError> {
        self.rows("SELECT row FROM tenants ORDER BY name", "a tenant")
    }

    /// One more, or one again, and what is to be told of it.
    pub(crate) fn put_tenant(&self, row: &TenantRow, event: &Happened) -> Result<(), StoreError> {
        self.with("keep a tenant", |transaction| {
            transaction.execute("INSERT OR REPLACE INTO tenants (name, row) VALUES (?1, ?2)", params![row.name, text(row)])?;
            transaction.execute("DELETE FROM replaced WHERE name = ?1", [row.name])?;
            event.insert(transaction)
        })
    }

    /// A tenant has another key from now on; the one before is none any more. All of it, or nothing.
    pub(crate) fn succeed(&self, before: KeyName, row: &TenantRow, event: &Happened) -> Result<(), StoreError> {
        self.with("put a box in another one's place", |transaction| {
            transaction.execute("DELETE FROM tenants WHERE name = ?1", [before.0])?;
            transaction.execute("INSERT INTO tenants (name, row) VALUES (?1, ?2)", params![row.name, text(row)])?;
            transaction.execute("DELETE FROM replaced WHERE name = ?1", [row.name])?;
            let sql = "INSERT OR REPLACE INTO replaced (name, by, at) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, params![before.0, row.name, event.at])?;
            event.insert(transaction)
        })
    }

    /// A tenant of whom nothing is kept any more. Its orders stay: each is good once.
    pub(crate) fn drop_tenant(&self, name: KeyName, event: &Happened) -> Result<(), StoreError> {
        self.with("let a tenant go", |transaction| {
            transaction.execute("DELETE FROM tenants WHERE name = ?1", [name.0])?;
            event.insert(transaction)
        })
    }

    /// A box that keeps for this one no more, with its receipts and what is known of it.
    pub(crate) fn drop_receiver(&self, name: KeyName, document: &str, event: &Happened) -> Result<(), StoreError> {
        self.with("let a receiver go", |transaction| {
            transaction.execute("DELETE FROM receivers WHERE name = ?1", [name.0])?;
            transaction.execute("DELETE FROM receipts WHERE receiver = ?1", [name.0])?;
            transaction.execute("DELETE FROM documents WHERE name = ?1", [document])?;
            event.insert(transaction)
        })
    }

    /// Orders of a vault's tenant, by when they were given.
    pub(crate) fn orders(&self, vault: [u8; 16]) -> Result<Vec<OrderRow>, StoreError> {
        let texts = self.with("read orders", |transaction| {
            let mut found = transaction.prepare("SELECT row FROM orders WHERE vault = ?1")?;
            found.query_map([vault], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut orders: Vec<OrderRow> = texts.iter().map(|text| parsed("an order", text)).collect::<Result<_, _>>()?;
        orders.sort_by_key(|order| (order.given, order.id));
        Ok(orders)
    }

    /// One more, or what became of one.
    pub(crate) fn put_order(&self, row: &OrderRow, event: &Happened) -> Result<(), StoreError> {
        self.with("keep an order", |transaction| {
            let sql = "INSERT OR REPLACE INTO orders (vault, id, row) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, params![row.vault, row.id, text(row)])?;
            event.insert(transaction)
        })
    }

    /// Keys whose place another one has taken.
    pub(crate) fn replaced(&self) -> Result<Vec<KeyName>, StoreError> {
        self.with("read its state", |transaction| {
            let mut found = transaction.prepare("SELECT name FROM replaced")?;
            found.query_map([], |row| row.get(0).map(KeyName))?.collect()
        })
    }

    /// Boxes that keep for this one.
    pub(crate) fn receivers(&self) -> Result<Vec<ReceiverRow>, StoreError> {
        self.rows("SELECT row FROM receivers ORDER BY name", "a receiver")
    }

    /// One more, or one again, and what is to be told of it.
    pub(crate) fn put_receiver(&self, row: &ReceiverRow, event: &Happened) -> Result<(), StoreError> {
        self.with("keep a receiver", |transaction| {
            transaction.execute("INSERT OR REPLACE INTO receivers (name, row) VALUES (?1, ?2)", params![row.name, text(row)])?;
            event.insert(transaction)
        })
    }

    /// A receiver that knows this box by the key in a document, and that document. All of it, or nothing.
    pub(crate) fn put_place(&self, document: (&str, &impl Serialize), row: &ReceiverRow, event: &Happened) -> Result<(), StoreError> {
        let (name, content) = (document.0, Zeroizing::new(text(document.1)));
        self.with("go on in another box's place", |transaction| {
            transaction.execute("INSERT OR REPLACE INTO documents (name, content) VALUES (?1, ?2)", params![name, *content])?;
            transaction.execute("INSERT OR REPLACE INTO receivers (name, row) VALUES (?1, ?2)", params![row.name, text(row)])?;
            event.insert(transaction)
        })
    }

    /// A receiver's receipts, ascending: with signatures, that were checked before they came here.
    pub(crate) fn receipts(&self, of: KeyName) -> Result<Vec<(Receipt, [u8; 64])>, StoreError> {
        let bytes = self.with("read receipts", |transaction| {
            let mut found = transaction.prepare("SELECT bytes FROM receipts WHERE receiver = ?1 ORDER BY number")?;
            found.query_map([of.0], |row| row.get::<_, Vec<u8>>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let read = |bytes: Vec<u8>| Receipt::decode(&bytes).map_err(serde::de::Error::custom);
        bytes.into_iter().map(read).collect::<Result<_, _>>().map_err(|source| StoreError::Row { what: "a receipt", source })
    }

    /// One more, and what is to be told of it.
    pub(crate) fn put_receipt(&self, receipt: &Receipt, signature: &[u8; 64], event: &Happened) -> Result<(), StoreError> {
        let number = receipt.number.cast_signed();
        self.with("keep a receipt", |transaction| {
            let sql = "INSERT OR IGNORE INTO receipts (receiver, number, bytes) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, params![receipt.receiver.0, number, receipt.encode(signature)])?;
            event.insert(transaction)
        })
    }

    /// Receipts that bind nobody any more go.
    pub(crate) fn drop_receipts(&self, of: KeyName, numbers: &[u64]) -> Result<(), StoreError> {
        self.with("drop old receipts", |transaction| {
            let mut drop = transaction.prepare("DELETE FROM receipts WHERE receiver = ?1 AND number = ?2")?;
            numbers.iter().try_for_each(|number| drop.execute(params![of.0, number.cast_signed()]).map(|_| ()))
        })
    }

    /// Keeps something that is to be in the ledger.
    pub(crate) fn happened(&self, event: &Happened) -> Result<(), StoreError> {
        self.with("keep an event", |transaction| event.insert(transaction))
    }

    /// What happened after a number, and the newest number.
    pub(crate) fn events(&self, after: u64) -> Result<(Vec<Event>, u64), StoreError> {
        let (rows, last) = self.with("read events", |transaction| {
            let last: i64 = transaction.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))?;
            let mut found = transaction.prepare("SELECT id, at, code, fields FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
            };
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            Ok((found.query_map(params![after, EVENTS_AT_ONCE], row)?.collect::<rusqlite::Result<Vec<_>>>()?, last))
        })?;
        let event = |(id, at, code, fields): (i64, i64, String, String)| {
            Ok(Event { id: id.cast_unsigned(), at, code, fields: parsed("an event", &fields)? })
        };
        Ok((rows.into_iter().map(event).collect::<Result<_, StoreError>>()?, last.cast_unsigned()))
    }

    fn rows<T: DeserializeOwned>(&self, sql: &str, what: &'static str) -> Result<Vec<T>, StoreError> {
        let texts = self.with("read its state", |transaction| {
            transaction.prepare(sql)?.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        texts.iter().map(|text| parsed(what, text)).collect()
    }

    fn with<T>(&self, what: &'static str, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| StoreError::Database { what, source };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = work(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

/// Something that is to be in the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    at: i64,
    code: &'static str,
    fields: BTreeMap<&'static str, String>,
}

impl Happened {
    /// What, and when.
    pub(crate) fn new(at: i64, code: &'static str) -> Self {
        Self { at, code, fields: BTreeMap::new() }
    }

    /// The same with a field more.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.insert(name, value.to_string());
        self
    }

    fn insert(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        transaction
            .execute("INSERT INTO events (at, code, fields) VALUES (?1, ?2, ?3)", params![self.at, self.code, text(&self.fields)])?;
        transaction.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1", [EVENTS_MAX]).map(drop)
    }
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS tenants (name BLOB PRIMARY KEY, row TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS replaced (name BLOB PRIMARY KEY, by BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS receivers (name BLOB PRIMARY KEY, row TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS receipts (receiver BLOB NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (receiver, number)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS orders (vault BLOB NOT NULL, id BLOB NOT NULL, row TEXT NOT NULL, PRIMARY KEY (vault, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, code TEXT NOT NULL, fields TEXT NOT NULL) STRICT;";

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data becomes JSON")
}

fn parsed<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Row { what, source })
}
