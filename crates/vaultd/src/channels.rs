//! Ways for the box's messages: set, told, tried, taken away. Owns the names and the sealed settings; what is told holds no secret. Sends nothing itself.

use std::sync::Arc;

use keepwell_api::grants::Grant;
use keepwell_api::notices::{Channel, Kind, Line, Notice, Severity, Text};
use keepwell_api::vault::{ChannelTold, Done, SetChannel, TestChannel};
use keepwell_audit::{Event, Value};
use keepwell_vault::Vault;
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::outbox::{self, Channels, DOCUMENT, Heard, purpose};

type Answer<T> = Result<T, VaultdError>;

pub(crate) fn set(appliance: &Arc<Appliance>, grant: &Grant, order: SetChannel) -> Answer<Done> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let good = (1..=32).contains(&order.name.len()) && order.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !good {
        return Err(VaultdError::Invalid("a channel's name is 1 to 32 letters, digits and dashes".into()));
    }
    let mut channels = load(appliance)?;
    match order.channel {
        None => drop(channels.remove(&order.name)),
        Some(channel) => {
            let json = Zeroizing::new(serde_json::to_vec(&channel).expect("plain data becomes JSON"));
            channels.insert(order.name.clone(), vault.seal_note(&purpose(&order.name), &json));
        }
    }
    appliance.state.set_document(DOCUMENT, &channels)?;
    let fields = vec![("what".into(), Value::Text("channel".into())), ("channel".into(), Value::Text(order.name))];
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    Ok(Done {})
}

/// All of them, as far as anybody may know.
pub(crate) fn told(appliance: &Appliance) -> Answer<Vec<ChannelTold>> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let (waiting, heard) = (appliance.state.waiting()?, Heard::load(&appliance.state)?);
    let told = |(name, sealed): (String, Vec<u8>)| {
        let channel = open(&vault, &name, &sealed);
        let last = heard.of(&name);
        ChannelTold {
            kind: channel.as_ref().map(|channel| channel.kind().to_owned()),
            to: channel.as_ref().map(Channel::masked).unwrap_or_default(),
            digest: channel.as_ref().is_some_and(Channel::digest),
            waiting: waiting.get(&name).copied().unwrap_or(0),
            delivered_at: last.delivered_at,
            failed_at: last.failed_at,
            failure: last.failure,
            name,
        }
    };
    Ok(load(appliance)?.into_iter().map(told).collect())
}

/// A message that says that it is a test, to one of them.
pub(crate) fn test(appliance: &Arc<Appliance>, grant: &Grant, order: TestChannel) -> Answer<Done> {
    if !load(appliance)?.contains_key(&order.name) {
        return Err(VaultdError::NoSuch("way for messages"));
    }
    let at = appliance.clock.believed();
    let notice = Notice {
        id: outbox::once("test", at)?,
        incident: outbox::once("test", at)?,
        kind: Kind::Test,
        severity: Severity::Notice,
        at,
        box_name: Line::clean(&appliance.config.name),
        subject: Line::clean("A test message"),
        happened: Text::clean("Somebody asked for a test message. It arrived"),
        for_your_data: Text::clean("Nothing"),
        to_do: Text::clean(""),
        code: outbox::word("test"),
        facts: Default::default(),
    };
    let fields = vec![("what".into(), Value::Text("channel-test".into())), ("channel".into(), Value::Text(order.name.clone()))];
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    appliance.state.post(&order.name, &serde_json::to_string(&notice).expect("plain data becomes JSON"), at)?;
    appliance.changed();
    Ok(Done {})
}

/// Names of those that get the daily report.
pub(crate) fn of_the_day(appliance: &Appliance, vault: &Vault) -> Answer<Vec<String>> {
    let wants = |(name, sealed): (String, Vec<u8>)| open(vault, &name, &sealed).is_some_and(|channel| channel.digest()).then_some(name);
    Ok(load(appliance)?.into_iter().filter_map(wants).collect())
}

fn load(appliance: &Appliance) -> Answer<Channels> {
    Ok(appliance.state.document(DOCUMENT)?.unwrap_or_default())
}

/// None of another release, or damaged.
fn open(vault: &Vault, name: &str, sealed: &[u8]) -> Option<Channel> {
    let json = vault.open_note(&purpose(name), sealed).ok()?;
    serde_json::from_slice(&json).ok()
}
