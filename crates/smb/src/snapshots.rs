//! Previous versions of a share: which there are. Owns the question; files as of one are opened like any other.

use crate::handle::{only, succeeded};
use crate::wire::create::FileId;
use crate::wire::fscc::decode_snapshots;
use crate::wire::ioctl;
use crate::{FileTime, NtStatus, Open, Share, SmbError, Want, WidePath};

/// Room for some 1,300 snapshots.
const USUAL: u32 = 64 << 10;
/// Room for 20,000.
const LARGEST: u32 = 1 << 20;

impl Share {
    /// Times of the server's snapshots of this share, newest first (FSCTL_SRV_ENUMERATE_SNAPSHOTS, MS-SMB2 3.3.5.15.1). Empty where the
    /// server has none or does not know of such things.
    ///
    /// # Errors
    /// [`SmbError`]; a server that has more than fit into 1 MiB is cut to those.
    pub fn snapshots(&self) -> Result<Vec<FileTime>, SmbError> {
        let mut asked = USUAL.min(self.max_transact());
        let mut found = loop {
            let question = ioctl::encode(FileId::RELATED, ioctl::ENUMERATE_SNAPSHOTS, &[], asked);
            let open = Open { access: crate::access::READ_DATA, ..Open::looking(Want::default(), None) };
            let answer = only(self.ask(&WidePath::root(), &open, vec![question])?)?;
            if has_none(answer.status) {
                return Ok(Vec::new());
            }
            let found = decode_snapshots(&ioctl::decode(&succeeded(answer, "list snapshots")?.body, asked)?)?;
            let larger = LARGEST.min(self.max_transact());
            match found.needed {
                Some(_) if asked < larger => asked = larger,
                _ => break found.times,
            }
        };
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        Ok(found)
    }
}

fn has_none(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::NOT_SUPPORTED
            | NtStatus::NOT_IMPLEMENTED
            | NtStatus::INVALID_DEVICE_REQUEST
            | NtStatus::NOT_FOUND
            | NtStatus::OBJECT_NAME_NOT_FOUND
    )
}
