//! The contract on a real NFS-Ganesha server. Needs root and `ganesha.nfsd`; says so and passes where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod contract;
mod ganesha;
mod view;

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown, symlink};

use contract::{Keeps, compare, nasty, walk};
use ganesha::Ganesha;
use keepwell_format::port::{Encoding, Piece, Source, Steady, Walked};
use keepwell_format::{GapReason, Key, Kind};
use keepwell_source::{LocalSource, NfsSource, NfsUrl, SourceError, raise_open_files};
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
