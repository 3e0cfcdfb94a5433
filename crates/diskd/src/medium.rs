//! A device that is overwritten and read back, as erasing needs it; a real one, or one of a test that fails as real ones do. Owns how bytes reach it, not which.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::{Advice, FallocateFlags, OFlags};

/// Bytes in one step.
pub const STEP: usize = 4 << 20;
/// What is written past the kernel's memory begins at such an address.
const ALIGNED: usize = 4096;

/// A device from end to end.
pub trait Medium {
    /// Bytes.
    fn size(&self) -> u64;
    /// Writes zeros, at most [`STEP`] of them.
    fn write_zeros(&self, at: u64, length: usize) -> io::Result<()>;
    /// Lets the device itself turn a range into zeros, which it then promises to read back; `Unsupported` where it can't.
    fn discard(&self, at: u64, length: u64) -> io::Result<()>;
    /// Makes what was written durable, and forgets what memory holds of it.
    fn sync(&self) -> io::Result<()>;
    /// Reads from the device.
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

/// A block device.
#[derive(Debug)]
pub struct Device {
    file: File,
    /// The same past the kernel's memory, so that a place that can't be written is told with the write and not later; none where that can't be had.
    direct: Option<File>,
    size: u64,
    zeros: Vec<u8>,
}

impl Device {
    /// A device that whoever calls has for itself.
    pub fn new(file: File, size: u64) -> Self {
        let mut again = OpenOptions::new();
        again.write(true).custom_flags(OFlags::DIRECT.bits() as i32);
        // The same device, whoever has its name by now.
        let direct = again.open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
        Self { file, direct, size, zeros: vec![0; STEP + ALIGNED] }
    }
}

impl Medium for Device {
    fn size(&self) -> u64 {
        self.size
    }

    fn write_zeros(&self, at: u64, length: usize) -> io::Result<()> {
        let start = self.zeros.as_ptr().align_offset(ALIGNED).min(ALIGNED);
        let zeros = &self.zeros[start..start + length.min(STEP)];
        match self.direct.as_ref().map(|direct| direct.write_all_at(zeros, at)) {
            // A piece that is no whole number of the device's blocks.
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => self.file.write_all_at(zeros, at),
            Some(written) => written,
            None => self.file.write_all_at(zeros, at),
        }
    }

    /// On a block device the kernel carries this out only where the device guarantees zeros afterwards (fallocate(2), blkdev_issue_zeroout without fallback).
    fn discard(&self, at: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, at, length) {
            Err(rustix::io::Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}
