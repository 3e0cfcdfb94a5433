//! How a member of the pool is, by what the pool has of it and what diskd says: the worse counts. What nobody says is unknown, never healthy.

use std::fs;
use std::path::Path;

use keepwell_api::disks::{Disk as Known, Disks, Health, Standing, Verdict};
use keepwell_storage::life::Outlook;
use keepwell_storage::{DiskErrorKind, DiskHealth, DiskState};

use crate::bays::mounted_at;
use crate::engine::Places;

/// How a disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// There, and nothing speaks against it.
    Healthy,
    /// There, and nobody says how it is.
    Unknown,
    /// Something is wrong: its word for programs, with the sign of it behind a colon.
    Bad(String),
}

impl Condition {
    /// In one word.
    pub(crate) fn state(&self) -> &str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Bad(code) => code.split(':').next().unwrap_or(code),
        }
    }
}

/// How a member is that people call `name`.
pub(crate) fn of(places: &Places, answer: Option<&Disks>, name: &str, disk: &DiskHealth) -> Condition {
    if !is_there(disk) {
        let code = if answer.is_some_and(|answer| unreadable(answer, name).is_some()) { "unreadable" } else { "missing" };
        return Condition::Bad(code.into());
    }
    if disk.state != DiskState::Present {
        return Condition::Bad("unusable".into());
    }
    let said = match (&places.diskd, answer) {
        // Folders that stand for disks have no health of their own.
        (None, _) => Condition::Healthy,
        (Some(_), None) => Condition::Unknown,
        (Some(_), Some(answer)) => known(places, answer, disk).map_or(Condition::Unknown, |one| by_health(&one.health)),
    };
    match (&said, disk.failure) {
        (Condition::Bad(code), _) if code.starts_with("failing") => said,
        (_, Some(DiskErrorKind::Io | DiskErrorKind::ReadOnly | DiskErrorKind::Denied)) => Condition::Bad("failing:refuses-writes".into()),
        _ => said,
    }
}

fn by_health(health: &Health) -> Condition {
    let sign = health.reasons.iter().find(|reason| reason.weight == health.verdict).map_or("", |reason| &reason.code);
    match health.verdict {
        Verdict::Healthy => Condition::Healthy,
        Verdict::Unknown => Condition::Unknown,
        Verdict::Suspect => Condition::Bad(format!("suspect:{sign}")),
        Verdict::Failing => Condition::Bad(format!("failing:{sign}")),
    }
}

/// Whether the pool has it under its hands.
pub(crate) fn is_there(disk: &DiskHealth) -> bool {
    let stalled = matches!(disk.failure, Some(DiskErrorKind::Stalled | DiskErrorKind::Gone));
    !stalled && !matches!(disk.state, DiskState::Missing | DiskState::Empty)
}

/// What diskd has of a member.
pub(crate) fn known<'a>(places: &Places, answer: &'a Disks, disk: &DiskHealth) -> Option<&'a Known> {
    if places.diskd.as_ref().is_some_and(|diskd| diskd.has_pool) {
        return answer.disks.iter().find(|one| one.serial.as_str() == disk.name);
    }
    let at = fs::canonicalize(places.pool.join(&disk.name)).ok()?;
    answer.disks.iter().find(|one| mounted_at(one).is_some_and(|there| Path::new(there) == at))
}

/// What diskd has of a member that is connected and can't be read, by its serial number.
pub(crate) fn unreadable<'a>(answer: &'a Disks, name: &str) -> Option<&'a Known> {
    answer.disks.iter().find(|one| one.serial.as_str() == name && one.standing.unreadable().is_some())
}

/// What diskd remembers of a member that is not connected, or has of one that can't be read, by its serial number. One that can be read is known by what is on it alone.
pub(crate) fn away<'a>(answer: &'a Disks, name: &str) -> Option<&'a Known> {
    let absent = |one: &&Known| one.serial.as_str() == name && one.standing == Standing::Absent;
    unreadable(answer, name).or_else(|| answer.disks.iter().find(absent))
}

/// What speaks for emptying it. That can't be undone, so heat, silence and old damage are no reason.
pub(crate) fn outlook(health: &Health) -> Option<Outlook> {
    let grows = || health.reasons.iter().any(|reason| reason.weight == Verdict::Suspect && reason.damage);
    match health.verdict {
        Verdict::Failing => Some(Outlook::Failing),
        Verdict::Suspect if grows() => Some(Outlook::Suspect),
        Verdict::Healthy | Verdict::Suspect => Some(Outlook::Good),
        Verdict::Unknown => None,
    }
}
