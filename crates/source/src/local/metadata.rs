//! What Linux says of a file, as a node. Never opens a file's content.

use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};

use keepwell_format::node::{Attribute, FileId, Owner};
use keepwell_format::{Gap, GapReason, Kind, Node, Time};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, XattrFlags, fgetxattr, flistxattr, lgetxattr, llistxattr, statx};
use rustix::io::{Errno, Result};

/// Linux allows neither a longer list of names nor a longer value.
const ATTRIBUTE_MAX: usize = 65_536;

/// Lent memory for one thread's calls.
pub(super) struct Scratch {
    path: Vec<u8>,
    names: Vec<u8>,
    value: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { path: Vec::with_capacity(300), names: vec![0; ATTRIBUTE_MAX], value: vec![0; ATTRIBUTE_MAX] }
    }
}

/// Something that has attributes.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// An open file or folder.
    Open(&'a OwnedFd),
    /// What has this name in an open folder; a symbolic link itself, not what it points to.
    In(&'a OwnedFd, &'a [u8]),
}

/// Stats without following a symbolic link or waking an automounter.
pub(super) fn look(place: Place<'_>) -> Result<Statx> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    match place {
        Place::Open(fd) => statx(fd, c"", AtFlags::EMPTY_PATH, mask),
        Place::In(folder, name) => statx(folder, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, mask),
    }
}

/// The node of what was looked at; `volume` names its file system. Attributes and link target come separately.
pub(super) fn node(seen: &Statx, volume: u64) -> Node {
    let mut node = Node::new(kind(FileType::from_raw_mode(seen.stx_mode.into())));
    node.owner = Some(Owner { mode: seen.stx_mode & 0o7777, uid: seen.stx_uid, gid: seen.stx_gid });
    node.mtime = Some(time(&seen.stx_mtime));
    node.ctime = Some(time(&seen.stx_ctime));
    node.btime = StatxFlags::from_bits_retain(seen.stx_mask).contains(StatxFlags::BTIME).then(|| time(&seen.stx_btime));
    node.file_id = Some(FileId { volume, file: seen.stx_ino.into() });
    if node.kind != Kind::Folder {
        node.links = seen.stx_nlink.max(1);
    }
    if matches!(node.kind, Kind::CharDevice | Kind::BlockDevice) {
        node.device = Some((seen.stx_rdev_major, seen.stx_rdev_minor));
    }
    node
}

pub(super) fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => Kind::Unknown,
    }
}

fn time(stamp: &StatxTimestamp) -> Time {
    Time { seconds: stamp.tv_sec, nanos: stamp.tv_nsec }
}

/// Adds all extended attributes that this user may read, POSIX ACLs among them, in ascending order. What can't be read is a gap in
/// the metadata, never in the content: whether the file itself is gone, opening it tells.
pub(super) fn add_attributes(node: &mut Node, place: Place<'_>, scratch: &mut Scratch) {
    node.attributes.clear();
    if let Err(errno) = read_attributes(node, place, scratch) {
        let text = format!("extended attributes: {}", std::io::Error::from(errno));
        node.gap.get_or_insert(Gap { reason: GapReason::Metadata, text });
    }
    node.attributes.sort();
}

fn read_attributes(node: &mut Node, place: Place<'_>, scratch: &mut Scratch) -> Result<()> {
    let Scratch { path, names, value } = scratch;
    if let Place::In(folder, name) = place {
        path.clear();
        write!(path, "/proc/self/fd/{}/", folder.as_raw_fd()).map_err(|_| Errno::NOMEM)?;
        path.extend_from_slice(name);
    }
    let listed = match place {
        Place::Open(fd) => flistxattr(fd, &mut names[..]),
        Place::In(..) => llistxattr(path.as_slice(), &mut names[..]),
    };
    let length = match listed {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
        other => other?,
    };
    let mut failed = Ok(());
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let read = match place {
            Place::Open(fd) => fgetxattr(fd, name, &mut value[..]),
            Place::In(..) => lgetxattr(path.as_slice(), name, &mut value[..]),
        };
        match read {
            Ok(length) => node.attributes.push(Attribute { name: name.to_vec(), value: value[..length].to_vec() }),
            Err(Errno::NODATA) => {}
            Err(errno) => failed = Err(errno),
        }
    }
    failed
}

/// Sets one attribute of an open file; through `/proc` where the descriptor is only a path.
pub(super) fn set_attribute(fd: &OwnedFd, only_path: bool, attribute: &Attribute) -> Result<()> {
    if only_path {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        rustix::fs::setxattr(path, attribute.name.as_slice(), &attribute.value, XattrFlags::empty())
    } else {
        rustix::fs::fsetxattr(fd, attribute.name.as_slice(), &attribute.value, XattrFlags::empty())
    }
}
