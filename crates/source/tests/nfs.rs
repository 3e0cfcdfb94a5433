//! The contract on a real NFS-Ganesha server. Needs root and `ganesha.nfsd`; says so and passes where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod contract;
mod ganesha;
mod view;

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};

use contract::{Keeps, compare, nasty, walk};
use ganesha::Ganesha;
use keepwell_format::node::{Attribute, Content, Extents, Owner};
use keepwell_format::port::{Encoding, Piece, Placing, Source, Steady, Target as _, Walked};
use keepwell_format::{ContentHash, GapReason, Key, Kind, Node, Time};
use keepwell_source::{
    Address, CheckOptions, LocalSource, NfsSource, NfsTarget, NfsUrl, NfsVersion, Opening, SourceError, check, raise_open_files,
};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use view::View;

/// What version 3 keeps, where [`View`] leaves out what it can't.
const POSIX: Keeps = Keeps { posix: true, holes: false, time_unit: 1 };

fn find(source: &dyn Source, path: &str) -> Walked {
    let key = Key::from_path(path.as_bytes()).unwrap();
    walk(source).into_iter().find(|entry| entry.key == key).unwrap()
}

#[test]
fn a_nasty_export_is_read_as_it_is() {
    raise_open_files();
    let Some(server) = Ganesha::start(&[]) else { return };
    println!("left out, because this system or user can't make them: {:?}", nasty::build(&server.share()));
    // Version 3 has no map of holes: 5 GiB of zeros would come over the wire.
    fs::remove_file(server.share().join("sparse-5G")).unwrap();
    let source = server.connect();
    assert_eq!(source.info().encoding, Encoding::Bytes);
    assert_eq!(source.info().location, server.url.to_string());
    assert_eq!(source.info().identity, server.connect().info().identity);
    let local = LocalSource::open(server.share()).unwrap();
    compare(&View(&local), &View(&source), POSIX);
    nasty::unlock(&server.share());
}

#[test]
fn files_are_read_from_many_threads_and_large_ones_in_pieces() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let big: Vec<u8> = (0..9_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(server.share().join("big"), &big).unwrap();
    fs::write(server.share().join("one-read"), &big[..1 << 20]).unwrap();
    fs::write(server.share().join("one-more"), &big[..(1 << 20) + 1]).unwrap();
    for folder in 0..20 {
        fs::create_dir_all(server.share().join(format!("{folder}/below"))).unwrap();
        for n in 0..60 {
            fs::write(server.share().join(format!("{folder}/below/{n}")), format!("{folder} {n}").repeat(n)).unwrap();
        }
    }
    let source = server.connect();
    let all: Vec<_> = walk(&source).into_iter().filter(|entry| entry.node.kind == Kind::File).collect();
    assert_eq!(all.len(), 1203);
    std::thread::scope(|scope| {
        for worker in 0..source.info().parallel_reads {
            let (all, source, share) = (&all, &source, server.share());
            scope.spawn(move || {
                for entry in all.iter().skip(worker).step_by(source.info().parallel_reads) {
                    let runs = contract::read(source, entry).unwrap();
                    let bytes: Vec<u8> = runs.into_iter().flat_map(|(_, run)| run).collect();
                    assert!(bytes == fs::read(share.join(String::from_utf8(entry.key.to_path()).unwrap())).unwrap(), "{}", entry.key);
                }
            });
        }
    });
}

#[test]
fn long_zeros_of_sparse_files_are_holes() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let file = fs::File::create(server.share().join("sparse")).unwrap();
    file.write_all_at(&[5; 4096], 20 << 20).unwrap();
    file.set_len((40 << 20) + 5).unwrap();
    fs::write(server.share().join("zeros"), vec![0; 3 << 20]).unwrap();
    let source = server.connect();
    let runs = contract::read(&source, &find(&source, "sparse")).unwrap();
    assert_eq!(runs.iter().map(|(at, run)| (*at, run.len())).collect::<Vec<_>>(), [(20 << 20, 64 << 10)]);
    assert!(runs[0].1[..4096] == [5; 4096] && runs[0].1[4096..].iter().all(|byte| *byte == 0));
    let runs = contract::read(&source, &find(&source, "zeros")).unwrap();
    assert_eq!(runs.iter().map(|(at, run)| (*at, run.len())).collect::<Vec<_>>(), [(0, 3 << 20)]);
}

#[test]
fn what_changes_or_vanishes_is_told() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let path = |name: &str| server.share().join(name);
    for name in ["log", "gone", "replaced", "cut"] {
        fs::write(path(name), vec![b'x'; 3 << 20]).unwrap();
    }
    let source = server.connect();
    let entries = ["log", "gone", "replaced", "cut"].map(|name| find(&source, name));
    let mut buffer = vec![0; 64 << 10];

    let mut file = source.open(&entries[0]).unwrap();
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(_)));
    fs::File::options().write(true).open(path("log")).unwrap().write_all_at(b"more", 3 << 20).unwrap();
    let mut read = buffer.len();
    while let Piece::Data(some) = file.next(&mut buffer).unwrap() {
        read += some;
    }
    assert_eq!(read, 3 << 20, "what is appended meanwhile is not read");
    assert_eq!(file.finish(&mut entries[0].node.clone()).unwrap(), Steady::Changed);
    // Read again from the same walk, it holds still: whole, with the metadata of what was read.
    let mut node = entries[0].node.clone();
    let mut file = source.open(&entries[0]).unwrap();
    while !matches!(file.next(&mut buffer).unwrap(), Piece::End) {}
    assert_eq!(file.finish(&mut node).unwrap(), Steady::Unchanged);
    assert_eq!(node, find(&source, "log").node);

    fs::remove_file(path("gone")).unwrap();
    fs::remove_file(path("replaced")).unwrap();
    symlink("/etc/passwd", path("replaced")).unwrap();
    for entry in &entries[1..3] {
        assert_eq!(source.open(entry).err().map(|gap| gap.reason), Some(GapReason::Vanished), "{}", entry.key);
    }
    let mut file = source.open(&entries[3]).unwrap();
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(_)));
    fs::File::options().write(true).open(path("cut")).unwrap().set_len(100).unwrap();
    while !matches!(file.next(&mut buffer).unwrap(), Piece::End) {}
    assert_eq!(file.finish(&mut entries[3].node.clone()).unwrap(), Steady::Changed);
}

#[test]
fn what_a_user_may_not_read_is_a_gap() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let path = |name: &str| server.share().join(name);
    fs::write(path("closed"), b"x").unwrap();
    fs::write(path("group"), b"for the group").unwrap();
    fs::create_dir(path("closed-folder")).unwrap();
    fs::write(path("closed-folder/inside"), b"").unwrap();
    chown(path("group"), Some(0), Some(4711)).unwrap();
    for (name, mode) in [("closed", 0o600), ("closed-folder", 0o700), ("group", 0o640)] {
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let url = NfsUrl { uid: Some(65_534), gid: Some(65_534), groups: vec![1, 4711], ..server.url.clone() };
    let source = NfsSource::connect(&url).unwrap();
    let all = walk(&source);
    assert_eq!(all.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>(), ["/", "closed", "closed-folder", "group"]);
    assert_eq!(all[2].node.gap.as_ref().map(|gap| gap.reason), Some(GapReason::Permission));
    assert_eq!(source.open(&all[1]).err().map(|gap| gap.reason), Some(GapReason::Permission));
    assert_eq!(contract::read(&source, &all[3]).unwrap(), [(0, b"for the group".to_vec())]);
}

#[test]
fn a_folder_below_the_export_is_a_tree_of_its_own() {
    let Some(server) = Ganesha::start(&[]) else { return };
    fs::create_dir_all(server.share().join("a/b c")).unwrap();
    fs::write(server.share().join("a/b c/file"), b"x").unwrap();
    symlink("a", server.share().join("link")).unwrap();
    let below = NfsUrl { path: vec![b"a".to_vec(), b"b c".to_vec()], ..server.url.clone() };
    let source = NfsSource::connect(&below).unwrap();
    compare(&View(&LocalSource::open(server.share().join("a/b c")).unwrap()), &View(&source), POSIX);
    assert_ne!(source.info().identity, server.connect().info().identity);
    for path in [vec![b"none".to_vec()], vec![b"link".to_vec(), b"b c".to_vec()], vec![b"a".to_vec(), b"b c".to_vec(), b"file".to_vec()]] {
        let url = NfsUrl { path, ..server.url.clone() };
        assert!(matches!(NfsSource::connect(&url), Err(SourceError::Share { .. })), "{url}");
    }
    let other = NfsUrl { export: b"/other".to_vec(), ..server.url.clone() };
    assert!(matches!(NfsSource::connect(&other), Err(SourceError::Share { .. })));
    let closed = NfsUrl { port: Some(1), mount_port: Some(1), ..server.url.clone() };
    assert!(matches!(NfsSource::connect(&closed), Err(SourceError::Unreachable { .. })));
}

fn content(size: u64) -> Content {
    Content { size, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) }
}

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

#[test]
fn a_nasty_tree_is_written_back_as_it_was() {
    raise_open_files();
    let Some(server) = Ganesha::start(&[]) else { return };
    let scratch = tempfile::tempdir().unwrap();
    nasty::build(scratch.path());
    // Over version 3 its zeros would be read back one by one.
    fs::remove_file(scratch.path().join("sparse-5G")).unwrap();
    let source = LocalSource::open(scratch.path()).unwrap();
    let target = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
    assert_eq!(target.look(&Key::root()).unwrap(), None, "empty");
    contract::copy(&View(&source), &target);
    let kinds = |warnings: &[(Key, String)]| warnings.iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>();
    assert_eq!(kinds(&target.warnings().first), Vec::<String>::new());
    compare(&View(&source), &View(&LocalSource::open(server.share()).unwrap()), POSIX);
    for entry in walk(&View(&source)) {
        assert_eq!(target.differences(&entry.key, &entry.node).unwrap(), Vec::<&str>::new(), "{}", entry.key);
    }
    let sparse = fs::metadata(server.share().join("sparse")).unwrap();
    assert!(sparse.blocks() < 1_000, "holes stay holes");
    [scratch.path(), &server.share()].iter().for_each(|tree| nasty::unlock(tree));
}

#[test]
fn what_version_3_cannot_keep_is_warned_of_and_a_difference() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let target = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
    let mut node = Node::new(Kind::File);
    node.attributes = vec![Attribute { name: b"user.x".to_vec(), value: vec![1] }];
    node.mtime = Some(Time { seconds: -1, nanos: 0 });
    node.descriptor = Some(vec![1]);
    target.file(&key("f"), &node, &content(0), Placing::New).unwrap().finish(&node).unwrap();
    assert_eq!(target.warnings().count, 3);
    assert_eq!(target.differences(&key("f"), &node).unwrap(), ["times", "attributes", "descriptor"]);
}

#[test]
fn a_file_takes_anothers_place_when_it_is_whole_and_not_before() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let path = server.share().join("f");
    fs::write(&path, b"old").unwrap();
    let target = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
    let present = target.look(&key("f")).unwrap().unwrap();
    assert_eq!((present.kind, present.size), (Kind::File, 3));
    assert_eq!(target.look(&key("none")).unwrap(), None);
    let node = Node::new(Kind::File);
    let file = target.file(&key("f"), &node, &content(0), Placing::New).unwrap();
    assert!(file.finish(&node).unwrap_err().text.contains("exists"));
    assert_eq!((fs::read(&path).unwrap(), fs::read_dir(server.share()).unwrap().count()), (b"old".to_vec(), 1));

    let mut file = target.file(&key("f"), &node, &content(9), Placing::Replace).unwrap();
    file.write_at(0, b"half").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    file.abandon();
    assert_eq!(fs::read_dir(server.share()).unwrap().count(), 1);

    let big: Vec<u8> = (0..9_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let mut file = target.file(&key("f"), &node, &content(big.len() as u64), Placing::Replace).unwrap();
    for (number, piece) in big.chunks(777_777).enumerate() {
        file.write_at(number as u64 * 777_777, piece).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    file.finish(&node).unwrap();
    assert!(fs::read(&path).unwrap() == big);
    assert_eq!(fs::read_dir(server.share()).unwrap().count(), 1);
    let mut read = target.read(&key("f"), None).unwrap();
    let (mut back, mut buffer) = (Vec::new(), vec![0; 100_000]);
    while let Piece::Data(some) = read.next(&mut buffer).unwrap() {
        back.extend_from_slice(&buffer[..some]);
    }
    assert!(back == big);
}

#[test]
fn a_new_file_gets_its_name_when_it_is_whole_and_leaves_nothing_else() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let target = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
    let (mut folder, mut node) = (Node::new(Kind::Folder), Node::new(Kind::File));
    folder.mtime = Some(Time { seconds: 1_000_000_000, nanos: 5 });
    node.mtime = Some(Time { seconds: 1_000_000_001, nanos: 6 });
    target.folder(&key("a"), &folder).unwrap();
    let names = || fs::read_dir(server.share().join("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    // Cut in the middle: what is left is no `f`.
    let mut cut = target.file(&key("a/f"), &node, &content(9), Placing::New).unwrap();
    cut.write_at(0, b"half").unwrap();
    assert!(names().len() == 1 && names()[0].to_str().unwrap().ends_with(".part"));
    cut.abandon();
    let mut file = target.file(&key("a/f"), &node, &content(5), Placing::New).unwrap();
    file.write_at(0, b"whole").unwrap();
    assert_eq!(target.look(&key("a/f")).unwrap(), None);
    file.finish(&node).unwrap();
    target.finish_folder(&key("a"), &folder).unwrap();
    assert_eq!((names(), fs::read(server.share().join("a/f")).unwrap()), (vec!["f".into()], b"whole".to_vec()));
    assert_eq!(fs::metadata(server.share().join("a/f")).unwrap().nlink(), 1);
    for (path, node) in [("a", &folder), ("a/f", &node)] {
        assert_eq!(target.differences(&key(path), node).unwrap(), Vec::<&str>::new(), "{path}");
    }
}

#[test]
fn the_folder_of_a_restore_is_made_where_it_is_not_there() {
    let Some(server) = Ganesha::start(&[]) else { return };
    let at = |names: &[&str]| NfsUrl { path: names.iter().map(|name| name.as_bytes().to_vec()).collect(), ..server.url.clone() };
    let empty = |names: &[&str]| NfsTarget::connect(&at(names), Opening::Empty);
    let preview = NfsTarget::connect(&at(&["a", "b c"]), Opening::Preview { empty: true }).unwrap();
    assert_eq!((preview.look(&Key::root()).unwrap(), preview.look(&key("a")).unwrap()), (None, None));
    assert_eq!(fs::read_dir(server.share()).unwrap().count(), 0, "a preview makes nothing");
    let target = empty(&["a", "b c"]).unwrap();
    assert_eq!(target.look(&Key::root()).unwrap(), None);
    let node = Node::new(Kind::File);
    target.file(&key("f"), &node, &content(0), Placing::New).unwrap().finish(&node).unwrap();
    assert!(server.share().join("a/b c/f").exists());
    assert!(matches!(empty(&["a", "b c"]), Err(SourceError::NotEmpty(_))));
    assert!(matches!(NfsTarget::connect(&at(&["a"]), Opening::Preview { empty: true }), Err(SourceError::NotEmpty(_))));
    // Neither through a file nor through a link.
    symlink("..", server.share().join("a/link")).unwrap();
    for names in [&["a", "b c", "f", "x"][..], &["a", "link", "x"], &["a", "link"]] {
        assert!(matches!(empty(names), Err(SourceError::Share { .. })), "{names:?}");
    }
    assert_eq!(fs::read_dir(server.share()).unwrap().count(), 1);
}

#[test]
fn a_check_asks_which_files_may_be_read() {
    let Some(server) = Ganesha::start(&[]) else { return };
    fs::create_dir(server.share().join("a")).unwrap();
    for (name, mode) in [("a/closed", 0o600), ("a/open", 0o644), ("open", 0o604)] {
        fs::write(server.share().join(name), b"12345").unwrap();
        fs::set_permissions(server.share().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let address = Address::Nfs(NfsUrl { uid: Some(65_534), gid: Some(65_534), ..server.url.clone() });
    for read in [false, true] {
        let report = check(&address, None, &CheckOptions { read, ..CheckOptions::default() }, &|_| {}).unwrap();
        assert_eq!((report.files, report.folders, report.bytes, report.ended), (3, 2, 15, None));
        assert_eq!(report.gaps, [(GapReason::Permission, 1)], "read: {read}");
        assert_eq!(report.first_gaps[0].0, key("a/closed"));
    }
}

#[test]
fn a_restore_cannot_be_led_outside() {
    let Some(server) = Ganesha::start(&[]) else { return };
    fs::create_dir_all(server.share().join("top")).unwrap();
    fs::create_dir(server.share().join("outside")).unwrap();
    let target = NfsTarget::connect(&NfsUrl { path: vec![b"top".to_vec()], ..server.url.clone() }, Opening::Merge).unwrap();
    let mut link = Node::new(Kind::Symlink);
    link.target = Some(b"../outside".to_vec());
    target.special(&key("a"), &link).unwrap();
    let (file, folder) = (Node::new(Kind::File), Node::new(Kind::Folder));
    assert!(target.file(&key("a/b"), &file, &content(0), Placing::New).is_err());
    assert!(target.file(&key("a/b"), &file, &content(0), Placing::Replace).is_err());
    assert!(target.folder(&key("a/b"), &folder).is_err());
    assert!(target.folder(&key("a"), &folder).is_err());
    assert!(target.finish_folder(&key("a"), &folder).is_err());
    assert!(target.special(&key("a/b"), &link).is_err());
    assert!(target.special(&Key::root(), &link).is_err());
    target.file(&key("c"), &file, &content(0), Placing::New).unwrap().finish(&file).unwrap();
    assert!(target.link(&key("a/c"), &key("c")).is_err());
    assert_eq!(fs::read_dir(server.share().join("outside")).unwrap().count(), 0);
    assert_eq!(fs::metadata(server.share().join("top/c")).unwrap().permissions().mode() & 0o777, 0o600, "closed until the owner is known");
}

#[test]
fn what_a_user_cannot_restore_is_said_before_and_warned_of() {
    let Some(server) = Ganesha::start(&[]) else { return };
    fs::set_permissions(server.share(), fs::Permissions::from_mode(0o755)).unwrap();
    let lacking = |target: &NfsTarget| target.lacking().join("; ");
    let root = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
    assert_eq!(lacking(&root), "access lists can't be set: this server has no NFSACL");
    let user = NfsUrl { uid: Some(65_534), gid: Some(65_534), ..server.url.clone() };
    assert!(lacking(&NfsTarget::connect(&user, Opening::Merge).unwrap()).contains("may not write"));
    chown(server.share(), Some(65_534), Some(65_534)).unwrap();
    let target = NfsTarget::connect(&user, Opening::Merge).unwrap();
    assert!(lacking(&target).contains("by user 65534") && !lacking(&target).contains("may not write"));
    let mut node = Node::new(Kind::File);
    node.owner = Some(Owner { mode: 0o4755, uid: 0, gid: 0 });
    target.file(&key("f"), &node, &content(0), Placing::New).unwrap().finish(&node).unwrap();
    assert_eq!(fs::metadata(server.share().join("f")).unwrap().permissions().mode() & 0o7777, 0o755, "not set-uid for somebody else");
    assert_eq!(target.warnings().count, 1, "{:?}", target.warnings());
    assert_eq!(target.differences(&key("f"), &node).unwrap(), ["owner", "mode"]);
}

#[test]
fn a_server_that_squashes_root_or_is_read_only_is_told() {
    for settings in [("KEEPWELL_GANESHA_SQUASH", "Root_Squash"), ("KEEPWELL_GANESHA_ACCESS", "RO")] {
        let Some(server) = Ganesha::start(&[settings]) else { return };
        fs::set_permissions(server.share(), fs::Permissions::from_mode(0o755)).unwrap();
        let target = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
        assert!(target.lacking().iter().any(|text| text.contains("root_squash")), "{:?}", target.lacking());
        let error = target.folder(&key("a"), &Node::new(Kind::Folder)).unwrap_err();
        assert_eq!(error.fatal, settings.1 == "RO", "{error}");
    }
}

#[test]
fn a_full_disk_ends_the_restore() {
    let Some(server) = Ganesha::start_on_small_disk() else { return };
    let target = NfsTarget::connect(&server.url, Opening::Merge).unwrap();
    let node = Node::new(Kind::File);
    let mut file = target.file(&key("big"), &node, &content(64 << 20), Placing::Replace).unwrap();
    let piece = vec![1; 1 << 20];
    let written = (0..64).try_for_each(|n| file.write_at(n << 20, &piece));
    let error = written.err().or_else(|| file.finish(&node).err()).unwrap();
    assert!(error.fatal && error.text.contains("no space"), "{error}");
}

/// All lines of the contract but those that the module's documentation names: names that are no UTF-8, old and late times, access lists, holes.
#[test]
fn an_export_is_read_over_version_4_1_but_for_what_its_documentation_names() {
    raise_open_files();
    let Some(server) = Ganesha::start(&[]) else { return };
    nasty::build(&server.share());
    fs::remove_file(server.share().join("sparse-5G")).unwrap();
    let odd = |name: &std::ffi::OsStr| name.to_str().is_none();
    for entry in fs::read_dir(server.share()).unwrap().map(Result::unwrap).filter(|entry| odd(&entry.file_name())) {
        fs::remove_file(entry.path()).unwrap();
    }
    for name in ["before-1970", "fifo", "dangling"] {
        let second = Timespec { tv_sec: 1_000_000_000, tv_nsec: 7 };
        let times = Timestamps { last_access: second, last_modification: second };
        utimensat(CWD, server.share().join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
    let url = NfsUrl { version: NfsVersion::V41, mount_port: None, ..server.url.clone() };
    let source = NfsSource::connect(&url).unwrap();
    assert_eq!(source.info().location, url.to_string());
    let local = LocalSource::open(server.share()).unwrap();
    compare(&View(&local), &View(&source), POSIX);
    nasty::unlock(&server.share());

    let big: Vec<u8> = (0..9_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::create_dir(server.share().join("new")).unwrap();
    fs::write(server.share().join("new/big"), &big).unwrap();
    fs::write(server.share().join("new/gone"), &big).unwrap();
    let below = NfsUrl { path: vec![b"new".to_vec()], ..url.clone() };
    let source = NfsSource::connect(&below).unwrap();
    let entries = [find(&source, "big"), find(&source, "gone")];
    assert!(contract::read(&source, &entries[0]).unwrap() == [(0, big)]);
    fs::remove_file(server.share().join("new/gone")).unwrap();
    assert_eq!(source.open(&entries[1]).err().map(|gap| gap.reason), Some(GapReason::Vanished));
    assert!(matches!(NfsTarget::connect(&url, Opening::Merge), Err(SourceError::NotYet { .. })));
}
