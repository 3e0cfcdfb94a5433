//! What a record can be about: a closed list. A number once given is never given to something else.

use std::fmt;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[$doc])* $name,)*
            /// An event of a later release; its number is none of the above.
            Later(u16),
        }

        impl Event {
            /// All that this release knows.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its number in a record.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Later(number) => number,
                }
            }

            /// The event with this number.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    number => Self::Later(number),
                }
            }

            /// Its name, such as `backup-run`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    Self::Later(_) => "later",
                }
            }
        }
    };
}

events! {
    /// A backup ended, well or not.
    BackupRun = 1, "backup-run";
    /// Something was restored to a place.
    Restore = 2, "restore";
    /// Files were listed or downloaded.
    Retrieval = 3, "retrieval";
    /// A person signed in.
    SignIn = 4, "sign-in";
    /// A person signed out.
    SignOut = 5, "sign-out";
    /// Somebody asked for what they may not have, or gave the wrong password.
    Refusal = 6, "refusal";
    /// A right to one action was given.
    Grant = 7, "grant";
    /// A person or a role was added, changed or disabled.
    UserChanged = 8, "user-changed";
    /// A share was added, changed or removed.
    ShareChanged = 9, "share-changed";
    /// A policy was changed.
    PolicyChanged = 10, "policy-changed";
    /// A setting was changed.
    SettingChanged = 11, "setting-changed";
    /// A disk was added, lost, drained, erased or removed.
    DiskChanged = 12, "disk-changed";
    /// Keys were opened, sealed, printed, rehearsed or changed.
    KeyUse = 13, "key-use";
    /// Something failed.
    Failure = 14, "failure";
    /// An incident was opened, acknowledged, escalated or closed.
    Incident = 15, "incident";
    /// A test restore ended, well or not.
    TestRestore = 16, "test-restore";
    /// What is stored was read again and checked.
    Scrub = 17, "scrub";
    /// Snapshots were forgotten, or their space was freed.
    Deletion = 18, "deletion";
    /// The clock jumped, or was confirmed by a person.
    ClockJump = 19, "clock-jump";
    /// A program of the box began.
    Started = 20, "started";
    /// A program of the box was told to end.
    Stopped = 21, "stopped";
    /// The box's state was restored from its vault.
    StateRestored = 22, "state-restored";
    /// The ledger was found torn or broken.
    LedgerFault = 23, "ledger-fault";
    /// A support bundle or another report was made.
    Report = 24, "report";
    /// A message to a person was sent, or could not be.
    Notice = 25, "notice";
    /// Another box was paired, has signed for a snapshot, was asked for what it keeps, or lacks something.
    Offsite = 26, "offsite";
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_given_once() {
        let numbers: BTreeSet<u16> = Event::ALL.iter().map(|event| event.number()).collect();
        let names: BTreeSet<&str> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!((numbers.len(), names.len()), (Event::ALL.len(), Event::ALL.len()));
        for number in 0..=300 {
            assert_eq!(Event::from_number(number).number(), number);
        }
        assert_eq!(Event::from_number(300), Event::Later(300));
    }
}
