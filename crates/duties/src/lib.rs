//! What a box has promised, and how it stands: schedules, retention, duties, incidents, status. Owns every decision about time that the box takes.
//! Pure and synchronous: no clock, no files, no network, no randomness; the moment is passed in, so that a year can be simulated in seconds.

pub mod book;
pub mod digest;
pub mod duty;
pub mod incident;
pub mod policy;
pub mod retention;
pub mod schedule;
pub mod status;
pub mod time;
pub mod words;

pub use book::Book;
pub use digest::{Day, Digest, digest};
pub use duty::{Duty, DutyKind, Failure, Numbers, Owed, Proof, Standing, Subject, deadline_s};
pub use incident::{Announcement, Closing, Incident, Incidents, Said, Severity, Sight};
pub use policy::{Keep, Policy, PolicyError, ShareId, Tier, Weekly};
pub use retention::{Snapshot, Worth, forget};
pub use schedule::{Candidate, Due, Outcome, Room, Running, ShareClock, Why, next_due, pick};
pub use status::{Answer, Facts, Headline, ShareStatus, Status, status};
pub use time::{At, BoxTime, Doubt, Judgement, Now};
pub use words::Text;

#[cfg(test)]
mod tests;
