//! The box's promises and incidents as they are kept: every proof and failure comes here, and what is to be said goes from here into the outbox and the ledger.
//! What is a failure, and when it is said, `keepwell-duties` decides.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwell_audit::{Event, Value};
use keepwell_duties::schedule::Room;
use keepwell_duties::status::{KeyFacts, PeopleFacts};
use keepwell_duties::{
    Announcement, At, Book, BoxTime, Duty, DutyKind, Incidents, Judgement, Numbers, Policy, Said, ShareClock, ShareId, Standing, Subject,
    Tier,
};
use serde::{Deserialize, Serialize};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::offsite::promises;
use crate::state::{State, StateError};

const DOCUMENT: &str = "watch";

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    book: Book,
    incidents: Incidents,
}

/// Promises and incidents, and what was seen last of what others own.
#[derive(Debug)]
pub(crate) struct Watch {
    kept: Mutex<Kept>,
    seen: Mutex<Seen>,
}

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// How much room the pool has.
    pub(crate) room: Room,
    /// Ways to unlock the keys, and whether the kit exists.
    pub(crate) keys: Option<KeyFacts>,
    /// Who can restore.
    pub(crate) people: Option<PeopleFacts>,
    /// How the second site stands; none where there is none.
    pub(crate) offsite: Option<Standing>,
    /// Requests of boxes that nobody knows; none as long as replicad was not asked.
    pub(crate) strangers: Option<u64>,
}

impl Watch {
    pub(crate) fn load(state: &State, now: i64) -> Result<Self, StateError> {
        let fresh = || Kept { book: Book::begin(At(now)), incidents: Incidents::default() };
        Ok(Self { kept: Mutex::new(state.document(DOCUMENT)?.unwrap_or_else(fresh)), seen: Mutex::default() })
    }

    /// Takes up what another box's state said.
    pub(crate) fn reload(&self, state: &State) -> Result<(), StateError> {
        if let Some(kept) = state.document(DOCUMENT)? {
            *self.lock() = kept;
        }
        Ok(())
    }

    /// A share was added, or is promised something else.
    pub(crate) fn promise(&self, share: &ShareId, policy: &Policy, appliance: &Appliance) -> Result<(), VaultdError> {
        self.change(appliance, |book, now| book.share(share, policy, now))
    }

    /// A share was removed.
    pub(crate) fn release(&self, share: &ShareId, appliance: &Appliance) -> Result<(), VaultdError> {
        self.change(appliance, |book, _| book.without_share(share))
    }

    pub(crate) fn run_ended(&self, share: &ShareId, clock: &ShareClock, appliance: &Appliance) -> Result<(), VaultdError> {
        self.change(appliance, |book, now| book.run_ended(share, clock, now))
    }

    /// Something was looked at: `Ok` is a proof. Kept within a minute: it can be looked at again.
    pub(crate) fn seen(&self, duty: &Duty, looked: Result<Numbers, (&str, Numbers)>, appliance: &Appliance) {
        let (book, now) = (&mut self.lock().book, At(appliance.clock.believed()));
        match looked {
            Ok(numbers) => book.prove(duty, now, numbers),
            Err((code, numbers)) => book.fail(duty, now, code, numbers),
        }
    }

    /// It was done at another time than now.
    pub(crate) fn proven_at(&self, duty: &Duty, at: At) {
        self.lock().book.prove(duty, at, Numbers::new());
    }

    /// A promise is made, or made again. Kept within a minute.
    pub(crate) fn owe(&self, duty: Duty, appliance: &Appliance) {
        self.lock().book.owe(duty, At(appliance.clock.believed()));
    }

    /// What was promised for a while is not owed any more.
    pub(crate) fn owed_no_longer(&self, duty: &Duty) {
        self.lock().book.drop(duty);
    }

    /// Of disks, only these are owed anything: the others are the pool's no longer.
    pub(crate) fn only_disks(&self, names: &[&str]) {
        let mut kept = self.lock();
        let other = |duty: &Duty| matches!(&duty.subject, Subject::Disk(name) if !names.contains(&name.as_str()));
        let gone: Vec<Duty> = kept.book.owed().iter().map(|owed| owed.duty.clone()).filter(other).collect();
        gone.iter().for_each(|duty| kept.book.drop(duty));
    }

    /// What is open in an emergency or is to be looked at afterwards, and nothing else of the kind. Whether that is something new.
    pub(crate) fn emergencies(&self, now: Vec<(Duty, String, Numbers)>, appliance: &Appliance) -> bool {
        let (book, at) = (&mut self.lock().book, At(appliance.clock.believed()));
        let over = |duty: &Duty| matches!(duty.subject, Subject::Opening(_)) && !now.iter().any(|(known, ..)| known == duty);
        let gone: Vec<Duty> = book.owed().iter().map(|owed| owed.duty.clone()).filter(over).collect();
        gone.iter().for_each(|duty| book.drop(duty));
        let mut changed = !gone.is_empty();
        for (duty, code, numbers) in now {
            if book.get(&duty).is_none_or(|owed| owed.failed.is_none()) {
                book.owe(duty.clone(), at);
                book.fail(&duty, at, &code, numbers);
                changed = true;
            }
        }
        changed
    }

    /// What a look at boxes elsewhere saw. Kept within a minute.
    pub(crate) fn elsewhere(&self, seen: Vec<(Duty, promises::Seen)>, appliance: &Appliance) {
        let (door, now) = (Duty::of_box(DutyKind::OffsiteDoor), At(appliance.clock.believed()));
        let looked_at = self.is_taken(&door);
        let book = &mut self.lock().book;
        promises::enter(book, seen, now);
        // Somebody has seen it: it is over, until it happens again.
        if looked_at && book.get(&door).is_some_and(|owed| owed.failed.is_some()) {
            book.prove(&door, now, Numbers::new());
        }
    }

    /// Something happened where other boxes come in. What is worse and not looked at yet stays.
    pub(crate) fn at_the_door(&self, code: &'static str, appliance: &Appliance) {
        let (door, now) = (Duty::of_box(DutyKind::OffsiteDoor), At(appliance.clock.believed()));
        let book = &mut self.lock().book;
        book.owe(door.clone(), now);
        let before = book.get(&door).and_then(|owed| owed.failed.as_ref()).map(|failed| failed.code.clone());
        if before.is_none_or(|before| promises::worse(code, &before)) {
            book.fail(&door, now, code, Numbers::new());
        }
    }

    /// Whether a box elsewhere owes this one anything.
    pub(crate) fn has_second_site(&self) -> bool {
        self.lock().book.owed().iter().any(|owed| owed.duty.kind == DutyKind::OffsiteContact)
    }

    /// Whether somebody takes the incident of this promise.
    pub(crate) fn is_taken(&self, duty: &Duty) -> bool {
        self.lock().incidents.all().iter().any(|incident| incident.duty == *duty && incident.acknowledged.is_some())
    }

    /// Why a promise is broken now.
    pub(crate) fn failure(&self, duty: &Duty) -> Option<String> {
        self.lock().book.get(duty).and_then(|owed| owed.failed.as_ref()).map(|failed| failed.code.clone())
    }

    /// Whether the ledger is as it was. Kept at once: the next record is what it is measured by afterwards.
    pub(crate) fn log_found(&self, whole: bool, appliance: &Appliance) -> Result<(), VaultdError> {
        let looked = if whole { Ok(Numbers::new()) } else { Err(("broken", Numbers::new())) };
        self.seen(&Duty::of_box(DutyKind::Log), looked, appliance);
        self.keep(appliance)
    }

    /// What a look at the clocks showed.
    pub(crate) fn judged(&self, time: &BoxTime, judgement: Judgement) {
        self.lock().book.ticked(time, judgement);
    }

    /// What has become of all promises by now; says what has to be said.
    pub(crate) fn step(&self, appliance: &Appliance) -> Result<(), VaultdError> {
        let now = At(appliance.clock.believed());
        let said = {
            let Kept { book, incidents } = &mut *self.lock();
            incidents.review(book, now)
        };
        if said.is_empty() {
            return Ok(());
        }
        // Said first: after a crash between the two it is said again, which is better than never.
        tell(appliance, &said)?;
        self.keep(appliance)
    }

    /// Somebody takes an incident.
    pub(crate) fn acknowledge(&self, id: u64, by: &str, appliance: &Appliance) -> Result<(), VaultdError> {
        if !self.lock().incidents.acknowledge(id, by, At(appliance.clock.believed())) {
            return Err(VaultdError::NoSuch("open incident"));
        }
        self.keep(appliance)
    }

    /// Both, as they are.
    pub(crate) fn copy(&self) -> (Book, Incidents) {
        let Kept { book, incidents } = self.lock().clone();
        (book, incidents)
    }

    /// A person moved the box's time.
    pub(crate) fn moved(&self, by: i64, appliance: &Appliance) -> Result<(), VaultdError> {
        {
            let Kept { book, incidents } = &mut *self.lock();
            book.moved(by, At(appliance.clock.believed()));
            incidents.moved(by);
        }
        self.keep(appliance)
    }

    /// Writes both down. Once a minute, and when something was said.
    pub(crate) fn keep(&self, appliance: &Appliance) -> Result<(), VaultdError> {
        let kept = self.lock().clone();
        Ok(appliance.state.note(DOCUMENT, &kept)?)
    }

    fn change(&self, appliance: &Appliance, change: impl FnOnce(&mut Book, At)) -> Result<(), VaultdError> {
        change(&mut self.lock().book, At(appliance.clock.believed()));
        self.keep(appliance)
    }

    /// What was seen last of what others own; to be changed when it is looked at.
    pub(crate) fn glance(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts announcements into the ledger and the outbox.
fn tell(appliance: &Appliance, said: &[Announcement]) -> Result<(), VaultdError> {
    for announcement in said {
        let incident = &announcement.incident;
        let fields = vec![
            ("incident".to_owned(), Value::Number(incident.id.cast_signed())),
            ("kind".to_owned(), Value::Text(word(announcement.kind).to_owned())),
            ("duty".to_owned(), Value::Text(incident.duty.kind.code().to_owned())),
            ("code".to_owned(), Value::Text(incident.code.clone())),
        ];
        appliance.record("vaultd", Event::Incident, fields)?;
        crate::outbox::post(appliance, announcement)?;
    }
    appliance.changed();
    Ok(())
}

pub(crate) fn word(said: Said) -> &'static str {
    match said {
        Said::Opened => "opened",
        Said::Worse => "worse",
        Said::Reminder => "reminder",
        Said::Escalated => "escalated",
        Said::Closed => "closed",
    }
}

/// Each tier's promise, as it is set or as it is usual.
#[derive(Debug)]
pub(crate) struct Policies(Vec<Policy>);

impl Policies {
    /// Name of the document.
    pub(crate) const DOCUMENT: &str = "policies";

    pub(crate) fn load(state: &State) -> Result<Self, StateError> {
        Ok(Self(state.document(Self::DOCUMENT)?.unwrap_or_default()))
    }

    pub(crate) fn of(&self, tier: Tier) -> Policy {
        self.0.iter().find(|policy| policy.tier == tier).cloned().unwrap_or_else(|| Policy::of(tier))
    }
}
