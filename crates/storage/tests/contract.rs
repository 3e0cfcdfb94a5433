//! What every `Disk` must do, the same for all: run on folders, on memory and on faulty disks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use keepwell_storage::{DeadlineDisk, DirectoryDisk, Disk, DiskErrorKind, FaultyDisk, FileKind, Machine, MemoryDisk};

/// Runs one check on a fresh, empty disk of each kind.
fn on_all(check: fn(&dyn Disk)) {
    check(&MemoryDisk::new("memory"));
    check(&FaultyDisk::new(&Machine::new(), "faulty"));
    let root = tempfile::tempdir().unwrap();
    check(&DirectoryDisk::new("directory", root.path()));
    let root = tempfile::tempdir().unwrap();
    let patient = |disk: Arc<dyn Disk>| DeadlineDisk::new(disk, Duration::from_secs(600));
    check(&patient(Arc::new(DirectoryDisk::new("directory in time", root.path()))));
    check(&patient(Arc::new(MemoryDisk::new("memory in time"))));
}

fn content(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let mut bytes = vec![0; disk.len(path).unwrap() as usize];
    disk.read_at(path, 0, &mut bytes).unwrap();
    bytes
}

fn names(disk: &dyn Disk, folder: &str) -> Vec<String> {
    disk.list(folder).unwrap().into_iter().map(|f| f.name).collect()
}

#[test]
fn parts_are_written_one_after_the_other_and_replace_what_was_there() {
    on_all(|disk| {
        disk.write("a", &[b"one", b"", b"two"]).unwrap();
        assert_eq!(content(disk, "a"), b"onetwo");
        disk.write("a", &[b"x"]).unwrap();
        assert_eq!(content(disk, "a"), b"x");
        disk.write("a", &[]).unwrap();
        assert_eq!(disk.len("a").unwrap(), 0);
        let many: Vec<Vec<u8>> = (0..3000u32).map(|n| n.to_le_bytes().to_vec()).collect();
        disk.write("a", &many.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        assert_eq!(content(disk, "a"), many.concat());
    });
}

#[test]
fn large_files_are_written_and_read_in_one() {
    on_all(|disk| {
        let large: Vec<u8> = (0..5_000_003u32).map(|n| (n % 251) as u8).collect();
        disk.write("a", &[b"head", &large, b"tail"]).unwrap();
        assert_eq!(content(disk, "a"), [b"head", &large[..], b"tail"].concat());
        let mut chunks = large.chunks(1_000_000).map(<[u8]>::to_vec);
        disk.write_chunks("a", &mut |_| chunks.next()).unwrap();
        assert_eq!(content(disk, "a"), large);
    });
}

#[test]
fn reads_are_exact() {
    on_all(|disk| {
        disk.write("a", &[b"0123456789"]).unwrap();
        let mut four = [0; 4];
        disk.read_at("a", 6, &mut four).unwrap();
        assert_eq!(&four, b"6789");
        assert_eq!(disk.read_at("a", 7, &mut four).unwrap_err().kind, DiskErrorKind::Short);
        assert_eq!(disk.read_at("a", 99, &mut four).unwrap_err().kind, DiskErrorKind::Short);
        disk.read_at("a", 10, &mut []).unwrap();
        assert_eq!(disk.read_at("b", 0, &mut four).unwrap_err().kind, DiskErrorKind::NotFound);
        assert_eq!(disk.len("b").unwrap_err().kind, DiskErrorKind::NotFound);
    });
}

#[test]
fn folders_and_listings() {
    on_all(|disk| {
        assert!(disk.list("").unwrap().is_empty());
        assert!(disk.list("packs").unwrap().is_empty());
        assert_eq!(disk.write("packs/a", &[b"1"]).unwrap_err().kind, DiskErrorKind::NotFound);
        disk.make_folder("packs").unwrap();
        disk.make_folder("packs").unwrap();
        disk.write("packs/b", &[b"12"]).unwrap();
        disk.write("packs/a", &[b"1"]).unwrap();
        disk.write("label", &[b"123"]).unwrap();
        disk.sync_folder("packs").unwrap();
        disk.sync_folder("").unwrap();
        assert_eq!(names(disk, "packs"), ["a", "b"]);
        let root: Vec<_> = disk.list("").unwrap().into_iter().map(|f| (f.name, f.len, f.kind)).collect();
        assert_eq!(root, [("label".into(), 3, FileKind::File), ("packs".into(), 0, FileKind::Folder)]);
        assert_eq!(disk.sync_folder("slots").unwrap_err().kind, DiskErrorKind::NotFound);
    });
}

#[test]
fn renames_replace_and_removes_remove() {
    on_all(|disk| {
        disk.make_folder("packs").unwrap();
        disk.write("packs/.tmp-a", &[b"new"]).unwrap();
        disk.write("packs/a", &[b"old"]).unwrap();
        disk.sync_file("packs/.tmp-a").unwrap();
        disk.rename("packs/.tmp-a", "packs/a").unwrap();
        assert_eq!((names(disk, "packs"), content(disk, "packs/a")), (vec!["a".into()], b"new".to_vec()));
        assert_eq!(disk.rename("packs/.tmp-a", "packs/a").unwrap_err().kind, DiskErrorKind::NotFound);
        assert_eq!(disk.sync_file("packs/.tmp-a").unwrap_err().kind, DiskErrorKind::NotFound);
        disk.remove("packs/a").unwrap();
        assert_eq!(disk.remove("packs/a").unwrap_err().kind, DiskErrorKind::NotFound);
        assert!(names(disk, "packs").is_empty());
    });
}

#[test]
fn there_is_one_lock() {
    on_all(|disk| {
        let lock = disk.lock().unwrap();
        assert_eq!(disk.lock().unwrap_err().kind, DiskErrorKind::Locked);
        drop(lock);
        drop(disk.lock().unwrap());
    });
}

#[test]
fn space_and_errors_name_the_disk() {
    on_all(|disk| {
        let space = disk.space().unwrap();
        assert!(space.free > 0 && space.free <= space.total);
        let error = disk.len("packs/a").unwrap_err();
        assert_eq!((error.disk.as_str(), error.path.as_str()), (disk.name(), "packs/a"));
        assert!(error.to_string().contains(disk.name()), "{error}");
    });
}

#[test]
fn paths_stay_within_a_folder_disk() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("disk")).unwrap();
    std::fs::write(root.path().join("outside"), "x").unwrap();
    let disk = DirectoryDisk::new("disk-1", root.path().join("disk"));
    for path in ["../outside", "/etc/passwd", "a/../../outside", "a/b/c", "", "."] {
        assert!(disk.write(path, &[b"y"]).is_err(), "{path}");
        assert!(disk.len(path).is_err(), "{path}");
    }
    std::os::unix::fs::symlink(root.path().join("outside"), root.path().join("disk/link")).unwrap();
    assert!(disk.write("link", &[b"y"]).is_err());
    assert!(disk.read_at("link", 0, &mut [0]).is_err());
    assert_eq!(disk.list("").unwrap()[0].kind, FileKind::Other);
    assert_eq!(std::fs::read(root.path().join("outside")).unwrap(), b"x");
    let gone = DirectoryDisk::new("disk-2", root.path().join("nowhere"));
    assert_eq!(gone.list("").unwrap_err().kind, DiskErrorKind::Gone);
    assert_eq!(gone.lock().unwrap_err().kind, DiskErrorKind::Gone);
}
