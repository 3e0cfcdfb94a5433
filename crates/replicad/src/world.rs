//! What the machine says: times and randomness. The only place of this crate that asks it.

use std::time::{SystemTime, UNIX_EPOCH};

use keepwell_offsite::Reading;
use rustix::time::{ClockId, clock_gettime};

/// Times and randomness.
pub trait World: Send + Sync {
    /// Seconds since 1970, by the machine's clock: for people.
    fn wall(&self) -> i64;
    /// What nobody can set.
    fn reading(&self) -> Reading;
    /// Fills with bytes that nobody foresees.
    fn random(&self, bytes: &mut [u8]) -> std::io::Result<()>;
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct System {
    boot: [u8; 16],
}

impl System {
    /// This start of the machine, as the kernel names it (random(4)). Where it can't be read, each start of the program counts as one of the machine.
    pub fn new() -> std::io::Result<Self> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let mut boot = keepwell_api::hex::decode(&digits).unwrap_or_default();
        if boot == [0; 16] {
            getrandom::fill(&mut boot).map_err(std::io::Error::other)?;
        }
        Ok(Self { boot })
    }
}

impl World for System {
    fn wall(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
    }

    fn reading(&self) -> Reading {
        Reading { boot: self.boot, since_boot: clock_gettime(ClockId::Boottime).tv_sec.cast_unsigned() }
    }

    fn random(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(std::io::Error::other)
    }
}
