//! Asks a disk for its health, through smartctl. Owns how it is called; never opens a disk itself, and never waits for one longer than the deadline.

mod assess;
mod question;
mod reading;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwell_api::disks::{Bus, SelfTestKind};

pub use assess::{Dated, assess};
pub use question::{Question, What, answer};
pub use reading::{Counter, Kind, Reading, ReadingError, SelfTestState};
pub use report::ANSWER_MAX;

use crate::program::ProgramError;

/// How disks are asked.
#[derive(Clone, Debug)]
pub struct Smartctl {
    /// The program, or what runs it.
    pub route: Route,
    /// Longest time an answer may take.
    pub deadline: Duration,
}

/// The way to smartctl.
#[derive(Clone, Debug)]
pub enum Route {
    /// It is run from here.
    Program(PathBuf),
    /// `keepwell-smart` listens here and runs it in a sandbox of its own.
    Socket(PathBuf),
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

/// Bits of smartctl's exit status (smartctl(8), RETURN VALUES): wrong call, not opened, command refused. The others speak of the disk's past.
const NOT_DONE: i32 = 0b111;

impl Smartctl {
    /// Asks `device`. USB cases that smartctl does not know are asked again as SATA behind SCSI (SAT), which most of them are.
    pub fn read(&self, device: &Path, bus: Bus) -> Result<Reading, SmartError> {
        let ask = |sat| Reading::parse(&self.ask(device, What::Health, sat)?.out).map_err(SmartError::Answer);
        match ask(false) {
            Err(SmartError::Answer(ReadingError::Refused(_) | ReadingError::None)) if bus == Bus::Usb => ask(true),
            other => other,
        }
    }

    /// Begins a self-test, which the disk does by itself.
    pub fn start(&self, device: &Path, bus: Bus, kind: SelfTestKind) -> Result<(), SmartError> {
        let what = match kind {
            SelfTestKind::Short => What::ShortTest,
            SelfTestKind::Long => What::LongTest,
        };
        let mut status = self.ask(device, what, false)?.status;
        if status & NOT_DONE != 0 && bus == Bus::Usb {
            status = self.ask(device, what, true)?.status;
        }
        if status & NOT_DONE == 0 {
            return Ok(());
        }
        Err(SmartError::Answer(ReadingError::Refused(format!("the self-test was not accepted (status {status})"))))
    }

    fn ask(&self, device: &Path, what: What, sat: bool) -> Result<question::Answered, SmartError> {
        let question = Question { device: device.to_owned(), what, sat };
        match &self.route {
            Route::Program(program) => question.run(program, self.deadline),
            Route::Socket(socket) => question.send(socket, self.deadline),
        }
    }
}
