//! Parts of a stored file, for whoever reads here and there. Each blob is proven by itself; only the whole file has a hash to be held against, and who wants that reads all of it.

use std::ops::{ControlFlow, Range};

use keepwell_format::Extent;

use crate::VaultError;
use crate::catalog::for_each_extent;
use crate::read::{StoredFile, ZEROS, lost};
use crate::vault::Vault;

impl Vault {
    /// Hands out the bytes of a file from `part.start` to before `part.end`, or to the file's end, until `out` breaks it off; answers whether it did.
    pub fn read_part(
        &self,
        file: &StoredFile,
        part: Range<u64>,
        out: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, VaultError> {
        let (reader, content) = (self.reader(), file.content());
        let mut flow = Part { out, at: part.start, end: part.end.min(content.size), seen: 0, stopped: false };
        let walked = for_each_extent(&reader, &content.extents, &mut |extent| {
            let behind = flow.place(&extent, content.size)?;
            if behind > flow.at && extent.at < flow.end {
                let blob = reader.fetch(&extent.blob)?;
                let from = extent.offset as usize;
                let bytes = from.checked_add(extent.length as usize).and_then(|end| blob.get(from..end));
                flow.run(extent.at, bytes.ok_or_else(|| lost(&extent, "it is shorter than the file needs"))?);
            }
            // Stands for what is not read any more; nobody gets to see it.
            if flow.is_over() { Err(lost(&extent, "")) } else { Ok(()) }
        });
        if !flow.is_over() {
            walked?;
            flow.hole(flow.end);
        }
        Ok(if flow.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// A part on its way out: `at` is the next byte of it, `seen` the end of the extent before.
struct Part<'a> {
    out: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    at: u64,
    end: u64,
    seen: u64,
    stopped: bool,
}

impl Part<'_> {
    fn is_over(&self) -> bool {
        self.stopped || self.at >= self.end
    }

    /// The end of an extent that has its place behind the one before and in the file.
    fn place(&mut self, extent: &Extent, size: u64) -> Result<u64, VaultError> {
        let behind = extent.at.checked_add(u64::from(extent.length)).filter(|behind| *behind <= size && extent.at >= self.seen);
        self.seen = behind.ok_or_else(|| lost(extent, "its place in the file is taken, or behind its end"))?;
        Ok(self.seen)
    }

    /// What of an extent's bytes, which begin at `from`, is in the part.
    fn run(&mut self, from: u64, bytes: &[u8]) {
        self.hole(from.min(self.end));
        let behind = (from + bytes.len() as u64).min(self.end);
        if behind > self.at && !self.stopped {
            let wanted = &bytes[(self.at - from) as usize..(behind - from) as usize];
            self.stopped = (self.out)(wanted).is_break();
            self.at = behind;
        }
    }

    /// Zeros up to there.
    fn hole(&mut self, until: u64) {
        while self.at < until && !self.stopped {
            let piece = (until - self.at).min(ZEROS.len() as u64);
            self.stopped = (self.out)(&ZEROS[..piece as usize]).is_break();
            self.at += piece;
        }
    }
}
