//! A person says that the machine's clock is right: the box's time moves there, and with it all that was timed by it, so that no promise lies in the future and none is broken by the move.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keepwell_api::grants::Grant;
use keepwell_api::vault::{ClockConfirmed, ConfirmClock};
use keepwell_audit::{Event, Value};

use crate::appliance::Appliance;
use crate::error::VaultdError;

/// What the person was shown may be so old, seconds.
const SHOWN_MAX: u64 = 300;

pub(crate) fn confirm(appliance: &Arc<Appliance>, grant: &Grant, order: ConfirmClock) -> Result<ClockConfirmed, VaultdError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    if now.abs_diff(order.at) > SHOWN_MAX {
        return Err(VaultdError::OtherTime { now });
    }
    // No run begins or ends by one time and is kept by the other.
    let _nothing_starts = appliance.starting();
    let before = appliance.clock.believed();
    let fields = vec![
        ("what".to_owned(), Value::Text("clock".into())),
        ("at".to_owned(), Value::Number(now)),
        ("before".to_owned(), Value::Number(before)),
    ];
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    let moved_s = appliance.clock.confirm();
    if moved_s < 0 {
        appliance.state.shift_clocks(moved_s)?;
    }
    appliance.watch.moved(moved_s, appliance)?;
    // Last: who is cut before this has copies that seem too old, never too new.
    appliance.clock.keep(&appliance.state)?;
    appliance.changed();
    Ok(ClockConfirmed { moved_s })
}
