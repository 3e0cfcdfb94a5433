//! The machine's address, as somebody sets it at the box's own screen: whether they may, and that they did, is known here; the screen sets it. Touches no network.

use std::sync::Arc;

use keepwell_api::grants::Grant;
use keepwell_api::vault::{Done, NoteAddress};
use keepwell_audit::{Event, Value};

use crate::appliance::Appliance;
use crate::error::VaultdError;

/// Bytes of an address in words.
const WORDS: std::ops::RangeInclusive<usize> = 1..=200;

/// `POST /v1/address`.
pub(crate) fn note(appliance: &Arc<Appliance>, grant: &Grant, order: NoteAddress) -> Result<Done, VaultdError> {
    let text = order.address.unwrap_or_else(|| "as the network gives it".to_owned());
    if !WORDS.contains(&text.len()) || text.chars().any(char::is_control) {
        return Err(VaultdError::Invalid("an address is 1 to 200 bytes on one line".into()));
    }
    let fields = vec![("what".to_owned(), Value::Text("address".into())), ("address".to_owned(), Value::Text(text))];
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    appliance.changed();
    Ok(Done {})
}
