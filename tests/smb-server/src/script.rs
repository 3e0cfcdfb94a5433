//! Owns the JSON script of the program: options, tree, snapshots, faults. README.md describes it. Never fills in what a script has wrong.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    content::Content,
    faults::Faults,
    node::{Node, Quirks, REPARSE},
    server::Options,
    tree::{NodeId, Tree, TreePath},
};

/// A whole script.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// What the server can.
    pub options: Options,
    /// What it does wrong on the wire.
    pub faults: Faults,
    free: Option<u64>,
    total: Option<u64>,
    tree: Vec<Item>,
    snapshots: Vec<Snapshot>,
}

/// Why a script is not one.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not JSON of this shape.
    #[error("the script is not understood")]
    Json(#[from] serde_json::Error),
    /// `same_as` names nothing that stands before it.
    #[error("same_as names {0}, which is not there (yet)")]
    NoSuchItem(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    time: u64,
    tree: Vec<Item>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Item {
    name: Name,
    folder: Option<Vec<Item>>,
    text: Option<String>,
    hex: Option<Hex>,
    size: Option<u64>,
    seed: u64,
    sparse: Option<Vec<(u64, u64)>>,
    same_as: Option<String>,
    many: Option<u64>,
    attributes: Option<u32>,
    created: Option<u64>,
    accessed: Option<u64>,
    written: Option<u64>,
    changed: Option<u64>,
    descriptor: Option<Hex>,
    reparse: Option<Hex>,
    extended: Vec<(String, Hex)>,
    streams: Vec<Item>,
    quirks: Quirks,
}

/// Text, or UTF-16 units as numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Units(Vec<u16>),
}

#[derive(Clone, Debug)]
struct Hex(Vec<u8>);

impl Script {
    /// Reads a script.
    pub fn parse(json: &str) -> Result<Self, ScriptError> {
        Ok(serde_json::from_str(json)?)
    }

    /// Makes the tree that it describes.
    pub fn tree(&self) -> Result<Tree, ScriptError> {
        let mut tree = Tree::new();
        for snapshot in &self.snapshots {
            let root = tree.empty_snapshot(snapshot.time);
            plant(&mut tree, root, root, &snapshot.tree)?;
        }
        let root = tree.root();
        plant(&mut tree, root, root, &self.tree)?;
        tree.volume.free = self.free.unwrap_or(tree.volume.free);
        tree.volume.total = self.total.unwrap_or(tree.volume.total);
        Ok(tree)
    }
}

fn plant(tree: &mut Tree, root: NodeId, folder: NodeId, items: &[Item]) -> Result<(), ScriptError> {
    for item in items {
        if let Some(path) = &item.same_as {
            let id = tree.find(root, path.as_str()).ok_or_else(|| ScriptError::NoSuchItem(path.clone()))?;
            tree.link(folder, TreePath(vec![item.name.units()]), id);
            continue;
        }
        for number in 0..item.many.unwrap_or(1) {
            let mut name = item.name.units();
            if item.many.is_some() {
                name.extend(format!("{number:07}").encode_utf16());
            }
            let id = tree.put(folder, TreePath(vec![name]), item.node());
            plant(tree, root, id, item.folder.as_deref().unwrap_or_default())?;
        }
    }
    Ok(())
}

impl Item {
    fn node(&self) -> Node {
        let mut node = if self.folder.is_some() { Node::folder() } else { Node::file(self.content()) };
        node.attributes = self.attributes.unwrap_or(node.attributes);
        let reparse = self.reparse.as_ref().map(|hex| hex.0.clone());
        node.attributes |= if reparse.is_some() { REPARSE } else { 0 };
        node.reparse = reparse;
        for (place, time) in [
            (&mut node.created, self.created),
            (&mut node.accessed, self.accessed),
            (&mut node.written, self.written),
            (&mut node.changed, self.changed),
        ] {
            *place = time.unwrap_or(*place);
        }
        if let Some(descriptor) = &self.descriptor {
            node.descriptor.clone_from(&descriptor.0);
        }
        node.extended = self.extended.iter().map(|(name, value)| (name.clone().into_bytes(), value.0.clone())).collect();
        node.streams = self.streams.iter().map(|stream| (stream.name.units(), stream.content())).collect();
        node.quirks = self.quirks.clone();
        node
    }

    fn content(&self) -> Content {
        match (&self.text, &self.hex, self.size, &self.sparse) {
            (Some(text), ..) => Content::from(text.as_bytes()),
            (None, Some(hex), ..) => Content::from(&hex.0[..]),
            (None, None, Some(size), Some(ranges)) => Content::sparse(size, ranges, self.seed),
            (None, None, Some(size), None) => Content::patterned(size, self.seed),
            (None, None, None, _) => Content::default(),
        }
    }
}

impl Default for Name {
    fn default() -> Self {
        Name::Text(String::new())
    }
}

impl Name {
    fn units(&self) -> Vec<u16> {
        match self {
            Name::Text(text) => text.encode_utf16().collect(),
            Name::Units(units) => units.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.is_ascii() && text.len().is_multiple_of(2);
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom);
        match digits {
            true => (0..text.len()).step_by(2).map(byte).collect::<Result<_, _>>().map(Hex),
            false => Err(D::Error::custom("hex needs two digits for each byte")),
        }
    }
}
