//! What somebody who helps gets to see: codes, counts and times. No name of a share, file, folder, host, user or patient, and no text that could have one.

use std::sync::Arc;
use std::time::Duration;

use keepwell_api::Client;
use keepwell_api::grants::Grant;
use keepwell_api::vault::{IncidentFacts, RunFacts, ShareFacts, SupportBundle, VaultState};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Incident, Status};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::{told, verbs};

/// Runs in it.
const RUNS: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(10);
/// In place of whoever it was.
const SOMEBODY: &str = "somebody";

/// A request without anything in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

pub(crate) fn bundle(appliance: &Arc<Appliance>, grant: &Grant, _order: Nothing) -> Result<SupportBundle, VaultdError> {
    appliance.record(&grant.user, Event::Retrieval, vec![("what".into(), Value::Text("support-bundle".into()))])?;
    let (_, incidents) = appliance.watch.copy();
    let shares = appliance.state.shares()?;
    let vault = told::vault(appliance);
    // Its text may say where something was looked for.
    let unready = vault.unready.map(|unready| keepwell_api::vault::Unready { text: String::new(), ..unready });
    Ok(SupportBundle {
        made_at: appliance.clock.believed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        vault: VaultState { unready, ..vault },
        status: serde_json::to_value(nameless(told::status_of(appliance, |share| share.id.0.clone())?)).unwrap_or(Json::Null),
        shares: shares.into_iter().map(share).collect(),
        runs: appliance.state.runs(None, RUNS)?.into_iter().map(run).collect(),
        incidents: incidents.all().iter().map(incident).collect(),
        unsent: appliance.state.unsent()?,
        log: verbs::verify_log(appliance)?,
        vitals: vitals(appliance),
        memory_bytes: memory_bytes(),
    })
}

/// A status whose shares are called by their ids already, without those who took incidents.
fn nameless(mut status: Status) -> Status {
    status.todo.iter_mut().filter_map(|todo| todo.taken_by.as_mut()).for_each(|by| SOMEBODY.clone_into(by));
    status.incidents.iter_mut().filter_map(|incident| incident.acknowledged.as_mut()).for_each(|taken| SOMEBODY.clone_into(&mut taken.by));
    status
}

fn share(row: crate::state::ShareRow) -> ShareFacts {
    ShareFacts {
        id: row.id.0,
        protocol: row.location.split_once("://").map_or_else(String::new, |(protocol, _)| protocol.to_owned()),
        tier: told::tier(row.tier),
        paused: row.paused,
        added_at: row.added_at,
        newest_copy_at: row.clock.last_good.map(|at| at.0),
    }
}

fn run(run: keepwell_api::vault::Run) -> RunFacts {
    let keepwell_api::vault::Run { id, share, started_at, finished_at, outcome, code, counts, .. } = run;
    RunFacts { id, share, started_at, finished_at, outcome, code, counts }
}

fn incident(incident: &Incident) -> IncidentFacts {
    IncidentFacts {
        id: incident.id,
        duty: incident.duty.kind.code().to_owned(),
        code: incident.code.clone(),
        worst: serde_json::to_value(incident.worst).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default(),
        opened_at: incident.opened_at.0,
        closed: incident.closed_at.is_some(),
    }
}

fn vitals(appliance: &Appliance) -> Option<Json> {
    let diskd = appliance.config.places.diskd.as_ref()?;
    Client::new("keepwell-diskd", &diskd.socket, PATIENCE).get("/v1/vitals").ok()
}

/// Resident pages of this program (proc(5), `status`).
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}
