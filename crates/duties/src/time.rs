//! Box time: the course of time that schedules and deadlines go by. Owns the judgement of the wall clock; never reads a clock.
//!
//! The wall clock is a claim (a dead battery, a hostile time server, a typing error); the running clock of the kernel is not, but stops with the power.
//! So box time goes on with the running clock, follows the wall clock only slowly, and takes from it only how long the box was off.

use serde::{Deserialize, Serialize};

/// Further apart than this, seconds, the clocks contradict each other.
pub const TOLERANCE_S: i64 = 120;
/// The longest time without power, seconds, that is believed.
pub const LONGEST_OFF_S: i64 = 45 * 86_400;
/// How long, seconds, a doubted clock has to agree before it is believed again.
pub const AGREES_FOR_S: u64 = 3_600;
/// Box time follows the wall clock by at most one millisecond in so many: faster than any crystal drifts, too slow to creep away.
const SLEW: i64 = 1_000;

/// A moment in box time: Unix seconds as the box believes them.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub i64);

impl At {
    /// So many seconds later.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds since `earlier`; negative when that is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether it has been by `now`. What was written down under another clock may lie in the future: it says nothing about now.
    pub fn has_been(self, now: Self) -> bool {
        self.since(now) <= TOLERANCE_S
    }
}

/// What the two clocks say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Now {
    /// Unix seconds of the wall clock.
    pub wall: i64,
    /// Seconds of a clock that never goes back within a boot, such as `CLOCK_BOOTTIME`. It may start anew at each boot.
    pub steady: u64,
}

/// What a look at the clocks found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Judgement {
    /// Nothing new.
    Steady,
    /// The wall clock is now so many seconds away from box time, which goes on as before.
    Jumped {
        /// Seconds; positive: the wall clock is ahead.
        by: i64,
    },
    /// The wall clock is believed again.
    Agrees,
    /// The box was off for so many seconds, and that is believed.
    WasOff {
        /// Seconds.
        off_s: i64,
    },
}

/// That the wall clock is not believed.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// Since when, box time.
    pub since: At,
    /// Seconds that the wall clock is ahead of box time, when last looked.
    pub ahead_s: i64,
    /// `steady` since when it has stayed where it is now.
    settled_since: u64,
    /// Nobody knows yet how long the box was off: the wall clock was unbelievable when it started.
    off_unknown: bool,
}

/// The box's time. State: to be kept across restarts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BoxTime {
    believed_ms: i64,
    last: Now,
    doubt: Option<Doubt>,
}

impl BoxTime {
    /// A box that never had a time believes its clock.
    pub fn begin(now: Now) -> Self {
        Self { believed_ms: now.wall.saturating_mul(1_000), last: now, doubt: None }
    }

    /// Box time at the last look.
    pub fn at(&self) -> At {
        At(self.believed_ms.div_euclid(1_000))
    }

    /// Whether, and by how much, the wall clock is doubted.
    pub fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// A look at the clocks while the box runs; also after a restart of the program in the same boot. At least once a minute.
    pub fn tick(&mut self, now: Now) -> Judgement {
        let ran_s = now.steady.saturating_sub(self.last.steady).min(i64::MAX as u64 / 2_000);
        let ran_ms = ran_s as i64 * 1_000;
        self.believed_ms = self.believed_ms.saturating_add(ran_ms);
        self.last = now;
        match self.doubt {
            None => self.follow(now, ran_ms),
            Some(doubt) => self.reconsider(now, doubt),
        }
    }

    /// The first look after the box had no power. The wall clock says for how long; if it can't be believed, box time goes on where it stopped.
    pub fn wake(&mut self, now: Now) -> Judgement {
        // The steady clock started anew: it says nothing about what was before.
        let off_s = now.wall.saturating_sub(self.last.wall);
        self.last = now;
        if (-TOLERANCE_S..=LONGEST_OFF_S).contains(&off_s) {
            self.believed_ms = self.believed_ms.saturating_add(off_s.max(0) * 1_000);
            self.doubt = self.doubt.map(|doubt| Doubt { settled_since: now.steady, ..doubt });
            return Judgement::WasOff { off_s: off_s.max(0) };
        }
        let ahead_s = self.ahead(now);
        self.doubt = Some(Doubt { since: self.at(), ahead_s, settled_since: now.steady, off_unknown: true });
        Judgement::Jumped { by: ahead_s }
    }

    /// A person says that the wall clock is right. Returns by how many seconds box time moved: tell it to [`crate::Book::moved`] and all else that keeps moments.
    pub fn confirm(&mut self, now: Now) -> i64 {
        let before = self.at();
        *self = Self::begin(now);
        self.at().since(before)
    }

    fn ahead(&self, now: Now) -> i64 {
        now.wall.saturating_sub(self.at().0)
    }

    fn follow(&mut self, now: Now, ran_ms: i64) -> Judgement {
        let ahead_s = self.ahead(now);
        if ahead_s.saturating_abs() > TOLERANCE_S {
            self.doubt = Some(Doubt { since: self.at(), ahead_s, settled_since: now.steady, off_unknown: false });
            return Judgement::Jumped { by: ahead_s };
        }
        let most = ran_ms / SLEW;
        self.believed_ms = self.believed_ms.saturating_add((ahead_s * 1_000).clamp(-most, most));
        Judgement::Steady
    }

    fn reconsider(&mut self, now: Now, doubt: Doubt) -> Judgement {
        let ahead_s = self.ahead(now);
        let moved = ahead_s.saturating_sub(doubt.ahead_s).saturating_abs() > TOLERANCE_S;
        let settled_since = if moved { now.steady } else { doubt.settled_since };
        let agrees = ahead_s.saturating_abs() <= TOLERANCE_S;
        // The clock was set right after a start with a dead battery: the difference is the time that the box was off.
        let tells_off = doubt.off_unknown && (0..=LONGEST_OFF_S).contains(&ahead_s);
        if (agrees || tells_off) && now.steady.saturating_sub(settled_since) >= AGREES_FOR_S {
            self.doubt = None;
            if !agrees {
                self.believed_ms = now.wall.saturating_mul(1_000);
                return Judgement::WasOff { off_s: ahead_s };
            }
            return Judgement::Agrees;
        }
        // What was last told stays the mark, so that a creeping clock does not slip by.
        let told = if moved { ahead_s } else { doubt.ahead_s };
        self.doubt = Some(Doubt { ahead_s: told, settled_since, ..doubt });
        if moved && !agrees { Judgement::Jumped { by: ahead_s } } else { Judgement::Steady }
    }
}
