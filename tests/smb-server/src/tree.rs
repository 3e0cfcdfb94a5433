//! Owns the tree that is served: nodes, names that lead to them, snapshots, the volume. Never refuses what a real file system would refuse.

use std::collections::{BTreeMap, HashMap};

use crate::node::{Names, Node};

/// A node's number: its file id too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Components from the root, as UTF-16 units. Text is cut at `\`; units are taken as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreePath(pub Vec<Vec<u16>>);

/// What the file system says of itself.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: u32,
    /// When it was made, 100 ns since 1601.
    pub created: u64,
    /// `NTFS` and the like.
    pub file_system: String,
    /// FileSystemAttributes (MS-FSCC 2.5.1).
    pub attributes: u32,
    /// Bytes in all.
    pub total: u64,
    /// Bytes left: writes use them up and end in STATUS_DISK_FULL.
    pub free: u64,
}

/// Everything that is served: a live tree and one tree for each snapshot.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: HashMap<NodeId, Node>,
    next: u64,
    root: NodeId,
    snapshots: BTreeMap<u64, NodeId>,
    /// The file system's own words.
    pub volume: Volume,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty root on a volume with much room.
    pub fn new() -> Self {
        let volume = Volume {
            label: "Scripted".into(),
            serial: 0x5EED_0001,
            created: crate::node::NEW_YEAR,
            file_system: "NTFS".into(),
            // Case kept and searched, Unicode, ACLs, sparse, reparse points, streams, hard links, extended attributes.
            attributes: 0x00C4_00CF,
            total: 1 << 44,
            free: 1 << 43,
        };
        let mut tree = Self { nodes: HashMap::new(), next: 1, root: NodeId(0), snapshots: BTreeMap::new(), volume };
        tree.root = tree.add(Node::folder());
        tree
    }

    /// The live root.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Copies the live tree as it is now to a snapshot of that time (100 ns since 1601, whole seconds); gives its root.
    pub fn take_snapshot(&mut self, time: u64) -> NodeId {
        let mut copies = HashMap::new();
        let root = self.copy(self.root, &mut copies);
        self.snapshots.insert(time, root);
        root
    }

    /// Makes a snapshot of its own, not of the live tree; gives its empty root.
    pub fn empty_snapshot(&mut self, time: u64) -> NodeId {
        let root = self.add(Node::folder());
        self.snapshots.insert(time, root);
        root
    }

    /// The root of a snapshot.
    pub fn snapshot(&self, time: u64) -> Option<NodeId> {
        self.snapshots.get(&time).copied()
    }

    /// The times of the snapshots, newest first.
    pub fn snapshots(&self) -> Vec<u64> {
        self.snapshots.keys().rev().copied().collect()
    }

    /// Puts a node at a path below a root, making the folders on the way; what was there loses this name.
    pub fn put(&mut self, root: NodeId, path: impl Into<TreePath>, node: Node) -> NodeId {
        let id = self.add(node);
        self.link(root, path, id);
        id
    }

    /// Puts a file into the live tree.
    pub fn file(&mut self, path: impl Into<TreePath>, bytes: &[u8]) -> NodeId {
        self.put(self.root, path, Node::file(bytes))
    }

    /// Gives a node one more name: a hard link, or a folder that is found within itself.
    pub fn link(&mut self, root: NodeId, path: impl Into<TreePath>, id: NodeId) {
        let TreePath(mut components) = path.into();
        let name = components.pop().expect("a path to put something at has a name");
        let mut folder = root;
        for component in components {
            folder = match self.names(folder).and_then(|names| names.find(&component)) {
                Some(next) => next,
                None => {
                    let made = self.add(Node::folder());
                    self.enter(folder, component, made);
                    made
                }
            };
        }
        self.enter(folder, name, id);
    }

    /// What a path below a root leads to.
    pub fn find(&self, root: NodeId, path: impl Into<TreePath>) -> Option<NodeId> {
        path.into().0.iter().try_fold(root, |folder, name| self.names(folder)?.find(name))
    }

    /// The live node at a path.
    pub fn at(&self, path: impl Into<TreePath>) -> Option<&Node> {
        self.find(self.root, path).and_then(|id| self.nodes.get(&id))
    }

    /// The live node at a path, to be changed.
    pub fn at_mut(&mut self, path: impl Into<TreePath>) -> Option<&mut Node> {
        self.find(self.root, path).and_then(|id| self.nodes.get_mut(&id))
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// A node, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// All live files and folders by their paths, each folder before what is in it; a folder within itself is shown once.
    pub fn paths(&self) -> Vec<(TreePath, NodeId)> {
        let mut out = Vec::new();
        let mut above = vec![(TreePath::default(), self.root, vec![self.root])];
        while let Some((path, folder, chain)) = above.pop() {
            for (name, id) in self.names(folder).into_iter().flat_map(|names| names.after(None)) {
                let mut path = path.clone();
                path.0.push(name.clone());
                out.push((path.clone(), id));
                if !chain.contains(&id) {
                    above.push((path, id, [chain.as_slice(), &[id]].concat()));
                }
            }
        }
        out
    }

    pub(crate) fn names(&self, id: NodeId) -> Option<&Names> {
        self.nodes.get(&id)?.names.as_ref()
    }

    /// Adds a node without a name.
    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.next);
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    pub(crate) fn enter(&mut self, folder: NodeId, name: Vec<u16>, id: NodeId) {
        let names = self.nodes.get_mut(&folder).and_then(|node| node.names.as_mut());
        let old = names.and_then(|names| names.insert(name, id));
        self.count(id, 1);
        if let Some(old) = old {
            self.count(old, -1);
        }
    }

    pub(crate) fn leave(&mut self, folder: NodeId, name: &[u16]) {
        let names = self.nodes.get_mut(&folder).and_then(|node| node.names.as_mut());
        if let Some(old) = names.and_then(|names| names.remove(name)) {
            self.count(old, -1);
        }
    }

    /// A node without names stays until the server ends: an open handle may still read it.
    fn count(&mut self, id: NodeId, change: i32) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.links = node.links.saturating_add_signed(change);
        }
    }

    fn copy(&mut self, id: NodeId, copies: &mut HashMap<NodeId, NodeId>) -> NodeId {
        if let Some(copy) = copies.get(&id) {
            return *copy;
        }
        let mut node = self.nodes[&id].clone();
        let names: Vec<_> = node.names.iter().flat_map(|names| names.after(None)).map(|(name, id)| (name.clone(), id)).collect();
        node.names = node.names.map(|_| Names::default());
        node.links = 0;
        let copy = self.add(node);
        copies.insert(id, copy);
        for (name, id) in names {
            let id = self.copy(id, copies);
            self.enter(copy, name, id);
        }
        copy
    }
}

impl From<&str> for TreePath {
    fn from(path: &str) -> Self {
        Self(path.split('\\').filter(|name| !name.is_empty()).map(|name| name.encode_utf16().collect()).collect())
    }
}

impl From<Vec<Vec<u16>>> for TreePath {
    fn from(components: Vec<Vec<u16>>) -> Self {
        Self(components)
    }
}

impl TreePath {
    /// For patterns and lists: components joined by `\`, unpaired surrogates replaced.
    pub fn lossy(&self) -> String {
        self.0.iter().map(|name| String::from_utf16_lossy(name)).collect::<Vec<_>>().join("\\")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_keep_what_was() {
        let mut tree = Tree::new();
        tree.file("a\\b.txt", b"old");
        let id = tree.find(tree.root(), "a").unwrap();
        tree.link(tree.root(), "a\\itself", id);
        let root = tree.take_snapshot(7);
        tree.file("a\\b.txt", b"new");
        assert_eq!(tree.at("A\\B.TXT").unwrap().content.bytes(), b"new");
        let old = tree.find(root, "a\\itself\\itself\\b.txt").unwrap();
        assert_eq!(tree.node(old).unwrap().content.bytes(), b"old");
        assert_eq!(tree.snapshots(), [7]);
    }
}
