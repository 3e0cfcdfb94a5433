//! Time and randomness, passed in so that tests have their own.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment, on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix seconds. May jump.
    pub wall: i64,
    /// Seconds since the machine started. Never goes back.
    pub steady: u64,
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers; nothing was changed")]
pub struct NoRandomness(#[source] pub getrandom::Error);

/// Where authd takes time and randomness from.
pub trait World: Send + Sync {
    /// The moment.
    fn now(&self) -> Now;

    /// Fills a buffer with bytes that nobody can guess.
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl World for System {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        // It has no way to fail for this clock (clock_gettime(2)).
        let steady = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| time.tv_sec().cast_unsigned());
        Now { wall, steady }
    }

    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(out).map_err(NoRandomness)
    }
}

/// An array of bytes that nobody can guess.
pub(crate) fn random<const N: usize>(world: &dyn World) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    world.fill(&mut bytes)?;
    Ok(bytes)
}
