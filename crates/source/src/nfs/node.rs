//! What NFS version 3 says of a file, as a node.

use keepwell_format::node::{FileId, Owner};
use keepwell_format::{Kind, Node, Time};
use keepwell_nfs::{Attributes, FileType, Timestamp};

pub(super) fn node(seen: &Attributes) -> Node {
    let mut node = Node::new(kind(seen.kind));
    // Twelve bits are left.
    node.owner = Some(Owner { mode: (seen.mode & 0o7777) as u16, uid: seen.uid, gid: seen.gid });
    node.mtime = Some(time(seen.mtime));
    node.ctime = Some(time(seen.ctime));
    node.file_id = Some(FileId { volume: seen.fsid, file: seen.fileid.into() });
    if node.kind != Kind::Folder {
        node.links = seen.links.max(1);
    }
    if matches!(node.kind, Kind::CharDevice | Kind::BlockDevice) {
        node.device = Some((seen.device.major, seen.device.minor));
    }
    node
}

pub(super) fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::Regular => Kind::File,
        FileType::Folder => Kind::Folder,
        FileType::Block => Kind::BlockDevice,
        FileType::Character => Kind::CharDevice,
        FileType::Symlink => Kind::Symlink,
        FileType::Socket => Kind::Socket,
        FileType::Fifo => Kind::Fifo,
    }
}

pub(super) fn time(time: Timestamp) -> Time {
    Time { seconds: time.seconds.into(), nanos: time.nanos }
}
