//! Write-back to a real Samba server, in all ways of talking to it, and the check of a share. Needs root and `smbd`; says so and passes
//! where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod contract;
mod samba;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use contract::walk;
use keepwell_format::port::{Placing, Target as _};
use keepwell_format::{GapReason, Key, Kind, Node};
use keepwell_smb::Dialect;
use keepwell_source::check::{list, snapshots};
use keepwell_source::{
    Address, AsOf, CheckOptions, Opening, RestoreTarget as _, SmbOptions, SmbSource, SmbTarget, SmbUrl, SourceError, check,
};
use samba::Samba;

/// Ways to talk to the server: what it demands, what the client offers, and how the session is then protected.
fn modes() -> [(&'static str, Dialect, &'static str); 5] {
    [
        ("required", Dialect::Smb311, "encrypted"),
        ("required", Dialect::Smb300, "encrypted"),
        ("off", Dialect::Smb311, "signed"),
        ("off", Dialect::Smb302, "signed"),
        ("off", Dialect::Smb210, "signed"),
    ]
}

fn options(max_dialect: Dialect) -> SmbOptions {
    let client = keepwell_smb::Options { max_dialect, ..Default::default() };
    SmbOptions { client, pauses: vec![Duration::from_millis(50); 3], ..SmbOptions::default() }
}

/// A descriptor of something that the account made.
fn own_descriptor(samba: &Samba) -> Vec<u8> {
    let target = SmbTarget::connect(&samba.url(), &samba.password, Opening::Merge).unwrap();
    let key = Key::from_path(b"own").unwrap();
    target.file(&key, &Node::new(Kind::File), &contract::content(0), Placing::New).unwrap().finish(&Node::new(Kind::File)).unwrap();
    let source = samba.connect();
    let entry = walk(&source).into_iter().find(|entry| entry.key == key).unwrap();
    let descriptor = contract::look(&source, &entry).unwrap().node.descriptor.unwrap();
    fs::remove_file(samba.folder().join("own")).unwrap();
    descriptor
}

#[test]
fn everything_of_a_share_comes_back_in_all_modes() {
    for (encrypt, dialect, protection) in modes() {
        let Some(samba) = Samba::start(encrypt) else { return };
        samba.hand_over();
        let own = own_descriptor(&samba);
        let open = |name: &str| SmbTarget::connect_with(&samba.below(name), &samba.password, Opening::Empty, &options(dialect)).unwrap();
        let source = |name: &str| SmbSource::connect_with(&samba.below(name), &samba.password, AsOf::Live, &options(dialect)).unwrap();
        let made = open("from");
        contract::windows::build(&made, &own);
        assert_eq!(shown(&made), Vec::<String>::new());
        let from = source("from");
        assert_eq!(from.facts().dialect, dialect);
        assert!(from.facts().protection.to_string().starts_with(protection), "{}", from.facts().protection);
        let target = open("to");
        contract::copy(&from, &target);
        assert_eq!(shown(&target), Vec::<String>::new(), "{dialect}");
        contract::windows::compare(&from, &source("to"));
        for entry in walk(&from) {
            let node = if entry.node.kind == Kind::File { contract::look(&from, &entry).unwrap().node } else { entry.node.clone() };
            assert_eq!(target.differences(&entry.key, &node).unwrap(), Vec::<&str>::new(), "{}", entry.key);
        }
    }
}

fn shown(target: &SmbTarget) -> Vec<String> {
    target.warnings().first.iter().map(|(key, text)| format!("{key}: {text}")).collect()
}

#[test]
fn a_server_that_demands_encryption_is_not_read_without() {
    let Some(samba) = Samba::start("required") else { return };
    let error = SmbSource::connect_with(&samba.url(), &samba.password, AsOf::Live, &options(Dialect::Smb210)).unwrap_err();
    println!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(!matches!(error, SourceError::NotFolder(_)), "{error:?}");
}

#[test]
fn a_restore_replaces_links_abandons_and_refuses() {
    let Some(samba) = Samba::start("default") else { return };
    let share = samba.folder();
    fs::create_dir_all(share.join("t/folder")).unwrap();
    fs::write(share.join("t/old"), "old").unwrap();
    samba.hand_over();
    let url = SmbUrl { path: vec!["t".into()], ..samba.url() };
    assert!(matches!(SmbTarget::connect(&url, &samba.password, Opening::Empty), Err(SourceError::NotEmpty(_))));
    let target = SmbTarget::connect(&url, &samba.password, Opening::Merge).unwrap();
    let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
    let file = Node::new(Kind::File);
    let begin = |path: &str, size, placing| target.file(&key(path), &file, &contract::content(size), placing);
    assert_eq!(target.look(&key("old")).unwrap().map(|present| (present.kind, present.size)), Some((Kind::File, 3)));
    assert_eq!(target.look(&key("folder")).unwrap().map(|present| present.kind), Some(Kind::Folder));
    assert_eq!(target.look(&key("none/below")).unwrap(), None);

    // What is there stays until the new one is whole, also if that can't be written.
    let mut writer = begin("old", 3, Placing::Replace).unwrap();
    writer.write_at(0, b"new").unwrap();
    assert_eq!(fs::read(share.join("t/old")).unwrap(), b"old");
    writer.abandon();
    assert_eq!(fs::read_dir(share.join("t")).unwrap().count(), 2);
    let mut read_only = file.clone();
    read_only.dos = Some(1);
    for _ in 0..2 {
        let mut writer = begin("old", 3, Placing::Replace).unwrap();
        writer.write_at(0, b"new").unwrap();
        writer.finish(&read_only).unwrap();
        assert_eq!(fs::read(share.join("t/old")).unwrap(), b"new");
    }
    let error = begin("old", 1, Placing::New).and_then(|file| file.finish(&Node::new(Kind::File))).unwrap_err();
    assert!(!error.fatal, "{error}");
    assert_eq!(fs::read(share.join("t/old")).unwrap(), b"new");

    // No file has its name before it is whole, and none takes the name of one that has come meanwhile.
    for size in [3, 5 << 20] {
        let mut writer = begin("meanwhile", size, Placing::New).unwrap();
        writer.write_at(0, &vec![b'n'; size as usize]).unwrap();
        assert!(!share.join("t/meanwhile").exists());
        fs::write(share.join("t/meanwhile"), "theirs").unwrap();
        let error = writer.finish(&file).unwrap_err();
        assert!(!error.fatal && error.text.contains("something of this name"), "{error}");
        assert_eq!(fs::read(share.join("t/meanwhile")).unwrap(), b"theirs");
        fs::remove_file(share.join("t/meanwhile")).unwrap();
    }
    assert_eq!(fs::read_dir(share.join("t")).unwrap().count(), 2);

    // Large and small ones that are given up leave nothing.
    for size in [3, 5 << 20] {
        let mut writer = begin("half", size, Placing::New).unwrap();
        writer.write_at(0, b"hal").unwrap();
        writer.abandon();
        assert!(!share.join("t/half").exists());
    }
    target.link(&key("folder/again"), &key("old")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&fs::metadata(share.join("t/old")).unwrap()), 2);
    target.folder(&key("folder"), &Node::new(Kind::Folder)).unwrap();
    assert!(target.folder(&key("old"), &Node::new(Kind::Folder)).is_err());

    // Names that are none, or lead elsewhere.
    for name in [&b"a\\b"[..], b"a:b", b"\xff"] {
        let key = Key::root().join(name).unwrap();
        let error = target.file(&key, &file, &contract::content(0), Placing::New).err().unwrap();
        assert!(!error.fatal && !error.text.contains("a:b"), "{error}");
    }
    assert!(begin("none/file", 0, Placing::New).is_err());
    let mut link = Node::new(Kind::Symlink);
    link.target = Some(b"/etc".to_vec());
    assert!(target.special(&key("link"), &link).is_err_and(|error| !error.fatal));
    assert_eq!(shown(&target), Vec::<String>::new());
}

#[test]
fn a_check_tells_what_a_backup_would_miss() {
    let Some(samba) = Samba::start("required") else { return };
    let share = samba.folder();
    fs::create_dir_all(share.join("a/b")).unwrap();
    fs::create_dir_all(share.join(".snapshots/@GMT-2026.11.20-00.00.00")).unwrap();
    fs::write(share.join("a/small"), "12345").unwrap();
    fs::write(share.join("a/b/large"), vec![1; 3 << 20]).unwrap();
    symlink("..", share.join("a/up")).unwrap();
    samba.hand_over();
    fs::write(share.join("closed"), "root's").unwrap();
    fs::set_permissions(share.join("closed"), fs::Permissions::from_mode(0o600)).unwrap();
    let target = SmbTarget::connect(&samba.url(), &samba.password, Opening::Merge).unwrap();
    let stream = keepwell_format::node::Stream { name: b"s".into(), content: contract::content(1) };
    let mut writer = target.stream(&Key::from_path(b"a/small").unwrap(), &stream).unwrap();
    writer.write_at(0, b"s").unwrap();
    writer.finish(&Node::new(Kind::File)).unwrap();

    let address = Address::Smb(samba.url());
    for read in [false, true] {
        let options = CheckOptions { read, ..CheckOptions::default() };
        let report = check(&address, Some(&samba.password), &options, &|_| {}).unwrap();
        assert_eq!((report.files, report.folders, report.bytes, report.streams), (3, 4, (3 << 20) + 11, 1), "{report:?}");
        assert_eq!(report.read_bytes, read.then_some((3 << 20) + 6));
        assert_eq!(report.gaps, [(GapReason::Permission, 1), (GapReason::Unsupported, 1)]);
        let gaps: Vec<_> = report.first_gaps.iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(gaps, ["a/up", "closed"]);
        assert_eq!(report.protocol, "SMB 3.1.1");
        assert!(report.protection.starts_with("encrypted"), "{}", report.protection);
        assert_eq!(report.snapshots.len(), 1);
        assert!(report.findings.iter().any(|finding| finding.contains("may also write")), "{:?}", report.findings);
        assert!(!report.is_whole() && report.ended.is_none());
    }
    let entries = list(&address, Some(&samba.password), AsOf::Live, &Key::from_path(b"a").unwrap()).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>(), ["a/b", "a/small", "a/up"]);
    assert!(list(&address, Some(&samba.password), AsOf::Live, &Key::from_path(b"none").unwrap()).is_err());
    assert_eq!(snapshots(&address, Some(&samba.password)).unwrap().len(), 1);
    assert!(matches!(check(&address, None, &CheckOptions::default(), &|_| {}), Err(SourceError::NoPassword { .. })));
}
