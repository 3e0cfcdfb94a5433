//! The contract on a real Samba server. Needs root and `smbd`; says so and passes where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod contract;
mod samba;

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use contract::{Keeps, compare, walk};
use keepwell_format::port::{Encoding, Piece, Source as _, Steady};
use keepwell_format::{GapReason, Kind};
use keepwell_source::{AsOf, LocalSource, SmbOptions, SmbSource, SmbUrl, SourceError};
use samba::Samba;

/// What is compared of a tree of files and folders.
const FILES: Keeps = Keeps { posix: false, holes: false, time_unit: 100 };

fn files(share: &Path) {
    fs::create_dir_all(share.join("a/b/c")).unwrap();
    fs::create_dir_all(share.join("a.d")).unwrap();
    fs::create_dir(share.join("empty")).unwrap();
    for n in 0..1_200 {
        fs::write(share.join(format!("a/b/{n}.txt")), format!("file {n}").repeat(n % 50)).unwrap();
    }
    let big: Vec<u8> = (0..5_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(share.join("a/b/c/big"), &big).unwrap();
    fs::write(share.join("just-over-small"), &big[..65_537]).unwrap();
    fs::write(share.join("just-small"), &big[..65_536]).unwrap();
    fs::File::create(share.join("sparse")).unwrap().write_all_at(b"x", 2 << 20).unwrap();
    for name in ["Röntgen – Müller", "Ka\u{308}se", "K\u{e4}se", "日本語", "\u{1F9B7}", "\u{FF5E}", "%20 #;@", &"n".repeat(255)] {
        fs::write(share.join(name), name).unwrap();
    }
    let old = std::time::SystemTime::UNIX_EPOCH - Duration::from_nanos(86_400_123_456_700);
    fs::File::options().write(true).open(share.join("just-small")).unwrap().set_modified(old).unwrap();
}

#[test]
fn a_share_is_read_as_it_is() {
    let Some(samba) = Samba::start("default") else { return };
    files(&samba.folder());
    samba.hand_over();
    let source = samba.connect();
    assert_eq!(source.info().location, samba.url().to_string());
    assert_eq!(source.info().encoding, Encoding::Wtf8);
    assert_eq!(source.info().identity, samba.connect().info().identity);
    compare(&LocalSource::open(samba.folder()).unwrap(), &source, FILES);
    let all = walk(&source);
    assert!(all.iter().all(|entry| entry.node.gap.is_none() && entry.node.file_id.is_some() && entry.node.btime.is_some()));
    let ids: std::collections::BTreeSet<_> = all.iter().map(|entry| entry.node.file_id).collect();
    assert_eq!(ids.len(), all.len());

    let below = SmbUrl { path: vec!["a".into(), "b".into()], ..samba.url() };
    let part = SmbSource::connect(&below, &samba.password, AsOf::Live).unwrap();
    compare(&LocalSource::open(samba.folder().join("a/b")).unwrap(), &part, FILES);
}

#[test]
fn many_files_are_read_at_once() {
    let Some(samba) = Samba::start("desired") else { return };
    files(&samba.folder());
    samba.hand_over();
    let source = samba.connect();
    let all: Vec<_> = walk(&source).into_iter().filter(|entry| entry.node.kind == Kind::File).collect();
    std::thread::scope(|scope| {
        for worker in 0..source.info().parallel_reads {
            let (all, source, share) = (&all, &source, samba.folder());
            scope.spawn(move || {
                for entry in all.iter().skip(worker).step_by(source.info().parallel_reads) {
                    let runs = contract::read(source, entry).unwrap();
                    let bytes: Vec<u8> = runs.into_iter().flat_map(|(_, run)| run).collect();
                    let path = String::from_utf8(entry.key.to_path()).unwrap();
                    assert!(bytes == fs::read(share.join(path)).unwrap(), "{}", entry.key);
                }
            });
        }
    });
}

#[test]
fn what_cannot_be_read_is_a_gap_and_loops_end() {
    let Some(samba) = Samba::start("default") else { return };
    let share = samba.folder();
    fs::create_dir_all(share.join("folder/inner")).unwrap();
    symlink("..", share.join("folder/up")).unwrap();
    fs::write(share.join("gone"), b"x").unwrap();
    fs::write(share.join("shared"), b"x").unwrap();
    samba.hand_over();
    fs::create_dir(share.join("closed-folder")).unwrap();
    fs::write(share.join("closed"), b"root's").unwrap();
    for name in ["closed", "closed-folder"] {
        fs::set_permissions(share.join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let source = samba.connect();
    let all = walk(&source);
    let find = |path: &str| all.iter().find(|entry| entry.key.to_string() == path).unwrap();
    let reason = |path: &str| find(path).node.gap.as_ref().map(|gap| gap.reason);
    assert_eq!(reason("folder/up"), Some(GapReason::Unsupported));
    assert_eq!(reason("closed-folder"), Some(GapReason::Permission));
    assert_eq!(source.open(find("closed")).err().map(|gap| gap.reason), Some(GapReason::Permission));
    fs::remove_file(share.join("gone")).unwrap();
    let gap = source.open(find("gone")).err().unwrap();
    assert_eq!(gap.reason, GapReason::Vanished);
    assert!(!gap.text.contains("gone/") && gap.text.contains("OBJECT_NAME_NOT_FOUND"), "{}", gap.text);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_labelled() {
    let Some(samba) = Samba::start("default") else { return };
    fs::write(samba.folder().join("log"), vec![1; 3_000_000]).unwrap();
    samba.hand_over();
    let source = samba.connect();
    let entry = walk(&source).pop().unwrap();
    let mut file = source.open(&entry).unwrap();
    let mut buffer = vec![0; 1 << 20];
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(_)));
    fs::File::options().write(true).open(samba.folder().join("log")).unwrap().write_all_at(&[2; 9], 3_000_000).unwrap();
    while !matches!(file.next(&mut buffer).unwrap(), Piece::End) {}
    assert_eq!(file.finish(&mut entry.node.clone()).unwrap(), Steady::Changed);
}

#[test]
fn a_server_that_goes_away_ends_the_walk_with_an_error() {
    let Some(samba) = Samba::start("default") else { return };
    fs::create_dir_all(samba.folder().join("a/b")).unwrap();
    samba.hand_over();
    let options = SmbOptions { pauses: vec![Duration::from_millis(20)], ..SmbOptions::default() };
    let source = SmbSource::connect_with(&samba.url(), &samba.password, AsOf::Live, &options).unwrap();
    let mut steps = source.walk().unwrap();
    assert!(steps.next().unwrap().is_ok());
    drop(samba);
    // What was listed ahead still comes.
    let rest: Vec<_> = steps.collect();
    let (last, before) = rest.split_last().unwrap();
    assert!(before.len() <= 1 && before.iter().all(Result::is_ok));
    assert_eq!(last.as_ref().err().map(|gap| gap.reason), Some(GapReason::Read));
}

#[test]
fn sessions_that_are_not_safe_or_not_possible_are_refused() {
    let Some(samba) = Samba::start("default") else { return };
    let refused = |url: &SmbUrl, password: &str| SmbSource::connect(url, password, AsOf::Live).unwrap_err();
    assert!(matches!(refused(&samba.url(), "wrong"), SourceError::SignIn { .. }));
    let with = |change: &dyn Fn(&mut SmbUrl)| {
        let mut url = samba.url();
        change(&mut url);
        url
    };
    let guest = refused(&with(&|url| url.user = "guest".into()), "");
    assert!(matches!(guest, SourceError::Unprotected { .. } | SourceError::SignIn { .. }), "{guest:?}");
    assert!(matches!(refused(&with(&|url| url.user = "nobody-known".into()), "x"), SourceError::SignIn { .. }));
    assert!(matches!(refused(&with(&|url| url.share = "none".into()), &samba.password), SourceError::Share { .. }));
    assert!(matches!(refused(&with(&|url| url.path = vec!["none".into()]), &samba.password), SourceError::Share { .. }));
    assert!(matches!(refused(&with(&|url| url.port = 1), &samba.password), SourceError::Unreachable { .. }));
}

#[test]
fn snapshots_are_read_and_stand_in_for_what_is_held_open() {
    let Some(samba) = Samba::start("default") else { return };
    let share = samba.folder();
    for (folder, text) in [("@GMT-2026.11.19-00.00.00", "older"), ("@GMT-2026.11.20-00.00.00", "as of the snapshot")] {
        fs::create_dir_all(share.join(".snapshots").join(folder)).unwrap();
        fs::write(share.join(".snapshots").join(folder).join("held"), text).unwrap();
    }
    fs::write(share.join(".snapshots/@GMT-2026.11.19-00.00.00/gone"), "x").unwrap();
    for (name, text) in [("held", "now"), ("new", "new"), ("free", "free")] {
        fs::write(share.join(name), text).unwrap();
    }
    samba.hand_over();
    let source = samba.connect();
    let times: Vec<_> = source.snapshots().unwrap().into_iter().map(keepwell_source::utc).collect();
    assert_eq!(times, ["2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z"]);

    let client = keepwell_smb::Share::connect(
        &samba.url().host,
        samba.url().port,
        &samba.url().share,
        keepwell_smb::Credentials::new(None, &samba.url().user, &samba.password),
        keepwell_smb::Options::default(),
    )
    .unwrap();
    let closed = keepwell_smb::Open { share: 0, ..keepwell_smb::Open::reading(Default::default(), None) };
    let hold = |name: &[u8]| client.begin_open(&keepwell_smb::WidePath::from_wtf8([name]).unwrap(), &closed).unwrap().wait().unwrap();
    let held = [hold(b"held"), hold(b"new")];
    let all = walk(&source);
    let find = |name: &str| all.iter().find(|entry| entry.key.to_string() == name).unwrap();
    let mut file = source.open(find("held")).unwrap();
    let mut buffer = [0; 100];
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(18)));
    assert_eq!(&buffer[..18], b"as of the snapshot");
    let mut node = find("held").node.clone();
    assert_eq!(file.finish(&mut node).unwrap(), Steady::Unchanged);
    let gap = node.gap.unwrap();
    assert_eq!(gap.reason, GapReason::Locked);
    assert_eq!(gap.text, "held open by another program; its content is as of the server's snapshot of 2026-11-20T00:00:00Z");
    assert_eq!(source.open(find("new")).err().map(|gap| gap.reason), Some(GapReason::Locked));
    drop(held);

    let seen = |as_of: AsOf| {
        let source = SmbSource::connect(&samba.url(), &samba.password, as_of).unwrap();
        let keys: Vec<_> = walk(&source).iter().map(|entry| entry.key.to_string()).collect();
        (source.info().location.clone(), keys)
    };
    assert_eq!(seen(AsOf::Latest), (format!("{}?as-of=2026-11-20T00:00:00Z", samba.url()), vec!["/".into(), "held".into()]));
    assert_eq!(seen(AsOf::parse("2026-11-19 00:00:00").unwrap()).1, ["/", "gone", "held"]);
    let other = AsOf::parse("2026-11-18 00:00:00").unwrap();
    let error = SmbSource::connect(&samba.url(), &samba.password, other).unwrap_err();
    assert!(matches!(&error, SourceError::NoSuchSnapshot { newest, .. } if newest == "2026-11-20T00:00:00Z"), "{error}");
}
