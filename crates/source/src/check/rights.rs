//! What the account of a share may do there besides reading, as its server says. Asks of the root and of a bounded sample below it; never tries a right out by using
//! it, and never writes.

use std::time::{Duration, Instant};

use keepwell_format::Gap;

use super::{CheckReport, Opened, facts};
use crate::{Address, AsOf, SourceError};

/// Folders below the root whose rights are asked.
pub(crate) const FOLDERS: usize = 50;
/// Files whose rights are asked.
pub(crate) const FILES: usize = 50;
/// Of one folder.
pub(crate) const FILES_EACH: usize = 5;
/// Entries of one folder that are looked at to find them.
pub(crate) const LOOKED_AT: u64 = 2_000;
/// No further folder is looked into after this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What can be done to an entry. Of folders: what can be done in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Make files or folders.
    pub add: bool,
    /// Change content or attributes.
    pub write: bool,
    /// Delete or rename.
    pub delete: bool,
    /// Change who may do what.
    pub change_rights: bool,
}

impl May {
    /// Nothing but reading.
    pub const NOTHING: Self = Self { add: false, write: false, delete: false, change_rights: false };

    /// All that either allows.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            add: self.add || other.add,
            write: self.write || other.write,
            delete: self.delete || other.delete,
            change_rights: self.change_rights || other.change_rights,
        }
    }
}

/// What became of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of what was asked about can be changed.
    ReadOnly,
    /// Something can.
    CanWrite,
    /// The server does not say.
    Unknown,
}

/// The rights of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Entries whose rights were asked.
    pub(crate) asked: u64,
    /// Of the root, the server said what may be done with it.
    pub(crate) told: bool,
    /// Those where something may be changed.
    pub(crate) changeable: u64,
    /// What, of all of them.
    pub(crate) may: May,
    /// Entries seen on the way.
    pub(crate) entries: u64,
}

impl Sample {
    /// Takes what a server said of one more entry; none if it said nothing.
    pub(crate) fn take(&mut self, may: Option<May>) {
        self.told |= self.asked == 0 && may.is_some();
        self.asked += 1;
        if let Some(may) = may.filter(|may| *may != May::NOTHING) {
            self.changeable += 1;
            self.may = self.may.or(may);
        }
    }

    fn verdict(&self) -> Verdict {
        match (self.changeable, self.told) {
            (0, true) => Verdict::ReadOnly,
            (0, false) => Verdict::Unknown,
            _ => Verdict::CanWrite,
        }
    }
}

/// What is known of an account's rights. Words are for a person; no name of a file is in them.
#[derive(Clone, Debug)]
pub struct AccountRights {
    /// Whether it could change something.
    pub verdict: Verdict,
    /// What.
    pub may: May,
    /// Entries where it may.
    pub changeable: u64,
    /// Entries that were asked about.
    pub asked: u64,
    /// Entries seen on the way.
    pub entries: u64,
    /// Protocol, protection, server, file system and findings; nothing else of it is filled in.
    pub report: CheckReport,
}

/// Signs in and asks.
///
/// # Errors
/// [`SourceError`] if it can't be opened, or the connection is lost meanwhile ([`SourceError::Listing`]).
pub fn rights(address: &Address, password: Option<&str>) -> Result<AccountRights, SourceError> {
    let opened = Opened::open(address, password, AsOf::Live)?;
    let mut report = CheckReport::default();
    facts::describe(&opened, &mut report);
    let until = Instant::now() + PATIENCE;
    let sample = match &opened {
        Opened::Folder(_) => Ok(Sample::default()),
        Opened::Smb(source) => source.sample(until),
        Opened::Nfs(source, _) => source.sample(until),
    };
    let sample = sample.map_err(|gap: Gap| SourceError::Listing { location: address.location(), why: gap.text })?;
    let Sample { asked, changeable, may, entries, .. } = sample;
    Ok(AccountRights { verdict: sample.verdict(), may, changeable, asked, entries, report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_that_can_be_changed_is_enough_and_silence_is_no_yes() {
        let verdict = |told: &[Option<May>]| {
            let mut sample = Sample::default();
            told.iter().for_each(|may| sample.take(*may));
            (sample.verdict(), sample.changeable)
        };
        let some = Some(May { add: true, ..May::NOTHING });
        assert_eq!(verdict(&[Some(May::NOTHING), None, Some(May::NOTHING)]), (Verdict::ReadOnly, 0));
        assert_eq!(verdict(&[Some(May::NOTHING), some, None]), (Verdict::CanWrite, 1));
        assert_eq!(verdict(&[None, some]), (Verdict::CanWrite, 1));
        assert_eq!(verdict(&[None, Some(May::NOTHING)]), (Verdict::Unknown, 0));
        assert_eq!(verdict(&[]), (Verdict::Unknown, 0));
    }
}
