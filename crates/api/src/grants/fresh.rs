//! What is done only for somebody who has just shown their second factor, and what only for a person: two tables, for authd that asks and consoles that know beforehand.

use super::Verb;

/// A second factor that was shown in this session counts for so many seconds.
pub const FRESH_S: u32 = 5 * 60;
/// A download of at most so many bytes is given without a fresh second factor.
pub const UNASKED_DOWNLOAD_BYTES: u64 = 256 << 20;
/// So many bytes are given to one session within an hour; a further download takes a code that comes with it, however fresh the last one is.
pub const HOURLY_DOWNLOAD_BYTES: u64 = 1 << 30;
/// What a page asks again by itself within so many seconds is in the ledger once.
pub const REPEAT_S: u32 = 5 * 60;

/// Whether a page may ask for this by itself: it reads, and gives no content of files.
pub const fn may_repeat(verb: Verb) -> bool {
    matches!(verb, Verb::SnapshotsList | Verb::FilesList | Verb::LogRead)
}

/// Whether this takes a second factor that was shown within [`FRESH_S`].
pub const fn needs_fresh_factor(verb: Verb, max_bytes: Option<u64>) -> bool {
    use Verb::*;
    match verb {
        SharesChange | SharesRemove | PolicyLoosen | Restore | DisksChange | SettingsChange | EmergencyOpen | DeletionsThaw | KitPrint
        | OffsiteChange | UsersManage => true,
        Download => match max_bytes {
            Some(bytes) => bytes > UNASKED_DOWNLOAD_BYTES,
            None => true,
        },
        SharesAdd | PolicyChange | RunNow | RunCancel | SnapshotsList | FilesList | DisksTest | TestRestore | IncidentsAcknowledge
        | LogRead | SupportBundle | DeletionsFreeze => false,
    }
}

/// Whether a second factor counts for this only if it was shown for this: what an owner alone does, and who rides their session must not. Signing in is not enough.
pub const fn needs_own_factor(verb: Verb) -> bool {
    matches!(verb, Verb::UsersManage | Verb::KitPrint)
}

/// Whether only a person may do this, and no program with a token.
pub const fn needs_person(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::UsersManage
            | Verb::PolicyLoosen
            | Verb::SharesRemove
            | Verb::DisksChange
            | Verb::EmergencyOpen
            | Verb::DeletionsThaw
            | Verb::KitPrint
            | Verb::OffsiteChange
    )
}
