//! The procedures of NFS version 3 (RFC 1813 section 3.3) and NFSACL version 3, and the results that are not listings.

mod acl;
mod attributes;
mod listing;

pub(crate) use acl::{ALL as ALL_LISTS, GETACL, SETACL, access_lists, set_access_lists};
pub(crate) use attributes::{attributes, post_op, set_attributes, skip_wcc};
pub(crate) use listing::{page, page_plus};

use std::sync::Arc;

use crate::connection::{Connection, Pending};
use crate::export::Facts;
use crate::rpc::{Credential, Procedure};
use crate::types::{AccessLists, Attributes, Handle, Made, ReadData, Space, Stability, Verifier, Written};
use crate::xdr::{Reader, Result, Writer};
use crate::{NfsError, Status};

/// Bytes of a listing that are asked for at once, where the server reads as much.
const LISTING: u32 = 256 << 10;

/// Longest target of a symbolic link.
const MAX_TARGET: usize = 64 << 10;

/// NFS version 3, procedure NULL.
pub(crate) const NFS: Procedure = Procedure { program: 100_003, version: 3, number: 0, name: "NFS version 3" };

const fn nfs(number: u32, name: &'static str) -> Procedure {
    Procedure { number, name, ..NFS }
}

pub(crate) const GETATTR: Procedure = nfs(1, "GETATTR");
pub(crate) const SETATTR: Procedure = nfs(2, "SETATTR");
pub(crate) const LOOKUP: Procedure = nfs(3, "LOOKUP");
pub(crate) const ACCESS: Procedure = nfs(4, "ACCESS");
pub(crate) const READLINK: Procedure = nfs(5, "READLINK");
pub(crate) const READ: Procedure = nfs(6, "READ");
pub(crate) const WRITE: Procedure = nfs(7, "WRITE");
pub(crate) const CREATE: Procedure = nfs(8, "CREATE");
pub(crate) const MKDIR: Procedure = nfs(9, "MKDIR");
pub(crate) const SYMLINK: Procedure = nfs(10, "SYMLINK");
pub(crate) const MKNOD: Procedure = nfs(11, "MKNOD");
pub(crate) const REMOVE: Procedure = nfs(12, "REMOVE");
pub(crate) const RMDIR: Procedure = nfs(13, "RMDIR");
pub(crate) const RENAME: Procedure = nfs(14, "RENAME");
pub(crate) const LINK: Procedure = nfs(15, "LINK");
pub(crate) const READDIR: Procedure = nfs(16, "READDIR");
pub(crate) const READDIRPLUS: Procedure = nfs(17, "READDIRPLUS");
pub(crate) const FSSTAT: Procedure = nfs(18, "FSSTAT");
pub(crate) const FSINFO: Procedure = nfs(19, "FSINFO");
pub(crate) const PATHCONF: Procedure = nfs(20, "PATHCONF");
pub(crate) const COMMIT: Procedure = nfs(21, "COMMIT");

/// Takes the status that every result begins with.
pub(crate) fn status(reader: &mut Reader<'_>, procedure: Procedure) -> Result<()> {
    match Status(reader.u32()?) {
        Status::OK => Ok(()),
        status => Err(NfsError::Status { status, during: procedure.name }),
    }
}

/// `nfs_fh3`.
pub(crate) fn handle(reader: &mut Reader<'_>) -> Result<Handle> {
    let bytes = reader.opaque(Handle::MAX)?;
    if bytes.is_empty() { Err(NfsError::Malformed("an empty file handle")) } else { Ok(Handle(Arc::from(bytes))) }
}

/// `post_op_fh3`.
pub(crate) fn post_op_handle(reader: &mut Reader<'_>) -> Result<Option<Handle>> {
    if reader.bool()? { handle(reader).map(Some) } else { Ok(None) }
}

pub(crate) fn verifier(reader: &mut Reader<'_>) -> Result<Verifier> {
    reader.fixed().map(Verifier)
}

/// Results without content of their own: SETATTR, REMOVE, RMDIR, RENAME, LINK, SETACL.
pub(crate) fn done(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<()> {
    status(reader, procedure)
}

pub(crate) fn getattr(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Attributes> {
    status(reader, procedure)?;
    attributes(reader)
}

pub(crate) fn lookup(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<(Handle, Option<Attributes>)> {
    status(reader, procedure)?;
    Ok((handle(reader)?, post_op(reader)?))
}

pub(crate) fn access(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<u32> {
    status(reader, procedure)?;
    post_op(reader)?;
    reader.u32()
}

pub(crate) fn readlink(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Vec<u8>> {
    status(reader, procedure)?;
    post_op(reader)?;
    Ok(reader.opaque(MAX_TARGET)?.to_vec())
}

pub(crate) fn read(reader: &mut Reader<'_>, procedure: Procedure, asked: u32) -> Result<ReadData> {
    status(reader, procedure)?;
    let attributes = post_op(reader)?;
    let (count, end) = (reader.u32()?, reader.bool()?);
    let data = reader.shared(asked as usize)?;
    if data.len() != count as usize {
        return Err(NfsError::Malformed("data of another length than it says"));
    }
    Ok(ReadData { data, end, attributes })
}

pub(crate) fn write(reader: &mut Reader<'_>, procedure: Procedure, sent: u32) -> Result<Written> {
    status(reader, procedure)?;
    skip_wcc(reader)?;
    let count = reader.u32()?;
    if count > sent {
        return Err(NfsError::Malformed("more bytes written than were sent"));
    }
    let stability = match reader.u32()? {
        0 => Stability::Unstable,
        1 => Stability::Data,
        2 => Stability::File,
        _ => return Err(NfsError::Malformed("an unknown stability of a write")),
    };
    Ok(Written { count, stability, verifier: verifier(reader)? })
}

/// Results of CREATE, MKDIR, SYMLINK and MKNOD.
pub(crate) fn made(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Made> {
    status(reader, procedure)?;
    Ok(Made { handle: post_op_handle(reader)?, attributes: post_op(reader)? })
}

pub(crate) fn commit(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Verifier> {
    status(reader, procedure)?;
    skip_wcc(reader)?;
    verifier(reader)
}

pub(crate) fn space(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Space> {
    status(reader, procedure)?;
    post_op(reader)?;
    let (total, _free, available) = (reader.u64()?, reader.u64()?, reader.u64()?);
    Ok(Space { total, available })
}

/// Longest name that the server takes.
pub(crate) fn name_max(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<u32> {
    status(reader, procedure)?;
    post_op(reader)?;
    let (_link_max, name_max) = (reader.u32()?, reader.u32()?);
    Ok(name_max)
}

pub(crate) fn begin_facts(connection: &Connection, credential: &Credential, root: &Handle) -> Result<Pending<Facts>> {
    let arguments = |out: &mut Writer| {
        out.opaque(root.as_bytes());
    };
    connection.begin(FSINFO, credential, 0, arguments, &[], facts)
}

pub(crate) fn begin_access_lists(connection: &Connection, credential: &Credential, root: &Handle) -> Result<Pending<AccessLists>> {
    let arguments = |out: &mut Writer| {
        out.opaque(root.as_bytes()).u32(ALL_LISTS);
    };
    connection.begin(GETACL, credential, 0, arguments, &[], access_lists)
}

pub(crate) fn facts(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Facts> {
    const LINKS: u32 = 1;
    const SYMLINKS: u32 = 2;
    status(reader, procedure)?;
    post_op(reader)?;
    let sane = |bytes: u32, least: u32| bytes.clamp(least, 1 << 20);
    let (read, _preferred, _multiple) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (write, _preferred, _multiple) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (list, max_size) = (reader.u32()?, reader.u64()?);
    let _time_unit = reader.u64()?;
    let properties = reader.u32()?;
    Ok(Facts {
        max_read: sane(read, 4096),
        max_write: sane(write, 4096),
        // What it prefers is often a page of memory; each server answers with as much as it likes.
        max_list: sane(list, 8192).max(sane(read, 8192).min(LISTING)),
        max_size,
        links: properties & LINKS != 0,
        symlinks: properties & SYMLINKS != 0,
        access_lists: false,
    })
}
