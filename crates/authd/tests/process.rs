//! The program itself, over its socket: which program may ask for what, and that `kill -9` loses nothing that was acknowledged.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keepwell_api::auth::{Claim, Enrolled, Events, SignIn, SignedIn, Status};
use keepwell_api::{Client, ClientError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::{Value, json};
use totp_rs::Totp;

/// Nobody who runs tests.
const OTHER: u32 = 54_321;

struct Running {
    child: Child,
    client: Client,
}

impl Running {
    fn start(folder: &Path, [vaultd, consoled, admin, screen]: [u32; 4]) -> Self {
        let (socket, log) = (folder.join("authd.sock"), folder.join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepwell-authd"));
        command.arg("serve").arg("--state").arg(folder.join("state")).arg("--socket").arg(&socket);
        for (name, uid) in [("--vaultd-uid", vaultd), ("--consoled-uid", consoled), ("--admin-uid", admin), ("--screen-uid", screen)] {
            command.arg(name).arg(uid.to_string());
        }
        command.env_remove("LISTEN_FDS").stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        let running = Self { child, client: Client::new("authd", socket, Duration::from_secs(60)) };
        let until = Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(running.client.path()).is_err() {
            assert!(Instant::now() < until, "authd does not listen: {}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// The word with which a request was refused.
    fn refusal(&self, method: &str, route: &str, body: &Value) -> String {
        let answer = match method {
            "GET" => self.client.get_bytes(route).map(drop),
            _ => self.client.post_for_bytes(route, body).map(drop),
        };
        match answer {
            Ok(()) => "done".into(),
            Err(ClientError::Refused(refusal)) => refusal.code,
            Err(other) => format!("{other}"),
        }
    }

    fn kill(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Every verb, a request that is well formed, and who may ask: vaultd, a console, an admin, the screen.
fn verbs() -> Vec<(&'static str, &'static str, Value, [bool; 4])> {
    let session = json!({ "session": "AAAA" });
    let weak = json!({ "user": "a", "password": "AAAA" });
    let factor = json!({ "session": "AAAA", "password": "AAAA", "code": "1" });
    let shares = json!({ "session": "AAAA", "shares": ["a"] });
    let token = json!({ "session": "AAAA", "name": "a", "role": "auditor", "verbs": ["log-read"], "expires_at": 1 });
    let sign_in = json!({ "user": "", "password": "AAAA", "code": "1" });
    let grant = json!({ "session": "AAAA", "verb": "restore", "arguments": "" });
    let password = json!({ "session": "AAAA", "password": "AAAA", "code": "1", "new": "AAAA" });
    let add = json!({ "session": "AAAA", "name": "a", "role": "owner" });
    let enrol = json!({ "code": "AAAA", "password": "AAAA" });
    let role = json!({ "session": "AAAA", "role": "owner" });
    let (all, people, vaultd) = ([true; 4], [false, true, true, true], [true, false, false, false]);
    let (at_the_box, screen) = ([false, false, true, true], [false, false, false, true]);
    vec![
        ("GET", "/v1/status", Value::Null, all),
        ("GET", "/v1/key", Value::Null, all),
        ("GET", "/v1/claim-code", Value::Null, at_the_box),
        ("POST", "/v1/claim", weak, people),
        ("POST", "/v1/sign-in", sign_in, people),
        ("POST", "/v1/sign-out", session.clone(), people),
        ("POST", "/v1/sessions/check", session.clone(), people),
        ("POST", "/v1/sessions/touch", session.clone(), people),
        ("POST", "/v1/password", password, people),
        ("POST", "/v1/recovery-codes", factor.clone(), people),
        ("POST", "/v1/authenticator", factor, people),
        ("POST", "/v1/authenticator/confirm", json!({ "session": "AAAA", "code": "1" }), people),
        ("POST", "/v1/passkeys/begin", json!({ "session": "AAAA", "password": "AAAA", "code": "1", "host": "box.lan" }), people),
        ("POST", "/v1/passkeys", json!({ "session": "AAAA", "name": "a", "client_data": "", "authenticator_data": "" }), people),
        ("POST", "/v1/passkeys/0/rename", json!({ "session": "AAAA", "name": "a" }), people),
        ("POST", "/v1/users/a/passkeys/0/remove", session.clone(), people),
        ("POST", "/v1/console-certificate", json!({ "session": "AAAA", "fingerprint": null }), people),
        ("POST", "/v1/break-glass-code", session.clone(), people),
        ("POST", "/v1/break-glass-grants", json!({ "code": "AAAA", "verb": "emergency-open", "arguments": "ab".repeat(32) }), screen),
        ("POST", "/v1/grants", grant, people),
        ("GET", "/v1/users", Value::Null, all),
        ("POST", "/v1/users", add, people),
        ("POST", "/v1/users/a/enrol", enrol, people),
        ("POST", "/v1/users/a/disable", session.clone(), people),
        ("POST", "/v1/users/a/reset", session.clone(), people),
        ("POST", "/v1/users/a/role", role, people),
        ("POST", "/v1/users/a/shares", shares, people),
        ("POST", "/v1/users/a/unlock", Value::Null, screen),
        ("GET", "/v1/tokens", Value::Null, all),
        ("POST", "/v1/tokens", token, people),
        ("POST", "/v1/tokens/check", json!({ "token": "AAAA" }), people),
        ("POST", "/v1/tokens/0/revoke", session, people),
        ("GET", "/v1/events?after=0", Value::Null, vaultd),
        ("GET", "/v1/export", Value::Null, vaultd),
        ("POST", "/v1/import", Value::Null, vaultd),
        ("POST", "/v1/claims", json!({ "open": true }), vaultd),
    ]
}

/// Each program in turn is the one that asks, the others are somebody else; last, none is.
#[test]
fn every_verb_is_for_its_programs_alone() {
    let own = geteuid().as_raw();
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/service.rs")).unwrap();
    assert_eq!(source.matches(".route(").count(), verbs().len(), "a verb is missing in the list");
    for place in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let uid = |of: usize| if of == place { own } else { OTHER };
        let running = Running::start(folder.path(), [uid(0), uid(1), uid(2), uid(3)]);
        for (method, route, body, may) in verbs() {
            let refusal = running.refusal(method, route, &body);
            let admitted = may.get(place).copied().unwrap_or(false);
            assert_eq!(refusal != "not-you", admitted, "caller {place}, {method} {route}: {refusal}");
            let known = [
                "done",
                "not-you",
                "weak-password",
                "sign-in-refused",
                "no-session",
                "no-token",
                "set-up-refused",
                "bad-copy",
                "malformed",
                "wrong-claim-code",
                "wrong-break-glass-code",
                "unknown-user",
            ];
            assert!(known.contains(&refusal.as_str()), "{route}: {refusal}");
            // Only in front of the box is no code needed.
            let claims = if place == 1 { "wrong-claim-code" } else { "weak-password" };
            assert!(route != "/v1/claim" || !admitted || refusal == claims, "caller {place}: {refusal}");
        }
    }
}

/// Bodies that no program of ours would send: refused, and authd goes on.
#[test]
fn hostile_bodies_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let own = geteuid().as_raw();
    let running = Running::start(folder.path(), [own; 4]);
    let long = json!({ "session": "A".repeat(2 << 20) }).to_string();
    let deep = "[".repeat(200_000);
    let odd = [b"".as_slice(), b"{", b"null", b"\xff\xfe", br#"{"session":"no base64"}"#, deep.as_bytes(), long.as_bytes()];
    let odd = odd.map(<[u8]>::to_vec).into_iter().chain([br#"{"session":"AAAA","more":1}"#.to_vec(), vec![0; 900_000]]);
    let odd: Vec<Vec<u8>> = odd.collect();
    // It takes no body.
    let takes_a_body = |(method, route, ..): &(&str, &str, Value, [bool; 4])| *method == "POST" && !route.ends_with("/unlock");
    for (method, route, _, _) in verbs().into_iter().filter(takes_a_body) {
        for body in &odd {
            let answer = running.client.post_bytes::<Value>(route, body);
            assert!(answer.is_err(), "{method} {route}: {answer:?}");
        }
    }
    let status: Status = running.client.get("/v1/status").unwrap();
    assert_eq!(status.users, 0);
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let own = geteuid().as_raw();
    let start = || Running::start(folder.path(), [own; 4]);
    let running = start();
    let password = b"correct horse battery".to_vec();
    let claim = Claim { user: "Owner".into(), password: password.clone().into(), code: None };
    let enrolled: Enrolled = running.client.post("/v1/claim", &claim).unwrap();
    let before: Status = running.client.get("/v1/status").unwrap();
    running.kill();
    let running = start();
    let after: Status = running.client.get("/v1/status").unwrap();
    assert_eq!((after.users, after.claimed), (1, false));
    assert!(after.boot != before.boot && after.public_key != before.public_key, "the key of grants is of one start");
    let totp = Totp::from_url(std::str::from_utf8(enrolled.otpauth.as_ref()).unwrap()).unwrap();
    let code = totp.generate(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).to_string();
    let request = SignIn { user: "owner".into(), password: password.clone().into(), code, from: None };
    let signed_in: SignedIn = running.client.post("/v1/sign-in", &request).unwrap();
    assert_eq!(signed_in.session.as_ref().len(), 32);
    running.kill();
    let running = start();
    // A recovery code too: burnt before the session was given.
    let recovery = String::from_utf8(enrolled.recovery_codes[0].as_ref().to_vec()).unwrap();
    let by_recovery = SignIn { user: "owner".into(), password: password.into(), code: recovery, from: None };
    let _: SignedIn = running.client.post("/v1/sign-in", &by_recovery).unwrap();
    running.kill();
    let running = start();
    assert_eq!(running.refusal("POST", "/v1/sign-in", &serde_json::to_value(&by_recovery).unwrap()), "sign-in-refused");
    // The code was used before the kill.
    assert_eq!(running.refusal("POST", "/v1/sign-in", &serde_json::to_value(&request).unwrap()), "sign-in-refused");
    let events: Events = running.client.get("/v1/events?after=0").unwrap();
    let codes: Vec<&str> = events.events.iter().map(|event| event.code.as_str()).collect();
    let signed_in = ["started", "claimed", "started", "signed-in", "started", "recovery-code-used", "signed-in"];
    // The second wrong one is counted.
    assert_eq!(codes, [&signed_in[..], &["started", "wrong-proof"]].concat());
    // A new box gets the users back.
    let copy = running.client.get_bytes("/v1/export").unwrap();
    drop(running);
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    let status: Status = start().client.post_bytes("/v1/import", &copy).unwrap();
    assert_eq!((status.users, status.claimed), (1, true));
}
