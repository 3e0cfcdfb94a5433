//! The way to a share on a real Samba server: dialects, protection, refusals, loss and return. Needs root and `smbd`; says so and passes
//! where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "../../../tests/samba.rs"]
mod server;

use std::fs;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use keepwell_smb::{Cipher, Credentials, Dialect, NtStatus, Options, Protection, Share, Signing, SmbError};
use server::Samba;

impl Samba {
    fn connect(&self, options: Options) -> Result<Share, SmbError> {
        Share::connect("127.0.0.1", self.port, "share", Credentials::new(None, &self.user, &self.password), options)
    }
}

fn only(dialect: Dialect) -> Options {
    Options { min_dialect: dialect, max_dialect: dialect, ..Options::default() }
}

fn quick() -> Options {
    Options { timeout: Duration::from_secs(2), dial: Duration::from_secs(2), ..Options::default() }
}

#[test]
fn every_dialect_and_cipher_where_encryption_is_required() {
    let Some(samba) = Samba::start("required") else { return };
    let ciphers = [Cipher::Aes128Gcm, Cipher::Aes128Ccm, Cipher::Aes256Gcm, Cipher::Aes256Ccm];
    let newest = ciphers.map(|cipher| (Options { ciphers: vec![cipher], ..only(Dialect::Smb311) }, cipher));
    let older = [Dialect::Smb300, Dialect::Smb302].map(|dialect| (only(dialect), Cipher::Aes128Ccm));
    for (options, cipher) in newest.into_iter().chain(older) {
        let dialect = options.max_dialect;
        let share = samba.connect(Options { require_encryption: true, ..options }).unwrap();
        let facts = share.facts();
        assert_eq!((facts.dialect, facts.protection), (dialect, Protection::Encrypted(cipher)));
        assert!(facts.max_read >= 1 << 20 && !facts.share_is_dfs && facts.maximal_access & 1 != 0 && facts.server_time.0 > 1 << 56);
        share.echo().unwrap();
        assert!(share.volume().is_ok());
    }
    assert_eq!(samba.connect(Options::default()).unwrap().facts().protection.to_string(), "encrypted, AES-128-GCM");
    // 2.1 cannot encrypt: the server lets us in nowhere.
    assert!(samba.connect(only(Dialect::Smb210)).is_err());
    assert!(samba.connect(Options { ciphers: Vec::new(), ..Options::default() }).is_err());
}

#[test]
fn every_dialect_and_signature_where_nothing_is_encrypted() {
    let Some(samba) = Samba::start("off") else { return };
    let newest = [Signing::AesGmac, Signing::AesCmac, Signing::HmacSha256];
    let newest = newest.map(|signing| (Options { signing: vec![signing], ..only(Dialect::Smb311) }, signing));
    let older = [(Dialect::Smb210, Signing::HmacSha256), (Dialect::Smb300, Signing::AesCmac), (Dialect::Smb302, Signing::AesCmac)];
    for (options, signing) in newest.into_iter().chain(older.map(|(dialect, signing)| (only(dialect), signing))) {
        let dialect = options.max_dialect;
        let share = samba.connect(options).unwrap();
        assert_eq!((share.facts().dialect, share.facts().protection), (dialect, Protection::Signed(signing)));
        share.echo().unwrap();
        assert!(share.volume().is_ok());
    }
    assert!(matches!(samba.connect(Options { require_encryption: true, ..Options::default() }), Err(SmbError::NotEncrypted)));
}

#[test]
fn where_both_can_encrypt_they_do() {
    let Some(samba) = Samba::start("default") else { return };
    let share = samba.connect(Options::default()).unwrap();
    assert_eq!(share.facts().protection, Protection::Encrypted(Cipher::Aes128Gcm));
    // A server of 3.x that is made to speak 2.1 can tell that nobody tampered.
    let share = samba.connect(Options { max_dialect: Dialect::Smb210, ..Options::default() }).unwrap();
    assert_eq!(share.facts().protection, Protection::Signed(Signing::HmacSha256));
}

#[test]
fn refusals_say_what_was_refused() {
    let Some(samba) = Samba::start("required") else { return };
    let sign_in = |user: &str, password: &str, share: &str| {
        Share::connect("127.0.0.1", samba.port, share, Credentials::new(None, user, password), Options::default()).unwrap_err()
    };
    for (user, password) in [("keepwell-demo", "wrong"), ("nobody-here", &samba.password), ("keepwell-demo", "")] {
        let error = sign_in(user, password, "share");
        assert!(matches!(&error, SmbError::SignIn { user: named, .. } if named == user), "{error:?}");
        assert_eq!(error.status(), Some(NtStatus::LOGON_FAILURE));
        assert!(!error.is_gone());
    }
    assert!(matches!(sign_in("", "", "share"), SmbError::Config { .. }));
    assert!(matches!(sign_in("keepwell-demo", &samba.password, "other"), SmbError::NoShare { share, .. } if share == "other"));
    let nowhere = Share::connect("127.0.0.1", 1, "share", Credentials::new(None, "a", "b"), quick()).unwrap_err();
    assert!(matches!(nowhere, SmbError::Unreachable { .. }));
    let nonsense = Options { min_dialect: Dialect::Smb311, max_dialect: Dialect::Smb210, ..Options::default() };
    assert!(matches!(samba.connect(nonsense), Err(SmbError::Config { .. })));
}

#[test]
fn a_server_that_dies_is_gone_and_one_that_returns_is_found() {
    let Some(samba) = Samba::start("required") else { return };
    let share = samba.connect(quick()).unwrap();
    samba.stop();
    let lost = share.echo().unwrap_err();
    assert!(lost.is_gone(), "{lost:?}");
    assert!(share.echo().unwrap_err().is_gone(), "it stays gone");
    assert!(matches!(share.reconnect(share.generation()), Err(SmbError::Unreachable { .. })));
    samba.run("required");
    let since = share.generation();
    let together = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                together.wait();
                share.reconnect(since).unwrap();
            });
        }
    });
    assert_eq!(share.generation(), since + 1, "one attempt for all");
    share.echo().unwrap();
    share.reconnect(since).unwrap();
    assert_eq!(share.generation(), since + 1, "no attempt without need");
}

#[test]
fn a_server_that_stands_still_is_given_up() {
    let Some(samba) = Samba::start("required") else { return };
    let share = samba.connect(quick()).unwrap();
    let server = fs::read_to_string(samba.state.path().join("smbd.pid")).unwrap().trim().to_owned();
    let signal = |name: &str, pid: &str| assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
    // The process that serves this connection is a child of the server.
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
    children.split_whitespace().for_each(|child| signal("-STOP", child));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(share.echo().unwrap_err().is_gone()));
        }
    });
    children.split_whitespace().for_each(|child| signal("-CONT", child));
    share.reconnect(share.generation()).unwrap();
    share.echo().unwrap();
}

#[test]
fn many_at_once_share_the_credits() {
    let Some(samba) = Samba::start("required") else { return };
    let share = samba.connect(Options::default()).unwrap();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..100).for_each(|_| share.echo().unwrap()));
        }
    });
}
