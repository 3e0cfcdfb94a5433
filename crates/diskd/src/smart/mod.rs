//! Asks a disk for its health, through smartctl. Owns how it is called; never opens a disk itself, and never waits for one longer than the deadline.

mod assess;
mod reading;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwell_api::disks::{Bus, SelfTestKind};

pub use assess::{Dated, assess};
pub use reading::{Counter, Kind, Reading, ReadingError, SelfTestState};
pub use report::ANSWER_MAX;

use crate::program::{self, ProgramError};

/// Bits of smartctl's exit status (smartctl(8), RETURN VALUES): wrong call, not opened, command refused. The others speak of the disk's past.
const NOT_DONE: i32 = 0b111;

/// The program that asks disks.
#[derive(Clone, Debug)]
pub struct Smartctl {
    /// The program.
    pub program: PathBuf,
    /// Longest time it may take.
    pub deadline: Duration,
}

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum SmartError {
    /// smartctl did not do what it should.
    #[error("the disk's health can't be read")]
    Program(#[source] ProgramError),
    /// Its answer is of no use.
    #[error("the disk's health can't be read")]
    Answer(#[source] ReadingError),
    /// The device's name is not one.
    #[error("{} is no name of a device", .0.display())]
    Name(PathBuf),
}

impl Smartctl {
    /// Asks `device`. USB cases that smartctl does not know are asked again as SATA behind SCSI (SAT), which most of them are.
    pub fn read(&self, device: &Path, bus: Bus) -> Result<Reading, SmartError> {
        match self.ask(device, None) {
            Err(SmartError::Answer(ReadingError::Refused(_) | ReadingError::None)) if bus == Bus::Usb => self.ask(device, Some("sat")),
            other => other,
        }
    }

    /// Begins a self-test, which the disk does by itself.
    pub fn start(&self, device: &Path, bus: Bus, kind: SelfTestKind) -> Result<(), SmartError> {
        let test = match kind {
            SelfTestKind::Short => "short",
            SelfTestKind::Long => "long",
        };
        let device = name(device)?;
        let mut status = self.call(&["--json=c", "-t", test, device])?.status;
        if status & NOT_DONE != 0 && bus == Bus::Usb {
            status = self.call(&["--json=c", "-t", test, "-d", "sat", device])?.status;
        }
        if status & NOT_DONE == 0 {
            return Ok(());
        }
        Err(SmartError::Answer(ReadingError::Refused(format!("the self-test was not accepted (status {status})"))))
    }

    fn ask(&self, device: &Path, device_type: Option<&str>) -> Result<Reading, SmartError> {
        let mut args = vec!["--json=c", "-x"];
        args.extend(device_type.iter().flat_map(|device_type| ["-d", device_type]));
        args.push(name(device)?);
        Reading::parse(&self.call(&args)?.out).map_err(SmartError::Answer)
    }

    fn call(&self, args: &[&str]) -> Result<program::Said, SmartError> {
        program::run(&self.program, args, &[], self.deadline, ANSWER_MAX).map_err(SmartError::Program)
    }
}

/// A device's name as an argument: absolute, so that it can't be taken for an option.
fn name(device: &Path) -> Result<&str, SmartError> {
    device.to_str().filter(|name| name.starts_with('/')).ok_or_else(|| SmartError::Name(device.to_owned()))
}
