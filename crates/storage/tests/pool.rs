//! The pool on disks in memory and in folders: writing, reading, damage, repair.

use std::sync::Arc;

use keepwell_storage::{Access, Class, DirectoryDisk, Disk, Io, Layout, MemoryDisk, ObjectName, Pool, PoolIds, Spread};

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

fn ids(disks: usize) -> PoolIds {
    PoolIds { vault: [7; 16], disks: (1..=disks as u8).map(|n| [n; 16]).collect() }
}

fn dynamic<D: Disk + 'static>(disks: &[Arc<D>]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|d| Arc::clone(d) as Arc<dyn Disk>).collect()
}

fn memory(count: usize) -> Vec<Arc<MemoryDisk>> {
    (1..=count).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}")))).collect()
}

fn name(class: Class, object: &[u8]) -> ObjectName {
    ObjectName { class, id: keepwell_storage::ObjectId::of(object) }
}

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
            let left: Vec<_> =
                (0..disks.len()).filter(|n| (n + missing) % disks.len() >= layout.m.into()).map(|n| Arc::clone(&disks[n])).collect();
            let pool = Pool::open(dynamic(&left), Access::Read).unwrap();
            for (class, object) in &objects {
                let name = name(*class, object);
                assert_eq!(&pool.read_object(name).unwrap().0, object, "{layout}");
                assert_eq!(pool.len(name).unwrap(), object.len() as u64);
                for (offset, len) in [(0, object.len()), (object.len() / 3, object.len() / 2), (object.len(), 0)] {
                    assert_eq!(pool.read_range(name, offset as u64, len).unwrap(), &object[offset..offset + len], "{layout}");
                }
                assert!(pool.read_range(name, 1, object.len()).is_err());
            }
        }
    }
}

#[test]
fn a_pool_in_folders_survives_being_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let disks: Vec<Arc<DirectoryDisk>> = (1..=3)
        .map(|n| {
            let folder = root.path().join(format!("disk-{n}"));
            std::fs::create_dir(&folder).unwrap();
            Arc::new(DirectoryDisk::new(format!("disk-{n}"), folder))
        })
        .collect();
    let object = bytes(1 << 20, 4);
    let pool = Pool::create(dynamic(&disks), ids(3), "2+1".parse().unwrap()).unwrap();
    pool.put(Class::Pack, Spread::Layout, &object).unwrap();
    assert!(matches!(Pool::open(dynamic(&disks), Access::Write), Err(keepwell_storage::PoolError::Locked { .. })));
    drop(pool);
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
    assert!(pool.health().is_whole());
}
