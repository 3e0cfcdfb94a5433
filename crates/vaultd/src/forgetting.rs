//! Forgets, once a night, the snapshots that no policy keeps any longer. Owns when, and the record before and after; which, `keepwell-duties` decides, and the vault has the last
//! word. Never while the machine's clock is doubted, and never a snapshot of a share that is not there any more: that is for a person to say.

use std::collections::{BTreeMap, BTreeSet};

use keepwell_audit::{Event, Value};
use keepwell_duties::{self as duties, At, Keep, Tier, Worth};
use keepwell_format::SnapshotId;
use keepwell_format::manifest::Outcome;
use keepwell_vault::{Snapshot, Vault, VaultError};
use serde::{Deserialize, Serialize};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::state::SETTLED;
use crate::watch::Policies;
use crate::{emergency, freezing, keeping};

const DOCUMENT: &str = "forgetting";
const DAY: i64 = 86_400;
/// Two o'clock, UTC, in seconds of the day.
const NIGHT: i64 = 7_200;
/// Snapshots that are forgotten at a time: their ids fit one field of the ledger.
const BATCH: usize = 200;
/// Of the box's own state. It is written after each change, and is small.
const OWN: Keep = Keep { hourly: 24, daily: 14, weekly: 8, monthly: 12 };
/// What failed is tried again after so long, seconds: each try is in the ledger.
const RETRY: i64 = 3_600;
/// Restores that may be under way at a time are far fewer.
const RESTORES: u32 = 10_000;

/// What is known of the last night.
#[derive(Debug, Serialize, Deserialize)]
struct Night {
    /// When it was, box time.
    at: At,
    /// Ids of what was about to be forgotten when this was written.
    #[serde(default)]
    begun: Vec<String>,
    /// Why.
    #[serde(default)]
    reason: String,
    /// When that failed.
    #[serde(default)]
    failed: Option<At>,
    /// It was frozen since: what is there of it stays, until another night chooses it.
    #[serde(default)]
    put_off: bool,
}

/// A freeze ends: what heaped up meanwhile is for the next night, so that people have until then to look.
pub(crate) fn put_off(appliance: &Appliance) -> Result<(), VaultdError> {
    let Some(night) = appliance.state.document::<Night>(DOCUMENT)? else { return Ok(()) };
    let put_off = !night.begun.is_empty();
    Ok(appliance.state.note(DOCUMENT, &Night { at: At(appliance.clock.believed()), put_off, ..night })?)
}

/// Does what the night asks for, if it is time. A program that ended in the middle is taken up here.
pub(crate) fn forget_due(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let settled = appliance.state.document::<bool>(SETTLED)?.unwrap_or(false);
    if !settled || appliance.clock.doubt().is_some() || freezing::told(appliance)?.is_some() {
        return Ok(());
    }
    let now = At(appliance.clock.believed());
    let Some(mut night) = appliance.state.document::<Night>(DOCUMENT)? else {
        // A box that is new, or has just taken a vault over, gives people a day to look at its policies.
        let first = Night { at: now, begun: Vec::new(), reason: String::new(), failed: None, put_off: false };
        return Ok(appliance.state.note(DOCUMENT, &first)?);
    };
    if !night.begun.is_empty() {
        if night.failed.is_some_and(|at| at.has_been(now) && now.since(at) < RETRY) {
            return Ok(());
        }
        let all = vault.snapshots()?;
        let put_off = std::mem::take(&mut night.put_off);
        let chosen = if put_off { Vec::new() } else { unkept(appliance, &all, now)? };
        let stays = take_what_is_wanted(&mut night.begun, &all, &chosen);
        if !stays.is_empty() {
            let why = if put_off { "deletions were frozen meanwhile; the next night decides" } else { "they are wanted by now" };
            record(appliance, "refused", &stays, why.to_owned())?;
            appliance.state.note(DOCUMENT, &night)?;
        }
        carry_out(appliance, vault, &mut night)?;
        if freezing::told(appliance)?.is_some() {
            return Ok(());
        }
    }
    if !is_due(night.at, now) {
        return Ok(());
    }
    let chosen = unkept(appliance, &vault.snapshots()?, now)?;
    (night.at, night.reason) = (now, reason(&Policies::load(&appliance.state)?));
    appliance.state.note(DOCUMENT, &night)?;
    for batch in chosen.chunks(BATCH) {
        night.begun = batch.iter().map(ToString::to_string).collect();
        appliance.state.note(DOCUMENT, &night)?;
        carry_out(appliance, vault, &mut night)?;
        if !night.begun.is_empty() {
            break;
        }
    }
    Ok(())
}

/// What no policy keeps now, and nobody restores or has open in an emergency.
fn unkept(appliance: &Appliance, all: &[Snapshot], now: At) -> Result<Vec<SnapshotId>, VaultdError> {
    let policies = Policies::load(&appliance.state)?;
    let shares = appliance.state.shares()?;
    let mut rules: Vec<(String, Keep)> = shares.iter().map(|share| (share.name.clone(), policies.of(share.tier).keep)).collect();
    rules.push((keeping::NAME.to_owned(), OWN));
    let added: BTreeMap<&str, i64> = shares.iter().map(|share| (&*share.name, share.added_at)).collect();
    let restored = appliance.state.restores(true, RESTORES)?.into_iter().map(|restore| restore.snapshot);
    let used: BTreeSet<String> = restored.chain(emergency::snapshots(appliance)?).collect();
    let mut chosen = choose(&of_these_shares(all, &added), &rules, now);
    chosen.retain(|id| !used.contains(&id.to_string()));
    Ok(chosen)
}

/// Without those of a share that was removed and had the name of one that was added since: they are for a person to forget.
fn of_these_shares(all: &[Snapshot], added: &BTreeMap<&str, i64>) -> Vec<Snapshot> {
    let is_earlier = |one: &&Snapshot| added.get(&*one.body.name).is_some_and(|at| one.body.started.seconds < *at);
    all.iter().filter(|one| !is_earlier(one)).cloned().collect()
}

/// What was begun was decided at another time: a snapshot that is still there, and is wanted by now, stays.
fn take_what_is_wanted(begun: &mut Vec<String>, all: &[Snapshot], chosen: &[SnapshotId]) -> Vec<String> {
    let chosen: BTreeSet<String> = chosen.iter().map(ToString::to_string).collect();
    let there: BTreeSet<String> = all.iter().map(|one| one.id.to_string()).collect();
    begun.extract_if(.., |id| there.contains(id) && !chosen.contains(id)).collect()
}

/// Whether two o'clock has been since then. A night of the future was counted by a clock that was wrong.
fn is_due(last: At, now: At) -> bool {
    let two = now.0 - (now.0 - NIGHT).rem_euclid(DAY);
    !last.has_been(now) || last.0 < two
}

/// What no rule keeps, by the names that rules are for. The last accepted snapshot of a name, as the vault counts them, always stays.
fn choose(snapshots: &[Snapshot], rules: &[(String, Keep)], now: At) -> Vec<SnapshotId> {
    let mut chosen = Vec::new();
    for (name, keep) in rules {
        let of_name = || snapshots.iter().filter(|snapshot| snapshot.body.name == *name);
        let last = of_name().rfind(|snapshot| snapshot.body.outcome != Outcome::Held).map(|snapshot| snapshot.id);
        let known: Vec<_> = of_name().map(worth).collect();
        chosen.extend(duties::forget(&known, keep, now).into_iter().map(|(_, id)| id).filter(|id| Some(*id) != last));
    }
    chosen
}

/// With its number first: that tells which of two runs of one second was the later.
fn worth(snapshot: &Snapshot) -> duties::Snapshot<(u64, SnapshotId)> {
    let worth = match snapshot.body.outcome {
        Outcome::Complete => Worth::Complete,
        Outcome::Partial => Worth::Partial,
        Outcome::Held => Worth::Held,
    };
    duties::Snapshot { id: (snapshot.sequence, snapshot.id), received: At(snapshot.body.started.seconds), worth }
}

/// In words that still say something in years.
fn reason(policies: &Policies) -> String {
    let words = |keep: Keep| format!("{} hours, {} days, {} weeks, {} months", keep.hourly, keep.daily, keep.weekly, keep.monthly);
    let tiers = Tier::ALL.map(|tier| format!("tier {} keeps {}", tier.number(), words(policies.of(tier).keep)));
    format!("by policy: {}; the box's own state {}", tiers.join("; "), words(OWN))
}

/// Forgets what was begun. The ledger has it before it happens, and what became of it.
fn carry_out(appliance: &Appliance, vault: &Vault, night: &mut Night) -> Result<(), VaultdError> {
    let ids: Vec<SnapshotId> = night.begun.iter().filter_map(|id| id.parse().ok()).collect();
    // What is frozen meanwhile stays begun, and is looked at again when it is not.
    let _nobody_freezes = appliance.forgetting();
    if ids.is_empty() || freezing::told(appliance)?.is_some() {
        return Ok(());
    }
    record(appliance, "begun", &night.begun, night.reason.clone())?;
    let (phase, text) = match vault.forget(&ids, &night.reason, appliance.clock.believed()) {
        Ok(_) => ("done", night.reason.clone()),
        // The vault keeps one of them, or has too few disks for it tonight: all of them stay until the next night.
        Err(error @ (VaultError::NotForgotten(_) | VaultError::NoSnapshot(_))) => {
            tracing::warn!(%error, "old snapshots were not forgotten tonight");
            ("refused", error.to_string())
        }
        Err(other) => {
            night.failed = Some(At(appliance.clock.believed()));
            appliance.state.note(DOCUMENT, &*night)?;
            return Err(other.into());
        }
    };
    record(appliance, phase, &night.begun, text)?;
    (night.begun, night.failed) = (Vec::new(), None);
    appliance.state.note(DOCUMENT, &*night)?;
    appliance.changed();
    Ok(())
}

fn record(appliance: &Appliance, phase: &str, ids: &[String], reason: String) -> Result<(), VaultdError> {
    let fields = vec![
        ("phase".to_owned(), Value::Text(phase.to_owned())),
        ("count".to_owned(), Value::Number(i64::try_from(ids.len()).unwrap_or(i64::MAX))),
        ("snapshots".to_owned(), Value::Text(ids.join(" "))),
        ("reason".to_owned(), Value::Text(reason)),
    ];
    appliance.record("vaultd", Event::Deletion, fields)
}

#[cfg(test)]
mod tests {
    use keepwell_format::manifest::{ManifestBody, SeqRanges, Statistics};
    use keepwell_format::port::Encoding;
    use keepwell_format::{BlobId, Time};

    use super::*;

    fn snapshot(n: u8, name: &str, started: i64, outcome: Outcome) -> Snapshot {
        let at = Time { seconds: started, nanos: 0 };
        let body = ManifestBody {
            name: name.into(),
            source: String::new(),
            identity: String::new(),
            encoding: Encoding::Bytes,
            outcome,
            started: at,
            finished: at,
            depth: 0,
            root: BlobId([1; 32]),
            base: SnapshotId::NONE,
            gaps: Vec::new(),
            statistics: Statistics::default(),
            program: String::new(),
            held: String::new(),
        };
        let (sequence, previous, needs) = (n.into(), SnapshotId::NONE, SeqRanges::new());
        Snapshot { id: SnapshotId([n; 32]), sequence, previous, received: started, needs, body }
    }

    #[test]
    fn a_night_comes_once_a_day() {
        let day = |n: i64, hour: i64| At(n * DAY + hour * 3_600);
        for (last, now, due) in [
            (day(9, 3), day(10, 1), false),
            (day(9, 3), day(10, 2), true),
            (day(9, 1), day(9, 3), true),
            (day(10, 2), day(10, 23), false),
            (day(0, 0), day(10, 1), true),
            (day(10, 5), day(12, 1), true),
            (day(99, 5), day(12, 1), true),
        ] {
            assert_eq!(is_due(last, now), due, "{last:?}, {now:?}");
        }
    }

    #[test]
    fn a_name_that_is_used_again_forgets_nothing_of_before() {
        let keep = Keep { hourly: 0, daily: 1, weekly: 0, monthly: 0 };
        let all: Vec<_> = (1..=6).map(|n| snapshot(n, "EHR", i64::from(n) * DAY, Outcome::Complete)).collect();
        let chosen = |added| choose(&of_these_shares(&all, &[("EHR", added)].into()), &[("EHR".into(), keep)], At(9 * DAY));
        assert_eq!(chosen(0).len(), 5);
        assert_eq!(chosen(4 * DAY), [4, 5].map(|n| SnapshotId([n; 32])));
        assert_eq!(chosen(7 * DAY), []);
    }

    #[test]
    fn what_was_begun_and_is_wanted_by_now_stays() {
        let all: Vec<_> = [1, 2].map(|n| snapshot(n, "EHR", DAY, Outcome::Complete)).into();
        let text = |n| SnapshotId([n; 32]).to_string();
        // The third was forgotten when the program ended: that it was still has to be recorded.
        let mut begun = vec![text(1), text(2), text(3)];
        assert_eq!(take_what_is_wanted(&mut begun, &all, &[SnapshotId([2; 32])]), [text(1)]);
        assert_eq!(begun, [text(2), text(3)]);
    }

    #[test]
    fn only_names_with_a_rule_lose_snapshots_and_never_their_last() {
        let keep = Keep { hourly: 0, daily: 1, weekly: 0, monthly: 0 };
        let now = At(100 * DAY);
        let complete = |n, name, at| snapshot(n, name, at, Outcome::Complete);
        let all = [
            complete(1, "EHR", 98 * DAY),
            complete(2, "gone", 98 * DAY),
            snapshot(3, "EHR", 98 * DAY + 1, Outcome::Held),
            complete(4, "EHR", 99 * DAY),
            complete(5, "gone", 99 * DAY),
            complete(6, "EHR", 99 * DAY + 9),
            complete(7, "EHR", 99 * DAY + 10),
            // By a clock that stood behind: the oldest by its time, and what the next run builds on.
            complete(8, "EHR", 97 * DAY),
        ];
        let chosen = choose(&all, &[("EHR".into(), keep), ("none".into(), keep)], now);
        assert_eq!(chosen, [1, 6].map(|n| SnapshotId([n; 32])));
        let ahead = choose(&all, &[("EHR".into(), keep)], At(0));
        assert_eq!(ahead, [], "what seems to come from the future stays");
        let mut second = snapshot(1, "EHR", 99 * DAY + 10, Outcome::Complete);
        second.sequence = 9;
        let chosen = choose(&[complete(6, "EHR", 99 * DAY), complete(7, "EHR", 99 * DAY + 10), second], &[("EHR".into(), keep)], now);
        assert_eq!(chosen, [SnapshotId([7; 32])], "of two in one second the later stays");
    }
}
