//! Reads back what was restored to a local folder, and says what this user can't restore. Never writes, never follows a link.

use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use rustix::fs::{FileType, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::gap;
use super::metadata::{Place, Scratch, add_attributes, look, node as node_of};
use super::read::LocalFile;
use super::target::{ACCESS_LIST, DEFAULT_ACCESS_LIST, LocalTarget};

/// What this user will not be able to set.
pub(super) fn lacking() -> Vec<String> {
    if geteuid().is_root() {
        return Vec::new();
    }
    let text = "owners, groups of others, devices and some attributes can't be set by this user; run as root to get them back";
    vec![text.to_owned()]
}

/// Opens a file that was restored.
pub(super) fn read(target: &LocalTarget, key: &Key, stream: Option<&[u8]>) -> Result<LocalFile, Gap> {
    if stream.is_some() {
        return Err(Gap { reason: GapReason::Unsupported, text: "this file system has no alternate streams".to_owned() });
    }
    let opened = || {
        let (parent, name) = target.find(key)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&*parent, name, flags, Mode::empty())?;
        let seen = look(Place::Open(&file))?;
        if FileType::from_raw_mode(seen.stx_mode.into()) != FileType::RegularFile {
            return Err(Errno::ISDIR);
        }
        Ok(LocalFile::new(file, seen))
    };
    opened().map_err(|errno| gap(errno, GapReason::Read))
}

/// Names what of an entry's metadata is not as the node says.
pub(super) fn differences(target: &LocalTarget, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
    let found = found(target, key).map_err(|errno| gap(errno, GapReason::Metadata))?;
    if found.kind != node.kind {
        return Ok(vec!["kind"]);
    }
    let owners = node.owner.zip(found.owner);
    let mut differences = Vec::new();
    let mut check = |what, differs: bool| {
        if differs {
            differences.push(what);
        }
    };
    check("owner", owners.is_some_and(|(a, b)| (a.uid, a.gid) != (b.uid, b.gid)));
    check("mode", node.kind != Kind::Symlink && owners.is_some_and(|(a, b)| a.mode != b.mode));
    check("times", node.mtime.is_some() && node.mtime != found.mtime);
    check("attributes", attributes_differ(node, &found));
    check("link target", node.target.is_some() && node.target != found.target);
    check("device", node.device.is_some() && node.device != found.device);
    check("descriptor", node.descriptor.is_some());
    Ok(differences)
}

fn found(target: &LocalTarget, key: &Key) -> Result<Node, Errno> {
    let root = target.folders()?.root();
    let found = if key.is_root() { None } else { Some(target.find(key)?) };
    let place = match &found {
        Some((parent, name)) => Place::In(parent, name),
        None => Place::Open(root),
    };
    let mut node = node_of(&look(place)?, 0);
    add_attributes(&mut node, place, &mut Scratch::new());
    if let Some((parent, name)) = found.filter(|_| node.kind == Kind::Symlink) {
        node.target = Some(readlinkat(&*parent, name, Vec::new())?.into_bytes());
    }
    Ok(node)
}

/// Attributes that the system adds by itself don't count; access lists do.
fn attributes_differ(node: &Node, found: &Node) -> bool {
    let lists = [ACCESS_LIST.to_bytes(), DEFAULT_ACCESS_LIST.to_bytes()];
    let mut added = found.attributes.iter().filter(|attribute| lists.contains(&attribute.name.as_slice()));
    node.attributes.iter().any(|attribute| !found.attributes.contains(attribute)) || added.any(|list| !node.attributes.contains(list))
}
