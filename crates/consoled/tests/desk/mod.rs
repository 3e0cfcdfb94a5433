//! A console between scripted neighbours on real Unix sockets. authd knows one person of each role and hands out grants that name what they are for; vaultd
//! takes no other bytes than those, and has a small practice in it. Names that must not leak or run are in both.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::result_large_err,
    reason = "each test uses its own part of it, and one is an example"
)]

pub mod authd;
pub mod browser;
pub mod emergency;
pub mod facts;
pub mod keyd;
pub mod new_box;
pub mod offsite;
pub mod vaultd;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use keepwell_consoled::app::{App, Settings};
use keepwell_consoled::authority::Authority;
use keepwell_consoled::listen::{self, Limits};
use keepwell_consoled::neighbours::Neighbours;
use keepwell_consoled::reckoning::Moment;
use keepwell_consoled::sessions::Sessions;
use keepwell_consoled::{live, pages};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A file's name that must be escaped wherever it is shown.
pub const CANARY: &str = "Müller <img src=x onerror=alert(1)>.docx";
/// What is left of it in a page that escapes.
pub const ESCAPED: &str = "&#60;img src=x onerror=alert(1)&#62;";
/// A share's name of the same kind.
pub const SHARE: &str = "Befunde \"><script>alert(2)</script>";

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// All of it; gone when it is dropped.
pub struct Desk {
    pub folder: TempDir,
    pub at: SocketAddr,
    pub authd: authd::Authd,
    pub vaultd: vaultd::Vaultd,
    pub keyd: keyd::Keyd,
    pub authority_pem: String,
    /// Questions that the console asked its neighbours, but for its ear at vaultd.
    pub questions: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Desk {
    pub async fn new() -> Self {
        Self::with(Limits::default(), "127.0.0.1:0").await
    }

    pub async fn with(limits: Limits, at: &str) -> Self {
        let vaultd = vaultd::Vaultd::new(now());
        Self::between((vaultd.clone(), vaultd.routes()), keyd::Keyd::with_kit(), limits, at).await
    }

    /// A box on its first day.
    pub async fn first(at: &str) -> (Self, new_box::NewBox) {
        let keyd = keyd::Keyd::with_nothing();
        let new = new_box::NewBox::new(keyd.clone());
        (Self::between((vaultd::Vaultd::new(now()), new.routes()), keyd, Limits::default(), at).await, new)
    }

    async fn between((vaultd, routes): (vaultd::Vaultd, axum::Router), keyd: keyd::Keyd, limits: Limits, at: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authd = authd::Authd::default();
        let sockets = ["authd.sock", "vaultd.sock", "keyd.sock"].map(|name| folder.path().join(name));
        let questions = Arc::default();
        let mut tasks = vec![
            neighbour(&sockets[0], authd.routes(), &questions),
            neighbour(&sockets[1], routes.merge(keyd.by_vaultd()), &questions),
            neighbour(&sockets[2], keyd.routes(), &questions),
        ];
        let names = BTreeSet::from(["localhost".to_owned(), "elm-street.local".to_owned()]);
        let authority = Arc::new(Authority::open(folder.path(), &names, Moment { wall: now(), reckoned: None }).unwrap());
        let authority_pem = authority.pem().unwrap();
        let settings = Settings {
            box_name: "Elm Street Clinic".into(),
            names,
            addresses: BTreeSet::new(),
            zone: TimeZone::UTC,
            clock: now,
            authority: (authority_pem.clone(), authority.fingerprint()),
        };
        let app = Arc::new(
            App::new(settings, Neighbours::new(&sockets[0], &sockets[1]).with_keyd(&sockets[2]), Sessions::new().unwrap())
                .with_certificate(&authority),
        );
        live::listen(&app);
        let listener = TcpListener::bind(at).unwrap();
        let at = listener.local_addr().unwrap();
        let reckoning = Arc::clone(&app.reckoning);
        let serving = listen::serve_until(listener, authority, pages::routes(app), (limits, reckoning), std::future::pending());
        tasks.push(tokio::spawn(async move { serving.await.unwrap() }));
        Self { folder, at, authd, vaultd, keyd, authority_pem, questions, tasks }
    }

    /// As if the program had died.
    pub fn kill_vaultd(&self) {
        self.tasks[1].abort();
        std::fs::remove_file(self.folder.path().join("vaultd.sock")).unwrap();
    }

    /// As if the program had died.
    pub fn kill_authd(&self) {
        self.tasks[0].abort();
        std::fs::remove_file(self.folder.path().join("authd.sock")).unwrap();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn neighbour(path: &Path, routes: axum::Router, questions: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let questions = Arc::clone(questions);
    let counted = move |request: axum::extract::Request, next: axum::middleware::Next| {
        if request.uri().path() != "/v1/events" {
            questions.fetch_add(1, Ordering::Relaxed);
        }
        next.run(request)
    };
    let routes = routes.layer(axum::middleware::from_fn(counted));
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() })
}
