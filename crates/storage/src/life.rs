//! A disk's life, as a pure machine: what is heard of a disk goes in, its new state and what is to be done about it come out.
//!
//! Does nothing itself, knows no disk and no pool. Whoever drives it carries the orders out and hears of the result as further events. Invariants, which
//! the tests hold against every sequence of events: a disk is only forgotten when it was to leave and nothing on it is needed any more; one that has left
//! never comes back; and nobody reads from or writes to one that is not there.

use crate::disk::DiskErrorKind;
use crate::label::Role;
use crate::pool::{DiskHealth, DiskState};

/// What a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Empty, and not yet of the pool.
    New,
    /// Does its work.
    Healthy,
    /// Shows the signs that come before failure: read, and to be drained.
    Suspect,
    /// Fails: read as long as it lasts, and to be drained at once.
    Failing,
    /// Not there, or it does not answer.
    Missing {
        /// It is to leave: it is not waited for.
        leaving: bool,
    },
    /// What it holds goes to other disks.
    Draining,
    /// Has left for ever.
    Retired,
}

/// What the health of a disk comes to, by its own counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outlook {
    /// Nothing against it.
    Good,
    /// Signs that come before failure.
    Suspect,
    /// It says itself that it fails, or will within a day.
    Failing,
}

/// What the label of a disk that comes back says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Return {
    /// Of the pool's generation.
    Current,
    /// Of an earlier one, and the disk is still a member.
    Behind,
    /// It is no member any more.
    Former,
}

/// Something that is heard of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It has a label, and with it a place.
    Labelled,
    /// Its counters were read.
    Health(Outlook),
    /// So many reads and writes failed since it was last heard of.
    Errors {
        /// Reads.
        reads: u32,
        /// Writes.
        writes: u32,
    },
    /// An operation did not come back in time.
    Stalled,
    /// It is not there any more.
    Gone,
    /// It is there again.
    Returned(Return),
    /// A person wants it empty.
    DrainAsked,
    /// Every object has its full redundancy on other disks, proven by repair.
    Drained,
    /// Another disk has joined to take over from it.
    Replaced,
    /// A person took it out of the vault.
    Removed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Give it new shards.
    StartWrites,
    /// Give it no new shards.
    StopWrites,
    /// Move what it holds to other disks: it is read, and so are the others.
    Drain,
    /// Rebuild what it held from the other disks.
    Rebuild,
    /// Write what it missed while it was away.
    CatchUp,
    /// It is no member any more.
    Forget,
    /// Somebody has to know.
    Tell(Whom, Notice),
}

/// Who has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whom {
    /// Whoever looks at the box's display or page.
    Practice,
    /// Also whoever looks after the box, at once.
    Support,
}

/// What they have to know. Shown as a sentence that goes on from the disk's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Joined.
    Joined,
    /// To be drained.
    Suspect,
    /// To be drained at once.
    Failing,
    /// Recovered.
    Recovered,
    /// Not there.
    Missing,
    /// Did not answer.
    Stalled,
    /// Back.
    Back,
    /// Back after a change that it missed.
    BackBehind,
    /// A former member.
    Former,
    /// On its way out.
    Leaving,
    /// Out.
    Left,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Joined => "belongs to the vault now and takes data",
            Self::Suspect => "shows signs that it will fail. Nothing is lost; its data is being moved to the other disks. Order a new disk",
            Self::Failing => "is failing. Its data is being moved to the other disks as long as it can be read. Replace it now",
            Self::Recovered => "works as it should again and takes data",
            Self::Missing => "is not there. Nothing is lost, but there is less protection. Put it back, or replace it",
            Self::Stalled => "did not answer in time and is left out. Nothing is lost. If it happens again, replace it",
            Self::Back => "is back. What was backed up meanwhile is being written to it",
            Self::BackBehind => "is back after the vault's disks have changed. What it missed is being written to it",
            Self::Former => "has left this vault, and another disk has its place. It is not used. Take it out, or have it erased",
            Self::Leaving => "is being emptied. Do not take it out yet",
            Self::Left => "has left the vault: nothing on it is needed. It can be taken out",
        })
    }
}

/// Failed reads between two looks from which a disk is suspect.
const SUSPECT_READS: u32 = 5;
/// Failed writes from which a disk fails.
const FAILING_WRITES: u32 = 3;

impl State {
    /// Whether it gets new shards.
    pub fn takes_writes(self) -> bool {
        self == Self::Healthy
    }

    /// Whether its shards can be read.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Healthy | Self::Suspect | Self::Failing | Self::Draining)
    }

    /// What a pool that was just opened knows of a disk.
    pub fn of(disk: &DiskHealth) -> Self {
        hear(disk, None).0
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Failing => "failing",
            Self::Missing { .. } => "missing",
            Self::Draining => "draining",
            Self::Retired => "retired",
        })
    }
}

/// What becomes of a disk by all that is known of it now: by the label's role it starts as it was meant to be, then hears what its health is thought to be,
/// whether it is there, and what the pool had of it. So the orders are the same each time, until they are carried out.
pub fn hear(disk: &DiskHealth, verdict: Option<Outlook>) -> (State, Vec<Order>) {
    let state = match (disk.state, disk.role) {
        (DiskState::Empty, _) if disk.slot.is_none() => return (State::New, Vec::new()),
        (_, Role::Retired) => return (State::Retired, Vec::new()),
        (_, role) if disk.is_behind => State::Missing { leaving: role == Role::Draining },
        (_, Role::Draining) => State::Draining,
        (_, Role::Active) => State::Healthy,
    };
    let is_there = matches!(disk.state, DiskState::Present | DiskState::DamagedLabel);
    let back = disk.is_behind.then_some(Event::Returned(Return::Behind));
    let had = match disk.failure {
        _ if !is_there => Some(Event::Gone),
        Some(DiskErrorKind::Stalled | DiskErrorKind::Gone) => Some(Event::Stalled),
        Some(DiskErrorKind::Io | DiskErrorKind::ReadOnly) => Some(Event::Errors { reads: 0, writes: 1 }),
        // Who may write or how full it is says nothing of the disk.
        _ => None,
    };
    let events = back.into_iter().chain(verdict.filter(|_| is_there).map(Event::Health)).chain(had);
    events.fold((state, Vec::new()), |(state, mut orders), event| {
        let (next, more) = step(state, event);
        orders.extend(more);
        (next, orders)
    })
}

/// What becomes of a disk, and what is to be done.
pub fn step(state: State, event: Event) -> (State, Vec<Order>) {
    let (next, mut orders) = respond(state, event);
    match (state.takes_writes(), next.takes_writes()) {
        (true, false) => orders.insert(0, Order::StopWrites),
        (false, true) => orders.insert(0, Order::StartWrites),
        _ => {}
    }
    (next, orders)
}

fn respond(state: State, event: Event) -> (State, Vec<Order>) {
    match state {
        State::New => respond_new(event),
        State::Healthy | State::Suspect | State::Failing => respond_working(state, event),
        State::Draining => respond_draining(event),
        State::Missing { leaving } => respond_missing(leaving, event),
        State::Retired => (state, if matches!(event, Event::Returned(_)) { vec![practice(Notice::Former)] } else { Vec::new() }),
    }
}

fn respond_new(event: Event) -> (State, Vec<Order>) {
    match event {
        Event::Labelled => (State::Healthy, vec![practice(Notice::Joined)]),
        Event::Returned(Return::Former) => (State::Retired, vec![support(Notice::Former)]),
        Event::Returned(Return::Current) => (State::Healthy, vec![Order::CatchUp, practice(Notice::Back)]),
        Event::Returned(Return::Behind) => (State::Healthy, vec![Order::CatchUp, practice(Notice::BackBehind)]),
        _ => (State::New, Vec::new()),
    }
}

fn respond_working(state: State, event: Event) -> (State, Vec<Order>) {
    match event {
        Event::Health(Outlook::Good) if state == State::Suspect => (State::Healthy, vec![Order::CatchUp, practice(Notice::Recovered)]),
        Event::Health(verdict) => worsen(state, verdict),
        Event::Errors { writes, .. } if writes >= FAILING_WRITES => worsen(state, Outlook::Failing),
        Event::Errors { reads, writes } if reads >= SUSPECT_READS || writes > 0 => worsen(state, Outlook::Suspect),
        // One that was failing is not waited for.
        Event::Stalled | Event::Gone if state == State::Failing => respond_draining(event),
        Event::Stalled => (State::Missing { leaving: false }, vec![support(Notice::Stalled)]),
        Event::Gone => (State::Missing { leaving: false }, vec![support(Notice::Missing)]),
        Event::DrainAsked | Event::Replaced | Event::Removed => (State::Draining, vec![Order::Drain, practice(Notice::Leaving)]),
        Event::Returned(Return::Former) => (State::Retired, vec![support(Notice::Former)]),
        Event::Errors { .. } | Event::Labelled | Event::Returned(_) | Event::Drained => (state, Vec::new()),
    }
}

/// A disk does not become better by a milder verdict than the one it has; a failing one stays so.
fn worsen(state: State, verdict: Outlook) -> (State, Vec<Order>) {
    match (state, verdict) {
        (State::Healthy, Outlook::Suspect) => (State::Suspect, vec![Order::Drain, support(Notice::Suspect)]),
        (State::Healthy | State::Suspect, Outlook::Failing) => (State::Failing, vec![Order::Drain, support(Notice::Failing)]),
        _ => (state, Vec::new()),
    }
}

fn respond_draining(event: Event) -> (State, Vec<Order>) {
    match event {
        Event::Drained => (State::Retired, vec![Order::Forget, practice(Notice::Left)]),
        Event::Gone => (State::Missing { leaving: true }, vec![Order::Rebuild, support(Notice::Missing)]),
        Event::Stalled => (State::Missing { leaving: true }, vec![Order::Rebuild, support(Notice::Stalled)]),
        Event::Health(Outlook::Failing) => (State::Draining, vec![support(Notice::Failing)]),
        Event::Returned(Return::Former) => (State::Retired, vec![support(Notice::Former)]),
        _ => (State::Draining, Vec::new()),
    }
}

fn respond_missing(leaving: bool, event: Event) -> (State, Vec<Order>) {
    let back = if leaving { State::Draining } else { State::Healthy };
    let work = if leaving { Order::Drain } else { Order::CatchUp };
    match event {
        Event::Returned(Return::Current) => (back, vec![work, practice(Notice::Back)]),
        Event::Returned(Return::Behind) => (back, vec![work, practice(Notice::BackBehind)]),
        Event::Returned(Return::Former) => (State::Retired, vec![support(Notice::Former)]),
        Event::DrainAsked | Event::Replaced | Event::Removed if !leaving => {
            (State::Missing { leaving: true }, vec![Order::Rebuild, practice(Notice::Leaving)])
        }
        Event::Drained if leaving => (State::Retired, vec![Order::Forget, practice(Notice::Left)]),
        _ => (State::Missing { leaving }, Vec::new()),
    }
}

fn practice(notice: Notice) -> Order {
    Order::Tell(Whom::Practice, notice)
}

fn support(notice: Notice) -> Order {
    Order::Tell(Whom::Support, notice)
}

#[cfg(test)]
mod tests;
