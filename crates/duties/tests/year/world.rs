//! What happens to a box: true time, its clock, its power, and the servers it copies. Knows nothing of the box's rules.

use keepwell_duties::Now;

use crate::chance::Chance;

pub(crate) const SHARES: usize = 50;
pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;
/// How often, in minutes, on average.
const MONTHLY: i64 = 30 * 24 * 60;

/// A server with a share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// It can't be reached until then.
    pub(crate) away_until: i64,
    /// It is twenty times slower until then.
    pub(crate) slow_until: i64,
    /// The box's password is wrong until a person corrects it.
    pub(crate) locked_out: bool,
    /// What a run takes, minutes.
    pub(crate) minutes: i64,
}

impl Server {
    pub(crate) fn is_well(&self, t: i64) -> bool {
        t >= self.away_until && t >= self.slow_until && !self.locked_out
    }
}

/// Everything outside of the box.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chance: Chance,
    /// True time, Unix seconds.
    pub(crate) t: i64,
    /// Seconds since the box was started.
    steady: u64,
    /// What the wall clock is ahead, seconds.
    pub(crate) clock_ahead: i64,
    clock_right_at: i64,
    power_at: i64,
    pub(crate) servers: Vec<Server>,
    /// Thousandths of the pool that are free.
    pub(crate) free: i64,
}

/// What the box notices of a minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Power {
    Off,
    /// The first minute after it was off.
    Back,
    On,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let t = 1_767_571_200 + chance.between(0, 360) * DAY;
        let servers = (0..SHARES).map(|n| Server { minutes: chance.between(1, [5, 15, 45][tier_of(n)]), ..Server::default() }).collect();
        Self { chance, t, steady: 0, clock_ahead: 0, clock_right_at: 0, power_at: 0, servers, free: 500 }
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.t + self.clock_ahead, steady: self.steady }
    }

    pub(crate) fn power(&self) -> Power {
        match self.t - self.power_at {
            ..0 => Power::Off,
            0..MINUTE if self.power_at > 0 => Power::Back,
            _ => Power::On,
        }
    }

    /// A minute passes.
    pub(crate) fn minute(&mut self) {
        self.t += MINUTE;
        match self.power() {
            Power::Off => {}
            Power::Back => self.steady = 30,
            Power::On => {
                self.steady += MINUTE as u64;
                self.power_fails();
            }
        }
        self.clock();
        for n in 0..SHARES {
            self.server(n);
        }
        if self.chance.once_in(600) {
            self.free = (self.free - self.chance.between(0, 2)).max(0);
        }
    }

    fn power_fails(&mut self) {
        if !self.chance.once_in(MONTHLY) {
            return;
        }
        let minutes = match self.chance.between(0, 9) {
            0..=3 => self.chance.between(2, 60),
            4..=6 => self.chance.between(60, 24 * 60),
            _ => self.chance.between(1, 10) * 24 * 60,
        };
        self.power_at = self.t + minutes * MINUTE;
        // The battery is dead: the clock starts in 1970, until a time server is reached.
        if self.chance.once_in(6) {
            self.clock_ahead = -self.power_at;
            self.clock_right_at = self.power_at + self.chance.between(1, 2 * 24 * 60) * MINUTE;
        }
    }

    fn clock(&mut self) {
        if self.clock_ahead != 0 && self.t >= self.clock_right_at {
            self.clock_ahead = 0;
        }
        if self.clock_ahead == 0 && self.chance.once_in(MONTHLY) {
            let far = self.chance.between(1, 72);
            let by = self.chance.one_of(&[200, 2 * HOUR, far * HOUR, far * DAY, 3_650 * DAY]);
            self.clock_ahead = if self.chance.once_in(2) { by } else { -by };
            self.clock_right_at = self.t + self.chance.between(5, 5 * 24 * 60) * MINUTE;
        }
    }

    fn server(&mut self, n: usize) {
        let t = self.t;
        if self.chance.once_in(MONTHLY * 2) {
            let minutes = match self.chance.between(0, 19) {
                0..=13 => self.chance.between(2, 90),
                14..=18 => self.chance.between(2, 48) * 60,
                _ => self.chance.between(2, 14) * 24 * 60,
            };
            self.servers[n].away_until = t + minutes * MINUTE;
        }
        if self.chance.once_in(MONTHLY * 4) {
            self.servers[n].slow_until = t + self.chance.between(1, 36) * HOUR;
        }
        if self.chance.once_in(MONTHLY * 12) {
            self.servers[n].locked_out = true;
        }
    }
}

/// Ten shares of tier 1, twenty of each other.
pub(crate) fn tier_of(share: usize) -> usize {
    match share {
        0..10 => 0,
        10..30 => 1,
        _ => 2,
    }
}
