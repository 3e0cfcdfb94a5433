//! What each role may do: one table, for authd that gives grants and vaultd that checks them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// No role or verb of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not known to this program")]
pub struct Unknown;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$item])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Unknown;

            fn from_str(word: &str) -> Result<Self, Unknown> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or(Unknown)
            }
        }
    };
}

words! {
    /// What a person is to the box.
    Role {
        /// The practice's owner: everything.
        Owner = "owner",
        /// Runs it day by day: everything but loosening a policy, opening copies in an emergency, ending a freeze of deletions, printing papers, pairing with other boxes and managing users.
        Operator = "operator",
        /// Gets data back, and nothing else.
        RestoreOnly = "restore-only",
        /// Reads the ledger.
        Auditor = "auditor",
        /// Keeps it running without seeing what is in it.
        Technician = "technician",
        /// Sees what happens.
        Security = "security",
    }
}

words! {
    /// What a grant can be for.
    Verb {
        /// Add a share.
        SharesAdd = "shares-add",
        /// Change where a share is and how it is read.
        SharesChange = "shares-change",
        /// Stop backing up a share.
        SharesRemove = "shares-remove",
        /// Change a policy so that it promises as much as before or more.
        PolicyChange = "policy-change",
        /// Change a policy so that it promises less.
        PolicyLoosen = "policy-loosen",
        /// Begin a backup now.
        RunNow = "run-now",
        /// End a run.
        RunCancel = "run-cancel",
        /// List snapshots.
        SnapshotsList = "snapshots-list",
        /// List files of a snapshot.
        FilesList = "files-list",
        /// Restore to a place.
        Restore = "restore",
        /// Get files.
        Download = "download",
        /// Add disks to the pool and take them out.
        DisksChange = "disks-change",
        /// Have a disk test itself or blink.
        DisksTest = "disks-test",
        /// Begin a test restore now.
        TestRestore = "test-restore",
        /// Say that an incident is looked after.
        IncidentsAcknowledge = "incidents-acknowledge",
        /// Change a setting.
        SettingsChange = "settings-change",
        /// Read the ledger.
        LogRead = "log-read",
        /// Make a support bundle.
        SupportBundle = "support-bundle",
        /// Open the last good copies to read, for everybody in the practice, while its own servers are down; and close them.
        EmergencyOpen = "emergency-open",
        /// Stop the forgetting of old copies, for as long as something is not understood.
        DeletionsFreeze = "deletions-freeze",
        /// Let old copies be forgotten again.
        DeletionsThaw = "deletions-thaw",
        /// See the papers of the vault's first kit, to print them, or have that kit made once more.
        KitPrint = "kit-print",
        /// Invite another box to send its backups here, or send this one's to another.
        OffsiteChange = "offsite-change",
        /// Add, change and disable users: authd's own, for which there are no grants.
        UsersManage = "users-manage",
    }
}

/// Whether somebody of this role may do this.
pub const fn allows(role: Role, verb: Verb) -> bool {
    use Verb::*;
    match role {
        Role::Owner => true,
        Role::Operator => !matches!(verb, PolicyLoosen | EmergencyOpen | DeletionsThaw | KitPrint | OffsiteChange | UsersManage),
        Role::RestoreOnly => matches!(verb, SnapshotsList | FilesList | Restore | Download),
        Role::Auditor => matches!(verb, LogRead),
        Role::Technician => matches!(verb, RunNow | RunCancel | IncidentsAcknowledge | SupportBundle | SettingsChange | DisksTest),
        Role::Security => matches!(verb, LogRead | IncidentsAcknowledge | EmergencyOpen | DeletionsFreeze | DeletionsThaw),
    }
}
