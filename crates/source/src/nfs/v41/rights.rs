//! What the user that is claimed may do with the root of an export and with what lies in it (ACCESS, RFC 8881 section 18.1). For others the library can't ask.

use std::time::Instant;

use keepwell_format::{Gap, GapReason};
use keepwell_nfs::{FileType, access};
use nfs_rs::{DirectoryCookie, NfsError};

use super::super::rights::may;
use super::{Tree41, attributes, gap, is_gone};
use crate::check::rights::{FOLDERS, LOOKED_AT, Sample};

/// The bits are those of version 3.
const ASKED: u32 = access::READ | access::MODIFY | access::EXTEND | access::DELETE;

impl Tree41 {
    /// Asks of the root and of the first entries in it. Nothing more is asked after `until`.
    pub(in super::super) fn sample(&self, until: Instant) -> Result<Sample, Gap> {
        self.try_sample(until).map_err(|error| gap(&error, GapReason::Read))
    }

    fn try_sample(&self, until: Instant) -> Result<Sample, NfsError> {
        let mut sample = Sample::default();
        self.ask(&mut sample, self.root.clone(), true)?;
        let page = match self.call(self.mount.readdirplus_page(self.root.clone(), DirectoryCookie::default())) {
            Ok(page) => page,
            Err(error) if is_gone(&error) => return Err(error),
            Err(_) => return Ok(sample),
        };
        let named = page.entries.into_iter().filter(|entry| entry.file_name != "." && entry.file_name != "..");
        let known = named.take(LOOKED_AT as usize).inspect(|_| sample.entries += 1).filter_map(|entry| {
            let kind = entry.attr.as_ref().and_then(attributes)?.kind;
            matches!(kind, FileType::Folder | FileType::Regular).then_some((entry.handle, kind == FileType::Folder))
        });
        let known: Vec<_> = known.take(FOLDERS).collect();
        for (handle, is_folder) in known {
            if Instant::now() >= until {
                break;
            }
            self.ask(&mut sample, handle, is_folder)?;
        }
        Ok(sample)
    }

    fn ask(&self, sample: &mut Sample, handle: bytes::Bytes, is_folder: bool) -> Result<(), NfsError> {
        match self.call(self.mount.access(handle, ASKED)) {
            Ok(granted) => sample.take(Some(may(granted, is_folder))),
            Err(error) if is_gone(&error) => return Err(error),
            Err(_) => sample.take(None),
        }
        Ok(())
    }
}
