//! An export over version 3, as the walk, the readers and the writers share it.

use keepwell_format::node::Attribute;
use keepwell_format::{Gap, GapReason, Node};
use keepwell_nfs::{AccessLists, Attributes, Export, FileType, Handle, Identity, Made, NfsError, Options, SetAttributes, Status};

use super::access_list;
use super::gaps::{refusal, words};
use super::handles::Handles;
use super::link::Link;
use crate::{NfsUrl, SourceError};

/// Name that is claimed for this machine; servers go by its address.
const MACHINE: &str = "keepwell";

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) link: Link,
    pub(super) handles: Handles,
    /// Of the tree's root.
    pub(super) root: Attributes,
    /// Who calls.
    pub(super) identity: Identity,
    /// The folder is not there: the tree's root is the nearest one above it.
    pub(super) absent: bool,
}

/// What is done where a folder on the way to the tree's root is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Refuse,
    /// It is made, and all below it.
    Make,
    /// It is left at that.
    Stop,
}

impl Tree {
    /// Mounts the export and goes down to the folder below it.
    pub(super) fn connect(url: &NfsUrl, options: Options, absent: Absent) -> Result<Self, SourceError> {
        let location = url.to_string();
        let refuse = |error| refusal(error, &url.address(), &location);
        let identity = identity(url);
        let options = Options { port: url.port, mount_port: url.mount_port, ..options };
        let link = Link::new(Export::connect(&url.host, &url.export, &identity, options).map_err(refuse)?);
        let found = descend(&link, &url.path, absent).map_err(refuse)?;
        Ok(Self { handles: Handles::new(found.folder), root: found.seen, link, identity, absent: found.absent })
    }

    pub(super) fn has_access_lists(&self) -> bool {
        self.link.export().facts().access_lists
    }

    /// Puts access lists on a node, or says that they could not be read. Whether the file is gone, reading it tells.
    pub(super) fn add_lists(node: &mut Node, lists: Result<AccessLists, NfsError>) {
        match lists {
            Ok(lists) => node.attributes = access_list::attributes(&lists),
            Err(error) if error.status() == Some(Status::NOTSUPP) => node.attributes = Vec::<Attribute>::new(),
            Err(error) => {
                let text = format!("access list: {}", words(&error));
                node.gap.get_or_insert(Gap { reason: GapReason::Metadata, text });
            }
        }
    }
}

/// Claims to be who the URL says, or this process.
fn identity(url: &NfsUrl) -> Identity {
    let groups = match (url.uid, url.groups.is_empty()) {
        (None, true) => rustix::process::getgroups().unwrap_or_default().into_iter().map(|group| group.as_raw()).collect(),
        _ => url.groups.clone(),
    };
    Identity {
        uid: url.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw()),
        gid: url.gid.unwrap_or_else(|| rustix::process::getegid().as_raw()),
        groups,
        machine: MACHINE.to_owned(),
    }
}

struct Found {
    folder: Handle,
    seen: Attributes,
    absent: bool,
}

fn descend(link: &Link, path: &[Vec<u8>], how: Absent) -> Result<Found, NfsError> {
    let mut folder = link.export().root().clone();
    let mut absent = false;
    for name in path {
        match link.call(|export| export.begin_lookup(&folder, name)) {
            Ok((found, _)) => folder = found,
            Err(error) if how == Absent::Refuse || error.status() != Some(Status::NOENT) => return Err(error),
            Err(_) if how == Absent::Make => folder = make(link, &folder, name)?,
            Err(_) => {
                absent = true;
                break;
            }
        }
    }
    let seen = link.call(|export| export.begin_attributes(&folder))?;
    if seen.kind != FileType::Folder {
        return Err(NfsError::Status { status: Status::NOTDIR, during: "LOOKUP" });
    }
    Ok(Found { folder, seen, absent })
}

/// Makes a folder on the way, unless another does so at the same time.
fn make(link: &Link, parent: &Handle, name: &[u8]) -> Result<Handle, NfsError> {
    let set = SetAttributes { mode: Some(0o755), ..SetAttributes::default() };
    match link.call(|export| export.begin_folder(parent, name, &set)) {
        Ok(Made { handle: Some(handle), .. }) => Ok(handle),
        Err(error) if error.status() != Some(Status::EXIST) => Err(error),
        _ => link.call(|export| export.begin_lookup(parent, name)).map(|(handle, _)| handle),
    }
}
