//! What is done when a route asks for it: shares, runs, restores, settings, the log. Whether it may be done, the gate has decided before.

use std::sync::Arc;

use keepwell_api::Base64;
use keepwell_api::grants::{Grant, Verb};
use keepwell_api::vault::{
    Acknowledge, AddShare, Cancel, ChangeShare, Done, LogRecord, LogVerdict, ReadLog, RemoveShare, Restore, RestoreState, Run, RunNow,
    ShareAdded, Started,
};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Policy, ShareId, Tier};
use keepwell_vault::Vault;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::state::{NewShare, ShareRow, StateError, new_share_id, purpose};
use crate::watch::Policies;
use crate::work::{Ended, Kind};
use crate::{checking, reading, restore, run, scope, told};

const PAGE_MAX: u32 = 1_000;

type Answer<T> = Result<T, VaultdError>;

pub(crate) fn add_share(appliance: &Arc<Appliance>, grant: &Grant, new: AddShare) -> Answer<ShareAdded> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    check_name(&new.name)?;
    check_location(&new.location)?;
    if appliance.state.shares()?.iter().any(|share| share.name == new.name) {
        return Err(StateError::NameTaken.into());
    }
    let password = new.password.as_ref().map(AsRef::as_ref);
    let may_write = checking::admit(appliance, &new.location, password, new.may_write.as_deref())?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| VaultdError::Own(error.into()))?;
    let id = new_share_id(random);
    let credential = new.password.as_ref().map(|password| vault.seal_note(&purpose(&id), password.as_ref()));
    let tier = told::own_tier(new.tier);
    let share = NewShare { id: id.clone(), name: new.name, location: new.location, tier, credential, may_write: may_write.clone() };
    appliance.state.add_share(&share, appliance.clock.believed())?;
    appliance.watch.promise(&id, &Policies::load(&appliance.state)?.of(tier), appliance)?;
    changed(appliance, grant, &id, "share-added", checking::told(may_write.as_deref()))?;
    Ok(ShareAdded { id: id.0 })
}

/// As for policies: another tier is another promise. Where the share can't be told, the change fails anyway.
pub(crate) fn change_verb(appliance: &Appliance, body: &[u8]) -> Verb {
    let change = serde_json::from_slice::<ChangeShare>(body).ok();
    let tier = change.as_ref().and_then(|change| share(appliance, &change.id).ok()).map(|share| told::tier(share.tier));
    change.zip(tier).map_or(Verb::SharesChange, |(change, tier)| change.verb(tier))
}

pub(crate) fn change_share(appliance: &Arc<Appliance>, grant: &Grant, change: ChangeShare) -> Answer<Done> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let mut share = share(appliance, &change.id)?;
    let mut moved = Vec::new();
    let (before, sealed) = (share.location.clone(), share.credential.clone());
    if let Some(location) = change.location.filter(|location| *location != share.location) {
        check_location(&location)?;
        if share.credential.is_some() && change.password.is_none() && account(&location) != account(&share.location) {
            return Err(VaultdError::Invalid(
                "another server or another account takes its password with it: the stored one is shown to nobody else. Nothing was changed"
                    .into(),
            ));
        }
        let both = format!("{} {location}", share.location);
        moved.push(reading::sealed(&vault, "locations", both.as_bytes()));
        share.location = location;
    }
    if share.location != before || change.password.is_some() {
        moved.extend(admitted(appliance, &vault, &mut share, &before, change.password.as_ref(), change.may_write.as_deref())?);
    }
    // Its server was asked, which took as long as that liked: what others changed meanwhile stays.
    let _one_at_a_time = appliance.starting();
    let (location, may_write) = (share.location, share.may_write);
    share = self::share(appliance, &change.id)?;
    if share.location != before || share.credential != sealed {
        return Err(VaultdError::Invalid("somebody else changed the address or the password of this share meanwhile".into()));
    }
    (share.location, share.may_write) = (location, may_write);
    if let Some(password) = &change.password {
        share.credential = Some(vault.seal_note(&purpose(&share.id), password.as_ref()));
    }
    share.tier = change.tier.map_or(share.tier, told::own_tier);
    share.paused = change.paused.unwrap_or(share.paused);
    appliance.state.change_share(&share)?;
    if share.paused {
        appliance.watch.release(&share.id, appliance)?;
    } else {
        appliance.watch.promise(&share.id, &Policies::load(&appliance.state)?.of(share.tier), appliance)?;
    }
    changed(appliance, grant, &share.id, "share-changed", moved)?;
    Ok(Done {})
}

/// Looks at what its account may do now. A reason that was given for the same account goes on.
fn admitted(
    appliance: &Appliance,
    vault: &Vault,
    share: &mut ShareRow,
    before: &str,
    password: Option<&Base64>,
    why: Option<&str>,
) -> Answer<Vec<(String, Value)>> {
    let stored =
        share.credential.as_ref().filter(|_| password.is_none()).map(|note| vault.open_note(&purpose(&share.id), note)).transpose()?;
    let password = password.map(AsRef::as_ref).or(stored.as_ref().map(|stored| stored.as_slice()));
    let known = share.may_write.as_deref().filter(|_| account(&share.location) == account(before));
    share.may_write = checking::admit(appliance, &share.location, password, why.or(known))?;
    Ok(checking::told(share.may_write.as_deref()))
}

pub(crate) fn remove_share(appliance: &Arc<Appliance>, grant: &Grant, order: RemoveShare) -> Answer<Done> {
    let share = share(appliance, &order.id)?;
    if let Some(work) = appliance.works.run_of(&share.id).and_then(|id| appliance.works.get(Kind::Run, id)) {
        work.end(Ended::Cancelled);
    }
    appliance.state.remove_share(&share.id)?;
    appliance.watch.release(&share.id, appliance)?;
    changed(appliance, grant, &share.id, "share-removed", Vec::new())?;
    Ok(Done {})
}

pub(crate) fn run_now(appliance: &Arc<Appliance>, grant: &Grant, order: RunNow) -> Answer<Started> {
    let share = share(appliance, &order.share)?;
    scope::share(appliance, grant, &share.name)?;
    Ok(Started { id: run::start(appliance, share, order.intended)? })
}

pub(crate) fn cancel_run(appliance: &Arc<Appliance>, _grant: &Grant, order: Cancel) -> Answer<Done> {
    cancel(appliance, Kind::Run, order.id)
}

pub(crate) fn cancel_restore(appliance: &Arc<Appliance>, grant: &Grant, order: Cancel) -> Answer<Done> {
    scope::restore(appliance, grant, order.id)?;
    if restore::give_up(appliance, order.id)? {
        return Ok(Done {});
    }
    cancel(appliance, Kind::Restore, order.id)
}

fn cancel(appliance: &Appliance, kind: Kind, id: u64) -> Answer<Done> {
    appliance.works.get(kind, id).ok_or(VaultdError::NoSuch("job under way"))?.end(Ended::Cancelled);
    Ok(Done {})
}

pub(crate) fn runs(appliance: &Appliance, share: Option<&str>, limit: u32) -> Answer<Vec<Run>> {
    let share = share.map(|share| ShareId(share.to_owned()));
    let runs = appliance.state.runs(share.as_ref(), limit)?;
    Ok(runs.into_iter().map(|run| live(appliance, run)).collect())
}

pub(crate) fn run(appliance: &Appliance, id: u64) -> Answer<Run> {
    let run = appliance.state.run(id)?.ok_or(VaultdError::NoSuch("run"))?;
    Ok(live(appliance, run))
}

/// With the counts of now.
fn live(appliance: &Appliance, mut run: Run) -> Run {
    if let Some(work) = appliance.works.get(Kind::Run, run.id).filter(|_| run.finished_at.is_none()) {
        (run.counts.entries, run.counts.read_bytes) = work.done();
    }
    run
}

pub(crate) fn restore(appliance: &Arc<Appliance>, grant: &Grant, order: Restore) -> Answer<Started> {
    // A disk that is taken away is looked for when it is clear who asks.
    if !restore::is_disk(&order.to) {
        check_location(&order.to)?;
    }
    Ok(Started { id: restore::start(appliance, grant, order)? })
}

pub(crate) fn one_restore(appliance: &Appliance, id: u64) -> Answer<RestoreState> {
    let mut restore = appliance.state.restore(id)?.ok_or(VaultdError::NoSuch("restore"))?;
    if let Some(work) = appliance.works.get(Kind::Restore, id).filter(|_| restore.finished_at.is_none()) {
        (restore.files, restore.written_bytes) = work.done();
    }
    Ok(restore)
}

pub(crate) fn acknowledge(appliance: &Arc<Appliance>, grant: &Grant, order: Acknowledge) -> Answer<Done> {
    appliance.watch.acknowledge(order.id, &grant.user, appliance)?;
    let fields = vec![("incident".into(), Value::Number(order.id.cast_signed())), ("kind".into(), Value::Text("acknowledged".into()))];
    appliance.record(&grant.user, Event::Incident, fields)?;
    Ok(Done {})
}

pub(crate) fn policies(appliance: &Appliance) -> Answer<Vec<Policy>> {
    let policies = Policies::load(&appliance.state)?;
    Ok(Tier::ALL.into_iter().map(|tier| policies.of(tier)).collect())
}

/// Promising less takes another right than promising more.
pub(crate) fn policy_verb(appliance: &Appliance, body: &[u8]) -> Verb {
    let loosens = serde_json::from_slice::<Policy>(body)
        .is_ok_and(|wanted| Policies::load(&appliance.state).map_or(true, |set| set.of(wanted.tier).is_loosened_by(&wanted)));
    if loosens { Verb::PolicyLoosen } else { Verb::PolicyChange }
}

pub(crate) fn set_policy(appliance: &Arc<Appliance>, grant: &Grant, wanted: Policy) -> Answer<Done> {
    wanted.check().map_err(|error| VaultdError::Invalid(error.to_string()))?;
    let tier = wanted.tier;
    let mut all = policies(appliance)?;
    all.retain(|policy| policy.tier != tier);
    all.push(wanted.clone());
    appliance.state.set_document(Policies::DOCUMENT, &all)?;
    for share in appliance.state.shares()?.into_iter().filter(|share| share.tier == tier && !share.paused) {
        appliance.watch.promise(&share.id, &wanted, appliance)?;
    }
    appliance.record(&grant.user, Event::PolicyChanged, vec![("tier".into(), Value::Number(i64::from(tier.number())))])?;
    appliance.changed();
    Ok(Done {})
}

pub(crate) fn read_log(appliance: &Arc<Appliance>, grant: &Grant, order: ReadLog) -> Answer<Vec<LogRecord>> {
    appliance.record(&grant.user, Event::Retrieval, vec![("what".into(), Value::Text("log".into()))])?;
    let limit = order.limit.clamp(1, PAGE_MAX);
    let from = if order.newest { (appliance.ledger().head().seq + 1).saturating_sub(limit.into()) } else { order.from };
    let records = keepwell_audit::read(&appliance.ledger_folder(), from, limit as usize)?;
    Ok(records.into_iter().map(record).collect())
}

fn record(record: keepwell_audit::Record) -> LogRecord {
    let value = |value| match value {
        Value::Text(text) => Some(text.into()),
        Value::Number(number) => Some(number.into()),
        Value::Bytes(_) => None,
    };
    let fields = record.fields.into_iter().filter_map(|(name, field)| Some((name, value(field)?))).collect();
    LogRecord { seq: record.seq, at: record.at.seconds, actor: record.actor, event: record.event.as_str().to_owned(), fields }
}

pub(crate) fn verify_log(appliance: &Appliance) -> Answer<LogVerdict> {
    let head = appliance.ledger().head();
    let verdict = keepwell_audit::verify(&appliance.ledger_folder(), Some(head))?;
    let faults = verdict.faults.iter().map(ToString::to_string).collect();
    Ok(LogVerdict { records: verdict.records, head: Some((head.seq, head.hash.to_string())), faults })
}

fn share(appliance: &Appliance, id: &str) -> Answer<ShareRow> {
    appliance.state.share(&ShareId(id.to_owned()))?.ok_or(VaultdError::NoSuch("share"))
}

fn changed(appliance: &Appliance, grant: &Grant, share: &ShareId, what: &str, more: Vec<(String, Value)>) -> Answer<()> {
    let mut fields = vec![("what".into(), Value::Text(what.into())), ("share".into(), Value::Text(share.0.clone()))];
    fields.extend(more);
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    appliance.changed();
    Ok(())
}

/// Whom a stored password is shown to: protocol, user, server and port of an address.
fn account(location: &str) -> (&str, &str) {
    let (protocol, rest) = location.split_once("://").unwrap_or_default();
    (protocol, rest.split('/').next().unwrap_or_default())
}

fn check_name(name: &str) -> Answer<()> {
    let good = (1..=64).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && !name.starts_with("keepwell-");
    if good {
        Ok(())
    } else {
        Err(VaultdError::Invalid(
            "a share's name is 1 to 64 characters without control characters, and does not begin with 'keepwell-'".into(),
        ))
    }
}

/// Only shares of other machines: a folder of the box itself is nobody's to back up or to write to.
pub(crate) fn check_location(location: &str) -> Answer<()> {
    let remote = location.starts_with("smb://") || location.starts_with("nfs://");
    let secret = location.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/').next().is_some_and(|host| host.contains('@') && host.split('@').next().is_some_and(|user| user.contains(':')))
    });
    match (remote, secret) {
        (false, _) => Err(VaultdError::Invalid("an address begins with smb:// or nfs://".into())),
        (_, true) => Err(VaultdError::Invalid("a password is no part of an address: give it by itself".into())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_for_one_account_of_one_server() {
        let stored = account("smb://backup@server/EHR");
        assert_eq!(account("smb://backup@server/EHR/2026"), stored);
        for other in [
            "smb://backup@server:4450/EHR",
            "smb://backup@server.evil/EHR",
            "smb://other@server/EHR",
            "nfs://backup@server/EHR",
            "smb://server/EHR",
        ] {
            assert_ne!(account(other), stored, "{other}");
        }
    }
}
