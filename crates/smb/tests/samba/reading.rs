//! What is on the server is what comes.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::process::Command;

use keepwell_smb::{Ability, Dialect, FileTime, NtStatus, Open, OpenKind, Options, Want, attribute, part};

use crate::{Samba, all, names, noise, path, units};

const EVERYTHING: Want = Want { descriptor: true, sacl: true, streams: true, attributes: true, maximal_access: true, reparse: false };

#[test]
fn folders_are_listed() {
    let Some(samba) = Samba::start("required") else { return };
    fs::create_dir_all(samba.folder().join("many/inner")).unwrap();
    fs::create_dir_all(samba.folder().join("empty")).unwrap();
    for n in 0..3000 {
        fs::write(samba.folder().join(format!("many/{n:04}-{}", "x".repeat(60))), vec![7; n % 9]).unwrap();
    }
    samba.hand_over();
    let share = samba.share();
    let root = all(share.list(&path(""), None).unwrap());
    assert_eq!(names(&root), ["empty", "many"]);
    assert!(root.iter().all(|entry| entry.info.attributes & attribute::DIRECTORY != 0));
    assert!(all(share.list(&path("empty"), None).unwrap()).is_empty());

    let many = all(share.list(&path("many"), None).unwrap());
    assert_eq!(many.len(), 3001);
    assert!(many[..3000].iter().enumerate().all(|(n, entry)| entry.info.size == n as u64 % 9));
    let ids: std::collections::BTreeSet<_> = many.iter().map(|entry| entry.info.file_id).collect();
    assert_eq!(ids.len(), many.len());
    let local = fs::metadata(samba.folder().join(format!("many/0008-{}", "x".repeat(60)))).unwrap();
    let (seconds, nanos) = many[8].info.written.to_unix().unwrap();
    assert_eq!((seconds, i64::from(nanos)), (local.mtime(), local.mtime_nsec() / 100 * 100));

    let missing = share.list(&path("missing"), None).unwrap().next_batch().unwrap_err();
    assert_eq!(missing.status(), Some(NtStatus::OBJECT_NAME_NOT_FOUND));
    // Those that nobody reads to the end leave nothing behind.
    for _ in 0..50 {
        drop(share.list(&path("many"), None).unwrap());
        share.list(&path("many"), None).unwrap().next_batch().unwrap().unwrap();
    }
    assert_eq!(all(share.list(&path("empty"), None).unwrap()).len(), 0);
}

#[test]
fn a_small_file_comes_whole_in_one_visit() {
    let Some(samba) = Samba::start("required") else { return };
    let data = noise(5000);
    let local = samba.folder().join("letter.txt");
    fs::write(&local, &data).unwrap();
    fs::write(samba.folder().join("nothing"), b"").unwrap();
    samba.hand_over();
    for (name, value) in [("user.clinic", "practice"), ("user.empty-not", "1")] {
        assert!(Command::new("setfattr").args(["-n", name, "-v", value]).arg(&local).status().unwrap().success());
    }
    let share = samba.share();
    let entries = all(share.list(&path(""), None).unwrap());
    assert!(entries[0].info.ea_size > 0 && entries[1].info.ea_size == 0, "{entries:?}");

    let fetched = share.begin_fetch(&path("letter.txt"), 64 << 10, EVERYTHING, None).unwrap().wait().unwrap();
    assert!(fetched.whole && fetched.data == data);
    assert_eq!(fetched.held_still(), Some(true));
    let info = fetched.stat.info;
    assert_eq!((info.size, info.links, info.is_directory), (5000, 1, false));
    assert_eq!(info.file_id, entries[0].info.file_id);
    assert_eq!((info.created, info.written, info.changed), (entries[0].info.created, entries[0].info.written, entries[0].info.changed));
    // The user of the tests has no right to the SACL; that is found out once.
    assert!(share.sacl_refused() && !fetched.stat.has_sacl);
    let descriptor = fetched.stat.descriptor.unwrap().unwrap();
    // Revision 1, self-relative.
    assert!(descriptor[0] == 1 && descriptor[3] & 0x80 != 0);
    assert_eq!(fetched.stat.streams.unwrap(), []);
    let mut attributes = fetched.stat.attributes.unwrap();
    attributes.sort_unstable();
    let attributes: Vec<_> = attributes.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    assert_eq!(attributes, [(b"clinic".to_vec(), b"practice".to_vec()), (b"empty-not".to_vec(), b"1".to_vec())]);
    assert!(fetched.stat.maximal_access.unwrap() & keepwell_smb::access::READ_DATA != 0);

    let part_of = share.begin_fetch(&path("letter.txt"), 4999, Want::default(), None).unwrap().wait().unwrap();
    assert!(!part_of.whole && part_of.data == data[..4999]);
    for limit in [0, 100] {
        let empty = share.begin_fetch(&path("nothing"), limit, EVERYTHING, None).unwrap().wait().unwrap();
        assert!(empty.whole && empty.data.is_empty() && empty.stat.attributes.unwrap().is_empty());
    }
    let folder = share.begin_stat(&path(""), EVERYTHING, None).unwrap().wait().unwrap();
    assert!(folder.info.is_directory && folder.descriptor.unwrap().is_ok());
    let error = share.begin_fetch(&path(""), 10, Want::default(), None).unwrap().wait().unwrap_err();
    assert_eq!(error.status(), Some(NtStatus::FILE_IS_A_DIRECTORY));
    let error = share.begin_stat(&path("nowhere/at"), Want::default(), None).unwrap().wait().unwrap_err();
    assert_eq!(error.status(), Some(NtStatus::OBJECT_PATH_NOT_FOUND));
}

#[test]
fn every_dialect_gives_the_same() {
    let Some(samba) = Samba::start("default") else { return };
    fs::create_dir(samba.folder().join("folder")).unwrap();
    let local = samba.folder().join("folder/file");
    fs::write(&local, noise(70_000)).unwrap();
    samba.hand_over();
    assert!(Command::new("setfattr").args(["-n", "user.a", "-v", "b"]).arg(&local).status().unwrap().success());
    let seen = [Dialect::Smb210, Dialect::Smb300, Dialect::Smb302, Dialect::Smb311].map(|dialect| {
        let share = samba.connect(Options { min_dialect: dialect, max_dialect: dialect, ..Options::default() }).unwrap();
        assert_eq!(share.facts().dialect, dialect);
        let fetched = share.begin_fetch(&path("folder/file"), 1 << 20, EVERYTHING, None).unwrap().wait().unwrap();
        assert!(fetched.whole && fetched.data == noise(70_000), "{dialect}");
        let stat = fetched.stat;
        let listed = all(share.list(&path("folder"), None).unwrap());
        (stat.info, stat.descriptor, stat.attributes, stat.streams, listed, share.volume().unwrap().serial)
    });
    assert!(seen[0].1.as_ref().unwrap().is_ok() && seen[0].2.as_ref().unwrap().len() == 1);
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
}

#[test]
fn many_fetches_are_under_way_at_once() {
    let Some(samba) = Samba::start("required") else { return };
    for n in 0..300 {
        fs::write(samba.folder().join(n.to_string()), noise(n * 40)).unwrap();
    }
    samba.hand_over();
    let share = samba.share();
    let mut under_way = VecDeque::new();
    for n in 0..300 {
        under_way.push_back((n, share.begin_fetch(&path(&n.to_string()), 64 << 10, EVERYTHING, None).unwrap()));
        if under_way.len() == 16 {
            let (n, pending) = under_way.pop_front().unwrap();
            let fetched = pending.wait().unwrap();
            assert!(fetched.whole && fetched.data == noise(n * 40), "{n}");
        }
    }
    // The rest is nobody's.
    drop(under_way);
    assert_eq!(all(share.list(&path(""), None).unwrap()).len(), 300);
}

#[test]
fn large_files_come_in_pieces_in_flight() {
    let Some(samba) = Samba::start("required") else { return };
    let data = noise(20_000_001);
    fs::write(samba.folder().join("scan"), &data).unwrap();
    samba.hand_over();
    let share = samba.share();
    let step = share.facts().max_read.min(1 << 20);
    let file = share.begin_open(&path("scan"), &Open::reading(EVERYTHING, None)).unwrap().wait().unwrap();
    assert_eq!(file.stat().info.size, data.len() as u64);
    let mut asked = (0..).map(|n| n * u64::from(step)).take_while(|at| *at < data.len() as u64).map(|at| file.begin_read(at, step));
    let mut under_way: VecDeque<_> = asked.by_ref().take(6).map(Result::unwrap).collect();
    let mut read = Vec::new();
    while let Some(pending) = under_way.pop_front() {
        let bytes = pending.wait().unwrap();
        assert!(bytes.len() == step as usize || read.len() + bytes.len() == data.len());
        read.extend_from_slice(&bytes);
        under_way.extend(asked.next().map(Result::unwrap));
    }
    assert!(read == data);
    assert!(file.begin_read(data.len() as u64, 10).unwrap().wait().unwrap().is_empty());
    assert_eq!(file.begin_read(data.len() as u64 - 3, 10).unwrap().wait().unwrap(), data[data.len() - 3..]);
    // As much as one read can bring, if more is asked for.
    let longest = file.begin_read(0, u32::MAX).unwrap().wait().unwrap();
    assert!(!longest.is_empty() && data.starts_with(&longest));
    assert_eq!(file.close().unwrap().size, data.len() as u64);
}

#[test]
fn previous_versions_are_found_and_read() {
    let Some(samba) = Samba::start("required") else { return };
    assert_eq!(samba.share().snapshots().unwrap(), []);
    for (day, text) in [("20", "older"), ("21", "newer")] {
        let folder = samba.folder().join(format!(".snapshots/@GMT-2026.11.{day}-00.00.00"));
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(folder.join("sub")).unwrap();
        fs::write(folder.join("sub/report"), text).unwrap();
    }
    fs::create_dir(samba.folder().join("sub")).unwrap();
    fs::write(samba.folder().join("sub/report"), "today").unwrap();
    fs::write(samba.folder().join("sub/new"), "today").unwrap();
    samba.hand_over();
    let share = samba.share();
    let day = |day: i64| FileTime::from_unix(1_795_132_800 + day * 86_400, 0).unwrap();
    assert_eq!(share.snapshots().unwrap(), [day(1), day(0)]);
    for (as_of, text) in [(None, "today"), (Some(day(0)), "older"), (Some(day(1)), "newer")] {
        let fetched = share.begin_fetch(&path("sub/report"), 100, EVERYTHING, as_of).unwrap().wait().unwrap();
        assert_eq!(fetched.data, text);
        let listed = all(share.list(&path("sub"), as_of).unwrap());
        assert_eq!(listed.len(), if as_of.is_some() { 1 } else { 2 });
        let file = share.begin_open(&path("sub/report"), &Open::reading(Want::default(), as_of)).unwrap().wait().unwrap();
        assert_eq!(file.begin_read(0, 100).unwrap().wait().unwrap(), text);
    }
    let gone = share.begin_fetch(&path("sub/new"), 100, EVERYTHING, Some(day(0))).unwrap().wait().unwrap_err();
    assert_eq!(gone.status(), Some(NtStatus::OBJECT_NAME_NOT_FOUND));
}

#[test]
fn odd_names_are_kept() {
    let Some(samba) = Samba::start("default") else { return };
    let odd =
        ["CON", "nul.txt", "dot.", "space ", "Ka\u{308}se", "K\u{e4}se", "日本語", "\u{1F9B7}", "\u{F022}", "%20 #;@", &"n".repeat(255)];
    for name in odd {
        fs::create_dir(samba.folder().join(name)).unwrap();
        fs::write(samba.folder().join(name).join(name), name).unwrap();
    }
    samba.hand_over();
    let share = samba.share();
    let listed = all(share.list(&path(""), None).unwrap());
    let mut expected: Vec<_> = odd.iter().map(|name| units(name)).collect();
    expected.sort_unstable();
    assert_eq!(listed.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>(), expected);
    for name in odd {
        let fetched = share.begin_fetch(&path(&format!("{name}/{name}")), 1000, Want::default(), None).unwrap().wait().unwrap();
        assert_eq!(fetched.data, name);
    }
}

#[test]
fn holes_and_the_volume_are_known() {
    let Some(samba) = Samba::start("default") else { return };
    let local = fs::File::create(samba.folder().join("sparse")).unwrap();
    local.write_all_at(&[1; 4096], 0).unwrap();
    local.write_all_at(&[1; 4096], 16 << 20).unwrap();
    local.set_len(32 << 20).unwrap();
    samba.hand_over();
    let share = samba.share();
    let mut how = Open::writing(OpenKind::File, keepwell_smb::Disposition::Open);
    how.want = EVERYTHING;
    let file = share.begin_open(&path("sparse"), &how).unwrap().wait().unwrap();
    assert!(!file.is_new() && !file.stale());
    file.set_sparse().unwrap();
    let ranges = file.allocated_ranges(0, 32 << 20).unwrap();
    let [(0, first), (second, length)] = ranges[..] else { panic!("{ranges:?}") };
    assert!(first <= 1 << 20 && second <= 16 << 20 && second + length > 16 << 20 && second + length < 20 << 20, "{ranges:?}");
    assert!(file.allocated_ranges(20 << 20, 8 << 20).unwrap().is_empty());
    assert!(file.descriptor(part::OWNER).unwrap().len() >= 20);
    file.close().unwrap();

    let volume = share.volume().unwrap();
    assert_eq!(volume.file_system, "NTFS");
    assert!(volume.has(Ability::Streams) && volume.has(Ability::Descriptors) && !volume.has(Ability::ReadOnly), "{volume:?}");
    assert!(volume.total.unwrap() >= volume.free.unwrap() && volume.free.unwrap() > 0);
}
