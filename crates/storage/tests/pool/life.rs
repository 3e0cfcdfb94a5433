//! The pool's everyday life: writing, reading, who may open it, what it refuses.

use std::sync::Arc;

use super::disks::{bytes, create, dynamic, ids, layout, memory, name};
use keepwell_storage::{
    Access, Class, Damage, DirectoryDisk, Disk, DiskState, Io, LABEL_FILE, Label, Layout, MemoryDisk, Pool, PoolError, Reserve, Spread,
    TENANTS,
};

#[test]
fn what_is_put_is_read_after_opening_again_with_m_disks_missing() {
    for layout in Layout::OFFERED {
        let disks = memory(layout.width().into());
        let objects =
            [(Class::Pack, bytes(700_001, 1)), (Class::Manifest, bytes(999, 2)), (Class::Keyring, bytes(300, 3)), (Class::Pack, vec![])];
        let pool = Pool::create(dynamic(&disks), ids(disks.len()), layout).unwrap().with_io(Io::Parallel);
        for (class, object) in &objects {
            pool.put(*class, class.spread(), object).unwrap();
        }
        drop(pool);
        for missing in 0..disks.len() {
            let here = |n: &usize| (n + missing) % disks.len() >= layout.m.into();
            let left: Vec<_> = (0..disks.len()).filter(here).map(|n| Arc::clone(&disks[n])).collect();
            let pool = Pool::open(dynamic(&left), Access::Read).unwrap();
            for (class, object) in &objects {
                let name = name(*class, object);
                assert_eq!(&pool.read_object(name).unwrap().0, object, "{layout}");
                assert_eq!(pool.len(name).unwrap(), object.len() as u64);
                for (offset, len) in [(0, object.len()), (object.len() / 3, object.len() / 2), (object.len(), 0)] {
                    assert_eq!(pool.read_range(name, offset as u64, len).unwrap(), &object[offset..offset + len], "{layout}");
                }
                assert!(matches!(pool.read_range(name, 1, object.len()), Err(PoolError::OutOfRange { .. })));
            }
        }
    }
}

#[test]
fn a_pool_in_folders_has_one_writer_and_survives_being_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = |n: usize| root.path().join(format!("disk-{n}"));
    (1..=3).for_each(|n| std::fs::create_dir(folder(n)).unwrap());
    // Other handles than the first writer's, as another process would have.
    let disks = || (1..=3).map(|n| Arc::new(DirectoryDisk::new(format!("disk-{n}"), folder(n))) as Arc<dyn Disk>).collect::<Vec<_>>();
    let object = bytes(1 << 20, 4);
    let pool = Pool::create(disks(), ids(3), layout("2+1")).unwrap();
    pool.put(Class::Pack, Spread::Layout, &object).unwrap();
    let error = Pool::open(disks(), Access::Write).unwrap_err();
    assert!(error.to_string().contains("another Keepwell process is writing to this vault"), "{error}");
    assert_eq!(Pool::open(disks(), Access::Read).unwrap().read_object(name(Class::Pack, &object)).unwrap().0, object);
    drop(pool);
    let pool = Pool::open(disks(), Access::Write).unwrap();
    assert!(pool.health().is_whole());
    std::fs::remove_dir_all(folder(2)).unwrap();
    drop(pool);
    let pool = Pool::open(disks(), Access::Write).unwrap();
    assert_eq!(pool.health().disks[1].state, DiskState::Missing);
    assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
}

#[test]
fn swapped_disks_are_found_by_their_labels() {
    let disks = memory(3);
    let object = bytes(600_000, 1);
    create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &object).unwrap();
    let swapped = [2, 0, 1].map(|n| Arc::clone(&disks[n]));
    let pool = Pool::open(dynamic(&swapped), Access::Write).unwrap();
    let names: Vec<String> = pool.health().disks.into_iter().map(|d| d.name).collect();
    assert_eq!(names, ["disk-1", "disk-2", "disk-3"]);
    assert!(pool.health().is_whole());
    assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
}

/// What makes opening for writing fail, and that nothing is changed by it.
#[test]
fn what_does_not_belong_is_refused_by_name_and_left_alone() {
    type Case = (&'static str, fn(&[Arc<MemoryDisk>]), &'static str);
    let table: [Case; 5] = [
        ("another vault's disk", |d| label(&d[1], |l| l.vault = [8; 16]), "disk-2 belongs to vault 08080808"),
        ("foreign files", |d| wipe(&d[1], &[("holiday.jpg", b"x")]), "disk-2 holds files that are not a vault's (holiday.jpg)"),
        ("a newer format", |d| newer(&d[1]), "disk-2 belongs to a vault of format version 2"),
        ("too few disks", |d| [1, 2].iter().for_each(|n| wipe(&d[*n], &[])), "only 1 of the vault's 3 disks can be read"),
        ("no label at all", |d| d.iter().for_each(|d| wipe(d, &[])), "none of the 3 disk folders has a readable label"),
    ];
    for (case, change, message) in table {
        let disks = memory(3);
        create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &bytes(600_000, 1)).unwrap();
        change(&disks);
        let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
        let error = Pool::open(dynamic(&disks), Access::Write).unwrap_err().to_string();
        assert!(error.contains(message), "{case}: {error}");
        assert!(disks.iter().map(|d| d.contents()).eq(before), "{case}");
    }
}

#[test]
fn a_new_vault_wants_empty_disks() {
    for (path, content) in [("letter.txt", &b"x"[..]), (LABEL_FILE, b"x"), ("packs/x", b"x")] {
        let disks = memory(2);
        wipe(&disks[1], &[(path, content)]);
        let error = Pool::create(dynamic(&disks), ids(2), layout("1+1")).unwrap_err();
        assert!(matches!(&error, PoolError::Foreign { disk, .. } if disk == "disk-2"), "{error}");
        assert!(disks[0].contents().is_empty());
    }
    assert!(matches!(Pool::create(dynamic(&memory(2)), ids(2), layout("2+1")), Err(PoolError::Invalid(_))));
    assert!(matches!(Pool::create(dynamic(&memory(3)), ids(2), layout("2+1")), Err(PoolError::Invalid(_))));
}

#[test]
fn small_objects_are_whole_copies_and_keys_are_everywhere() {
    let disks = memory(6);
    let pool = create(&disks, layout("4+2"));
    let places = |ending: &str| disks.iter().flat_map(|d| d.paths()).filter(|p| p.ends_with(ending)).count();
    pool.put(Class::Manifest, Spread::Layout, &bytes(1000, 1)).unwrap();
    assert_eq!((places(".0-1-2"), places(".1-1-2"), places(".2-1-2")), (1, 1, 1));
    pool.put(Class::Slots, Spread::Everywhere, &bytes(1000, 2)).unwrap();
    assert_eq!(disks.iter().filter(|d| d.paths().iter().any(|p| p.starts_with("slots/"))).count(), 6);
    pool.put(Class::Pack, Spread::Layout, &bytes(256 << 10, 3)).unwrap();
    assert_eq!((places(".0-4-2"), places(".5-4-2")), (1, 1));
    assert_eq!(pool.health().degraded_objects, 0);
}

#[test]
fn shards_are_even_over_the_disks() {
    let disks = memory(3);
    let pool = create(&disks, layout("2+1"));
    for seed in 0..60 {
        pool.put(Class::Pack, Spread::Layout, &bytes(300_000, seed)).unwrap();
    }
    for disk in &disks {
        let parity = disk.paths().iter().filter(|p| p.ends_with(".2-2-1")).count();
        assert!((8..=32).contains(&parity), "{} of 60 parity shards on {}", parity, disk.name());
    }
}

#[test]
fn putting_again_writes_nothing() {
    let disks = memory(3);
    let pool = create(&disks, layout("2+1"));
    let object = bytes(600_000, 1);
    let id = pool.put(Class::Pack, Spread::Layout, &object).unwrap();
    let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
    assert_eq!(pool.put(Class::Pack, Spread::Layout, &object).unwrap(), id);
    assert!(disks.iter().map(|d| d.contents()).eq(before));
    assert_eq!(pool.objects(Class::Pack), [id]);
}

#[test]
fn what_is_staged_and_not_committed_leaves_no_trace() {
    let disks = memory(3);
    let pool = create(&disks, layout("2+1"));
    let before: Vec<_> = disks.iter().map(|d| d.paths()).collect();
    let object = bytes(600_000, 1);
    let encoded = keepwell_storage::encode_object(pool.plan(object.len()), pool.vault(), Class::Pack, object);
    drop(pool.stage(encoded).unwrap());
    assert!(disks.iter().map(|d| d.paths()).eq(before));
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_behind() {
    let disks = memory(3);
    let mut pool = create(&disks, layout("2+1"));
    pool.set_reserve(Reserve::Bytes(0));
    let kept = bytes(600_000, 1);
    pool.put(Class::Pack, Spread::Layout, &kept).unwrap();
    let used = disks[1].contents().values().map(|b| b.len() as u64).sum::<u64>();
    disks[1].set_capacity(used + 1000);
    let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
    let error = pool.put(Class::Pack, Spread::Layout, &bytes(600_000, 2)).unwrap_err();
    assert!(error.to_string().starts_with("disk-2 is full: 1000 bytes free"), "{error}");
    assert!(disks.iter().map(|d| d.contents()).eq(before));
    assert_eq!(pool.read_object(name(Class::Pack, &kept)).unwrap().0, kept);
    // A small object that needs two disks finds them.
    pool.put(Class::Manifest, Spread::Layout, &bytes(1500, 3)).unwrap();
}

#[test]
fn when_all_disks_are_full_the_error_says_full() {
    let disks = memory(3);
    let mut pool = create(&disks, layout("2+1"));
    pool.set_reserve(Reserve::Bytes(0));
    disks.iter().for_each(|disk| disk.set_capacity(1000));
    for len in [600_000, 1500] {
        let error = pool.put(Class::Pack, Spread::Layout, &bytes(len, 2)).unwrap_err();
        assert!(matches!(error, PoolError::Full { .. }), "{error}");
    }
}

#[test]
fn the_reserve_is_not_given_away() {
    let disks = memory(1);
    disks[0].set_capacity(10 << 20);
    let mut pool = create(&disks, layout("1+0"));
    pool.set_reserve(Reserve::Percent(50));
    pool.put(Class::Pack, Spread::Layout, &bytes(4 << 20, 1)).unwrap();
    assert!(matches!(pool.put(Class::Pack, Spread::Layout, &bytes(2 << 20, 2)), Err(PoolError::Full { .. })));
    pool.set_reserve(Reserve::Bytes(0));
    pool.put(Class::Pack, Spread::Layout, &bytes(2 << 20, 2)).unwrap();
}

#[test]
fn foreign_files_in_the_vaults_folders_are_reported_and_left() {
    let disks = memory(2);
    drop(create(&disks, layout("1+1")));
    disks[0].write("packs/notes.txt", &[b"x"]).unwrap();
    disks[0].write("readme", &[b"x"]).unwrap();
    disks[1].write("packs/.tmp-7-rest", &[b"x"]).unwrap();
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    let foreign = pool.foreign_files();
    assert_eq!(foreign, [("disk-1".into(), "readme".into()), ("disk-1".into(), "packs/notes.txt".into())]);
    assert_eq!(disks[0].paths(), [LABEL_FILE, "packs/notes.txt", "readme"]);
    assert_eq!(disks[1].paths(), [LABEL_FILE], "unfinished writes are removed");
}

#[test]
fn what_is_kept_for_other_boxes_is_no_foreign_file_and_makes_no_disk_empty() {
    let root = tempfile::tempdir().unwrap();
    let folders: Vec<_> = (1..=2).map(|n| root.path().join(format!("disk-{n}"))).collect();
    folders.iter().for_each(|folder| std::fs::create_dir_all(folder.join(TENANTS).join("00ff")).unwrap());
    let disks = || -> Vec<Arc<dyn Disk>> {
        folders
            .iter()
            .map(|folder| Arc::new(DirectoryDisk::new(folder.file_name().unwrap().to_str().unwrap(), folder)) as Arc<dyn Disk>)
            .collect()
    };
    let refused = Pool::create(disks(), ids(2), layout("1+1")).unwrap_err().to_string();
    assert!(refused.contains(TENANTS), "{refused}");
    folders.iter().for_each(|folder| std::fs::remove_dir(folder.join(TENANTS).join("00ff")).unwrap());
    Pool::create(disks(), ids(2), layout("1+1")).unwrap().put(Class::Pack, Spread::Layout, &bytes(10, 1)).unwrap();
    folders.iter().for_each(|folder| std::fs::create_dir_all(folder.join(TENANTS).join("00ff")).unwrap());
    let pool = Pool::open(disks(), Access::Write).unwrap();
    assert_eq!(pool.foreign_files(), []);
    assert!(pool.health().is_whole());
    drop(pool);
    // Its label is gone: its own shards say whose it is.
    std::fs::remove_file(folders[1].join(LABEL_FILE)).unwrap();
    let pool = Pool::open(disks(), Access::Write).unwrap();
    assert_eq!(pool.health().disks[1].state, DiskState::DamagedLabel);
}

#[test]
fn a_reader_changes_nothing() {
    let disks = memory(2);
    create(&disks, layout("1+1")).put(Class::Pack, Spread::Layout, &bytes(10, 1)).unwrap();
    disks[1].write("packs/.tmp-7-rest", &[b"x"]).unwrap();
    disks[0].damage(LABEL_FILE, Damage::FlipBit(200));
    let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
    let pool = Pool::open(dynamic(&disks), Access::Read).unwrap();
    let name = name(Class::Pack, &bytes(10, 1));
    assert!(matches!(pool.put(Class::Pack, Spread::Layout, b"x"), Err(PoolError::ReadAccess)));
    assert!(matches!(pool.repair_object(name), Err(PoolError::ReadAccess)));
    assert!(matches!(pool.adopt_empty_disks(&[]), Err(PoolError::ReadAccess)));
    pool.scrub(name).unwrap();
    assert!(disks.iter().map(|d| d.contents()).eq(before));
}

fn label(disk: &MemoryDisk, change: fn(&mut Label)) {
    let mut label = Label::parse(&disk.contents()[LABEL_FILE]).unwrap();
    change(&mut label);
    disk.write(LABEL_FILE, &[&label.encode()]).unwrap();
}

fn newer(disk: &MemoryDisk) {
    let mut bytes = disk.contents()[LABEL_FILE].to_vec();
    bytes[8] = 2;
    let body = bytes.len() - 32;
    let hash = blake3::hash(&bytes[..body]);
    bytes[body..].copy_from_slice(hash.as_bytes());
    disk.write(LABEL_FILE, &[&bytes]).unwrap();
}

/// Removes all files, then writes these.
fn wipe(disk: &MemoryDisk, files: &[(&str, &[u8])]) {
    disk.paths().iter().for_each(|path| disk.remove(path).unwrap());
    for (path, content) in files {
        if let Some((folder, _)) = path.split_once('/') {
            disk.make_folder(folder).unwrap();
        }
        disk.write(path, &[content]).unwrap();
    }
}
