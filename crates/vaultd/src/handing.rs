//! Hands over to replicad what is to be at the second site, and takes over what happened there into the ledger. The one who asks is always vaultd.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwell_api::error::chain;
use keepwell_api::offsite::{self, Events, OFFERS_MAX, Offered, Offers, Status};
use keepwell_api::vault::Done;
use keepwell_audit::{Event, Value};
use keepwell_duties::Standing;
use keepwell_vault::Vault;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::offsite::{line, promises, replicad, shares, standing};
use crate::place;

/// Often enough to end soon when the program does.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at how it is.
const ASK: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
/// Number of replicad's event that the ledger has.
const EVENTS: &str = "replicad-events";

/// What was handed over last, and to which start of replicad.
#[derive(Default)]
struct Handed {
    start: String,
    shown: u64,
    at: Option<Instant>,
    /// When replicad was told what it may take of the line.
    paced: Option<(String, Instant)>,
}

/// Runs until told to end.
pub(crate) fn run(appliance: &Appliance, stop: &AtomicBool) {
    let (mut seen, mut next, mut handed) = (0, Instant::now(), Handed::default());
    while !stop.load(Ordering::Acquire) {
        if Instant::now() >= next {
            next = Instant::now() + ASK;
            match look(appliance, &mut handed) {
                Ok(()) => {}
                // A box may be without it.
                Err(VaultdError::Replicad(error)) => {
                    let there_is_one = appliance.watch.has_second_site();
                    appliance.watch.glance().offsite = there_is_one.then_some(Standing::Unknown);
                    tracing::debug!(error = chain(&error), "replicad could not be asked");
                }
                Err(error) => tracing::warn!(error = chain(&error), "the second site could not be looked after; it is tried again soon"),
            }
        }
        seen = appliance.wait(seen, LOOK);
    }
}

fn look(appliance: &Appliance, handed: &mut Handed) -> Result<(), VaultdError> {
    let status: Status = replicad(appliance).get("/v1/status").map_err(VaultdError::of_replicad)?;
    appliance.watch.glance().strangers = Some(status.strangers);
    events(appliance, &status)?;
    let (shares, now) = (shares(appliance)?, appliance.clock.believed());
    promises::look(appliance, &status, &shares, now);
    if status.handed_over || status.receivers.is_empty() {
        appliance.watch.glance().offsite = standing(&status, &shares, now);
    } else {
        // It has not heard yet what is to be there; what was so before is so until then.
        appliance.watch.glance().offsite.get_or_insert(Standing::Unknown);
    }
    place::remember(appliance, &status)?;
    place::take_up(appliance, &status)?;
    if status.receivers.is_empty() {
        return Ok(());
    }
    if !handed.paced.as_ref().is_some_and(|(start, at)| *start == status.start && at.elapsed() < HOUR) {
        line::tell(appliance)?;
        handed.paced = Some((status.start.clone(), Instant::now()));
    }
    let Ok(vault) = appliance.engine.vault() else { return Ok(()) };
    let shown = shown(&vault);
    let known = handed.start == status.start && status.handed_over && handed.shown == shown;
    if known && handed.at.is_some_and(|at| at.elapsed() < HOUR) {
        return Ok(());
    }
    give(appliance, &vault)?;
    (handed.start, handed.shown, handed.at) = (status.start, shown, Some(Instant::now()));
    Ok(())
}

/// Hands over now.
pub(crate) fn hand_over(appliance: &Appliance) -> Result<(), VaultdError> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    give(appliance, &vault)
}

/// Another number when another set of snapshots is there.
fn shown(vault: &Vault) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    vault.manifests().hash(&mut hasher);
    hasher.finish()
}

fn give(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let shares = shares(appliance)?;
    let by_name: BTreeMap<&str, (&String, u8)> = shares.iter().map(|(id, share)| (share.name.as_str(), (id, share.tier))).collect();
    let offered = |snapshot: &keepwell_vault::Snapshot| {
        // What is backed up no more is kept there for as long as it is here, after all else.
        let (share, tier) =
            by_name.get(snapshot.body.name.as_str()).map_or_else(|| ("gone".to_owned(), 3), |(id, tier)| ((*id).clone(), *tier));
        Offered { snapshot: snapshot.id.to_string(), share, tier, taken_at: snapshot.body.started.seconds }
    };
    let snapshots: Vec<Offered> = vault.snapshots()?.iter().rev().take(OFFERS_MAX).map(offered).collect();
    replicad(appliance).post::<Done>("/v1/offers", &Offers { snapshots }).map(drop).map_err(VaultdError::of_replicad)
}

/// What happened there goes into the ledger, each event once.
fn events(appliance: &Appliance, status: &Status) -> Result<(), VaultdError> {
    let after: u64 = appliance.state.document(EVENTS)?.unwrap_or(0);
    // Another replicad than before, that of a new box, counts from the beginning.
    let after = if status.last_event < after { 0 } else { after };
    if status.last_event == after {
        return Ok(());
    }
    let Events { events, .. } = replicad(appliance).get(&format!("/v1/events?after={after}")).map_err(VaultdError::of_replicad)?;
    for event in events {
        let (id, at_the_door) = (event.id, promises::door(&event));
        appliance.record("replicad", Event::Offsite, fields(event))?;
        if let Some(code) = at_the_door {
            appliance.watch.at_the_door(code, appliance);
        }
        appliance.state.note(EVENTS, &id)?;
    }
    Ok(())
}

fn fields(event: offsite::Event) -> Vec<(String, Value)> {
    let first = [("code".to_owned(), Value::Text(event.code)), ("at-replicad".to_owned(), Value::Number(event.at))];
    let others = event.fields.into_iter().filter(|(name, _)| name != "code" && name != "at-replicad");
    first.into_iter().chain(others.map(|(name, value)| (name, Value::Text(value)))).collect()
}
