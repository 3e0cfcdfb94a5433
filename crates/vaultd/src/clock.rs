//! The box's own reckoning of time: the machine's clock while it is believable, else what the running clock adds. Owns how the two clocks of the kernel are read, and where the
//! course of time is kept between starts.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use keepwell_duties::{BoxTime, Doubt, Judgement, Now};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::state::{State, StateError};

const DOCUMENT: &str = "time";

/// The course of time as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Course {
    boot: String,
    time: BoxTime,
}

/// The course of time, and when the clocks were looked at last.
#[derive(Debug)]
struct Looked {
    time: BoxTime,
    when: Instant,
}

/// What time it is for the box.
#[derive(Debug)]
pub struct BoxClock {
    boot: String,
    time: Mutex<Looked>,
}

impl BoxClock {
    /// Takes up the course of time where it was left: by a program that ended, or before the box was off. Says what that showed.
    pub fn start(state: &State) -> Result<(Self, Option<Judgement>), StateError> {
        let boot = boot_id();
        let now = look();
        let (time, judgement) = match state.document::<Course>(DOCUMENT)? {
            None => (BoxTime::begin(now), None),
            Some(Course { boot: before, mut time }) => {
                let judgement = if before == boot { time.tick(now) } else { time.wake(now) };
                (time, Some(judgement))
            }
        };
        Ok((Self { boot, time: Mutex::new(Looked { time, when: Instant::now() }) }, judgement))
    }

    /// This start of the machine, as the kernel names it: 32 hexadecimal digits.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// The same as bytes.
    pub fn boot_bytes(&self) -> [u8; 16] {
        u128::from_str_radix(&self.boot, 16).map_or([0; 16], u128::to_be_bytes)
    }

    /// Looks at the clocks. Once a second.
    pub fn tick(&self) -> Judgement {
        let mut looked = self.time();
        looked.when = Instant::now();
        looked.time.tick(look())
    }

    /// The course of time as of the last look.
    pub fn course(&self) -> BoxTime {
        self.time().time.clone()
    }

    /// Unix seconds that the box believes: as of the last look, and what the running clock adds since.
    pub fn believed(&self) -> i64 {
        let looked = self.time();
        let since = i64::try_from(looked.when.elapsed().as_secs()).unwrap_or(0);
        looked.time.at().plus(since).0
    }

    /// Seconds since the start of the machine, sleep included: what no setting of a clock moves.
    pub(crate) fn steady_s(&self) -> i64 {
        look().steady.cast_signed()
    }

    /// Whether the machine's clock is doubted.
    pub fn doubt(&self) -> Option<Doubt> {
        self.time().time.doubt()
    }

    /// A person says that the machine's clock is right. By how many seconds the box's time moved.
    pub fn confirm(&self) -> i64 {
        let mut looked = self.time();
        looked.when = Instant::now();
        looked.time.confirm(look())
    }

    /// Keeps the course of time. Once a minute: what is lost is taken from the clocks again.
    pub fn keep(&self, state: &State) -> Result<(), StateError> {
        let time = self.course();
        state.note(DOCUMENT, &Course { boot: self.boot.clone(), time })
    }

    fn time(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    Now { wall, steady: clock_gettime(ClockId::Boottime).tv_sec.cast_unsigned() }
}

/// Of the kernel, random at each start of the machine (random(4)). Where it can't be read, none is like another: then each start of the program counts as one of the machine.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id: String = id.trim().chars().filter(char::is_ascii_hexdigit).collect();
    if id.len() == 32 {
        return id;
    }
    let mut random = [0; 16];
    // Zeros, if even that fails: nothing but the reckoning of time without power depends on it.
    let _ = getrandom::fill(&mut random);
    format!("{:032x}", u128::from_be_bytes(random))
}
