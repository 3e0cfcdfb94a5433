//! What may be sent of the practice's line, and when: told by vaultd, kept from one start to the next, and brought to whoever sends.

use keepwell_api::offsite::{LINE_KBIT_MIN, Pace};
use keepwell_offsite::Timetable;

use crate::error::Error;
use crate::house::{House, lock};

/// Document: what vaultd said.
pub(crate) const PACE: &str = "pace";

/// Before anybody said anything.
pub(crate) fn usual() -> Pace {
    Pace { courteous: false, limits: Vec::new() }
}

impl House {
    /// Takes over what may be sent.
    pub fn set_pace(&self, pace: Pace) -> Result<(), Error> {
        if pace.limits.iter().any(|limit| limit.kbit.is_some_and(|kbit| kbit < LINE_KBIT_MIN)) {
            return Err(Error::Invalid(format!("with less than {LINE_KBIT_MIN} kbit/s no backup would ever end")));
        }
        self.store.set(PACE, &pace)?;
        *lock(&self.pace) = pace;
        self.keep_pace();
        Ok(())
    }

    /// Limits of one other box, in bytes a second: of several, each has the same share of the line.
    pub(crate) fn timetable(&self) -> Timetable {
        let boxes = self.couriers().len().max(1) as u64;
        let limits =
            |pace: &Pace| pace.limits.iter().map(|limit| (limit.at, limit.kbit.map(|kbit| u64::from(kbit) * 125 / boxes))).collect();
        Timetable::new(limits(&lock(&self.pace)))
    }

    /// Has everybody keep to what holds now.
    pub(crate) fn keep_pace(&self) {
        let (limit, courteous) = (self.timetable().at(self.world.wall()), lock(&self.pace).courteous);
        self.couriers().values().for_each(|courier| courier.pacer().set(limit, courteous));
    }
}
