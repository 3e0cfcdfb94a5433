//! The papers of the first kit, for the console: a fresh grant of an owner, a record in the ledger and word to everybody come before each of them, and keyd, which has the papers, hears of it from
//! here alone. Keeps no paper: what passes through is wiped.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use keepwell_api::error::chain;
use keepwell_api::grants::{Grant, Role};
use keepwell_api::keys::{ConfirmPaper, PaperConfirmed, PaperFormat, PaperQuestion, PrintPaper, Reissue, Reissued};
use keepwell_api::notices::{Kind, Line, Notice, Severity, Text};
use keepwell_api::vault::{ConfirmKitPaper, KitAgain, PrintKitPaper};
use keepwell_api::{Client, ClientError, wiped};
use keepwell_audit::{Event, Value};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::outbox::{self, Channels};

/// keyd may have to ask the TPM, several times.
const PATIENCE: Duration = Duration::from_secs(120);
/// What keyd knows without it. Anybody may ask for that, who then waits in a thread that others need.
const MOMENT: Duration = Duration::from_secs(10);
/// What channels and the ledger call it.
const CODE: &str = "kit";

type Answer<T> = Result<T, VaultdError>;

/// A paper, to be sent as it is.
pub(crate) struct Page {
    bytes: Zeroizing<Vec<u8>>,
    kind: &'static str,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, self.kind)], Body::from(wiped(self.bytes))).into_response()
    }
}

/// `GET /v1/kit/{paper}`: places of words, and no word.
pub(crate) fn question(appliance: &Appliance, paper: u8) -> Answer<PaperQuestion> {
    let _place = appliance.doors.question()?;
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?.id().to_string();
    keyd(appliance).within(MOMENT).get(&route(&vault, paper)).map_err(VaultdError::of_keyd)
}

/// `POST /v1/kit/print`.
pub(crate) fn print(appliance: &Arc<Appliance>, grant: &Grant, order: PrintKitPaper) -> Answer<Page> {
    own_vault(appliance, &order.vault)?;
    let _one_at_a_time = appliance.doors.paper()?;
    let (keyd, route) = (keyd(appliance), route(&order.vault, order.paper));
    // What would be refused is neither recorded nor told as if it had come out.
    let turn = keyd.within(MOMENT).get::<PaperQuestion>(&route);
    if let Err(error) = turn.map_err(not_printed) {
        error.map_or(Ok(()), |error| Err(VaultdError::of_keyd(error)))?;
    }
    note(appliance, grant, "kit-printed", vec![paper(order.paper)])?;
    tell(appliance, &format!("Paper {} of the recovery kit was printed, by {}", order.paper, grant.user))?;
    let kind = match order.format {
        PaperFormat::Pdf => "application/pdf",
        PaperFormat::Text => "text/plain; charset=utf-8",
    };
    let ask = PrintPaper { format: order.format, keeper: order.keeper, serial: String::new() };
    let bytes = keyd.post_for_bytes(&route, &ask).map_err(VaultdError::of_keyd)?;
    Ok(Page { bytes, kind })
}

/// `POST /v1/kit/confirm`. Whoever asks again, as the answer was lost, is answered and recorded again.
pub(crate) fn confirm(appliance: &Arc<Appliance>, grant: &Grant, order: ConfirmKitPaper) -> Answer<PaperConfirmed> {
    own_vault(appliance, &order.vault)?;
    if grant.role != Role::Owner {
        return Err(VaultdError::OwnersOnly);
    }
    let _one_at_a_time = appliance.doors.paper()?;
    let route = format!("{}/confirm", route(&order.vault, order.paper));
    let mut confirmed: PaperConfirmed = keyd(appliance).post(&route, &ConfirmPaper { words: order.words }).map_err(VaultdError::of_keyd)?;
    let left = ("left".to_owned(), Value::Number(confirmed.left.len() as i64));
    note(appliance, grant, "kit-confirmed", vec![paper(order.paper), left])?;
    // The pool gets them, and no console has a need of them.
    confirmed.slots = None;
    Ok(confirmed)
}

/// `POST /v1/kit/again`.
pub(crate) fn again(appliance: &Arc<Appliance>, grant: &Grant, order: KitAgain) -> Answer<Reissued> {
    own_vault(appliance, &order.vault)?;
    let _one_at_a_time = appliance.doors.paper()?;
    note(appliance, grant, "kit-again", Vec::new())?;
    let made: Reissued =
        keyd(appliance).post("/v1/first-kit", &Reissue { vault: order.vault, slots: None }).map_err(VaultdError::of_keyd)?;
    tell(appliance, &format!("A new recovery kit is being printed in place of one that was not finished, by {}", grant.user))?;
    Ok(made)
}

fn keyd(appliance: &Appliance) -> Client {
    Client::new("keepwell-keyd", &appliance.config.places.keyd, PATIENCE)
}

fn route(vault: &str, paper: u8) -> String {
    format!("/v1/vaults/{vault}/first-kit/{paper}")
}

fn own_vault(appliance: &Appliance, named: &str) -> Answer<()> {
    let own = appliance.engine.vault().map_err(VaultdError::Unready)?.id().to_string();
    if own == named { Ok(()) } else { Err(VaultdError::NoSuch("vault")) }
}

/// What stands in the way of a paper; nothing, where it only was not printed yet.
fn not_printed(error: ClientError) -> Option<ClientError> {
    match error {
        ClientError::Refused(refusal) if refusal.code == "not-printed" => None,
        other => Some(other),
    }
}

fn paper(number: u8) -> (String, Value) {
    ("paper".to_owned(), Value::Number(number.into()))
}

fn note(appliance: &Appliance, grant: &Grant, what: &str, more: Vec<(String, Value)>) -> Answer<()> {
    let fields = std::iter::once(("what".to_owned(), Value::Text(what.into()))).chain(more).collect();
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    appliance.changed();
    Ok(())
}

/// Everybody hears of it who hears of anything: two of these papers open all copies.
fn tell(appliance: &Appliance, happened: &str) -> Answer<()> {
    let channels: Channels = appliance.state.document(outbox::DOCUMENT)?.unwrap_or_default();
    let at = appliance.clock.believed();
    let id = outbox::once(CODE, at)?;
    let notice = Notice {
        id: id.clone(),
        incident: id,
        kind: Kind::Opened,
        severity: Severity::Notice,
        at,
        box_name: Line::clean(&appliance.config.name),
        subject: Line::clean("The recovery kit is being printed"),
        happened: Text::clean(happened),
        for_your_data: Text::clean("Any two of its three papers open all copies. The copies are as they were"),
        to_do: Text::clean("If this was not one of you, sign in at once, see the log, and call whoever looks after the box"),
        code: outbox::word(CODE),
        facts: std::collections::BTreeMap::new(),
    };
    let notice = serde_json::to_string(&notice).expect("plain data becomes JSON");
    let channels: Vec<String> = channels.into_keys().collect();
    let told = appliance.state.post_to_all(&channels, &notice, at);
    Ok(told.inspect_err(|error| tracing::error!(error = chain(error), "nobody can be told of a paper"))?)
}
