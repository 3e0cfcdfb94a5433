//! The people around a box: they hear its alarms, and do something about them after hours or days, or nothing.

use std::collections::BTreeMap;

use keepwell_duties::{Announcement, At, Doubt, DutyKind, Incidents, Room, Said};

use crate::appliance::{PAPERS, Share};
use crate::world::{DAY, HOUR, MINUTE, World};

#[derive(Debug, Default)]
pub(crate) struct People {
    /// When the clock will be confirmed.
    confirm_at: Option<i64>,
    add_at: Option<i64>,
    passwords_at: Option<i64>,
    /// Disks with a fault: which, and until when.
    faults: BTreeMap<&'static str, (&'static str, i64)>,
    rehearsed: Option<At>,
    take: Vec<(i64, u64)>,
}

impl People {
    /// Half a day to three days after they heard that the clock is doubted; once in ten times they don't look at it closely.
    pub(crate) fn confirm_the_time(&mut self, world: &mut World, doubt: Option<Doubt>, now: At) -> bool {
        let Some(doubt) = doubt else {
            self.confirm_at = None;
            return false;
        };
        if self.confirm_at.is_none() && now.since(doubt.since) > HOUR {
            self.confirm_at = Some(world.t + world.chance.between(12, 72) * HOUR);
        }
        let due = self.confirm_at.is_some_and(|at| world.t >= at) && (world.clock_ahead == 0 || world.chance.once_in(40_000));
        if due {
            self.confirm_at = None;
        }
        due
    }

    pub(crate) fn moved(&mut self, by: i64) {
        self.rehearsed = self.rehearsed.map(|at| at.plus(by));
    }

    pub(crate) fn add_a_disk(&mut self, world: &mut World, room: Room) {
        if room == Room::Ample {
            self.add_at = None;
        } else if self.add_at.is_none() {
            self.add_at = Some(world.t + world.chance.one_of(&[1, 3, 10, 60]) * DAY);
        }
        if self.add_at.is_some_and(|at| world.t >= at) {
            world.free = world.chance.between(150, 600);
        }
    }

    /// What is wrong with a disk now.
    pub(crate) fn disk(&mut self, world: &mut World, disk: &'static str) -> Option<&'static str> {
        if !self.faults.contains_key(disk) && world.chance.once_in(6 * 48 * 30) {
            let code = world.chance.one_of(&["suspect", "failing", "missing"]);
            let minutes = world.chance.one_of(&[20, 90, 24 * 60, 6 * 24 * 60]);
            self.faults.insert(disk, (code, world.t + minutes * MINUTE));
        }
        self.faults.retain(|_, (_, until)| world.t < *until);
        self.faults.get(disk).map(|(code, _)| *code)
    }

    /// A paper that somebody types today: about every two to four months.
    pub(crate) fn rehearse(&mut self, world: &mut World, now: At) -> Option<&'static str> {
        let rested = self.rehearsed.is_none_or(|at| now.since(at) > 20 * DAY);
        if !rested || !world.chance.once_in(8 * 24 * 60) {
            return None;
        }
        self.rehearsed = Some(now);
        Some(world.chance.one_of(&PAPERS))
    }

    pub(crate) fn hear(&mut self, world: &mut World, said: &[Announcement]) {
        for one in said.iter().filter(|one| matches!(one.kind, Said::Opened | Said::Escalated)) {
            if world.chance.once_in(2) {
                self.take.push((world.t + world.chance.between(1, 30) * HOUR, one.incident.id));
            }
            if one.incident.duty.kind == DutyKind::Runs && self.passwords_at.is_none() {
                self.passwords_at = Some(world.t + world.chance.between(2, 120) * HOUR);
            }
        }
    }

    pub(crate) fn act(&mut self, world: &mut World, shares: &[Share], incidents: &mut Incidents, now: At) {
        for (_, id) in self.take.extract_if(.., |(at, _)| world.t >= *at) {
            incidents.acknowledge(id, "ann", now);
        }
        if self.passwords_at.is_some_and(|at| world.t >= at) {
            self.passwords_at = None;
            (0..shares.len()).for_each(|n| world.servers[n].locked_out = false);
        }
    }
}
