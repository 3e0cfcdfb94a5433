//! What time it is: by the machine's clock, and as the box itself reckons. vaultd tells the second; between two answers of it the running clock goes on, which no setting of a clock moves.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A moment, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the machine's clock, which may be years away.
    pub wall: i64,
    /// As the box reckons. None before vaultd has told.
    pub reckoned: Option<i64>,
}

impl Moment {
    /// The earlier and the later of the two.
    pub fn span(self) -> (i64, i64) {
        let other = self.reckoned.unwrap_or(self.wall);
        (self.wall.min(other), self.wall.max(other))
    }

    /// Whether something that holds from one second to another does so by either of them: whoever asks has a clock of their own, and nobody knows here which of these is right.
    pub fn is_within(self, from: i64, until: i64) -> bool {
        [Some(self.wall), self.reckoned].into_iter().flatten().any(|now| (from..=until).contains(&now))
    }
}

/// Both clocks.
#[derive(Debug)]
pub struct Reckoning {
    wall: fn() -> i64,
    told: Mutex<Option<(i64, Instant)>>,
}

impl Reckoning {
    /// Nothing was told yet.
    pub fn new(wall: fn() -> i64) -> Self {
        Self { wall, told: Mutex::default() }
    }

    /// What vaultd says that it is now.
    pub fn tell(&self, at: i64) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Instant::now()));
    }

    /// Now.
    pub fn now(&self) -> Moment {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |when: Instant| i64::try_from(when.elapsed().as_secs()).unwrap_or(0);
        Moment { wall: (self.wall)(), reckoned: told.map(|(at, when)| at.saturating_add(since(when))) }
    }
}
