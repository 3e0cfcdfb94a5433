//! A server and a client on a real socket.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use keepwell_api::outflow::outflow;
use keepwell_api::{Base64, Callers, Client, ClientError, Ending, Refusal, listen, serve};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Echo {
    text: String,
    bytes: Base64,
}

fn start(routes: Router) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = listen(&path).unwrap();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve(listener, routes)).unwrap();
    });
    (folder, path)
}

fn routes() -> Router {
    Router::new()
        .route("/v1/echo", post(|Json(echo): Json<Echo>| async { Json(echo) }))
        .route("/v1/no", get(|| async { Refusal::text(StatusCode::CONFLICT, "no", "it is not to be; nothing was done") }))
        .route("/v1/flow/{pieces}/{length}", post(flow))
        .route("/v1/never", get(|| async { std::future::pending::<()>().await }))
}

/// Pieces of 1,000 bytes, and an end unless there are 13.
async fn flow(Path((pieces, length)): Path<(u64, u64)>, ending: Extension<Ending>) -> Body {
    let (out, body) = outflow(Some(length).filter(|length| *length > 0));
    tokio::spawn(async move {
        for _ in 0..pieces {
            if ending.is_here() || out.put(vec![7; 1_000]).await.is_err() {
                return;
            }
        }
        if pieces != 13 {
            let _ = out.end().await;
        }
    });
    body
}

fn client(path: &PathBuf) -> Client {
    Client::new("keepwell-test", path, Duration::from_secs(5))
}

#[test]
fn answers_and_refusals_cross_the_socket() {
    let me = Callers::only([nix_uid()]);
    let (_folder, path) = start(me.guard(routes()));
    let echo = Echo { text: "ü".into(), bytes: Base64::from(vec![0, 255, 7]) };
    assert_eq!(client(&path).post::<Echo>("/v1/echo", &echo).unwrap(), echo);
    let Err(ClientError::Refused(refusal)) = client(&path).get::<Echo>("/v1/no") else { panic!("not refused") };
    assert_eq!((refusal.status, refusal.code.as_str()), (409, "no"));
    assert!(matches!(client(&path).post::<u32>("/v1/echo", &echo), Err(ClientError::Unknown { .. })));
}

#[test]
fn only_the_users_named_are_answered() {
    let (_folder, path) = start(Callers::only([nix_uid() + 1]).guard(routes()));
    let Err(ClientError::Refused(refusal)) = client(&path).get::<Echo>("/v1/no") else { panic!("not refused") };
    assert_eq!((refusal.status, refusal.code.as_str()), (403, "not-you"));
}

#[test]
fn waiting_has_an_end() {
    let (_folder, path) = start(routes());
    let hasty = Client::new("keepwell-test", &path, Duration::from_millis(200));
    assert!(matches!(hasty.get::<()>("/v1/never"), Err(ClientError::NoAnswer { .. })));
}

#[test]
fn the_socket_is_for_its_owner_and_for_one_program() {
    let (folder, path) = start(routes());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(listen(&path).is_err(), "another one listens");
    let stale = folder.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    listen(&stale).unwrap();
    assert!(matches!(client(&folder.path().join("none")).get::<()>("/"), Err(ClientError::Unreachable { .. })));
}

fn nix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kit-1.txt");
    std::fs::write(&path, "words").unwrap();
    assert!(listen(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"words");
}

#[test]
fn every_request_has_a_number_of_its_own_and_a_refusal_says_it() {
    use std::io::{Read as _, Write as _};
    let (_folder, path) = start(Callers::only([nix_uid()]).guard(routes()));
    let number = || match client(&path).get::<Echo>("/v1/no") {
        Err(ClientError::Refused(refusal)) => refusal.request.unwrap(),
        other => panic!("{other:?}"),
    };
    let (first, second) = (number(), number());
    assert!(first.len() == 16 && first.bytes().all(|digit| digit.is_ascii_hexdigit()), "{first}");
    assert_ne!(first, second);
    // Also what is no refusal of ours.
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /v1/none HTTP/1.1\r\nhost: box\r\nkeepwell-request: 0000000000000000\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("keepwell-request: ")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && line.len() == 16 && line != "0000000000000000", "{answer}");
}

#[test]
fn what_flows_is_whole_or_an_error() {
    let (_folder, path) = start(routes());
    let fetch = |pieces: u64, length: u64| {
        let mut out = Vec::new();
        let taken = client(&path).post_for_stream(&format!("/v1/flow/{pieces}/{length}"), &(), &mut out);
        taken.map(|count| assert_eq!((count, count), (out.len() as u64, pieces * 1_000)))
    };
    fetch(0, 0).unwrap();
    fetch(100, 0).unwrap();
    fetch(100, 100_000).unwrap();
    for (pieces, length) in [(13, 0), (13, 14_000), (100, 99_999), (100, 100_001)] {
        assert!(matches!(fetch(pieces, length), Err(ClientError::NoAnswer { .. })), "{pieces} pieces for {length} bytes");
    }
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let taken = client(&path).post_for_stream("/v1/flow/100000000/0", &(), &mut Full);
    assert!(matches!(taken, Err(ClientError::NotTaken { .. })), "{taken:?}");
}

/// Many connections of one user leave those that are there, and the program, as they were; places come free again.
#[test]
fn one_user_has_so_many_connections_and_no_more() {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    let (_folder, path) = start(Callers::only([nix_uid()]).guard(routes()));
    let mut open: Vec<UnixStream> = (0..32).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut over = UnixStream::connect(&path).unwrap();
    assert!(matches!(over.read(&mut [0]), Ok(0) | Err(_)), "it is closed at once");
    assert!(client(&path).get::<Echo>("/v1/no").is_err());
    open.clear();
    let answered = || matches!(client(&path).get::<Echo>("/v1/no"), Err(ClientError::Refused(_)));
    assert!((0..1000).any(|_| answered()));
}
