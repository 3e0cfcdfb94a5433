//! Takes restores up that were cut: by itself where no password is needed, else when a person gives it again.

use std::sync::Arc;

use keepwell_api::error::chain;
use keepwell_api::grants::Grant;
use keepwell_api::vault::{Outcome, RestoreState, ResumeRestore, Started, Waits};
use keepwell_audit::{Event, Value};
use keepwell_vault::Vault;

use super::course::Course;
use super::{end, key, work_on};
use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::scope;
use crate::work::Kind;

/// Restores that were under way when the program before ended. Those that need a password wait for it. One that can't be taken up keeps nothing else from going on.
pub(crate) fn take_up(appliance: &Arc<Appliance>, vault: &Vault) {
    let _one_at_a_time = appliance.starting();
    let unfinished = appliance.state.restores(true, u32::MAX).unwrap_or_else(|error| {
        tracing::error!(error = chain(&error), "the restores that were cut can't be read; none of them goes on");
        Vec::new()
    });
    for restore in unfinished {
        if let Err(error) = take_up_one(appliance, vault, restore.id) {
            tracing::error!(restore = restore.id, error = chain(&error), "a restore that was cut could not be taken up");
        }
    }
}

/// Not one that was begun, or taken up, since the program started.
fn take_up_one(appliance: &Arc<Appliance>, vault: &Vault, id: u64) -> Result<(), VaultdError> {
    if appliance.works.get(Kind::Restore, id).is_some() {
        return Ok(());
    }
    // Read again: one that ended a moment ago is no work any more.
    let Some(mut restore) = appliance.state.restore(id)?.filter(|restore| restore.finished_at.is_none()) else { return Ok(()) };
    let course = Course::find(vault, &appliance.state, id).unwrap_or_else(|error| {
        tracing::error!(restore = id, error = chain(&error), "where a restore stood can't be read");
        None
    });
    match course {
        None => cut(appliance, restore),
        Some(course) if course.wants_password => {
            wait(&mut restore, &course);
            course.keep(vault, &appliance.state, &restore)
        }
        Some(course) => go_on(appliance, vault, course, None, restore, "vaultd").map(drop),
    }
}

/// A person gives the password again.
pub(crate) fn resume(appliance: &Arc<Appliance>, grant: &Grant, order: ResumeRestore) -> Result<Started, VaultdError> {
    let _one_at_a_time = appliance.starting();
    scope::restore(appliance, grant, order.id)?;
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    let waiting = appliance.state.restore(order.id)?.filter(|restore| restore.finished_at.is_none());
    let restore = waiting.ok_or(VaultdError::NoSuch("restore that waits"))?;
    if appliance.works.get(Kind::Restore, order.id).is_some() {
        return Err(VaultdError::Invalid("this restore is under way, and goes on by itself when its server answers".into()));
    }
    let course = Course::find(&vault, &appliance.state, order.id)?.ok_or(VaultdError::NoSuch("restore that waits"))?;
    if course.wants_password && order.password.is_none() {
        return Err(VaultdError::Invalid("this restore waits for the password of its account, and goes on with nothing else".into()));
    }
    Ok(Started { id: go_on(appliance, &vault, course, order.password, restore, &grant.user)? })
}

/// Ends one that waits, because a person wants it; answers whether it did wait.
pub(crate) fn give_up(appliance: &Appliance, id: u64) -> Result<bool, VaultdError> {
    let one_at_a_time = appliance.starting();
    let waiting = appliance.state.restore(id)?.filter(|restore| restore.finished_at.is_none() && restore.waits.is_some());
    let Some(mut restore) = waiting.filter(|_| appliance.works.get(Kind::Restore, id).is_none()) else { return Ok(false) };
    restore.finished_at = Some(appliance.clock.believed());
    (restore.waits, restore.retry_at) = (None, None);
    restore.outcome = Some(Outcome::Cancelled);
    restore.why = Some("it was cancelled while it waited: files that are there are whole, the others are missing".into());
    end(appliance, &restore)?;
    // A slow disk takes minutes to be let go of: nobody else waits for that.
    drop(one_at_a_time);
    super::see_off(appliance, &restore);
    appliance.changed();
    Ok(true)
}

/// It does not go on by itself.
pub(super) fn wait(restore: &mut RestoreState, course: &Course) {
    restore.retry_at = None;
    restore.waits = Some(if course.wants_password { Waits::Password } else { Waits::Server });
    restore.why = Some(
        if course.wants_password {
            "it was cut, and its password is kept nowhere: what it wrote is whole, and it goes on when somebody gives the password again"
        } else {
            "it was cut, and goes on when the box's program starts again: what it wrote is whole"
        }
        .into(),
    );
}

/// That an attempt begins where another one was cut.
pub(super) fn note(appliance: &Appliance, actor: &str, id: u64) {
    let fields = vec![("restore".into(), Value::Number(id.cast_signed())), ("kind".into(), Value::Text("resumed".into()))];
    if let Err(error) = appliance.record(actor, Event::Restore, fields) {
        tracing::error!(restore = id, error = chain(&error), "that a restore goes on could not be recorded");
    }
}

fn go_on(
    appliance: &Arc<Appliance>,
    vault: &Vault,
    course: Course,
    password: Option<keepwell_api::Base64>,
    mut restore: RestoreState,
    actor: &str,
) -> Result<u64, VaultdError> {
    let path = key(course.path())?;
    (restore.waits, restore.retry_at, restore.why) = (None, None, None);
    restore.resumed += 1;
    course.keep(vault, &appliance.state, &restore)?;
    note(appliance, actor, restore.id);
    work_on(appliance, course, password, path, restore)
}

fn cut(appliance: &Appliance, mut restore: RestoreState) -> Result<(), VaultdError> {
    restore.finished_at = Some(appliance.clock.believed());
    restore.outcome = Some(Outcome::Cut);
    let why = if restore.to.is_empty() {
        "the box or its program stopped in the middle of this test; it says nothing about the copies"
    } else if restore.dry_run {
        "the box or its program stopped in the middle of this check; nothing was written"
    } else {
        "the box or its program stopped in the middle: files that are there are whole, the others are missing"
    };
    restore.why = Some(why.into());
    end(appliance, &restore)
}
