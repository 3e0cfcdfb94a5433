//! What the pool's tests share: disks, ids, contents.

use std::sync::Arc;

use keepwell_storage::{Access, Class, Disk, FaultyDisk, Io, Layout, Machine, MemoryDisk, ObjectId, ObjectName, Pool, PoolIds};

/// Bytes that follow from a seed and look random.
pub(crate) fn bytes(len: usize, seed: u8) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

/// Ids of a vault with so many disks.
pub(crate) fn ids(disks: usize) -> PoolIds {
    PoolIds { vault: [7; 16], disks: (1..=disks as u8).map(|n| [n; 16]).collect() }
}

/// The disks as the pool takes them.
pub(crate) fn dynamic<D: Disk + 'static>(disks: &[Arc<D>]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|d| Arc::clone(d) as Arc<dyn Disk>).collect()
}

/// Empty disks in memory.
pub(crate) fn memory(count: usize) -> Vec<Arc<MemoryDisk>> {
    (1..=count).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}")))).collect()
}

/// The name of an object.
pub(crate) fn name(class: Class, object: &[u8]) -> ObjectName {
    ObjectName { class, id: ObjectId::of(object) }
}

/// A layout from its text.
pub(crate) fn layout(text: &str) -> Layout {
    text.parse().unwrap()
}

/// A new pool, driven one disk after the other.
pub(crate) fn create<D: Disk + 'static>(disks: &[Arc<D>], layout: Layout) -> Pool {
    Pool::create(dynamic(disks), ids(disks.len()), layout).unwrap().with_io(Io::Sequential)
}

/// Empty disks of one machine.
pub(crate) fn faulty(machine: &Arc<Machine>, count: usize) -> Vec<Arc<FaultyDisk>> {
    (1..=count).map(|n| Arc::new(FaultyDisk::new(machine, format!("disk-{n}")))).collect()
}

/// Opens for writing, driven one disk after the other.
pub(crate) fn open<D: Disk + 'static>(disks: &[Arc<D>]) -> Pool {
    Pool::open(dynamic(disks), Access::Write).unwrap().with_io(Io::Sequential)
}
