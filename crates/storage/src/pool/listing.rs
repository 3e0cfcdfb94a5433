//! Which shards lie where, as the directories say. Holds no bytes of objects, and four bytes a shard.

use std::collections::{BTreeMap, HashMap};

use crate::layout::Layout;
use crate::object::{Class, ObjectId, ObjectName, ShardName};

/// One shard's file, for people and reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardRef {
    /// The disk's name.
    pub disk: String,
    /// The disk's place in the pool, from 0.
    pub slot: u8,
    /// Path on it.
    pub path: String,
}

/// Where one shard lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShardAt {
    pub(super) layout: Layout,
    pub(super) index: u8,
    pub(super) slot: u8,
}

impl ShardAt {
    pub(super) fn name(self, object: ObjectId) -> ShardName {
        ShardName { object, index: self.index, layout: self.layout }
    }

    pub(super) fn path(self, name: ObjectName) -> String {
        format!("{}/{}", name.class.folder(), self.name(name.id))
    }
}

/// What is known of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Ascending.
    pub(super) shards: Vec<ShardAt>,
    /// Length of the object, once a header has been read.
    pub(super) len: Option<u64>,
}

impl Entry {
    /// The layouts that shards are there of, those with most redundancy first.
    pub(super) fn layouts(&self) -> Vec<(Layout, Vec<ShardAt>)> {
        let mut groups: Vec<(Layout, Vec<ShardAt>)> = Vec::new();
        for at in &self.shards {
            match groups.last_mut() {
                Some((layout, group)) if *layout == at.layout => group.push(*at),
                _ => groups.push((at.layout, vec![*at])),
            }
        }
        groups.sort_by_key(|(layout, group)| (std::cmp::Reverse(spare(*layout, group)), *layout));
        groups
    }

    /// Whether all shards of `layout` are there, each on an active disk of its own.
    pub(super) fn has_all(&self, layout: Layout, active: &[bool]) -> bool {
        let counts = |at: &ShardAt| at.layout == layout && active.get(usize::from(at.slot)).is_some_and(|active| *active);
        let of: Vec<ShardAt> = self.shards.iter().copied().filter(counts).collect();
        let distinct = |key: fn(&ShardAt) -> u8| {
            let mut keys: Vec<u8> = of.iter().map(key).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len()
        };
        distinct(|at| at.index) == usize::from(layout.width()) && distinct(|at| at.slot) >= usize::from(layout.width())
    }

    /// Whether some layout has `k` different shards.
    pub(super) fn is_readable(&self) -> bool {
        self.layouts().first().is_some_and(|(layout, group)| spare(*layout, group) >= 0)
    }

    pub(super) fn insert(&mut self, at: ShardAt) {
        if let Err(place) = self.shards.binary_search(&at) {
            self.shards.insert(place, at);
        }
    }
}

/// Distinct shards beyond the `k` that are needed; negative when there are too few.
pub(super) fn spare(layout: Layout, group: &[ShardAt]) -> i32 {
    let mut indices: Vec<u8> = group.iter().map(|at| at.index).collect();
    indices.dedup();
    indices.len() as i32 - i32::from(layout.k)
}

/// All objects of a pool.
#[derive(Debug, Default)]
pub(super) struct Listing {
    objects: HashMap<ObjectName, Entry>,
    pub(super) foreign: Vec<(String, String)>,
    /// Bytes of all shard files.
    pub(super) used_bytes: BTreeMap<u8, u64>,
    /// Shards that still have a temporary name (read access only).
    pub(super) unfinished: BTreeMap<(ObjectName, ShardAt), String>,
}

impl Listing {
    pub(super) fn get(&self, name: ObjectName) -> Option<&Entry> {
        self.objects.get(&name)
    }

    /// Where a shard's file is.
    pub(super) fn path(&self, name: ObjectName, at: ShardAt) -> String {
        self.unfinished.get(&(name, at)).cloned().unwrap_or_else(|| at.path(name))
    }

    pub(super) fn insert(&mut self, name: ObjectName, at: ShardAt) {
        self.objects.entry(name).or_default().insert(at);
    }

    pub(super) fn remove(&mut self, name: ObjectName, at: ShardAt) {
        if let Some(entry) = self.objects.get_mut(&name) {
            entry.shards.retain(|other| *other != at);
            if entry.shards.is_empty() {
                self.objects.remove(&name);
            }
        }
    }

    pub(super) fn set_len(&mut self, name: ObjectName, len: u64) {
        if let Some(entry) = self.objects.get_mut(&name) {
            entry.len = Some(len);
        }
    }

    pub(super) fn objects(&self, class: Class) -> Vec<ObjectId> {
        let mut ids: Vec<ObjectId> = self.objects.keys().filter(|name| name.class == class).map(|name| name.id).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&ObjectName, &Entry)> {
        self.objects.iter()
    }
}
