//! Programs of a box as far as a test needs them: a socket that answers each route as it was told, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

/// An answer, byte for byte.
#[derive(Clone)]
pub(crate) struct Reply(Vec<u8>);

impl Reply {
    pub(crate) fn json(value: &Value) -> Self {
        Self::raw("200 OK", "application/json", value.to_string().as_bytes())
    }

    pub(crate) fn refusal(status: &str, code: &str) -> Self {
        let body = json!({ "code": code, "error": "this was refused", "causes": [], "request": "00112233aabbccdd" });
        Self::raw(status, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::raw("200 OK", "application/octet-stream", bytes)
    }

    /// Says that there are more bytes than come.
    pub(crate) fn broken(bytes: &[u8]) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n", bytes.len() + 1);
        Self([head.as_bytes(), bytes].concat())
    }

    /// Ends with the connection.
    pub(crate) fn events(events: &[Value]) -> Self {
        let mut text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\n".to_owned();
        events.iter().for_each(|event| text.push_str(&format!("event: {}\ndata: {event}\n\n", event["kind"].as_str().unwrap())));
        Self(text.into_bytes())
    }

    fn raw(status: &str, kind: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        Self([head.as_bytes(), body].concat())
    }
}

/// What was asked: program, route, body.
type Asked = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// A folder that looks like a box, as far as its programs are in it.
pub(crate) struct Box {
    folder: TempDir,
    asked: Asked,
}

/// What one command gave back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) exit: i32,
    /// The last line of standard output, as JSON.
    pub(crate) answer: Value,
    /// The lines before it.
    pub(crate) events: Vec<Value>,
}

impl Box {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        Self { folder, asked: Asked::default() }
    }

    /// One with a session, and an authd that grants everything.
    pub(crate) fn signed_in() -> Self {
        let granted = Self::new().with_session();
        granted.program("authd", &[("/v1/grants", Reply::json(&json!({ "grant": "aGVsbG8=", "expires_at": 4_000_000_000_i64 })))]);
        granted
    }

    pub(crate) fn with_session(self) -> Self {
        let session = json!({ "user": "Ann", "session": "AAAA", "expires_at": 4_000_000_000_i64, "period": 0 });
        std::fs::write(self.at("session"), session.to_string()).unwrap();
        self
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Starts one. It ends with the tests.
    pub(crate) fn program(&self, name: &str, routes: &[(&str, Reply)]) {
        let listener = UnixListener::bind(self.at("run").join(format!("{name}.sock"))).unwrap();
        let routes: BTreeMap<String, Reply> = routes.iter().map(|(route, reply)| ((*route).to_owned(), reply.clone())).collect();
        let (asked, name) = (Arc::clone(&self.asked), name.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (route, body) = read(&stream);
                let known = routes.get(route.split('?').next().unwrap_or_default()).cloned();
                asked.lock().unwrap().push((name.clone(), route, body));
                let _ = (&stream).write_all(&known.unwrap_or_else(|| Reply::refusal("404 Not Found", "no-such-route")).0);
            }
        });
    }

    /// Bodies that this route was asked with.
    pub(crate) fn bodies(&self, program: &str, wanted: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        let fitting = asked.iter().filter(|(name, route, _)| name == program && route == wanted);
        fitting.map(|(_, _, body)| serde_json::from_slice(body).unwrap_or(Value::Null)).collect()
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepwell"));
        let clean = ["RUST_LOG", "KEEPWELL_BOX", "KEEPWELL_SESSION"].iter().fold(&mut command, |command, name| command.env_remove(name));
        clean.arg("--box").arg(self.folder.path()).args(words).output().unwrap()
    }

    /// With `--json`.
    pub(crate) fn ask(&self, words: &[&str]) -> Told {
        let output = self.output(&[words, &["--json"]].concat());
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{output:?}")));
        let mut events: Vec<Value> = parsed.collect();
        let answer = events.pop().unwrap_or_else(|| panic!("no answer: {output:?}"));
        Told { exit: output.status.code().unwrap(), answer, events }
    }
}

fn read(stream: &UnixStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    let route = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) <= 2 {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    (route, body)
}

/// What a file holds.
pub(crate) fn content(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
