//! The daily report to people: puts it into the outbox once a day, for the channels that want it. What it says, and when a day is over, `keepwell-duties` decides.
//!
//! The outbox and the day that was reported change together, so that a program which ends in between neither repeats a report nor loses one.

use keepwell_api::notices::{Kind, Line, Notice, Text};
use keepwell_duties::{At, Day, Digest, Tier, digest};

use crate::appliance::Appliance;
use crate::channels;
use crate::error::VaultdError;
use crate::outbox;
use crate::told;
use crate::watch::Policies;

/// Of this box alone.
const DOCUMENT: &str = "digest";

/// Reports the day, if it is over. Once a minute.
pub(crate) fn report_due(appliance: &Appliance) -> Result<(), VaultdError> {
    let now = At(appliance.clock.believed());
    let before = match appliance.state.document::<Day>(DOCUMENT)? {
        Some(day) if day.at.has_been(now) => day,
        // A new box, or a day that was counted by a clock that was wrong: it is compared with from now on.
        _ => return Ok(appliance.state.note(DOCUMENT, &Day::of(&told::status(appliance)?))?),
    };
    let policies = Policies::load(&appliance.state)?;
    if !before.is_over(&Tier::ALL.map(|tier| policies.of(tier)), now) {
        return Ok(());
    }
    // What channels want is sealed: until it can be read, the report waits.
    let Ok(vault) = appliance.engine.vault() else { return Ok(()) };
    let status = told::status(appliance)?;
    let notice = notice(appliance, digest(&status, &before))?;
    let notice = serde_json::to_string(&notice).expect("plain data becomes JSON");
    appliance.state.post_and_note(&channels::of_the_day(appliance, &vault)?, &notice, now.0, DOCUMENT, &Day::of(&status))?;
    appliance.changed();
    Ok(())
}

fn notice(appliance: &Appliance, report: Digest) -> Result<Notice, VaultdError> {
    let at = appliance.clock.believed();
    Ok(Notice {
        id: outbox::once("digest", at)?,
        incident: outbox::once("digest", at)?,
        kind: Kind::Digest,
        severity: outbox::severity(report.severity),
        at,
        box_name: Line::clean(&appliance.config.name),
        subject: Line::clean(&report.subject),
        happened: Text::clean(&report.today),
        for_your_data: Text::clean(&report.changed),
        to_do: Text::clean(&report.to_do),
        code: outbox::word("digest"),
        facts: outbox::facts(&report.numbers),
    })
}
