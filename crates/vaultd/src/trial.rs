//! The monthly test restore: a random sample of each tier's newest copies is restored to a place of the box's own, read back and compared with what the catalog says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwell_api::error::chain;
use keepwell_api::grants::Grant;
use keepwell_api::vault::{Outcome, RestoreState, Started, TestRestores};
use keepwell_audit::{Event, Value};
use keepwell_duties::{At, Duty, Standing, Tier};
use keepwell_format::manifest;
use keepwell_format::{Key, Kind as What};
use keepwell_vault::{RestoreOptions, Snapshot, Vault};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::scratch::Scratch;
use crate::watch::Policies;
use crate::work::{Ended, Kind, Work};
use crate::{restore, told};

/// A tier is tested again when its last test is so old, seconds: the promise is 35 days.
const AGAIN: i64 = 28 * 86_400;
/// A test that failed is repeated after so long, seconds.
const RETRY: i64 = 6 * 3_600;
/// Files above this are left out: the box's own disk has to hold them.
const LARGEST: u64 = 1 << 30;

/// Tests one tier whose time has come, if there is one that has copies.
pub(crate) fn test_due(appliance: &Appliance, vault: &Vault, stop: &AtomicBool) -> Result<(), VaultdError> {
    let now = At(appliance.clock.believed());
    let (book, _) = appliance.watch.copy();
    let due = |tier: &Tier| match book.standing(&Duty::test_restore(*tier), now) {
        Standing::NeverProven { .. } => true,
        Standing::Proven { at, .. } | Standing::Overdue { at, .. } => now.since(at) >= AGAIN,
        Standing::Failed { at, .. } => now.since(at) >= RETRY,
        Standing::Unknown => false,
    };
    if !Tier::ALL.iter().any(due) {
        return Ok(());
    }
    // Else one goes on that a person wanted: this one has time.
    let Ok(_place) = appliance.doors.trial() else { return Ok(()) };
    let go_on = || !stop.load(Ordering::Acquire);
    for tier in Tier::ALL.into_iter().filter(due) {
        // One without copies, or whose test fails, keeps no other one waiting.
        match test(appliance, vault, tier, &Work::default(), &go_on) {
            Ok(Some(_)) => break,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(tier = tier.number(), error = chain(&error), "a restore could not be tested; it is tried again in a minute")
            }
        }
    }
    Ok(())
}

/// Begins tests in a thread of its own, because a person wants them now.
pub(crate) fn start(appliance: &Arc<Appliance>, grant: &Grant, order: TestRestores) -> Result<Started, VaultdError> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let place = appliance.doors.trial()?;
    let tiers = order.tier.map_or_else(|| Tier::ALL.to_vec(), |tier| vec![told::own_tier(tier)]);
    // Until it is under way: nobody takes it for one that was cut.
    let _one_at_a_time = appliance.starting();
    let (by, started_at) = (grant.user.clone(), appliance.clock.believed());
    let state = appliance.state.begin_restore(RestoreState { by, started_at, ..RestoreState::default() })?;
    let work = Arc::new(Work::default());
    let (spare, under_way) = (state.clone(), Arc::clone(&work));
    let asked = Asked { appliance: Arc::clone(appliance), vault, tiers, state, work };
    let go = move || {
        let _place = place;
        asked.go();
    };
    Ok(Started { id: restore::in_a_thread(appliance, "trial", spare, under_way, go)? })
}

/// Tests that a person asked for.
struct Asked {
    appliance: Arc<Appliance>,
    vault: Arc<Vault>,
    tiers: Vec<Tier>,
    state: RestoreState,
    work: Arc<Work>,
}

impl Asked {
    fn go(mut self) {
        let tested = catch_unwind(AssertUnwindSafe(|| self.all()));
        let state = &mut self.state;
        state.finished_at = Some(self.appliance.clock.believed());
        let (outcome, why) = match (self.work.ended(), tested) {
            (Some(Ended::Cancelled), _) => (Outcome::Cancelled, None),
            (Some(Ended::Stopping), _) => (Outcome::Cut, None),
            (None, Ok(Ok(()))) if state.differing + state.missing > 0 => {
                (Outcome::Partial, Some("files came back otherwise than they were backed up, or not at all".to_owned()))
            }
            (None, Ok(Ok(()))) if state.files == 0 => (Outcome::Failed, Some("there is no file yet that could be tested".to_owned())),
            (None, Ok(Ok(()))) => (Outcome::Complete, None),
            (None, Ok(Err(error))) => (Outcome::Failed, Some(chain(&error))),
            (None, Err(_)) => (Outcome::Failed, Some("the test met an error of the program; its log says more".to_owned())),
        };
        (state.outcome, state.why) = (Some(outcome), why);
        if let Err(error) = restore::end(&self.appliance, state) {
            tracing::error!(restore = state.id, error = chain(&error), "the end of a test restore could not be kept");
        }
        self.appliance.works.remove(Kind::Restore, self.state.id);
        self.appliance.changed();
    }

    fn all(&mut self) -> Result<(), VaultdError> {
        for tier in self.tiers.clone() {
            let Some(seen) = test(&self.appliance, &self.vault, tier, &self.work, &|| self.work.ended().is_none())? else { continue };
            self.state.files += seen.files;
            self.state.written_bytes += seen.bytes;
            self.state.compared += seen.files;
            self.state.differing += seen.differing;
            self.state.missing += seen.lost;
        }
        Ok(())
    }
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    files: u64,
    bytes: u64,
    differing: u64,
    lost: u64,
}

/// None if there is nothing to test, or it was ended: that proves nothing.
fn test(appliance: &Appliance, vault: &Vault, tier: Tier, work: &Work, go_on: &dyn Fn() -> bool) -> Result<Option<Seen>, VaultdError> {
    let shares: Vec<_> = appliance.state.shares()?.into_iter().filter(|share| share.tier == tier && !share.paused).collect();
    let snapshots = vault.snapshots()?;
    let newest = |name: &str| snapshots.iter().rfind(|s| s.body.name == name && s.body.outcome != manifest::Outcome::Held);
    let copies: Vec<&Snapshot> = shares.iter().filter_map(|share| newest(&share.name)).collect();
    if copies.is_empty() {
        return Ok(None);
    }
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| VaultdError::Own(error.into()))?;
    let wanted = Policies::load(&appliance.state)?.of(tier).test_sample as usize;
    let mut seen = Seen::default();
    let scratch = Scratch::new(&appliance.config.state.join("scratch")).map_err(VaultdError::Own)?;
    for (n, snapshot) in copies.iter().enumerate() {
        let share_of = (wanted / copies.len()).max(1);
        for key in sample(vault, snapshot, share_of, u64::from_le_bytes(seed).wrapping_add(n as u64))? {
            if !go_on() {
                return Ok(None);
            }
            restore(vault, snapshot, key, &scratch, &mut seen, work)?;
        }
    }
    // Files of no copy, or all too large for the box's own disk.
    if seen.files == 0 {
        return Ok(None);
    }
    tell(appliance, tier, u64::from_le_bytes(seed), &seen)?;
    Ok(Some(seen))
}

/// Files of a snapshot, each as likely as any other (reservoir sampling, Vitter 1985, algorithm R). The same seed gives the same files.
fn sample(vault: &Vault, snapshot: &Snapshot, wanted: usize, seed: u64) -> Result<Vec<Key>, VaultdError> {
    let mut random = SplitMix(seed);
    let (mut chosen, mut met) = (Vec::with_capacity(wanted), 0u64);
    vault.walk(snapshot, &mut |key, node| {
        let whole = node.gap.is_none() && node.content.as_ref().is_some_and(|content| content.size <= LARGEST);
        if node.kind != What::File || !whole {
            return;
        }
        met += 1;
        if chosen.len() < wanted {
            chosen.push(key.clone());
        } else if let Ok(place) = usize::try_from(random.below(met))
            && place < wanted
        {
            chosen[place] = key.clone();
        }
    })?;
    Ok(chosen)
}

fn restore(vault: &Vault, snapshot: &Snapshot, key: Key, scratch: &Scratch, seen: &mut Seen, work: &Work) -> Result<(), VaultdError> {
    let options = RestoreOptions { path: Some(key), read_back: true, ..RestoreOptions::default() };
    let report = vault.restore(snapshot, &options, scratch, work)?;
    scratch.empty();
    seen.files += 1;
    seen.bytes += report.written_bytes;
    seen.differing += report.differing;
    seen.lost += report.missing.len() as u64;
    Ok(())
}

fn tell(appliance: &Appliance, tier: Tier, seed: u64, seen: &Seen) -> Result<(), VaultdError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let counted = [("files", seen.files), ("bytes", seen.bytes), ("differing", seen.differing), ("lost", seen.lost)];
    let numbers: Vec<_> = counted.iter().map(|(name, count)| ((*name).to_owned(), number(*count))).collect();
    let mut fields: Vec<_> = numbers.iter().map(|(name, count)| (name.clone(), Value::Number(*count))).collect();
    fields.push(("tier".into(), Value::Number(i64::from(tier.number()))));
    fields.push(("seed".into(), Value::Text(format!("{seed:016x}"))));
    appliance.record("vaultd", Event::TestRestore, fields)?;
    let bad = seen.differing + seen.lost;
    let told = vec![("differed".into(), number(bad)), ("tested".into(), number(seen.files))];
    appliance.watch.seen(&Duty::test_restore(tier), if bad == 0 { Ok(numbers) } else { Err(("differs", told)) }, appliance);
    Ok(())
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere. What it chooses is no secret once it is chosen.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; the bias is below 2^-32 for any number of files there can be.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_repeat() {
        let count = |seed| {
            let mut random = SplitMix(seed);
            let mut met = [0u32; 10];
            (0..10_000).for_each(|_| met[random.below(10) as usize] += 1);
            met
        };
        assert_eq!(count(1), count(1));
        assert_ne!(count(1), count(2));
        assert!(count(3).iter().all(|met| (850..1_150).contains(met)));
    }
}
