//! What the tests of vaultd's routes stand on: programs on sockets, an authd that is a key, an owner's grants. Checks nothing.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::routing::get;
use axum::{Json, Router};
use keepwell_api::auth::GrantKey;
use keepwell_api::grants::{Grant, Role, Scope, SigningKey, Verb, digest};
use keepwell_api::{Callers, hex};
use keepwell_vaultd::appliance::Config;
use keepwell_vaultd::bays::Diskd;
use keepwell_vaultd::engine::Places;
use serde_json::Value;

const BOOT: [u8; 16] = [7; 16];

/// All places of a box in a folder.
pub(crate) fn config(folder: &Path, diskd: Option<Diskd>) -> Config {
    let at = |name: &str| folder.join(name);
    Config {
        state: at("state"),
        places: Places { pool: at("disks"), diskd, cache: at("cache"), keyd: at("keyd") },
        ingest: at("ingest"),
        authd: at("authd"),
        notifyd: at("notifyd"),
        replicad: at("replicad"),
        name: "Test".into(),
        slots: 2,
    }
}

/// An authd on a socket, as far as vaultd asks it; the key that signs its grants.
pub(crate) fn authd(socket: &Path, more: Router) -> SigningKey {
    let authd = SigningKey::from_bytes(&[3; 32]);
    let key = GrantKey { boot: hex::encode(&BOOT), public_key: hex::encode(authd.verifying_key().as_bytes()) };
    serve(socket, more.route("/v1/key", get(async move || Json(key))), mine());
    authd
}

/// What an owner may do with this request.
pub(crate) fn grant(verb: Verb, body: &Value) -> Grant {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).unwrap();
    Grant {
        boot: BOOT,
        user: "olga".into(),
        role: Role::Owner,
        verb,
        arguments: digest(&serde_json::to_vec(body).unwrap()),
        nonce,
        expires_at: now() + 60,
        max_bytes: None,
        shares: Scope::default(),
        background: false,
    }
}

pub(crate) fn serve(socket: &Path, routes: Router, callers: Callers) {
    let listener = UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(keepwell_api::serve(listener, callers.guard(routes))).unwrap();
    });
}

/// Whoever runs the tests.
pub(crate) fn mine() -> Callers {
    Callers::only([uid()])
}

pub(crate) fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}
