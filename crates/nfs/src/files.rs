//! The calls: each `begin_*` sends one and hands out where its answer will be.

use crate::connection::Pending;
use crate::export::{Export, Identity};
use crate::types::{
    AccessLists, Attributes, Creation, Device, FileType, Handle, Made, Page, ReadData, SetAttributes, Space, Stability, Verifier, Written,
};
use crate::wire::{self, set_attributes};
use crate::xdr::{Result, Writer};

/// A name in a folder.
fn place(out: &mut Writer, folder: &Handle, name: &[u8]) {
    out.opaque(folder.as_bytes()).opaque(name);
}

/// What a listing says of itself: bytes of names that READDIRPLUS is to look up at once are an eighth of the whole.
const NAMES_SHARE: u32 = 8;

#[allow(clippy::missing_errors_doc, reason = "each sends one call, so each fails as Export::begin does: the connection is gone")]
impl Export {
    /// GETATTR.
    pub fn begin_attributes(&self, file: &Handle) -> Result<Pending<Attributes>> {
        self.begin(wire::GETATTR, 0, |out| _ = out.opaque(file.as_bytes()), &[], wire::getattr)
    }

    /// SETATTR, without a guard.
    pub fn begin_set_attributes(&self, file: &Handle, set: &SetAttributes) -> Result<Pending<()>> {
        let arguments = |out: &mut Writer| {
            out.opaque(file.as_bytes());
            set_attributes(out, set);
            out.bool(false);
        };
        self.begin(wire::SETATTR, 0, arguments, &[], wire::done)
    }

    /// LOOKUP.
    pub fn begin_lookup(&self, folder: &Handle, name: &[u8]) -> Result<Pending<(Handle, Option<Attributes>)>> {
        self.begin(wire::LOOKUP, 0, |out| place(out, folder, name), &[], wire::lookup)
    }

    /// ACCESS: which of these bits ([`crate::access`]) the user has.
    pub fn begin_access(&self, file: &Handle, bits: u32) -> Result<Pending<u32>> {
        self.begin(wire::ACCESS, 0, |out| _ = out.opaque(file.as_bytes()).u32(bits), &[], wire::access)
    }

    /// The same as another user of this machine would ask it.
    pub fn begin_access_as(&self, user: &Identity, file: &Handle, bits: u32) -> Result<Pending<u32>> {
        self.begin_as(user, wire::ACCESS, |out| _ = out.opaque(file.as_bytes()).u32(bits), wire::access)
    }

    /// READLINK.
    pub fn begin_target(&self, link: &Handle) -> Result<Pending<Vec<u8>>> {
        self.begin(wire::READLINK, 0, |out| _ = out.opaque(link.as_bytes()), &[], wire::readlink)
    }

    /// READ of at most `count` bytes, itself at most [`crate::Facts::max_read`].
    pub fn begin_read(&self, file: &Handle, at: u64, count: u32) -> Result<Pending<ReadData>> {
        let count = count.min(self.facts().max_read);
        self.begin(wire::READ, count, |out| _ = out.opaque(file.as_bytes()).u64(at).u32(count), &[], wire::read)
    }

    /// WRITE of at most [`crate::Facts::max_write`] bytes; what is longer is not sent.
    pub fn begin_write(&self, file: &Handle, at: u64, bytes: &[u8], stability: Stability) -> Result<Pending<Written>> {
        let bytes = &bytes[..bytes.len().min(self.facts().max_write as usize)];
        // At most 1 MiB.
        let count = bytes.len() as u32;
        let arguments = |out: &mut Writer| {
            out.opaque(file.as_bytes()).u64(at).u32(count).u32(stability as u32);
            if bytes.is_empty() {
                out.length(0);
            }
        };
        self.begin(wire::WRITE, count, arguments, bytes, wire::write)
    }

    /// CREATE.
    pub fn begin_create(&self, folder: &Handle, name: &[u8], how: &Creation) -> Result<Pending<Made>> {
        let arguments = |out: &mut Writer| {
            place(out, folder, name);
            match how {
                Creation::Unchecked(set) => set_attributes(out.u32(0), set),
                Creation::Guarded(set) => set_attributes(out.u32(1), set),
                Creation::Exclusive(verifier) => _ = out.u32(2).fixed(verifier),
            }
        };
        self.begin(wire::CREATE, 0, arguments, &[], wire::made)
    }

    /// MKDIR.
    pub fn begin_folder(&self, parent: &Handle, name: &[u8], set: &SetAttributes) -> Result<Pending<Made>> {
        let arguments = |out: &mut Writer| {
            place(out, parent, name);
            set_attributes(out, set);
        };
        self.begin(wire::MKDIR, 0, arguments, &[], wire::made)
    }

    /// SYMLINK.
    pub fn begin_symlink(&self, folder: &Handle, name: &[u8], target: &[u8], set: &SetAttributes) -> Result<Pending<Made>> {
        let arguments = |out: &mut Writer| {
            place(out, folder, name);
            set_attributes(out, set);
            out.opaque(target);
        };
        self.begin(wire::SYMLINK, 0, arguments, &[], wire::made)
    }

    /// MKNOD of a device, socket or pipe; other types are refused by the server.
    pub fn begin_special(
        &self,
        folder: &Handle,
        name: &[u8],
        kind: FileType,
        device: Device,
        set: &SetAttributes,
    ) -> Result<Pending<Made>> {
        let arguments = |out: &mut Writer| {
            place(out, folder, name);
            match kind {
                FileType::Regular => _ = out.u32(1),
                FileType::Folder => _ = out.u32(2),
                FileType::Symlink => _ = out.u32(5),
                FileType::Socket => set_attributes(out.u32(6), set),
                FileType::Fifo => set_attributes(out.u32(7), set),
                FileType::Block | FileType::Character => {
                    set_attributes(out.u32(if kind == FileType::Block { 3 } else { 4 }), set);
                    out.u32(device.major).u32(device.minor);
                }
            }
        };
        self.begin(wire::MKNOD, 0, arguments, &[], wire::made)
    }

    /// REMOVE of anything but a folder.
    pub fn begin_remove(&self, folder: &Handle, name: &[u8]) -> Result<Pending<()>> {
        self.begin(wire::REMOVE, 0, |out| place(out, folder, name), &[], wire::done)
    }

    /// RMDIR.
    pub fn begin_remove_folder(&self, parent: &Handle, name: &[u8]) -> Result<Pending<()>> {
        self.begin(wire::RMDIR, 0, |out| place(out, parent, name), &[], wire::done)
    }

    /// RENAME; replaces what is there.
    pub fn begin_rename(&self, from: (&Handle, &[u8]), to: (&Handle, &[u8])) -> Result<Pending<()>> {
        let arguments = |out: &mut Writer| {
            place(out, from.0, from.1);
            place(out, to.0, to.1);
        };
        self.begin(wire::RENAME, 0, arguments, &[], wire::done)
    }

    /// LINK: a further path of a file.
    pub fn begin_link(&self, file: &Handle, folder: &Handle, name: &[u8]) -> Result<Pending<()>> {
        let arguments = |out: &mut Writer| {
            out.opaque(file.as_bytes());
            place(out, folder, name);
        };
        self.begin(wire::LINK, 0, arguments, &[], wire::done)
    }

    /// READDIR behind `cookie`, 0 for the start.
    pub fn begin_names(&self, folder: &Handle, cookie: u64, verifier: Verifier) -> Result<Pending<Page>> {
        let count = self.facts().max_list;
        let arguments = |out: &mut Writer| _ = out.opaque(folder.as_bytes()).u64(cookie).fixed(&verifier.0).u32(count);
        self.begin(wire::READDIR, 0, arguments, &[], wire::page)
    }

    /// READDIRPLUS behind `cookie`, 0 for the start.
    pub fn begin_list(&self, folder: &Handle, cookie: u64, verifier: Verifier) -> Result<Pending<Page>> {
        let count = self.facts().max_list;
        let arguments =
            |out: &mut Writer| _ = out.opaque(folder.as_bytes()).u64(cookie).fixed(&verifier.0).u32(count / NAMES_SHARE).u32(count);
        self.begin(wire::READDIRPLUS, 0, arguments, &[], wire::page_plus)
    }

    /// FSSTAT.
    pub fn begin_space(&self, file: &Handle) -> Result<Pending<Space>> {
        self.begin(wire::FSSTAT, 0, |out| _ = out.opaque(file.as_bytes()), &[], wire::space)
    }

    /// PATHCONF: bytes of the longest name that the server takes.
    pub fn begin_name_max(&self, file: &Handle) -> Result<Pending<u32>> {
        self.begin(wire::PATHCONF, 0, |out| _ = out.opaque(file.as_bytes()), &[], wire::name_max)
    }

    /// COMMIT of all that was written to a file. If the verifier is not that of the writes, they may be lost and must be sent again.
    pub fn begin_commit(&self, file: &Handle) -> Result<Pending<Verifier>> {
        self.begin(wire::COMMIT, 0, |out| _ = out.opaque(file.as_bytes()).u64(0).u32(0), &[], wire::commit)
    }

    /// GETACL; only where [`crate::Facts::access_lists`] says so.
    pub fn begin_access_lists(&self, file: &Handle) -> Result<Pending<AccessLists>> {
        self.begin(wire::GETACL, 0, |out| _ = out.opaque(file.as_bytes()).u32(wire::ALL_LISTS), &[], wire::access_lists)
    }

    /// SETACL. The owner's, group's and others' permissions in it become the mode.
    pub fn begin_set_access_lists(&self, file: &Handle, lists: &AccessLists) -> Result<Pending<()>> {
        let arguments = |out: &mut Writer| {
            out.opaque(file.as_bytes());
            wire::set_access_lists(out, lists);
        };
        self.begin(wire::SETACL, 0, arguments, &[], wire::done)
    }
}
