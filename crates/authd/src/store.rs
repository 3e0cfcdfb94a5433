//! The users and the events that nobody took yet, in one SQLite file. Owns its tables and what is durable; decides nothing.
//!
//! Every change is one transaction with the event that tells of it, and is durable when it returns (WAL, `synchronous=FULL`).

mod schema;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use keepwell_api::Base64;
use keepwell_api::auth::{Event, EventKind};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::break_glass::SealedCode;
use crate::token::StoredToken;

/// Events that nobody takes: the oldest go.
const EVENTS_MAX: i64 = 20_000;
/// Told at a time.
const EVENTS_AT_ONCE: i64 = 500;

/// What can go wrong with the users' file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("the users' folder can't be {verb} ({})", path.display())]
    Io {
        /// What was to be done.
        verb: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database refuses.
    #[error("the users can't be read or written ({}): nobody can sign in; backups go on", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Not what was written.
    #[error("the users' file is damaged ({}): nobody can sign in; backups go on. Move it away and restore the box's state", .0.display())]
    Damaged(PathBuf),
    /// Written by a later release.
    #[error("the users were written by a newer program ({}): start the newer image", .0.display())]
    Newer(PathBuf),
}

impl StoreError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Database { .. } => "state-unusable",
            Self::Damaged(_) => "state-damaged",
            Self::Newer(_) => "state-newer",
        }
    }
}

/// An event to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// Unix seconds.
    pub at: i64,
    /// What kind.
    pub kind: EventKind,
    /// A stable word.
    pub code: String,
    /// Who.
    pub actor: String,
    /// The rest.
    pub fields: BTreeMap<String, String>,
}

impl Happened {
    /// An event without further fields.
    pub fn new(at: i64, kind: EventKind, code: &str, actor: &str) -> Self {
        Self { at, kind, code: code.to_owned(), actor: actor.to_owned(), fields: BTreeMap::new() }
    }

    /// The same, with a field.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.insert(name.to_owned(), value.to_string());
        self
    }
}

/// What one transaction does.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Change<'a> {
    /// Users that are new or changed.
    pub put: Vec<&'a Account>,
    /// Keys of users that go.
    pub drop: Vec<String>,
    /// Tokens that are new or changed.
    pub put_tokens: Vec<&'a StoredToken>,
    /// Ids of tokens that go.
    pub drop_tokens: Vec<String>,
    /// The sealed code: a new one, or none any more.
    pub sealed_code: Option<Option<&'a SealedCode>>,
    /// What is told.
    pub events: Vec<Happened>,
}

/// The file, open.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the file in `folder`, or makes both.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let io = |verb| move |source| StoreError::Io { verb, path: folder.to_owned(), source };
        make(folder).map_err(io("made"))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io("closed to others"))?;
        let path = folder.join("users.db");
        let connection = schema::open(&path)?;
        let store = Self { connection, path };
        // All that is there can be read, or authd does not start.
        store.accounts()?;
        store.tokens()?;
        store.sealed_code()?;
        Ok(store)
    }

    /// The sealed code, if there is one that was not used.
    pub fn sealed_code(&self) -> Result<Option<SealedCode>, StoreError> {
        Ok(self.all("SELECT code FROM sealed_code")?.pop())
    }

    /// All users.
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.all("SELECT account FROM users ORDER BY key")
    }

    /// All tokens, also those that are over.
    pub fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        self.all("SELECT token FROM tokens ORDER BY id")
    }

    /// The one with this hash.
    pub fn token(&self, hash: &Base64) -> Result<Option<StoredToken>, StoreError> {
        let text = self.query(|connection| {
            let mut statement = connection.prepare_cached("SELECT token FROM tokens WHERE hash = ?1")?;
            statement.query_row([hash.as_ref()], |row| row.get::<_, Vec<u8>>(0)).optional()
        })?;
        text.map(|text| self.parse(&Zeroizing::new(text))).transpose()
    }

    /// One of them.
    pub fn account(&self, key: &str) -> Result<Option<Account>, StoreError> {
        let text = self.query(|connection| {
            let mut statement = connection.prepare_cached("SELECT account FROM users WHERE key = ?1")?;
            statement.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()
        })?;
        text.map(|text| self.parse(&Zeroizing::new(text))).transpose()
    }

    /// Makes a change durable.
    pub fn commit(&mut self, change: &Change<'_>) -> Result<(), StoreError> {
        let error = |source| StoreError::Database { path: self.path.clone(), source };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
        write(&transaction, change).and_then(|()| transaction.commit()).map_err(error)
    }

    /// Events after number `after`, which are forgotten up to there. A number that this file never gave comes from another one, and counts as 0.
    pub fn events(&mut self, after: u64) -> Result<(Vec<Event>, u64), StoreError> {
        let (rows, last) = self.query(|connection| {
            let last: i64 =
                connection.query_row("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'", [], |row| row.get(0))?;
            let after = i64::try_from(after).ok().filter(|after| *after <= last).unwrap_or(0);
            connection.execute("DELETE FROM events WHERE id <= ?1", [after])?;
            let mut statement = connection.prepare_cached("SELECT id, event FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            let rows = statement.query_map(params![after, EVENTS_AT_ONCE], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            Ok((rows.collect::<rusqlite::Result<Vec<_>>>()?, last))
        })?;
        let event = |(id, text): (i64, Vec<u8>)| {
            let Happened { at, kind, code, actor, fields } = self.parse(&text)?;
            Ok(Event { id: id.cast_unsigned(), at, kind, code, actor, fields })
        };
        Ok((rows.into_iter().map(event).collect::<Result<_, _>>()?, last.cast_unsigned()))
    }

    fn all<T: for<'de> Deserialize<'de>>(&self, question: &str) -> Result<Vec<T>, StoreError> {
        let texts = self.query(|connection| {
            let mut statement = connection.prepare_cached(question)?;
            let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
            rows.map(|row| row.map(Zeroizing::new)).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        texts.iter().map(|text| self.parse(text)).collect()
    }

    fn query<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        question(&self.connection).map_err(|source| StoreError::Database { path: self.path.clone(), source })
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, text: &[u8]) -> Result<T, StoreError> {
        // The cause could show a part of a secret.
        serde_json::from_slice(text).map_err(|_| StoreError::Damaged(self.path.clone()))
    }
}

/// Makes the folder if it is not there, so that it is still there after a power cut.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn write(transaction: &Transaction<'_>, change: &Change<'_>) -> rusqlite::Result<()> {
    for key in &change.drop {
        transaction.execute("DELETE FROM users WHERE key = ?1", [key])?;
    }
    for account in &change.put {
        let text = Zeroizing::new(json(account)?);
        transaction.execute("INSERT OR REPLACE INTO users (key, account) VALUES (?1, ?2)", params![account.name.key(), &text[..]])?;
    }
    for id in &change.drop_tokens {
        transaction.execute("DELETE FROM tokens WHERE id = ?1", [id])?;
    }
    for token in &change.put_tokens {
        let (id, hash, text) = (&token.token.id, token.hash.as_ref(), json(token)?);
        transaction.execute("INSERT OR REPLACE INTO tokens (id, hash, token) VALUES (?1, ?2, ?3)", params![id, hash, text])?;
    }
    if let Some(code) = change.sealed_code {
        transaction.execute("DELETE FROM sealed_code", [])?;
        if let Some(code) = code {
            transaction.execute("INSERT INTO sealed_code (one, code) VALUES (1, ?1)", [json(code)?])?;
        }
    }
    for event in &change.events {
        transaction.execute("INSERT INTO events (event) VALUES (?1)", [json(event)?])?;
    }
    let newest = transaction.last_insert_rowid();
    if !change.events.is_empty() {
        transaction.execute("DELETE FROM events WHERE id <= ?1", [newest - EVENTS_MAX])?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> rusqlite::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
