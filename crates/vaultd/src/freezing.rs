//! The freeze of deletions: as long as it lasts, no old copy is forgotten, whatever policies say. Owns when it began and who wanted it; forgets nothing itself.

use std::sync::Arc;

use keepwell_api::grants::Grant;
use keepwell_api::vault::{Deletions, Done, Frozen};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Duty, DutyKind, Numbers};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::forgetting;

/// A new box that takes this one's state over is frozen too.
const DOCUMENT: &str = "frozen";

type Answer<T> = Result<T, VaultdError>;

/// Since when, if it is.
pub(crate) fn told(appliance: &Appliance) -> Answer<Option<Frozen>> {
    Ok(appliance.state.document::<Option<Frozen>>(DOCUMENT)?.flatten())
}

/// Once this is answered nothing is being forgotten, and nothing will be.
pub(crate) fn freeze(appliance: &Arc<Appliance>, grant: &Grant, _: Deletions) -> Answer<Done> {
    if told(appliance)?.is_none() {
        record(appliance, grant, "deletions-frozen")?;
        let frozen = Frozen { by: grant.user.clone(), at: appliance.clock.believed() };
        appliance.state.set_document(DOCUMENT, &Some(frozen))?;
    }
    drop(appliance.forgetting());
    say(appliance)?;
    Ok(Done {})
}

/// From the next night on, not at once: who sees the notice of a freeze that should have stayed has time to say so.
pub(crate) fn thaw(appliance: &Arc<Appliance>, grant: &Grant, _: Deletions) -> Answer<Done> {
    if told(appliance)?.is_some() {
        record(appliance, grant, "deletions-thawed")?;
        forgetting::put_off(appliance)?;
        appliance.state.set_document(DOCUMENT, &None::<Frozen>)?;
    }
    say(appliance)?;
    Ok(Done {})
}

/// Makes the promise fit what is, and tells people at once: it is a task as long as it lasts. Also after a program that was cut in the middle.
pub(crate) fn say(appliance: &Appliance) -> Answer<()> {
    let duty = Duty::of_box(DutyKind::Deletions);
    let (frozen, known) = (told(appliance)?.is_some(), appliance.watch.failure(&duty).is_some());
    if frozen == known {
        return Ok(());
    }
    if frozen {
        appliance.watch.owe(duty.clone(), appliance);
        appliance.watch.seen(&duty, Err(("frozen", Numbers::new())), appliance);
    } else {
        appliance.watch.owed_no_longer(&duty);
    }
    appliance.watch.keep(appliance)?;
    appliance.watch.step(appliance)
}

fn record(appliance: &Appliance, grant: &Grant, what: &str) -> Answer<()> {
    appliance.record(&grant.user, Event::Deletion, vec![("phase".to_owned(), Value::Text(what.to_owned()))])
}
