//! What leaves the box: files, archives, lists, searches, versions, what differs, gaps, and what happens. A real vault in folders; authd and keyd are a key and a socket each.

#![expect(clippy::unwrap_used, reason = "tests end where something is not as they made it")]

mod channels;
mod emergency;
mod freezing;
mod rights;
mod servers;
#[path = "../stage/mod.rs"]
mod stage;
mod stocked;

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use keepwell_api::grants::{Grant, Role, Scope, SigningKey, Verb, digest};
use keepwell_api::vault::{Event, Outcome, RestoreState, VaultState};
use keepwell_api::{Base64, Client, ClientError};
use keepwell_vaultd::Household;
use keepwell_vaultd::appliance::Appliance;
use keepwell_vaultd::service::routes;
use serde_json::{Value, json};
use stage::{authd, config, grant, mine, now, serve};
use stocked::{LARGE, keyring, make_vault, noise};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

struct Stage {
    folder: TempDir,
    authd: SigningKey,
    vaultd: Client,
    household: Option<Household>,
    first: String,
    second: String,
    other: String,
    own: String,
}

impl Stage {
    fn new() -> Self {
        Self::spoilt(|_, _| ())
    }

    /// With something done to the box's folder before vaultd sees it, by who knows the first snapshot.
    fn spoilt(spoil: impl FnOnce(&Path, &str)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let [first, second, other, own] = make_vault(&at("disks"));
        spoil(folder.path(), &first);
        let authd = authd(&at("authd"), Router::new());
        serve(&at("keyd"), Router::new().route("/v1/open", post(async || keyring().encode().to_vec())), mine());
        servers::serve(&at("ingest"));
        let config = config(folder.path(), None);
        let appliance = Appliance::start(config).unwrap();
        let household = Some(Household::start(&appliance).unwrap());
        serve(&at("vaultd"), routes(appliance, mine()), mine());
        let vaultd = Client::new("keepwell-vaultd", at("vaultd"), 30 * SECOND);
        let stage = Self { folder, authd, vaultd, household, first, second, other, own };
        stage.until("the vault is open", || stage.vaultd.get::<VaultState>("/v1/vault").unwrap().unready.is_none());
        stage
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + 60 * SECOND;
        while !condition() {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, route: &str, verb: Verb, body: &Value) -> Result<Value, String> {
        self.asked(route, body, &grant(verb, body))
    }

    fn asked(&self, route: &str, body: &Value, grant: &Grant) -> Result<Value, String> {
        refused(self.vaultd.showing(grant.sign(&self.authd)).post::<Value>(route, body))
    }

    fn fetch(&self, route: &str, body: &Value) -> Result<Vec<u8>, String> {
        self.fetched(route, body, &grant(Verb::Download, body))
    }

    fn fetched(&self, route: &str, body: &Value, grant: &Grant) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        refused(self.vaultd.showing(grant.sign(&self.authd)).post_for_stream(route, body, &mut out)).map(|_| out)
    }

    /// What the ledger has of retrievals, in words.
    fn retrieved(&self) -> Vec<String> {
        let records = keepwell_audit::read(&self.folder.path().join("state/ledger"), 1, 10_000).unwrap();
        let of = records.iter().filter(|record| record.event == keepwell_audit::Event::Retrieval);
        of.filter_map(|record| match record.field("what") {
            Some(keepwell_audit::Value::Text(what)) => Some(format!("{} {what}", record.actor)),
            _ => None,
        })
        .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.household.take().into_iter().for_each(Household::end);
    }
}

/// The code of a refusal; `broken off` for an answer that was not whole.
fn refused<T>(answer: Result<T, ClientError>) -> Result<T, String> {
    answer.map_err(|error| match error {
        ClientError::Refused(refusal) => refusal.code,
        ClientError::NoAnswer { .. } => "broken off".into(),
        other => panic!("{other}"),
    })
}

fn base64(bytes: &[u8]) -> Base64 {
    bytes.to_vec().into()
}

fn path(snapshot: &str, path: &[u8]) -> Value {
    json!({ "snapshot": snapshot, "path": base64(path) })
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::from_value::<Base64>(value.clone()).unwrap().as_ref().to_vec()
}

#[test]
fn a_file_comes_whole_to_who_may_have_it_and_to_nobody_else() {
    let stage = Stage::new();
    let (route, body) = ("/v1/files/content", path(&stage.second, b"scan.dcm"));
    assert!(stage.fetch(route, &body).unwrap() == noise(LARGE));
    assert_eq!(stage.fetch(route, &path(&stage.second, b"new.txt")).unwrap(), b"new");
    assert_eq!(stage.retrieved(), ["olga content"; 2]);
    let good = || grant(Verb::Download, &body);
    let cases = [
        (Grant { verb: Verb::FilesList, ..good() }, "grant-other-verb"),
        (Grant { arguments: digest(b"{}"), ..good() }, "grant-other-arguments"),
        (Grant { role: Role::Auditor, ..good() }, "role"),
        (Grant { max_bytes: Some(LARGE as u64 - 1), ..good() }, "grant-too-small"),
        (Grant { shares: Scope::new(vec!["other".into()]).unwrap(), ..good() }, "scope"),
    ];
    for (grant, code) in cases {
        assert_eq!(stage.fetched(route, &body, &grant).unwrap_err(), code);
    }
    let used = Grant { max_bytes: Some(LARGE as u64), ..good() };
    assert!(stage.fetched(route, &body, &used).is_ok());
    assert_eq!(stage.fetched(route, &body, &used).unwrap_err(), "grant-used");
    let second = stage.second.as_str();
    for (snapshot, at, code) in [
        (second, &b"letters"[..], "no-file"),
        (second, b"letters/link", "no-file"),
        (second, b"letters/open.doc", "gap"),
        (second, b"nothing", "no-path"),
        (second, b"letters/../new.txt", "invalid"),
        ("nothing", b"new.txt", "no-snapshot"),
        (&stage.own, b"users", "own-state"),
    ] {
        assert_eq!(stage.fetch(route, &path(snapshot, at)).unwrap_err(), code);
    }
    assert_eq!(stage.retrieved().len(), 3, "only what was sent");
}

#[test]
fn who_hangs_up_takes_nobodys_place() {
    let stage = Stage::new();
    let body = path(&stage.second, b"scan.dcm");
    for _ in 0..20 {
        let bytes = serde_json::to_vec(&body).unwrap();
        let mut stream = UnixStream::connect(stage.folder.path().join("vaultd")).unwrap();
        let (length, grant) = (bytes.len(), grant(Verb::Download, &body).sign(&stage.authd));
        write!(stream, "POST /v1/files/content HTTP/1.1\r\nhost: box\r\nkeepwell-grant: {grant}\r\ncontent-length: {length}\r\n\r\n")
            .unwrap();
        stream.write_all(&bytes).unwrap();
        stream.read_exact(&mut [0; 1_000]).unwrap();
    }
    stage.until("there is a place again", || match stage.fetch("/v1/files/content", &body) {
        Ok(bytes) => bytes.len() == LARGE,
        Err(code) => {
            assert_eq!(code, "busy");
            false
        }
    });
}

#[test]
fn an_archive_holds_what_can_be_had_and_says_what_can_not() {
    let stage = Stage::new();
    let zip = |paths: &[&[u8]]| json!({ "snapshot": stage.second, "paths": paths.iter().map(|path| base64(path)).collect::<Vec<_>>() });
    let body = zip(&[b"letters", b"scan.dcm"]);
    let bytes = stage.fetch("/v1/files/zip", &body).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    let expected = [
        "keepwell-receipt.txt",
        "letters/",
        "letters/.._.._evil.txt",
        "letters/C_autoexec.bat",
        "letters/Größe.txt",
        "letters/Meier \u{fffd}.txt",
        "letters/Meier/",
        "letters/Meier/old/",
        "letters/keepwell-receipt.txt",
        "scan.dcm",
    ];
    assert_eq!(names, expected);
    let mut read = |name: &str| {
        let mut file = archive.by_name(name).unwrap();
        assert!(name == "keepwell-receipt.txt" || file.last_modified().unwrap().year() == 2020);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(read("letters/Größe.txt"), b"as it is now");
    assert!(read("scan.dcm") == noise(LARGE));
    let receipt = String::from_utf8(read("keepwell-receipt.txt")).unwrap();
    for line in [
        "letters/open.doc: the file could not be read",
        "letters/pipe: it is no file",
        "Links, left out: 1\n  letters/link\n",
        "letters/..\\..\\evil.txt: is letters/.._.._evil.txt",
        "letters/Meier \\xff.txt: is letters/Meier",
        "6 files, ",
    ] {
        assert!(receipt.contains(line), "{line}\n{receipt}");
    }
    // One that would have our receipt's name.
    let bytes = stage.fetch("/v1/files/zip", &zip(&[b"letters/keepwell-receipt.txt"])).unwrap();
    let archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["keepwell-receipt (2).txt", "keepwell-receipt.txt"]);
    // Everything.
    assert!(zip::ZipArchive::new(Cursor::new(stage.fetch("/v1/files/zip", &zip(&[b""])).unwrap())).unwrap().len() > 10);
    for (paths, code) in [(&[][..], "invalid"), (&[&b"letters"[..], b"letters/link"], "invalid"), (&[b"nothing"], "no-path")] {
        assert_eq!(stage.fetch("/v1/files/zip", &zip(paths)).unwrap_err(), code);
    }
    let small = Grant { max_bytes: Some(LARGE as u64), ..grant(Verb::Download, &body) };
    assert_eq!(stage.fetched("/v1/files/zip", &body, &small).unwrap_err(), "grant-too-small");
}

/// Turns bits in every place of every large file of all disks.
fn damage(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else if fs::metadata(&path).unwrap().len() > 4 << 20 {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 4..bytes.len() / 4 * 3;
            bytes[middle].iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn damage_breaks_off_what_is_sent() {
    let stage = Stage::spoilt(|folder, _| damage(&folder.join("disks")));
    assert_eq!(stage.fetch("/v1/files/content", &path(&stage.second, b"scan.dcm")).unwrap_err(), "broken off");
    let body = json!({ "snapshot": stage.second, "paths": [base64(b"scan.dcm")] });
    assert_eq!(stage.fetch("/v1/files/zip", &body).unwrap_err(), "broken off");
    assert_eq!(stage.fetch("/v1/files/content", &path(&stage.second, b"new.txt")).unwrap(), b"new", "the others are as they were");
}

#[test]
fn names_are_found_in_one_snapshot_and_in_all() {
    let stage = Stage::new();
    let list = |route: &str, body: Value| stage.ask(route, Verb::FilesList, &body);
    let search = |at: &[u8], text: &[u8], limit: u32| {
        list("/v1/files/search", json!({ "snapshot": stage.second, "path": base64(at), "text": base64(text), "limit": limit }))
    };
    let found = search(b"", "GRÖSSE".replace("SS", "ß").as_bytes(), 10).unwrap();
    assert_eq!(text(&found["found"][0]["file"]["name"]), "Größe.txt".as_bytes());
    assert_eq!(
        (text(&found["found"][0]["folder"]), &found["more"], &found["damaged"]),
        (b"letters".to_vec(), &json!(false), &json!(false))
    );
    assert_eq!(search(b"", b".TXT", 2).unwrap()["found"].as_array().unwrap().len(), 2);
    assert_eq!(search(b"", b".TXT", 2).unwrap()["more"], true);
    assert_eq!(search(b"letters/Meier", b"meier", 9).unwrap()["found"].as_array().unwrap().len(), 1);
    assert_eq!(search(b"", b"x", 9).unwrap_err(), "invalid");
    assert_eq!(search(b"", &[b'x'; 101], 9).unwrap_err(), "invalid");

    let versions =
        |share: &str, at: &[u8]| list("/v1/files/versions", json!({ "share": share, "path": base64(at) })).unwrap()["versions"].clone();
    let both = versions("practice", "letters/Größe.txt".as_bytes());
    assert_eq!(both.as_array().unwrap().len(), 2);
    assert_eq!((&both[0]["snapshot"], &both[0]["file"]["size"], &both[1]["file"]["size"]), (&json!(stage.second), &json!(12), &json!(9)));
    let same = versions("practice", b"scan.dcm");
    assert_eq!((same.as_array().unwrap().len(), &same[0]["snapshots"]), (1, &json!(2)));
    let gone = versions("practice", b"letters/Meier/old/1.txt");
    assert_eq!((gone.as_array().unwrap().len(), &gone[0]["file"], &gone[1]["snapshot"]), (2, &Value::Null, &json!(stage.first)));
    assert_eq!(versions("practice", b"new.txt").as_array().unwrap().len(), 1, "before that it was not there");

    let compare = |at: &[u8], after: Option<&[u8]>, limit: u32| {
        let after = after.map(base64);
        let body = json!({ "older": stage.first, "newer": stage.second, "path": base64(at), "after": after, "limit": limit });
        list("/v1/snapshots/compare", body).unwrap()
    };
    let all = compare(b"", None, 100);
    let told = |changes: &Value| {
        let one = |change: &Value| format!("{} {}", String::from_utf8_lossy(&text(&change["path"])), change["change"].as_str().unwrap());
        changes["changes"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(told(&all), ["letters/Größe.txt content", "letters/Meier/old/1.txt removed", "new.txt added"]);
    let page = compare(b"", Some("letters/Größe.txt".as_bytes()), 1);
    assert_eq!((told(&page), &page["more"]), (vec!["letters/Meier/old/1.txt removed".to_owned()], &json!(true)));
    assert_eq!(told(&compare(b"letters/Meier", None, 100)), ["letters/Meier/old/1.txt removed"]);
    // From other shares, nothing.
    let scope = Scope::new(vec!["practice".into()]).unwrap();
    let body = json!({ "older": stage.first, "newer": stage.other, "limit": 1 });
    let limited = Grant { shares: scope, ..grant(Verb::FilesList, &body) };
    assert_eq!(stage.asked("/v1/snapshots/compare", &body, &limited).unwrap_err(), "scope");
    // A path that no record could hold.
    let long: Vec<u8> = (0..300).flat_map(|_| [&b"/"[..], &[b'x'; 100]].concat()).collect();
    assert_eq!(list("/v1/files", json!({ "snapshot": stage.second, "path": base64(&long), "limit": 1 })).unwrap_err(), "no-path");
    assert!(stage.retrieved().contains(&"olga search".to_owned()) && stage.retrieved().contains(&"olga versions".to_owned()));
}

#[test]
fn who_follows_hears_what_begins_and_ends() {
    let stage = Stage::new();
    let (sender, heard) = std::sync::mpsc::channel();
    let follower = Client::new("keepwell-vaultd", stage.vaultd.path(), 30 * SECOND);
    std::thread::spawn(move || {
        follower
            .follow("/v1/events", &mut |event| if sender.send(event).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    });
    let next = |what: &str, wanted: &dyn Fn(&Event) -> bool| loop {
        let event = heard.recv_timeout(60 * SECOND).unwrap_or_else(|error| panic!("{what}: {error}"));
        if wanted(&event) {
            return event;
        }
    };
    assert!(matches!(heard.recv_timeout(60 * SECOND).unwrap(), Event::Status { .. }), "first of all");
    let share = json!({ "name": "practice", "location": "smb://olga-meier@server.example/practice", "tier": "one" });
    let added = stage.ask("/v1/shares", Verb::SharesAdd, &share).unwrap();
    // It fails: there is no such server.
    let begun = stage.ask("/v1/runs", Verb::RunNow, &json!({ "share": added["id"] }));
    assert!(begun.as_ref().map_or_else(|code| code == "runs-already", |_| true), "{begun:?}");
    let ended = next("a run that ended", &|event| matches!(event, Event::Run { run } if run.finished_at.is_some()));
    let Event::Run { run } = ended else { unreachable!("it was asked for") };
    assert_eq!((&json!(run.share), run.outcome, run.code.as_deref()), (&added["id"], Some(Outcome::Failed), Some("unreachable")));
    next("another status", &|event| matches!(event, Event::Status { .. }));
    // A test restore of what the vault has of this share.
    let started = stage.ask("/v1/test-restores", Verb::TestRestore, &json!({ "tier": "one" })).unwrap();
    let ended = next("a restore that ended", &|event| matches!(event, Event::Restore { restore } if restore.finished_at.is_some()));
    let Event::Restore { restore } = ended else { unreachable!("it was asked for") };
    assert_eq!((&json!(restore.id), restore.outcome, restore.to.as_str()), (&started["id"], Some(Outcome::Complete), ""), "{restore:?}");
    assert!(restore.files > 0);
    let kept: RestoreState = stage.vaultd.get(&format!("/v1/restores/{}", restore.id)).unwrap();
    assert_eq!(kept.outcome, Some(Outcome::Complete));
    // Those who help see none of this by name.
    let bundle = stage.ask("/v1/support-bundle", Verb::SupportBundle, &json!({})).unwrap();
    let told = bundle.to_string();
    for name in ["practice", "server.example", "olga", "meier", "letters"] {
        assert!(!told.to_lowercase().contains(name), "{name} in {told}");
    }
    assert_eq!((&bundle["shares"][0]["protocol"], bundle["runs"].as_array().unwrap().is_empty()), (&json!("smb"), false));
}

#[test]
fn a_clock_is_confirmed_as_it_was_shown() {
    let stage = Stage::new();
    let confirm = |at: i64| stage.ask("/v1/clock/confirm", Verb::SettingsChange, &json!({ "at": at }));
    assert_eq!(confirm(now() - 400).unwrap_err(), "other-time");
    assert_eq!(confirm(now() + 400).unwrap_err(), "other-time");
    let moved = confirm(now()).unwrap()["moved_s"].as_i64().unwrap();
    assert!(moved.abs() <= 2, "{moved}");
    assert_eq!(stage.ask("/v1/clock/confirm", Verb::LogRead, &json!({ "at": now() })).unwrap_err(), "grant-other-verb");
}
