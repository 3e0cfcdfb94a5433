//! The daily report: when it is due, and what it says, from the one status and from what was known the day before. Sends nothing, and names no file.

use serde::{Deserialize, Serialize};

use crate::duty::Numbers;
use crate::incident::Severity;
use crate::policy::{Policy, ShareId, last_hour};
use crate::status::{Headline, ShareState, Status};
use crate::time::At;
use crate::words::duration;

/// Seven in the morning: before the first patient.
const HOUR: u16 = 7;
/// Most lines of a list; what is left out is counted.
const LINES: usize = 15;
/// Most characters of one part: a notice takes 2,000.
const PART: usize = 1_900;

/// What is kept of a day, so that the next report can say what changed. State.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// When it was looked at.
    pub at: At,
    pub(crate) headline: Headline,
    pub(crate) shares: Vec<Kept>,
    /// Open incidents, with what happened.
    pub(crate) open: Vec<(u64, String)>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    id: ShareId,
    label: String,
    newest: Option<At>,
}

/// A report. Lines are ended by `\n`; numbers have their unit in their name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Digest {
    /// One line.
    pub subject: String,
    /// How the box is: the answer, the four questions, the copies, the room.
    pub today: String,
    /// What is not as it was in the report before.
    pub changed: String,
    /// What a person has to do; empty if there is nothing.
    pub to_do: String,
    /// The worst of that.
    pub severity: Severity,
    /// For programs.
    pub numbers: Numbers,
}

impl Day {
    /// Of a day that is like this.
    pub fn of(status: &Status) -> Self {
        let newest = |age_s: Option<i64>| age_s.map(|age_s| status.at.plus(-age_s));
        let kept = |share: &crate::ShareStatus| Kept { id: share.id.clone(), label: share.label.clone(), newest: newest(share.copy_age_s) };
        Self {
            at: status.at,
            headline: status.headline,
            shares: status.shares.iter().map(kept).collect(),
            open: status.todo.iter().map(|one| (one.incident, one.text.happened.clone())).collect(),
        }
    }

    /// Whether seven o'clock has been since then, where the practice is: in the time zone of its hours, in UTC if no policy knows any.
    pub fn is_over(&self, policies: &[Policy], now: At) -> bool {
        let zone = policies.iter().find_map(|policy| policy.clinic_hours.as_ref()).map(|hours| hours.tz.as_str());
        last_hour(HOUR, zone, now).is_some_and(|hour| self.at < hour)
    }
}

/// The report of a day, after this one.
pub fn digest(status: &Status, before: &Day) -> Digest {
    let count = |things: usize| i64::try_from(things).unwrap_or(i64::MAX);
    let mut numbers = vec![("shares".into(), count(status.shares.len())), ("to_do".into(), count(status.todo.len()))];
    if let Some(pool) = &status.pool {
        numbers.push(("free_bytes".into(), pool.free_bytes.cast_signed()));
        numbers.push(("total_bytes".into(), pool.total_bytes.cast_signed()));
    }
    Digest {
        subject: format!("Daily report: can you restore today? {}", status.headline),
        today: today(status),
        changed: part(changed(status, before)),
        to_do: part(few(status.todo.iter().map(|one| format!("{}. {}.", one.text.happened, one.text.to_do)).collect())),
        severity: status.todo.iter().map(|one| one.severity).max().unwrap_or(Severity::Notice),
        numbers,
    }
}

fn today(status: &Status) -> String {
    let mut lines = vec![format!("{}. {}", status.headline, status.words)];
    lines.extend(status.answers.iter().map(|answer| format!("{}: {}", answer.question, answer.words)));
    if let Some(pool) = &status.pool {
        lines.push(format!("Room: {} free of {}.", bytes(pool.free_bytes), bytes(pool.total_bytes)));
    }
    let copies = status.shares.iter().map(|share| format!("{} (tier {}): {}", share.label, share.tier.number(), share.words));
    lines.extend(few(copies.collect()));
    part(lines)
}

fn changed(status: &Status, before: &Day) -> Vec<String> {
    let mut lines = Vec::new();
    if status.headline != before.headline {
        lines.push(format!("The answer was: {}.", before.headline));
    }
    let (mut come, mut late) = (Vec::new(), Vec::new());
    for share in &status.shares {
        let known = before.shares.iter().find(|kept| kept.id == share.id);
        match (known, share.copy_age_s.map(|age_s| status.at.plus(-age_s))) {
            (None, _) => come.push(format!("{} was added.", share.label)),
            (Some(known), newest) if newest <= known.newest && share.state != ShareState::Fine => {
                late.push(format!("{} has no newer copy since then.", share.label));
            }
            _ => {}
        }
    }
    let is_here = |kept: &&Kept| status.shares.iter().all(|share| share.id != kept.id);
    let gone = before.shares.iter().filter(is_here).map(|kept| format!("{} is not backed up any more.", kept.label));
    let new = status.todo.iter().filter(|one| before.open.iter().all(|(id, _)| *id != one.incident));
    let new = new.map(|one| format!("New: {}.", one.text.happened));
    let over = before.open.iter().filter(|(id, _)| status.todo.iter().all(|one| one.incident != *id));
    let over = over.map(|(_, happened)| format!("Solved: {happened}."));
    lines.extend(few(new.chain(over).chain(late).chain(come).chain(gone).collect()));
    let since = format!("Since {} ago", duration(status.at.since(before.at)));
    if lines.is_empty() { vec![format!("{since}: nothing that needs somebody.")] } else { [vec![format!("{since}:")], lines].concat() }
}

/// The first of them, and how many there are beside.
fn few(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push(format!("And {more} more; see the console."));
    }
    lines
}

/// As many lines as fit, each whole.
fn part(lines: Vec<String>) -> String {
    let mut text = String::new();
    for line in lines {
        if text.chars().count() + line.chars().count() >= PART {
            text.push_str("\nAnd more; see the console.");
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

/// In decimal units, as disks are sold.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut size = count as f64 / 1_000.0;
    let mut unit = 0;
    while size >= 1_000.0 && unit + 1 < UNITS.len() {
        size /= 1_000.0;
        unit += 1;
    }
    if size < 10.0 { format!("{size:.1} {}", UNITS[unit]) } else { format!("{size:.0} {}", UNITS[unit]) }
}
