//! Erases a disk and reads it back. Zeros over all of it, or the device's own deallocation where it guarantees zeros; what the certificate says, `certificate` says.
//! Never skips in silence what it could not overwrite.

use std::io;
use std::ops::ControlFlow;

use crate::medium::{Medium, STEP};

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Technique {
    /// One pass of zeros over every block.
    Overwrite,
    /// The device deallocated every block and guarantees zeros.
    Discard,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How.
    pub technique: Technique,
    /// Bytes that could not be overwritten.
    pub failed_bytes: u64,
    /// Bytes read back.
    pub verified_bytes: u64,
    /// Bytes of these that were not zero or could not be read.
    pub wrong_bytes: u64,
}

impl Outcome {
    /// Whether nothing is left.
    pub fn is_complete(&self) -> bool {
        self.failed_bytes == 0 && self.wrong_bytes == 0
    }
}

/// A piece that fails is tried again in pieces of this size.
const PIECE: usize = 64 << 10;
/// After so much that can't be written the disk is not worth more time.
const HOPELESS: u64 = 256 << 20;
/// One request of deallocation.
const DISCARD: u64 = 1 << 30;
/// Syncing so often bounds what waits in memory.
const SYNC_EVERY: u64 = 256 << 20;
/// NIST SP 800-88 Rev. 1, 4.7.2: a thousand sections, in each two places of which each covers five per cent.
const SECTIONS: u64 = 1000;
const SAMPLE: u64 = 20;
/// Below this everything is read.
const SMALL: u64 = 4 << 30;

/// Erases and verifies. `progress` gets bytes behind us of twice the size, and may stop it; `random` gives numbers for the places that are read back.
pub fn erase(
    medium: &dyn Medium,
    prefer_discard: bool,
    random: &mut dyn FnMut() -> u64,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<Outcome> {
    let discarded = prefer_discard && discard(medium, progress)?;
    let mut outcome = Outcome {
        technique: if discarded { Technique::Discard } else { Technique::Overwrite },
        failed_bytes: 0,
        verified_bytes: 0,
        wrong_bytes: 0,
    };
    if discarded {
        medium.sync()?;
    } else {
        outcome.failed_bytes = overwrite(medium, progress)?;
    }
    verify(medium, random, progress, &mut outcome)?;
    Ok(outcome)
}

fn go_on(progress: &mut dyn FnMut(u64) -> ControlFlow<()>, done: u64) -> io::Result<()> {
    match progress(done) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(io::Error::new(io::ErrorKind::Interrupted, "it was stopped")),
    }
}

/// False where the device can't, after which everything is overwritten.
fn discard(medium: &dyn Medium, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> io::Result<bool> {
    let mut at = 0;
    while at < medium.size() {
        let length = DISCARD.min(medium.size() - at);
        match medium.discard(at, length) {
            Ok(()) => at += length,
            Err(error) if is_gone(&error) => return Err(error),
            Err(_) => return Ok(false),
        }
        go_on(progress, at)?;
    }
    Ok(true)
}

/// Whether the disk itself is gone, rather than a place on it.
fn is_gone(error: &io::Error) -> bool {
    let gone = [rustix::io::Errno::NODEV, rustix::io::Errno::NXIO, rustix::io::Errno::NOMEDIUM];
    error.raw_os_error().is_some_and(|code| gone.iter().any(|errno| errno.raw_os_error() == code))
}

/// Bytes that could not be overwritten.
fn overwrite(medium: &dyn Medium, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> io::Result<u64> {
    let (mut at, mut failed, mut synced, mut since) = (0, 0, 0, 0);
    while at < medium.size() {
        let length = (STEP as u64).min(medium.size() - at);
        since += write(medium, at, length as usize)?;
        at += length;
        if at - synced >= SYNC_EVERY || at == medium.size() {
            failed += settle(medium, synced, at, since)?;
            (synced, since) = (at, 0);
        }
        if failed + since > HOPELESS {
            return Err(io::Error::other("more than 256 MiB can't be overwritten; the disk has to be destroyed by force"));
        }
        go_on(progress, at)?;
    }
    Ok(failed)
}

/// Makes a stretch durable, of which so many bytes are known to have failed. A failure that shows only now does not say where it was, so that each piece of the
/// stretch is written again by itself. Bytes that could not be overwritten.
fn settle(medium: &dyn Medium, from: u64, to: u64, known: u64) -> io::Result<u64> {
    match medium.sync() {
        Ok(()) => return Ok(known),
        Err(error) if is_gone(&error) => return Err(error),
        Err(_) => {}
    }
    let mut failed = 0;
    for at in (from..to).step_by(PIECE) {
        let piece = (PIECE as u64).min(to - at);
        match medium.write_zeros(at, piece as usize).and_then(|()| medium.sync()) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => return Err(error),
            Err(_) => failed += piece,
        }
    }
    Ok(failed)
}

fn write(medium: &dyn Medium, at: u64, length: usize) -> io::Result<u64> {
    match medium.write_zeros(at, length) {
        Ok(()) => return Ok(0),
        Err(error) if is_gone(&error) => return Err(error),
        Err(_) => {}
    }
    let mut failed = 0;
    for start in (0..length).step_by(PIECE) {
        let piece = PIECE.min(length - start);
        match medium.write_zeros(at + start as u64, piece) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => return Err(error),
            Err(_) => failed += piece as u64,
        }
    }
    Ok(failed)
}

fn verify(
    medium: &dyn Medium,
    random: &mut dyn FnMut() -> u64,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    outcome: &mut Outcome,
) -> io::Result<()> {
    let size = medium.size();
    if size <= SMALL {
        return read_back(medium, 0, size, progress, outcome);
    }
    let section = size.div_ceil(SECTIONS);
    // The ends hold the tables and labels of every format, so they are read as well.
    read_back(medium, 0, STEP as u64, progress, outcome)?;
    read_back(medium, size - STEP as u64, STEP as u64, progress, outcome)?;
    for start in (0..size).step_by(section as usize) {
        let length = section.min(size - start);
        let (half, sample) = (length / 2, length / SAMPLE);
        if sample == 0 {
            read_back(medium, start, length, progress, outcome)?;
            continue;
        }
        for part in [start, start + half] {
            // Sectors of 4 KiB are the largest there are.
            let at = (part + random() % (half - sample + 1)) & !4095;
            read_back(medium, at, sample, progress, outcome)?;
        }
    }
    Ok(())
}

fn read_back(
    medium: &dyn Medium,
    at: u64,
    length: u64,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    outcome: &mut Outcome,
) -> io::Result<()> {
    let mut buffer = vec![0; STEP.min(length as usize)];
    let mut done = 0;
    while done < length {
        let piece = &mut buffer[..STEP.min((length - done) as usize)];
        match medium.read(at + done, piece) {
            Ok(()) => outcome.wrong_bytes += piece.iter().filter(|b| **b != 0).count() as u64,
            Err(error) if is_gone(&error) => return Err(error),
            Err(_) => outcome.wrong_bytes += piece.len() as u64,
        }
        done += piece.len() as u64;
        outcome.verified_bytes += piece.len() as u64;
        go_on(progress, medium.size() + at + done)?;
    }
    Ok(())
}
