//! Takes back from the second site what the own disks lost: what a scrub or a read found beyond repair, and what is not even listed any more. replicad fetches, the vault checks and
//! stores; here is kept what is lost, and told what became of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use keepwell_api::error::chain;
use keepwell_api::offsite::Lacking;
use keepwell_api::{Client, ClientError};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Duty, DutyKind};
use keepwell_storage::{Class, ObjectName};
use keepwell_vault::{Healed, Vault, VaultError};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::offsite::replicad;
use crate::upkeep::LOST;

/// Often enough to end soon when the program does.
const LOOK: Duration = Duration::from_secs(1);
/// The first look for what is not even listed, after the start, and each further one.
const SURVEY: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(6 * 3600));
/// Before what could not be healed is tried again: as long as the other box can't be asked, and otherwise.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// replicad gives up an object earlier, whatever the line is like.
const FETCH: Duration = Duration::from_secs(7500);
/// Why something is lost still, for now.
const UNREACHABLE: &str = "unreachable";
/// Document: names of objects that are lost.
const LOSSES: &str = "lost-objects";

/// What became of one object.
enum Done {
    /// It is stored again: so many bytes.
    Healed(u64),
    /// It can be read, or nobody needs it any more.
    NotNeeded,
    /// It is lost still: why, in a word.
    Left(&'static str),
    /// The program ends, or the vault is closed.
    Cut,
}

/// What is known from one look to the next.
struct Healer {
    next: Instant,
    survey: Instant,
    /// Objects that were taken back since the disks were said to have lost some.
    healed: u64,
    /// What was told of what is left.
    told: Option<(BTreeSet<String>, &'static str)>,
}

/// Runs until told to end.
pub(crate) fn run(appliance: &Appliance, stop: &AtomicBool) {
    let now = Instant::now();
    let (mut seen, mut healer) = (0, Healer { next: now, survey: now + SURVEY.0, healed: 0, told: None });
    while !stop.load(Ordering::Acquire) {
        if let Err(error) = healer.look(appliance, stop) {
            healer.next = Instant::now() + AGAIN.0;
            tracing::warn!(error = chain(&error), "what the disks lost could not be taken back from the second site; it is tried again");
        }
        seen = appliance.wait(seen, LOOK);
    }
}

impl Healer {
    fn look(&mut self, appliance: &Appliance, stop: &AtomicBool) -> Result<(), VaultdError> {
        let Ok(vault) = appliance.engine.vault() else { return Ok(()) };
        let mut lost: BTreeSet<String> = appliance.state.document(LOSSES)?.unwrap_or_default();
        let known = lost.len();
        lost.extend(vault.lost_objects()?.iter().map(ObjectName::to_string));
        let is_survey = Instant::now() >= self.survey;
        if is_survey {
            self.survey = Instant::now() + SURVEY.1;
            lost.extend(vault.lost_manifests()?.iter().map(ObjectName::to_string));
        }
        // It is not kept open as long as something is on its way.
        drop(vault);
        if is_survey {
            lost.extend(unlisted(appliance, stop)?);
        }
        if lost.len() > known {
            appliance.state.note(LOSSES, &lost)?;
            self.next = Instant::now();
        }
        if lost.is_empty() || Instant::now() < self.next {
            return Ok(());
        }
        let why = self.heal(appliance, stop, lost)?;
        self.next = Instant::now() + if why == UNREACHABLE { AGAIN.0 } else { AGAIN.1 };
        Ok(())
    }

    fn heal(&mut self, appliance: &Appliance, stop: &AtomicBool, lost: BTreeSet<String>) -> Result<&'static str, VaultdError> {
        let (mut objects, mut bytes, mut left, mut why, mut cut) = (0, 0, BTreeSet::new(), "", false);
        // What says that a snapshot is forgotten comes before snapshots.
        let (first, then): (Vec<String>, Vec<String>) = lost.into_iter().partition(|name| name.starts_with(Class::Tombstone.folder()));
        for name in first.into_iter().chain(then) {
            // What could not be asked for is not asked for again a thousand times.
            let done = if cut || why == UNREACHABLE { Done::Left(why) } else { one(appliance, stop, &name)? };
            match done {
                Done::Healed(length) => {
                    (objects, bytes) = (objects + 1, bytes + length);
                    // Which packs a snapshot needs is known when its manifest is back.
                    if name.starts_with(Class::Manifest.folder()) {
                        self.survey = Instant::now();
                    }
                }
                Done::NotNeeded => {}
                Done::Left(reason) => {
                    why = reason;
                    left.insert(name);
                }
                Done::Cut => {
                    cut = true;
                    left.insert(name);
                }
            }
        }
        // Told before it is crossed out: after a crash in between it is looked at again, and found whole.
        if objects > 0 {
            tracing::info!(objects, bytes, left = left.len(), "what the disks had lost was taken back from the second site");
            record(appliance, "healed", &[("objects", objects), ("bytes", bytes), ("left", left.len() as u64)], None)?;
        }
        appliance.state.note(LOSSES, &left)?;
        self.healed += objects;
        if !cut {
            self.tell(appliance, left, why)?;
        }
        Ok(if cut { UNREACHABLE } else { why })
    }

    /// What it means for the promise that all can be read.
    fn tell(&mut self, appliance: &Appliance, left: BTreeSet<String>, why: &'static str) -> Result<(), VaultdError> {
        // A scrub that found one of these says so first, and what is said here is the newer news.
        let _between_slices = appliance.scrubbing();
        let (duty, count) = (Duty::of_box(DutyKind::Scrub), |things: u64| i64::try_from(things).unwrap_or(i64::MAX));
        if left.is_empty() {
            self.told = None;
            let is_whole = appliance.engine.vault().is_ok_and(|vault| vault.lost_objects().is_ok_and(|lost| lost.is_empty()));
            if self.healed > 0 && is_whole {
                // What was read in this round is whole again. That the disks had lost it stays said until all of them were read without a loss.
                appliance.state.note(LOST, &0)?;
                appliance.watch.seen(&duty, Err(("healed", vec![("objects".into(), count(self.healed))])), appliance);
                appliance.changed();
                self.healed = 0;
            }
            return Ok(());
        }
        if appliance.watch.failure(&duty).as_deref() != Some("lost") {
            let objects = count(left.len() as u64);
            appliance.watch.seen(&duty, Err(("lost", vec![("lost".into(), objects), ("objects".into(), objects)])), appliance);
            appliance.changed();
        }
        let now = (left, why);
        let has_second_site = appliance.watch.glance().offsite.is_some();
        if has_second_site && self.told.as_ref() != Some(&now) {
            record(appliance, "not-healed", &[("objects", now.0.len() as u64)], Some(why))?;
            self.told = Some(now);
        }
        Ok(())
    }
}

/// What the disks do not show any more, as far as another box knows of it. A box may be without one, and without replicad.
fn unlisted(appliance: &Appliance, stop: &AtomicBool) -> Result<Vec<String>, VaultdError> {
    let asked = asking(appliance, stop, |client| client.get::<Lacking>("/v1/lacking"))?;
    let said = |error: &ClientError| tracing::debug!(error = chain(error), "the second site was not asked what is gone here");
    Ok(asked.map(|answer| answer.inspect_err(said).unwrap_or_default().objects).unwrap_or_default())
}

fn one(appliance: &Appliance, stop: &AtomicBool, name: &str) -> Result<Done, VaultdError> {
    let Some(object) = ObjectName::parse(name) else { return Ok(Done::NotNeeded) };
    let Ok(vault) = appliance.engine.vault() else { return Ok(Done::Cut) };
    if !vault.lacks(object)? {
        return Ok(Done::NotNeeded);
    }
    drop(vault);
    let route = format!("/v1/objects/{name}");
    let bytes = match asking(appliance, stop, move |client| client.get_bytes(&route))? {
        None => return Ok(Done::Cut),
        Some(Ok(bytes)) => bytes,
        Some(Err(ClientError::Refused(refusal))) if refusal.code == "not-kept" => return not_kept(appliance, object),
        Some(Err(ClientError::Refused(refusal))) if refusal.code == "nonsense" => return Ok(Done::Left("other-bytes")),
        Some(Err(_)) => return Ok(Done::Left(UNREACHABLE)),
    };
    let Ok(vault) = appliance.engine.vault() else { return Ok(Done::Cut) };
    take(&vault, object, &bytes)
}

/// Where neither the disks nor another box show anything of it, nobody needs it: what is told as lost by a scrub has left a trace.
fn not_kept(appliance: &Appliance, object: ObjectName) -> Result<Done, VaultdError> {
    let Ok(vault) = appliance.engine.vault() else { return Ok(Done::Cut) };
    let is_missed = vault.lost_objects()?.contains(&object) || vault.lost_manifests()?.contains(&object);
    Ok(if is_missed { Done::Left("not-kept") } else { Done::NotNeeded })
}

fn take(vault: &Vault, object: ObjectName, bytes: &[u8]) -> Result<Done, VaultdError> {
    match vault.heal(object, bytes) {
        Ok(Healed::Whole | Healed::Degraded) => Ok(Done::Healed(bytes.len() as u64)),
        Ok(Healed::NotNeeded) => Ok(Done::NotNeeded),
        Err(error @ (VaultError::NotHealed { .. } | VaultError::Pool(_))) => {
            tracing::error!(object = %object, error = chain(&error), "an object that was fetched from the second site could not be stored");
            Ok(Done::Left(if matches!(error, VaultError::Pool(_)) { "disks" } else { "other-bytes" }))
        }
        Err(error) => Err(error.into()),
    }
}

/// What replicad answers; none when the program ends first. Who waits for a line is left behind then.
fn asking<T: Send + 'static>(
    appliance: &Appliance,
    stop: &AtomicBool,
    ask: impl FnOnce(Client) -> Result<T, ClientError> + Send + 'static,
) -> Result<Option<Result<T, ClientError>>, VaultdError> {
    let (client, (send, receive)) = (replicad(appliance).within(FETCH), channel());
    let asks = move || drop(send.send(ask(client)));
    std::thread::Builder::new().name("healing".into()).spawn(asks).map_err(VaultdError::Thread)?;
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Acquire) => {}
            Err(_) => return Ok(None),
        }
    }
}

fn record(appliance: &Appliance, code: &str, numbers: &[(&str, u64)], why: Option<&str>) -> Result<(), VaultdError> {
    let number = |(name, number): &(&str, u64)| ((*name).to_owned(), Value::Number(i64::try_from(*number).unwrap_or(i64::MAX)));
    let code = [("code".to_owned(), Value::Text(code.to_owned()))];
    let why = why.map(|why| ("why".to_owned(), Value::Text(why.to_owned())));
    appliance.record("vaultd", Event::Offsite, code.into_iter().chain(numbers.iter().map(number)).chain(why).collect())
}
