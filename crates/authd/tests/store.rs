//! The users' file: what is not whole, of a later release, or another's is refused at the start, and nothing is made up instead.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keepwell_api::auth::EventKind;
use keepwell_api::grants::Role;
use keepwell_authd::account::{Account, Name};
use keepwell_authd::store::{Change, Happened, Store, StoreError};

fn account(name: &str) -> Account {
    Account::new(Name::parse(name).unwrap(), Role::Operator, 7)
}

fn event(n: i64) -> Happened {
    Happened::new(n, EventKind::Refusal, "wrong-proof", "somebody")
}

#[test]
fn what_is_committed_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/authd");
    let mut store = Store::open(&path).unwrap();
    let (one, two) = (account("One"), account("Two"));
    store.commit(&Change { put: vec![&one, &two], events: vec![event(1)], ..Change::default() }).unwrap();
    store.commit(&Change { drop: vec!["two".into()], put: vec![&account("ONE")], ..Change::default() }).unwrap();
    drop(store);
    let mut store = Store::open(&path).unwrap();
    let names: Vec<String> = store.accounts().unwrap().into_iter().map(|account| account.name.into()).collect();
    assert_eq!(names, ["ONE"]);
    assert!(store.account("one").unwrap().is_some() && store.account("two").unwrap().is_none());
    assert_eq!(store.events(0).unwrap().0.len(), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn nobody_else_opens_it_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let held = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Database { .. })));
    drop(held);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_file_of_a_later_release_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let file = folder.path().join("users.db");
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Newer(_))));
}

/// The tables and an account as the first release wrote them.
#[test]
fn a_file_of_the_first_release_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("users.db")).unwrap();
    let account = r#"{"name":"Ann","role":"restore-only","added_at":7,"signed_in_at":8,"disabled":false,"proofs":{"password":{"effort":{"kib":8,"passes":1},"salt":"AAAAAAAAAAAAAAAAAAAAAA==","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"authenticator":{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","used":3}},"set_up":null,"lockout":{"failures":2,"locks":1,"since":null}}"#;
    file.execute_batch("CREATE TABLE users (key TEXT PRIMARY KEY, account BLOB NOT NULL) WITHOUT ROWID; CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL);").unwrap();
    file.execute("INSERT INTO users VALUES ('ann', ?1)", [account.as_bytes()]).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    drop(file);
    let store = Store::open(folder.path()).unwrap();
    let ann = store.account("ann").unwrap().unwrap();
    assert!(ann.is_active() && ann.is_plausible() && ann.scope().is_all() && ann.recovery_codes_left() == 0);
    assert!(store.tokens().unwrap().is_empty());
    drop(store);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_damaged_file_is_no_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&Change { put: vec![&account("One")], ..Change::default() }).unwrap();
    drop(store);
    let file = folder.path().join("users.db");
    let whole = fs::read(&file).unwrap();
    let junk: Vec<u8> = (0..whole.len()).map(|n| n as u8).collect();
    let odd = [junk, whole[..whole.len() / 2].to_vec(), whole.iter().map(|byte| byte.wrapping_add(u8::from(*byte == b'"'))).collect()];
    for odd in odd {
        fs::write(&file, &odd).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::Damaged(_) | StoreError::Database { .. })));
    }
}

#[test]
fn the_oldest_events_go_when_nobody_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    for part in 0..21 {
        store.commit(&Change { events: (0..1000).map(|n| event(part * 1000 + n)).collect(), ..Change::default() }).unwrap();
    }
    let (events, last) = store.events(0).unwrap();
    assert_eq!((events.len(), events[0].id, last), (500, 1001, 21_000));
    assert_eq!(store.events(20_999).unwrap().0.len(), 1);
}
