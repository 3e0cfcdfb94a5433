//! The vault's key slots: what keyd has changed of them goes into the pool by itself, so that a kit is valid soon after its last paper was confirmed, whoever confirmed it. Holds no key:
//! slots are sealed.

use std::time::Duration;

use keepwell_api::Client;
use keepwell_api::keys::{InPool, ToStore};
use keepwell_audit::{Event, Value};
use keepwell_format::keys::Slots;
use keepwell_vault::VaultError;

use crate::appliance::Appliance;
use crate::error::VaultdError;

const PATIENCE: Duration = Duration::from_secs(60);
/// A change may cross another one.
const TRIES: u32 = 3;

/// Tells keyd what the pool has, and stores what it is to have, until it has that.
pub(crate) fn bring(appliance: &Appliance) -> Result<(), VaultdError> {
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let keyd = Client::new("keepwell-keyd", &appliance.config.places.keyd, PATIENCE);
    for _ in 0..TRIES {
        let there = InPool { slots: vault.slots()?.encode().into() };
        let newer: ToStore = keyd.post(&format!("/v1/vaults/{}/stored", vault.id()), &there).map_err(VaultdError::of_keyd)?;
        let Some(slots) = newer.slots else { return Ok(()) };
        let slots = Slots::decode(slots.as_ref()).map_err(|source| VaultError::Format { what: "keyd's answer", source })?;
        let fields = vec![("what".to_owned(), Value::Text("key-slots".into())), ("set".to_owned(), Value::Number(slots.kit.set.into()))];
        appliance.record("vaultd", Event::SettingChanged, fields)?;
        vault.store_slots(&slots)?;
    }
    Err(VaultdError::Invalid("the disks do not give back the key slots that were stored".into()))
}
