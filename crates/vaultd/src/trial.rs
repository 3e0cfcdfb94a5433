//! The monthly test restore: a random sample of each tier's newest copies is restored to a place of the box's own, read back and compared with what the catalog says.

use keepwell_audit::{Event, Value};
use keepwell_duties::{At, Duty, Standing, Tier};
use keepwell_format::manifest::Outcome;
use keepwell_format::{Key, Kind};
use keepwell_vault::{NoProgress, RestoreOptions, Snapshot, Vault};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::scratch::Scratch;
use crate::watch::Policies;

/// A tier is tested again when its last test is so old, seconds: the promise is 35 days.
const AGAIN: i64 = 28 * 86_400;
/// A test that failed is repeated after so long, seconds.
const RETRY: i64 = 6 * 3_600;
/// Files above this are left out: the box's own disk has to hold them.
const LARGEST: u64 = 1 << 30;

/// Tests one tier whose time has come, if there is one.
pub(crate) fn test_due(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let now = At(appliance.clock.believed());
    let (book, _) = appliance.watch.copy();
    let due = |tier: &Tier| match book.standing(&Duty::test_restore(*tier), now) {
        Standing::NeverProven { .. } => true,
        Standing::Proven { at, .. } | Standing::Overdue { at, .. } => now.since(at) >= AGAIN,
        Standing::Failed { at, .. } => now.since(at) >= RETRY,
        Standing::Unknown => false,
    };
    match Tier::ALL.into_iter().find(due) {
        Some(tier) => test(appliance, vault, tier),
        None => Ok(()),
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

fn test(appliance: &Appliance, vault: &Vault, tier: Tier) -> Result<(), VaultdError> {
    let shares: Vec<_> = appliance.state.shares()?.into_iter().filter(|share| share.tier == tier && !share.paused).collect();
    let snapshots = vault.snapshots()?;
    let newest = |name: &str| snapshots.iter().rfind(|s| s.body.name == name && s.body.outcome != Outcome::Held);
    let copies: Vec<&Snapshot> = shares.iter().filter_map(|share| newest(&share.name)).collect();
    if copies.is_empty() {
        return Ok(());
    }
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| VaultdError::Own(error.into()))?;
    let wanted = Policies::load(&appliance.state)?.of(tier).test_sample as usize;
    let mut seen = Seen::default();
    let scratch = Scratch::new(&appliance.config.state.join("scratch")).map_err(VaultdError::Own)?;
    for (n, snapshot) in copies.iter().enumerate() {
        let share_of = (wanted / copies.len()).max(1);
        for key in sample(vault, snapshot, share_of, u64::from_le_bytes(seed).wrapping_add(n as u64))? {
            restore(vault, snapshot, key, &scratch, &mut seen)?;
        }
    }
    tell(appliance, tier, u64::from_le_bytes(seed), &seen)
}

/// Files of a snapshot, each as likely as any other (reservoir sampling, Vitter 1985, algorithm R). The same seed gives the same files.
fn sample(vault: &Vault, snapshot: &Snapshot, wanted: usize, seed: u64) -> Result<Vec<Key>, VaultdError> {
    let mut random = SplitMix(seed);
    let (mut chosen, mut met) = (Vec::with_capacity(wanted), 0u64);
    vault.walk(snapshot, &mut |key, node| {
        let whole = node.gap.is_none() && node.content.as_ref().is_some_and(|content| content.size <= LARGEST);
        if node.kind != Kind::File || !whole {
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

fn restore(vault: &Vault, snapshot: &Snapshot, key: Key, scratch: &Scratch, seen: &mut Seen) -> Result<(), VaultdError> {
    let options = RestoreOptions { path: Some(key), read_back: true, ..RestoreOptions::default() };
    let report = vault.restore(snapshot, &options, scratch, &NoProgress)?;
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
    let good = seen.differing + seen.lost == 0;
    appliance.watch.seen(&Duty::test_restore(tier), if good { Ok(numbers) } else { Err(("differs", numbers)) }, appliance);
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
