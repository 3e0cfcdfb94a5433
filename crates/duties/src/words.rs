//! What an incident says to a person: what happened, what it means for their data, what to do. Owns the sentences; holds no names but the labels it is given.

mod offsite;

use serde::{Deserialize, Serialize};

use crate::duty::{DutyKind, Subject};
use crate::incident::Incident;
use crate::policy::ShareId;

/// Three plain sentences.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// What happened.
    pub happened: String,
    /// What it means for the data.
    pub for_your_data: String,
    /// What to do.
    pub to_do: String,
}

/// The text of an incident. `label` is what people call a share; one without a label is called by its id.
pub fn text(incident: &Incident, label: &dyn Fn(&ShareId) -> Option<String>) -> Text {
    let subject = subject(&incident.duty.subject, label);
    let number = |name: &str| incident.numbers.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value);
    let [happened, for_your_data, to_do] = match incident.duty.kind {
        DutyKind::CopyAge | DutyKind::Runs | DutyKind::Gaps | DutyKind::Held => of_share(incident, &subject, &number),
        DutyKind::Disk | DutyKind::Pool | DutyKind::Scrub => of_pool(incident, &subject, &number),
        DutyKind::Emergency | DutyKind::EmergencyReview => of_emergency(incident, &number),
        kind if kind.is_offsite() => offsite::words(incident, &subject, &number),
        _ => of_box(incident, &subject, &number),
    };
    Text { happened, for_your_data, to_do }
}

fn of_share(incident: &Incident, share: &str, number: &dyn Fn(&str) -> i64) -> [String; 3] {
    let age = duration(number("age_s"));
    let code = incident.code.as_str();
    match (incident.duty.kind, code) {
        (DutyKind::CopyAge, "never") => [
            format!("{share} has no copy yet, {age} after it was added"),
            format!("If its server died now, nothing of {share} could be restored"),
            "See why its first backup does not finish".into(),
        ],
        (DutyKind::CopyAge, _) => [
            format!("The newest copy of {share} is {age} old, older than promised"),
            "Work since then is unprotected; the older copies stay".into(),
            "Check that its server is on and can be reached; the box tries again by itself".into(),
        ],
        (DutyKind::Runs, _) => [
            format!("The backup of {share} failed {}: {}", times(number("in_a_row")), reason(code)),
            "Its newest copy stays; work since then is unprotected".into(),
            remedy(code).into(),
        ],
        (DutyKind::Gaps, _) => [
            format!("{} of {share} could not be read", things(number("gaps"))),
            "Only these lack today's version".into(),
            "Open the list".into(),
        ],
        _ => [
            format!("{share} is suddenly empty or another one"),
            "The new snapshot is held aside; old copies stay".into(),
            "Check the server, or say that it is intended".into(),
        ],
    }
}

fn of_pool(incident: &Incident, subject: &str, number: &dyn Fn(&str) -> i64) -> [String; 3] {
    let age = duration(number("age_s"));
    // What is thought of a disk, and behind a colon the sign of it.
    let (code, sign) = incident.code.split_once(':').unwrap_or((&incident.code, ""));
    match (incident.duty.kind, code) {
        (DutyKind::Disk, "silent") => [
            "The program that looks after the disks has not answered for a while".into(),
            "Nothing is lost; a disk that fails now is noticed late".into(),
            "Nothing yet: it is started again by itself. If it stays, restart the box".into(),
        ],
        (DutyKind::Disk, "failing") => {
            let what = format!("{subject} is failing{}", because(sign));
            [what, "Nothing is lost; the other disks have all of it".into(), format!("Replace {subject} now")]
        }
        (DutyKind::Disk, "missing") => [
            format!("{subject} stopped or was taken out"),
            "All is readable; one more such loss may not be".into(),
            format!("Put {subject} back, or replace it today"),
        ],
        (DutyKind::Disk, "suspect") => {
            let what = format!("{subject} shows signs of wear{}", because(sign));
            [what, "Nothing is lost".into(), format!("Order a disk, and replace {subject} soon")]
        }
        (DutyKind::Disk, "unreadable") => [
            format!("{subject} is connected, but its file system can't be read"),
            "All is readable; one more such loss may not be".into(),
            format!("Nothing yet: it is tried again. If it stays for an hour, replace {subject}, and don't erase it before all is whole"),
        ],
        (DutyKind::Disk, "unusable") => [
            format!("{subject} is there, and its data can't be used"),
            "All is readable; one more such loss may not be".into(),
            format!("Replace {subject}"),
        ],
        (DutyKind::Disk, _) => [
            format!("{subject} has not said for {age} how it is"),
            "All is readable as far as known".into(),
            "Check that it sits firmly in its bay".into(),
        ],
        (DutyKind::Pool, "short" | "scarce") => {
            let paused = if incident.code == "short" { "Shares of tier 3 pause" } else { "Shares of tiers 2 and 3 pause" };
            ["The disks are nearly full".into(), format!("{paused}; restores work"), "Add a disk, or keep fewer copies".into()]
        }
        (DutyKind::Pool, "full") => ["The disks are full".into(), "Backups stop; restores work".into(), "Add a disk now".into()],
        (DutyKind::Pool, "degraded") => {
            ["A disk is missing".into(), "All is readable; no further disk may be lost".into(), "Replace it today".into()]
        }
        (DutyKind::Pool, "unreadable") => [
            "Too many disks are missing, or can't be read".into(),
            "Nothing can be copied or restored until one is back".into(),
            "Look at the page Disks; check power and cables; erase no disk".into(),
        ],
        (DutyKind::Pool, _) => [
            format!("The disks have not been seen whole for {age}"),
            "Unknown".into(),
            "Restart the box; if it stays, call for help".into(),
        ],
        (_, "healed") => [
            "The disks had lost a part of the copies; it was brought back from the second site".into(),
            "Nothing is lost".into(),
            "Look at the page Disks: one may be failing. This closes when all was read again".into(),
        ],
        (_, "lost") => [
            format!("{} can't be read any more and could not be repaired", things(number("lost"))),
            "Other copies stay".into(),
            "Open the list; keep the disks".into(),
        ],
        _ => [
            format!("The disks were last read through {age} ago"),
            "Damage since then would not be known".into(),
            "Leave the box on, so that it can finish".into(),
        ],
    }
}

fn of_box(incident: &Incident, subject: &str, number: &dyn Fn(&str) -> i64) -> [String; 3] {
    let age = duration(number("age_s"));
    match (incident.duty.kind, incident.code.as_str()) {
        (DutyKind::TestRestore, "differs") => [
            format!("In the test restore of {subject}, {} of {} files differed", number("differed"), number("tested")),
            "These may not come back as they were; older versions may be good".into(),
            "Open the finding".into(),
        ],
        (DutyKind::TestRestore, "never" | "overdue" | "unknown") => [
            format!("Restoring {subject} was not tested for {age}"),
            "Copies are there; nothing proves that they come back".into(),
            "Leave the box on overnight, or start the test now".into(),
        ],
        (DutyKind::TestRestore, code) => [
            format!("The test restore of {subject} failed: {}", reason(code)),
            "Nothing proves that its copies come back".into(),
            "Start the test again".into(),
        ],
        (DutyKind::KitRehearsal, "wrong") => [
            format!("{subject} did not open the newest key"),
            "After a fire, the kit may not open".into(),
            "Print a new kit at the box".into(),
        ],
        (DutyKind::KitRehearsal, _) => [
            format!("{subject} was not tested for {age}"),
            "After a fire, the kit may not open".into(),
            "Rehearse at the box: five minutes".into(),
        ],
        (DutyKind::Time, _) => [
            format!("The clock is {} wrong", duration(number("ahead_s").saturating_abs())),
            "Nothing expires early; backups go on by the box's own count".into(),
            "Confirm the time".into(),
        ],
        (DutyKind::Power, _) => [
            format!("The box had no power for {}", duration(number("off_s"))),
            "Work of that time was unprotected; it is copied now".into(),
            "Nothing, if it was intended".into(),
        ],
        (DutyKind::Keys, "locked") => [
            "The keys are locked".into(),
            "Nothing is copied or restored until they are unlocked".into(),
            "Unlock with two papers of the kit".into(),
        ],
        (DutyKind::Keys, "not-sealed") => [
            "The keys are open until the box is switched off, and no longer".into(),
            "Copies and restores go on; after the next start they wait until two papers are typed again".into(),
            "Look at the box's own screen, and put right what it names".into(),
        ],
        (DutyKind::Keys, _) => [
            "There are not two ways to unlock the keys".into(),
            "If the one way fails, nothing opens the copies".into(),
            "Print and rehearse the kit".into(),
        ],
        (DutyKind::Log, "broken") => [
            "The log of this box was changed or cut".into(),
            "Copies are not touched by that; what is in the log is no proof".into(),
            "Call whoever is responsible for security".into(),
        ],
        (DutyKind::Log, _) => {
            [format!("The log was not checked for {age}"), "Copies are not touched by that".into(), "Check it now".into()]
        }
        (DutyKind::State, "full") => [
            "The box's own disk is full: no room for more data, or for more files".into(),
            "Copies that are there are unharmed. What has to be recorded before it is done, as a restore or a change, may be refused"
                .into(),
            "Call whoever looks after the box; begin no changes".into(),
        ],
        (DutyKind::State, _) => [
            "The box's settings could not be copied into its vault".into(),
            "If this box burned now, a new one would know older settings".into(),
            "Nothing yet; it is tried again".into(),
        ],
        (DutyKind::Deletions, _) => [
            "Somebody froze deletions: no old copy is forgotten".into(),
            "All copies stay, and the disks fill faster than usual".into(),
            "When it is clear what happened, let old copies be forgotten again on the page Emergency".into(),
        ],
        _ => [
            "Messages of this box do not reach people".into(),
            "Copies are not touched by that".into(),
            "Check the settings for mail and alarms".into(),
        ],
    }
}

fn of_emergency(incident: &Incident, number: &dyn Fn(&str) -> i64) -> [String; 3] {
    let hours = number("hours");
    let length = if hours == 1 { "one hour".into() } else { format!("{hours} hours") };
    let by = if incident.code == "sealed-code" { " with the sealed code, at the box's own screen" } else { "" };
    match incident.duty.kind {
        DutyKind::Emergency => [
            format!("Emergency access was opened{by}, for {length} at most"),
            "Who has its password can read the last good copies of tier 1; nothing can be changed".into(),
            "If none of you did it, close it now".into(),
        ],
        _ => [
            format!("Emergency access{by} is closed again; {} opened in it", files(number("files"))),
            "Copies are as they were; what was read stands in the log".into(),
            "Look at the log, and take this to say that it was meant".into(),
        ],
    }
}

fn files(count: i64) -> String {
    if count == 1 { "one file was".into() } else { format!("{count} files were") }
}

fn subject(subject: &Subject, label: &dyn Fn(&ShareId) -> Option<String>) -> String {
    match subject {
        Subject::Box => "The box".into(),
        Subject::Share(share) => label(share).unwrap_or_else(|| format!("Share {share}")),
        Subject::Tier(tier) => format!("tier {}", tier.number()),
        Subject::Paper(paper) => format!("Paper {paper}"),
        Subject::Disk(disk) => format!("Disk {disk}"),
        Subject::Opening(opening) => format!("Emergency access {opening}"),
        Subject::Peer(name) | Subject::Tenant(name) => name.clone(),
    }
}

/// A reason of a failure as part of a sentence.
pub fn reason(code: &str) -> &str {
    match code {
        "password" => "the password was refused",
        "access-denied" => "access was denied",
        "unreachable" => "its server can't be reached",
        "not-found" => "the share is not there any more",
        "identity" => "another server answers at its address",
        "writable" => "the account could change the share",
        "address" => "its address is wrong",
        "timeout" | "silent" => "its server stopped answering",
        "no-room" => "the disks are full",
        "locked" => "the keys are locked",
        "cut" => "it was cut",
        other => other,
    }
}

/// The sign by which a disk is judged, as part of a sentence; its word where there is no better one.
fn because(sign: &str) -> String {
    if sign.is_empty() { String::new() } else { format!(" ({})", sign.replace('-', " ")) }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "password" => "Enter the password",
        "access-denied" => "Give the account the right to read",
        "not-found" | "address" => "Correct the address of the share",
        "identity" => "Check the server; if it was replaced, say so",
        "writable" => "Create an account that can only read",
        "no-room" => "Add a disk",
        "locked" => "Unlock the keys",
        _ => "Check that its server is on and can be reached; the box tries again by itself",
    }
}

fn times(count: i64) -> String {
    if count > 1 { format!("{count} times") } else { "once".into() }
}

fn things(count: i64) -> String {
    if count == 1 { "One file or folder".into() } else { format!("{count} files or folders") }
}

/// A length of time as people say it: one unit, rounded down, and none that sounds more exact than it is.
pub fn duration(seconds: i64) -> String {
    let (count, unit) = match seconds.max(0) {
        0..=119 => return "a minute".into(),
        s @ 120..=7_199 => (s / 60, "minutes"),
        s @ 7_200..=172_799 => (s / 3_600, "hours"),
        s => (s / 86_400, "days"),
    };
    format!("{count} {unit}")
}
