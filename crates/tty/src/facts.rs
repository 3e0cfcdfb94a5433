//! What the screen knows of the box without asking anew: how it is, whether it has an owner, how its keys and addresses are. Owns when it is asked for again, and that
//! what is old is shown as unknown.

use keepwell_api::auth::{ClaimCode, Status as People};
use keepwell_api::disks::Disks;
use keepwell_api::keys::Status as Keys;
use keepwell_api::recovery::RecoveryStatus;
use keepwell_api::vault::PoolMaking;
use keepwell_duties::Status;
use serde_json::Value;

use crate::ask::{About, Ask, Deed, Order, Trouble, Whom, read};
use crate::network::Local;

/// Seconds between two looks.
const EVERY_S: u64 = 5;
/// An answer that is older says nothing about now.
const OLD_S: u64 = 30;

/// Something that was told, and when.
#[derive(Debug)]
pub(crate) struct Known<T> {
    told: Option<(u64, Box<T>)>,
    /// What the program said instead, the last time.
    pub(crate) silent: Option<String>,
    asked: Option<u64>,
    waiting: bool,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { told: None, silent: None, asked: None, waiting: false }
    }
}

impl<T> Known<T> {
    /// As far as it is of now.
    pub(crate) fn now(&self, up: u64) -> Option<&T> {
        self.told.as_ref().filter(|(at, _)| up.saturating_sub(*at) <= OLD_S).map(|(_, told)| &**told)
    }

    fn is_due(&mut self, up: u64) -> bool {
        let due = !self.waiting && self.asked.is_none_or(|asked| up.saturating_sub(asked) >= EVERY_S);
        if due {
            (self.waiting, self.asked) = (true, Some(up));
        }
        due
    }

    fn tell(&mut self, up: u64, told: Result<T, Trouble>) {
        self.waiting = false;
        match told {
            Ok(told) => (self.told, self.silent) = (Some((up, Box::new(told))), None),
            Err(trouble) => self.silent = Some(trouble.text),
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) status: Known<Status>,
    pub(crate) people: Known<People>,
    pub(crate) keys: Known<Keys>,
    pub(crate) claim: Known<ClaimCode>,
    /// As long as the box has no vault of its own.
    pub(crate) disks: Known<Disks>,
    pub(crate) pool: Known<PoolMaking>,
    /// As long as one comes back.
    pub(crate) recovery: Known<RecoveryStatus>,
    pub(crate) local: Local,
    looked: Option<u64>,
}

impl Facts {
    /// What is to be asked again now.
    pub(crate) fn due(&mut self, up: u64) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut ask = |due: bool, about, whom, route: &str| orders.extend(due.then(|| Order::Ask(Ask::get(about, whom, route))));
        ask(self.status.is_due(up), About::Status, Whom::Vaultd, "/v1/status");
        ask(self.people.is_due(up), About::People, Whom::Authd, "/v1/status");
        ask(self.keys.is_due(up), About::Keys, Whom::Keyd, "/v1/status");
        let unclaimed = self.is_unclaimed(up);
        ask(unclaimed && self.claim.is_due(up), About::ClaimCode, Whom::Authd, "/v1/claim-code");
        let no_vault = self.keys.now(up).is_some_and(|keys| keys.vaults.is_empty());
        ask(no_vault && self.disks.is_due(up), About::Strangers, Whom::Diskd, "/v1/disks");
        ask(self.pool.is_due(up), About::Pool, Whom::Vaultd, "/v1/pool");
        let comes = self.pool.now(up).is_some_and(|pool| pool.recovering.is_some());
        ask(comes && self.recovery.is_due(up), About::Recovery, Whom::Recoverd, "/v1/recovery");
        if self.looked.is_none_or(|looked| up.saturating_sub(looked) >= EVERY_S) {
            self.looked = Some(up);
            orders.push(Order::Do(Deed::Look));
        }
        orders
    }

    /// An answer to one of these.
    pub(crate) fn tell(&mut self, about: About, up: u64, answer: Result<Value, Trouble>) {
        match about {
            About::Status => self.status.tell(up, answer.and_then(read)),
            About::People => self.people.tell(up, answer.and_then(read)),
            About::Keys => self.keys.tell(up, answer.and_then(read)),
            About::Strangers => self.disks.tell(up, answer.and_then(read)),
            About::Pool => self.pool.tell(up, answer.and_then(read)),
            About::Recovery => self.recovery.tell(up, answer.and_then(read)),
            About::ClaimCode => self.claim.tell(up, answer.and_then(read)),
            _ => {}
        }
    }

    /// Known to have no owner.
    pub(crate) fn is_unclaimed(&self, up: u64) -> bool {
        self.people.now(up).is_some_and(|people| !people.claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_not_known() {
        let mut known = Known::<u32>::default();
        assert!(known.is_due(0) && !known.is_due(100), "one question at a time");
        known.tell(100, Ok(7));
        assert_eq!((known.now(100 + OLD_S), known.now(101 + OLD_S)), (Some(&7), None));
        assert!(known.is_due(105) && !known.is_due(105));
        known.tell(106, Err(Trouble { code: "silent".into(), text: "no answer".into() }));
        assert_eq!((known.now(106), known.silent.as_deref()), (Some(&7), Some("no answer")));
    }
}
