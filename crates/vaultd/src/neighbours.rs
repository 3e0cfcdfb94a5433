//! What the other programs of the box say of themselves, every ten seconds: keyd of keys and kit, authd of people and of what happened at its door. Asks only; a neighbour that
//! gives no answer is one of whom nothing is known.

use std::time::Duration;

use keepwell_api::auth::{self, EventKind, Events, MayClaim, UserState, Users};
use keepwell_api::grants::{Verb, allows};
use keepwell_api::keys::{self, Phase, VaultStatus};
use keepwell_api::{Client, ClientError};
use keepwell_audit::{Event, Value};
use keepwell_duties::status::{KeyFacts, PeopleFacts};
use keepwell_duties::{At, Duty, DutyKind, Numbers};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::locks;
use keepwell_api::error::chain;

/// keyd's word for keys that are gone when the box is switched off.
const NOT_SEALED: &str = "not-sealed";
const PATIENCE: Duration = Duration::from_secs(10);
/// Number of authd's event that the ledger has.
const EVENTS: &str = "authd-events";

/// Asks them all.
pub(crate) fn ask(appliance: &Appliance) -> Result<(), VaultdError> {
    let keyd = Client::new("keepwell-keyd", &appliance.config.places.keyd, PATIENCE);
    let authd = Client::new("keepwell-authd", &appliance.config.authd, PATIENCE);
    match keyd.get::<keys::Status>("/v1/status") {
        Ok(status) => {
            about_claims(appliance, &authd, &status);
            about_keys(appliance, &status);
        }
        Err(error) => silent(appliance, &error, |seen| seen.keys = None),
    }
    match authd.get::<Users>("/v1/users") {
        Ok(users) => appliance.watch.glance().people = Some(people(&users)),
        Err(error) => silent(appliance, &error, |seen| seen.people = None),
    }
    events(appliance, &authd)
}

fn silent(appliance: &Appliance, error: &ClientError, forget: impl FnOnce(&mut crate::watch::Seen)) {
    tracing::debug!(error = chain(error), "a neighbour could not be asked");
    forget(&mut appliance.watch.glance());
}

/// As long as there is no vault, nothing else is of weight.
pub(crate) fn say_claims(appliance: &Appliance) {
    let keyd = Client::new("keepwell-keyd", &appliance.config.places.keyd, PATIENCE);
    match keyd.get::<keys::Status>("/v1/status") {
        Ok(status) => about_claims(appliance, &Client::new("keepwell-authd", &appliance.config.authd, PATIENCE), &status),
        Err(error) => tracing::debug!(error = chain(&error), "keyd could not be asked whether the box may be claimed"),
    }
}

/// A box whose people are lost, and whose keys are not, must not become the first comer's.
fn about_claims(appliance: &Appliance, authd: &Client, status: &keys::Status) {
    // People come back with the vault: nobody is to be there before them.
    let comes = crate::disks::is_coming(appliance).unwrap_or(true);
    let open = status.may_be_claimed() && !comes;
    if let Err(error) = authd.post::<()>("/v1/claims", &MayClaim { open }) {
        tracing::debug!(error = chain(&error), "authd could not be told whether the box may be claimed; it is told again soon");
    }
}

fn about_keys(appliance: &Appliance, status: &keys::Status) {
    let own = appliance.engine.vault().ok().map(|vault| vault.id().to_string());
    let vault = status.vaults.iter().find(|vault| own.as_ref().is_none_or(|own| vault.vault == *own));
    let kit = vault.is_some_and(|vault| confirmed(vault) >= 2);
    let open = status.phase == Phase::Open;
    let by_itself = open && status.warnings.iter().all(|warning| warning.code != NOT_SEALED);
    appliance.watch.glance().keys = Some(KeyFacts { unlocked: open, ways: u32::from(by_itself) + u32::from(kit), kit });
    let looked = match (open, by_itself) {
        (false, _) => Err(("locked", Numbers::new())),
        (true, false) => Err((NOT_SEALED, Numbers::new())),
        (true, true) => Ok(Numbers::new()),
    };
    appliance.watch.seen(&Duty::of_box(DutyKind::Keys), looked, appliance);
    let Some(vault) = vault else { return };
    if vault.to_store
        && let Err(error) = locks::bring(appliance)
    {
        tracing::error!(error = chain(&error), "the newest key slots could not be brought to the pool; it is tried again soon");
    }
    for (n, paper) in (1..).zip(&vault.papers) {
        let duty = Duty::rehearsal(&format!("{}-{n}", vault.set));
        let at = paper.rehearsed_at.max(paper.confirmed_at);
        appliance.watch.owe(duty.clone(), appliance);
        if let Some(at) = at {
            appliance.watch.proven_at(&duty, At(at));
        }
    }
}

fn confirmed(vault: &VaultStatus) -> usize {
    vault.papers.iter().filter(|paper| paper.confirmed_at.is_some()).count()
}

fn people(users: &Users) -> PeopleFacts {
    let can: Vec<_> = users.users.iter().filter(|user| user.state == UserState::Active && allows(user.role, Verb::Restore)).collect();
    PeopleFacts {
        can_restore: u32::try_from(can.len()).unwrap_or(u32::MAX),
        mfa_used: can.iter().filter_map(|user| user.signed_in_at).max().map(At),
        drill: None,
    }
}

/// What happened at authd goes into the ledger, each event once.
fn events(appliance: &Appliance, authd: &Client) -> Result<(), VaultdError> {
    let after: u64 = appliance.state.document(EVENTS)?.unwrap_or(0);
    let Ok(Events { events, last }) = authd.get::<Events>(&format!("/v1/events?after={after}")) else { return Ok(()) };
    // Another authd than before, that of a new box, counts from the beginning.
    let after = if last < after { 0 } else { after };
    for event in events.into_iter().filter(|event| event.id > after) {
        let (id, actor) = (event.id, event.actor.clone());
        appliance.record(&actor, kind(event.kind), fields(event))?;
        appliance.state.note(EVENTS, &id)?;
    }
    Ok(())
}

fn fields(event: auth::Event) -> Vec<(String, Value)> {
    let mut fields = vec![("code".to_owned(), Value::Text(event.code)), ("at-authd".to_owned(), Value::Number(event.at))];
    let others = event.fields.into_iter().filter(|(name, _)| name != "code" && name != "at-authd");
    fields.extend(others.map(|(name, value)| (name, Value::Text(value))));
    fields
}

fn kind(kind: EventKind) -> Event {
    match kind {
        EventKind::SignIn => Event::SignIn,
        EventKind::SignOut => Event::SignOut,
        EventKind::Refusal => Event::Refusal,
        EventKind::UserChanged => Event::UserChanged,
        EventKind::Started => Event::Started,
        EventKind::StateRestored => Event::StateRestored,
    }
}
