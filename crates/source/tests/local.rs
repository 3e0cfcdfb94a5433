//! The contract on local folders, as root and as any user.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod contract;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use contract::{EVERYTHING, compare, copy, nasty, walk};
use keepwell_format::node::{Content, Extents};
use keepwell_format::port::{Piece, Placing, Source as _, Steady, Target as _, Walked};
use keepwell_format::{ContentHash, GapReason, Key, Kind, Node};
use keepwell_source::{LocalSource, LocalTarget, SourceError, raise_open_files};

fn find(source: &LocalSource, path: &str) -> Walked {
    let key = Key::from_path(path.as_bytes()).unwrap();
    walk(source).into_iter().find(|entry| entry.key == key).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_nasty_tree_comes_back_as_it_was() {
    // Removing the tree again holds a folder open for each level.
    raise_open_files();
    let scratch = tempfile::tempdir().unwrap();
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    let left_out = nasty::build(&from);
    println!("left out, because this system or user can't make them: {left_out:?}");
    let source = LocalSource::open(&from).unwrap();
    let target = LocalTarget::create(&to).unwrap();
    copy(&source, &target);
    assert_eq!(target.warnings().first, []);
    compare(&source, &LocalSource::open(&to).unwrap(), EVERYTHING);
    rsync_finds_no_difference(&from, &to);
    [from, to].iter().for_each(|tree| nasty::unlock(tree));
}

/// A second opinion. The deep folders are beyond PATH_MAX, where rsync can't go.
fn rsync_finds_no_difference(from: &Path, to: &Path) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-naicHAX", "--modify-window=-1", "--delete", "--exclude=/levels", "--exclude=/long", "--exclude=/sparse-5G"]);
    let Ok(output) = rsync.arg(from.join("")).arg(to.join("")).output() else {
        return println!("rsync is not installed: its comparison is left out");
    };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn holes_are_told_and_data_is_read_around_them() {
    let scratch = tempfile::tempdir().unwrap();
    let file = File::create(scratch.path().join("f")).unwrap();
    file.write_all_at(&[5; 4096], 1 << 20).unwrap();
    file.set_len(5 << 30).unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let entry = find(&source, "f");
    assert_eq!(entry.size, 5 << 30);
    assert_eq!(contract::read(&source, &entry).unwrap(), [(1 << 20, vec![5; 4096])]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_labelled() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("log");
    fs::write(&path, b"one").unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let entry = find(&source, "log");
    let mut buffer = [0; 64];

    let mut file = source.open(&entry).unwrap();
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(3)));
    File::options().append(true).open(&path).unwrap().write_all(b" two").unwrap();
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::End), "what is appended meanwhile is not read");
    let mut node = entry.node.clone();
    assert_eq!(file.finish(&mut node).unwrap(), Steady::Changed);
    assert_eq!(node, entry.node);

    // Read again from the same walk, it holds still: whole, with the metadata of what was read.
    let mut file = source.open(&entry).unwrap();
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(7)));
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::End));
    assert_eq!(file.finish(&mut node).unwrap(), Steady::Unchanged);
    assert_eq!(node, find(&source, "log").node);
}

#[test]
fn a_file_cut_while_it_is_read_ends_and_is_labelled() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("f");
    fs::write(&path, [1; 10_000]).unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let entry = find(&source, "f");
    let mut file = source.open(&entry).unwrap();
    let mut buffer = [0; 4096];
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(4096)));
    File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(904)));
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::End));
    assert_eq!(file.finish(&mut entry.node.clone()).unwrap(), Steady::Changed);
}

#[test]
fn what_vanished_or_was_replaced_is_a_gap() {
    let scratch = tempfile::tempdir().unwrap();
    for name in ["gone", "link", "other", "pipe"] {
        fs::write(scratch.path().join(name), name).unwrap();
    }
    fs::create_dir(scratch.path().join("folder")).unwrap();
    fs::write(scratch.path().join("folder/inside"), b"").unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let all = walk(&source);
    for name in ["gone", "link", "pipe"] {
        fs::remove_file(scratch.path().join(name)).unwrap();
    }
    symlink("/etc/passwd", scratch.path().join("link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, scratch.path().join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    fs::rename(scratch.path().join("other"), scratch.path().join("kept")).unwrap();
    fs::write(scratch.path().join("other"), b"new").unwrap();
    for entry in all.iter().filter(|entry| entry.node.kind == Kind::File && entry.key.name() != b"inside") {
        assert_eq!(source.open(entry).err().map(|gap| gap.reason), Some(GapReason::Vanished), "{}", entry.key);
    }
}

#[test]
fn a_folder_replaced_by_a_link_is_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"s").unwrap();
    fs::create_dir(scratch.path().join("a")).unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let mut steps = source.walk().unwrap();
    assert!(steps.next().unwrap().unwrap().key.is_root());
    fs::remove_dir(scratch.path().join("a")).unwrap();
    symlink(outside.path(), scratch.path().join("a")).unwrap();
    let rest: Vec<Walked> = steps.map(Result::unwrap).collect();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].node.kind, Kind::Symlink);
}

#[test]
fn a_file_that_is_abandoned_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
    let target = LocalTarget::create(scratch.path().join("t")).unwrap();
    let content = Content { size: 9, hash: ContentHash([0; 32]), extents: Extents::Inline(Vec::new()) };
    target.folder(&key("a"), &Node::new(Kind::Folder)).unwrap();
    let mut file = target.file(&key("a/b"), &Node::new(Kind::File), &content, Placing::New).unwrap();
    file.write_at(0, b"half").unwrap();
    file.abandon();
    assert_eq!(fs::read_dir(scratch.path().join("t/a")).unwrap().count(), 0);
    assert_eq!(target.warnings().count, 0);
}

#[test]
fn sources_and_targets_that_make_no_sense_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(LocalSource::open(&file), Err(SourceError::NotFolder(_))));
    assert!(matches!(LocalSource::open(scratch.path().join("none")), Err(SourceError::Missing(_))));
    assert!(matches!(LocalTarget::create(&file), Err(SourceError::NotFolder(_))));
    assert!(matches!(LocalTarget::create(scratch.path()), Err(SourceError::NotEmpty(_))));
    assert!(LocalTarget::create(scratch.path().join("new/folder")).is_ok());
    assert!(LocalTarget::create(scratch.path().join("new/folder")).is_ok(), "empty is fine");
}

#[test]
fn a_restore_cannot_be_led_outside() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let target = LocalTarget::create(scratch.path().join("t")).unwrap();
    let mut link = Node::new(Kind::Symlink);
    link.target = Some(outside.path().as_os_str().as_encoded_bytes().to_vec());
    let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
    let content = Content { size: 0, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) };
    target.special(&key("a"), &link).unwrap();
    let file = Node::new(Kind::File);
    let put = |path| target.file(&key(path), &file, &content, Placing::New).and_then(|begun| begun.finish(&file));
    assert!(put("a/b").is_err());
    assert!(target.folder(&key("a/b"), &Node::new(Kind::Folder)).is_err());
    assert!(target.folder(&key("a"), &Node::new(Kind::Folder)).is_err());
    assert!(target.finish_folder(&key("a"), &Node::new(Kind::Folder)).is_err());
    assert!(put("a").is_err() && target.special(&key("a"), &link).is_err());
    assert!(target.special(&Key::root(), &link).is_err());
    put("c").unwrap();
    assert!(target.link(&key("a/c"), &key("c")).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    let mode = fs::metadata(scratch.path().join("t/c")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "closed to others until the owner is known");
}

#[test]
fn access_lists_of_the_target_are_not_passed_on() {
    let scratch = tempfile::tempdir().unwrap();
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir_all(from.join("folder")).unwrap();
    fs::write(from.join("folder/file"), b"x").unwrap();
    fs::create_dir(&to).unwrap();
    for kind in ["system.posix_acl_default", "system.posix_acl_access"] {
        if rustix::fs::setxattr(&to, kind, &contract::acl::usual(), rustix::fs::XattrFlags::empty()).is_err() {
            return println!("skipped: this file system has no access lists");
        }
    }
    let source = LocalSource::open(&from).unwrap();
    copy(&source, &LocalTarget::create(&to).unwrap());
    compare(&source, &LocalSource::open(&to).unwrap(), EVERYTHING);
}

#[test]
fn the_identity_stays_and_tells_trees_apart() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("a")).unwrap();
    let open = |path: &Path| LocalSource::open(path).unwrap().info().clone();
    let first = open(scratch.path());
    fs::write(scratch.path().join("new"), b"").unwrap();
    assert_eq!(first, open(&scratch.path().join("a/..")));
    assert_ne!(first.identity, open(&scratch.path().join("a")).identity);
}

#[test]
fn walking_leaves_access_times_alone() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("f"), b"x").unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH;
    File::open(scratch.path().join("f")).unwrap().set_times(fs::FileTimes::new().set_accessed(old)).unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    contract::read(&source, &find(&source, "f")).unwrap();
    assert_eq!(fs::metadata(scratch.path().join("f")).unwrap().accessed().unwrap(), old);
}

/// Runs the tests below again as a user without rights, when this is root.
#[test]
fn as_a_normal_user() {
    if !is_root() || std::env::var_os("KEEPWELL_TEST_AS_USER").is_some() {
        return;
    }
    let program = tempfile::tempdir().unwrap();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = program.path().join("local-tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"])
        .arg(&copy)
        .current_dir("/")
        .env("KEEPWELL_TEST_AS_USER", "1")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn what_a_user_may_not_read_is_a_gap() {
    if is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let closed = fs::Permissions::from_mode(0o0);
    fs::write(scratch.path().join("file"), b"x").unwrap();
    fs::set_permissions(scratch.path().join("file"), closed.clone()).unwrap();
    for name in ["folder", "listed-only"] {
        fs::create_dir(scratch.path().join(name)).unwrap();
        fs::write(scratch.path().join(name).join("inside"), b"").unwrap();
    }
    fs::set_permissions(scratch.path().join("folder"), closed).unwrap();
    fs::set_permissions(scratch.path().join("listed-only"), fs::Permissions::from_mode(0o400)).unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let all = walk(&source);
    let reason = |path: &str| all.iter().find(|e| e.key.to_string() == path).unwrap().node.gap.as_ref().map(|gap| gap.reason);
    assert_eq!(all.len(), 5);
    assert_eq!(reason("folder"), Some(GapReason::Permission));
    assert_eq!(reason("listed-only"), None);
    assert_eq!(reason("listed-only/inside"), Some(GapReason::Permission));
    assert_eq!(reason("file"), None);
    assert_eq!(source.open(&find(&source, "file")).err().map(|gap| gap.reason), Some(GapReason::Permission));
    for name in ["folder", "listed-only"] {
        fs::set_permissions(scratch.path().join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn what_a_user_may_not_set_is_warned_of() {
    if is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let target = LocalTarget::create(scratch.path().join("t")).unwrap();
    let mut node = Node::new(Kind::File);
    node.owner = Some(keepwell_format::node::Owner { mode: 0o4755, uid: 0, gid: 0 });
    let content = Content { size: 0, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) };
    let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
    target.file(&key("f"), &node, &content, Placing::New).unwrap().finish(&node).unwrap();
    let mode = fs::metadata(scratch.path().join("t/f")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "not set-uid for somebody else");
    let mut device = Node::new(Kind::BlockDevice);
    device.device = Some((8, 0));
    target.special(&key("sda"), &device).unwrap();
    let warnings = target.warnings();
    assert_eq!(warnings.count, 2);
    assert_eq!(warnings.first.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>(), ["f", "sda"]);
}
