//! Reads back what was restored to an export, and says what this user can't restore. Never writes.

use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use keepwell_nfs::{NfsError, access};

use super::access_list;
use super::gaps::gap;
use super::node::node as node_of;
use super::read::NfsFile;
use super::tree::Tree;

/// What this user will not be able to set, as far as it shows without writing.
pub(super) fn lacking(tree: &Tree) -> Vec<String> {
    let mut lacking = Vec::new();
    let root = tree.handles.root();
    let writing = access::MODIFY | access::EXTEND;
    let may = tree.link.call(|export| export.begin_access(root, writing)).unwrap_or(0);
    let (uid, gid) = (tree.identity.uid, tree.identity.gid);
    if may & writing != writing {
        lacking.push(format!("user {uid} (group {gid}) may not write into this folder, as the server says: nothing can be restored there"));
    }
    // Root may write everywhere: where it may not, the server takes it for somebody else.
    let others = tree.root.mode & 0o222;
    if uid != 0 {
        lacking.push(format!(
            "owners and devices can't be set by user {uid}: use an export with no_root_squash, and run as root or with uid=0"
        ));
    } else if may & writing != writing {
        lacking.push("the server takes root for nobody (root_squash), or the export is read-only: owners and devices can't be set".into());
    } else if others & 0o022 != 0 {
        lacking.push(
            "anybody may write here, so it does not show whether the server takes root for nobody (root_squash): then owners can't be set"
                .into(),
        );
    }
    let facts = tree.link.export().facts();
    if !facts.access_lists {
        lacking.push("access lists can't be set: this server has no NFSACL".into());
    }
    if !(facts.links && facts.symlinks) {
        lacking.push("this server's file system has no hard links, or no symbolic links".into());
    }
    lacking
}

/// Opens a file that was restored.
pub(super) fn read<'a>(tree: &'a Tree, key: &Key, stream: Option<&[u8]>) -> Result<NfsFile<'a>, Gap> {
    if stream.is_some() {
        return Err(Gap { reason: GapReason::Unsupported, text: "NFS has no alternate streams".to_owned() });
    }
    let (handle, seen) = tree.handles.entry(&tree.link, key).map_err(|error| gap(&error, GapReason::Read))?;
    NfsFile::open_at(tree, handle, seen.size, seen.fileid.into())
}

/// Names what of an entry's metadata is not as the node says.
pub(super) fn differences(tree: &Tree, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
    let found = found(tree, key).map_err(|error| gap(&error, GapReason::Metadata))?;
    if found.kind != node.kind {
        return Ok(vec!["kind"]);
    }
    let owners = node.owner.zip(found.owner);
    let lists = |of: &Node| of.attributes.iter().filter(|attribute| access_list::is_list(attribute)).cloned().collect::<Vec<_>>();
    let lost = node.attributes.iter().any(|attribute| !found.attributes.contains(attribute));
    let checks = [
        ("owner", owners.is_some_and(|(a, b)| (a.uid, a.gid) != (b.uid, b.gid))),
        ("mode", node.kind != Kind::Symlink && owners.is_some_and(|(a, b)| a.mode != b.mode)),
        ("times", node.mtime.is_some() && node.mtime != found.mtime),
        ("attributes", lost || lists(node) != lists(&found)),
        ("link target", node.target.is_some() && node.target != found.target),
        ("device", node.device.is_some() && node.device != found.device),
        ("descriptor", node.descriptor.is_some()),
    ];
    Ok(checks.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what).collect())
}

fn found(tree: &Tree, key: &Key) -> Result<Node, NfsError> {
    let (handle, seen) = tree.handles.entry(&tree.link, key)?;
    let mut node = node_of(&seen);
    if node.kind == Kind::Symlink {
        node.target = Some(tree.link.call(|export| export.begin_target(&handle))?);
    } else if tree.has_access_lists() {
        Tree::add_lists(&mut node, tree.link.call(|export| export.begin_access_lists(&handle)));
    }
    Ok(node)
}
