//! What kept the last attempt from its end, for people who have never heard of a handshake: what happened, what it means for the data, what to do. What the programs themselves say is in the log.

use keepwell_api::offsite::Failure;

use crate::view::{Times, When};

/// Three sentences, and how bad it is.
pub(super) struct Words {
    pub(super) status: &'static str,
    pub(super) icon: &'static str,
    pub(super) happened: String,
    pub(super) for_your_data: &'static str,
    pub(super) to_do: String,
    pub(super) at: When,
}

const BEHIND: &str = "What is there stays there. Newer copies are in this building alone until it goes on.";
const SAFE: &str = "Nothing was sent to it, and nothing is lost. Newer copies are in this building alone.";

pub(super) fn of(failure: &Failure, place: &str, times: &Times) -> Words {
    let at = times.at(failure.at);
    let say = |status, icon, happened: String, for_your_data, to_do: String| Words { status, icon, happened, for_your_data, to_do, at };
    let by_itself = || "Nothing yet: it is tried again by itself.".to_owned();
    match failure.code.as_str() {
        "unreachable" => say(
            "warn",
            "broken",
            format!("{place} can't be reached."),
            BEHIND,
            format!("If it stays, ask the people at {place}: is that box on, and does it have internet? It is tried again by itself."),
        ),
        "cut" => say("warn", "broken", format!("The line to {place} was cut."), BEHIND, "Nothing yet: it goes on where it was.".into()),
        "busy" => say("muted", "clock", format!("{place} had too much to do at a time."), BEHIND, by_itself()),
        "other-key" => say(
            "bad",
            "hand",
            format!("Something else answers at the address of {place}. It has not the key that you paired with."),
            SAFE,
            format!(
                "Call the people at {place}. If that box was not changed, somebody stands between: tell whoever looks after your network."
            ),
        ),
        "handshake" => say(
            "warn",
            "broken",
            format!("What answers at the address of {place} does not speak as that box does."),
            SAFE,
            "Have both boxes run the same release. If they do and it stays, tell whoever looks after your network.".into(),
        ),
        "replaced" => say(
            "bad",
            "hand",
            format!("{place} says that another box took the place of this one, with two papers of your kit."),
            "What is there stays there. This box can neither send nor read there any more.",
            "If none of you set up a new box, look for your papers now, and call whoever is responsible for security.".into(),
        ),
        "stranger" => say(
            "bad",
            "slash",
            format!("{place} does not know this box any more."),
            "Nothing newer goes there, and what was there may be gone. All is here.",
            "Ask the people there what was done to that box; then pair the two again.".into(),
        ),
        "quota" => say(
            "warn",
            "alert",
            format!("The room that you have at {place} is full."),
            BEHIND,
            "Ask the people there to invite this box once more, with more room.".into(),
        ),
        "full" => say("warn", "alert", format!("The disks at {place} are full."), BEHIND, "Ask the people there to add a disk.".into()),
        "store" => say(
            "warn",
            "cracked",
            format!("The disks at {place} failed while they were written to."),
            "What it signed for counts as before. Newer copies are in this building alone until it goes on.",
            "Ask the people there to look at the disks of that box.".into(),
        ),
        "nonsense" => say(
            "bad",
            "hand",
            format!("{place} answers or signs what can't be right."),
            "What it signed for before still counts. Nothing newer is taken for safe there.",
            "Have both boxes run the same release. If it stays, do not rely on that box, and pair with another.".into(),
        ),
        "own" => say(
            "warn",
            "disk",
            "This box could not read what is to be sent.".into(),
            "What is there stays there. Look at the disks here.",
            "Look at the page Disks. It is tried again by itself.".into(),
        ),
        _ => say("warn", "half", format!("The last attempt to send to {place} did not come to its end."), BEHIND, by_itself()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn every_failure_says_what_it_means_and_nothing_of_the_programs() {
        let times = Times::new(TimeZone::UTC, 1_800_000_000);
        for code in [
            "unreachable",
            "cut",
            "busy",
            "other-key",
            "handshake",
            "replaced",
            "stranger",
            "quota",
            "full",
            "store",
            "nonsense",
            "own",
            "new",
        ] {
            let failure = Failure { at: 1_800_000_000, code: code.into(), text: "tcp connect error (os error 111)".into() };
            let said = of(&failure, "Northside", &times);
            assert!(said.happened.ends_with('.') && said.for_your_data.ends_with('.') && said.to_do.ends_with('.'), "{code}");
            assert!(
                ![&said.happened, &said.to_do].iter().any(|text| text.contains("os error") || text.contains(&format!("({code})"))),
                "{code}"
            );
            assert_eq!(said.status == "bad", ["other-key", "replaced", "stranger", "nonsense"].contains(&code), "{code}");
        }
    }
}
