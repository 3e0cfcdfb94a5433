//! Incidents: one thread each, opened, updated, escalated, taken, and closed only by proof. Owns when something is said, and that nothing is said twice; sends nothing.

use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::duty::{Duty, Numbers};
use crate::time::At;

/// A thread that was proven closed this long, seconds, is over. Trouble that comes back before is the same thread, and nobody is told.
pub const SETTLE_S: i64 = 3_600;
/// Without anybody taking it, it is escalated after so many seconds.
const ESCALATE_S: i64 = 4 * 3_600;
const ESCALATE_CRITICAL_S: i64 = 3_600;
/// At least so many seconds between reminders.
const REMIND_S: i64 = 86_400;
/// When somebody took it, or it is a notice.
const REMIND_SELDOM_S: i64 = 7 * 86_400;

/// How bad it is.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Somebody has to do something.
    Warning,
    /// Now.
    Critical,
}

/// How a duty looks: good or bad. Where nothing can be said, nothing changes. Made by [`Book::sights`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Sight {
    /// Proven.
    Proven {
        /// As of when.
        at: At,
    },
    /// Broken.
    Bad {
        /// How bad.
        severity: Severity,
        /// Why, a stable word.
        code: String,
        /// What was counted.
        numbers: Numbers,
        /// The last proof there was: a newer one closes the thread.
        proven: Option<At>,
    },
}

/// One thread.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Counts up; never used twice on a box.
    pub id: u64,
    /// What it is about. No two open threads are about the same.
    pub duty: Duty,
    /// How bad it is now.
    pub severity: Severity,
    /// How bad it was at worst: what was announced.
    pub worst: Severity,
    /// Why, a stable word.
    pub code: String,
    /// What was counted last.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<(String, i64)>))]
    pub numbers: Numbers,
    /// When it began.
    pub opened_at: At,
    /// When it was last seen.
    pub updated_at: At,
    /// How often it came back after it was proven closed.
    pub returned: u32,
    /// Who took it, and when.
    pub acknowledged: Option<Acknowledged>,
    /// When it was escalated.
    pub escalated_at: Option<At>,
    /// When it was proven to be over.
    pub closed_at: Option<At>,
    /// By what.
    pub closed_by: Option<Closing>,
    last_said: At,
    worse_at: At,
    /// The proof that was there when it was last bad; only a newer one closes.
    stale: Option<At>,
    /// When it was last seen to be proven.
    good_at: Option<At>,
}

/// Who took an incident.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The user.
    pub by: String,
    /// When.
    pub at: At,
}

/// What closed an incident.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Closing {
    /// The duty was done.
    Proof {
        /// As of when.
        at: At,
    },
    /// The duty is owed no longer: the share or disk was removed by a person.
    Withdrawn,
}

/// Something to be said, once.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// What.
    pub kind: Said,
    /// The thread as it is now.
    pub incident: Incident,
}

/// What is said of a thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It began.
    Opened,
    /// It is worse than it ever was.
    Worse,
    /// It is still there.
    Reminder,
    /// Nobody took it.
    Escalated,
    /// It was proven to be over, and stayed so.
    Closed,
}

/// All threads that are not over. State.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Incidents {
    threads: Vec<Incident>,
    last_id: u64,
}

impl Incidents {
    /// Looks at all duties, and returns what is to be said, in order. At least once a minute. A thread that is over and told is forgotten here: keep it elsewhere.
    pub fn review(&mut self, book: &Book, now: At) -> Vec<Announcement> {
        let mut said = self.withdraw(book, now);
        for (duty, sight) in book.sights(now) {
            said.extend(self.see(duty, &sight, now));
        }
        said.extend(self.threads.iter_mut().filter_map(|thread| thread.passes(now)));
        self.threads.retain(|thread| !thread.is_over(now));
        said
    }

    /// Somebody takes it. False: there is no such thread, or it is over.
    pub fn acknowledge(&mut self, id: u64, by: &str, now: At) -> bool {
        let thread = self.threads.iter_mut().find(|thread| thread.id == id);
        thread.map(|thread| thread.acknowledged = Some(Acknowledged { by: by.into(), at: now })).is_some()
    }

    /// Threads that are open, the worst and oldest first.
    pub fn open_threads(&self) -> Vec<&Incident> {
        let mut open: Vec<_> = self.threads.iter().filter(|thread| thread.closed_at.is_none()).collect();
        open.sort_by_key(|thread| (std::cmp::Reverse(thread.severity), thread.opened_at, thread.id));
        open
    }

    /// All threads that are not over, those included that were proven closed and wait for it to stay so.
    pub fn all(&self) -> &[Incident] {
        &self.threads
    }

    /// Box time was moved by a person: see [`crate::Book::moved`].
    pub fn moved(&mut self, by: i64) {
        if by < 0 {
            self.threads.iter_mut().for_each(|thread| thread.shift(by));
        }
    }

    fn see(&mut self, duty: &Duty, sight: &Sight, now: At) -> Option<Announcement> {
        match (self.threads.iter_mut().find(|thread| thread.duty == *duty), sight) {
            (Some(thread), Sight::Proven { at }) => {
                thread.proven(*at, now);
                None
            }
            (Some(thread), Sight::Bad { .. }) => thread.bad(sight, now),
            (None, Sight::Proven { .. }) => None,
            (None, Sight::Bad { .. }) => Some(self.open(duty, sight, now)),
        }
    }

    /// A person removed the share or disk: what is owed no longer is no incident.
    fn withdraw(&mut self, book: &Book, now: At) -> Vec<Announcement> {
        let gone = self.threads.extract_if(.., |thread| book.get(&thread.duty).is_none());
        let close = |mut incident: Incident| {
            if incident.closed_at.is_none() {
                (incident.closed_at, incident.closed_by) = (Some(now), Some(Closing::Withdrawn));
            }
            Announcement { kind: Said::Closed, incident }
        };
        gone.map(close).collect()
    }

    fn open(&mut self, duty: &Duty, sight: &Sight, now: At) -> Announcement {
        self.last_id += 1;
        let mut incident = Incident {
            id: self.last_id,
            duty: duty.clone(),
            severity: Severity::Notice,
            worst: Severity::Notice,
            code: String::new(),
            numbers: Numbers::new(),
            opened_at: now,
            updated_at: now,
            returned: 0,
            acknowledged: None,
            escalated_at: None,
            closed_at: None,
            closed_by: None,
            last_said: now,
            worse_at: now,
            stale: None,
            good_at: None,
        };
        incident.bad(sight, now);
        self.threads.push(incident.clone());
        Announcement { kind: Said::Opened, incident }
    }
}

impl Incident {
    fn say(&mut self, kind: Said, now: At) -> Announcement {
        self.last_said = now;
        Announcement { kind, incident: self.clone() }
    }

    fn bad(&mut self, sight: &Sight, now: At) -> Option<Announcement> {
        let Sight::Bad { severity, code, numbers, proven } = sight else { return None };
        if self.closed_at.take().is_some() {
            self.closed_by = None;
            self.returned = self.returned.saturating_add(1);
        }
        self.severity = *severity;
        self.code.clone_from(code);
        self.numbers.clone_from(numbers);
        self.updated_at = now;
        self.stale = (*proven).max(self.stale);
        if *severity <= self.worst {
            return None;
        }
        self.worst = *severity;
        self.worse_at = now;
        self.escalated_at = None;
        Some(self.say(Said::Worse, now))
    }

    fn proven(&mut self, at: At, now: At) {
        self.good_at = Some(now);
        if self.closed_at.is_none() && self.stale.is_none_or(|stale| at > stale) {
            self.closed_at = Some(now);
            self.closed_by = Some(Closing::Proof { at });
        }
    }

    /// What time alone makes of it. A thread that is proven closed waits, and says nothing until it is over.
    fn passes(&mut self, now: At) -> Option<Announcement> {
        if self.closed_at.is_some() {
            return self.is_over(now).then(|| self.say(Said::Closed, now));
        }
        let escalate_s = if self.severity == Severity::Critical { ESCALATE_CRITICAL_S } else { ESCALATE_S };
        let nobody = self.acknowledged.is_none() && self.escalated_at.is_none() && self.severity > Severity::Notice;
        if nobody && now.since(self.worse_at) >= escalate_s {
            self.escalated_at = Some(now);
            return Some(self.say(Said::Escalated, now));
        }
        let seldom = self.acknowledged.is_some() || self.severity == Severity::Notice;
        let remind_s = if seldom { REMIND_SELDOM_S } else { REMIND_S };
        (now.since(self.last_said) >= remind_s).then(|| self.say(Said::Reminder, now))
    }

    /// It is still proven now: in the hour after a start without power nothing is said of what got old again.
    fn is_over(&self, now: At) -> bool {
        self.good_at == Some(now) && self.closed_at.is_some_and(|closed| now.since(closed) >= SETTLE_S)
    }

    fn shift(&mut self, by: i64) {
        let maybe = [&mut self.escalated_at, &mut self.closed_at, &mut self.stale, &mut self.good_at];
        let always = [&mut self.opened_at, &mut self.updated_at, &mut self.last_said, &mut self.worse_at];
        maybe.into_iter().flatten().chain(always).for_each(|at| *at = at.plus(by));
        self.acknowledged.iter_mut().for_each(|taken| taken.at = taken.at.plus(by));
    }
}
