//! Whose place this box has elsewhere. With whom it is paired is kept in its state, and so outlives it; a box that took a lost one's place with two papers finds the key that has it in its
//! vault, and gives it to replicad, once. Keeps no key itself.

use keepwell_api::offsite::{KeptPlace, KeptReceiver, PLACE_FILE, PLACE_NAME, Receiver, Status, TakePlace};
use keepwell_api::vault::Done;
use keepwell_format::Key;
use keepwell_vault::Vault;
use std::ops::ControlFlow;
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::offsite::replicad;

/// Document: those that keep for this box, as [`KeptReceiver`]s.
const RECEIVERS: &str = "receivers";
/// Document: the snapshot that has the key of a place that is still to be taken up; null once it is.
const PLACE: &str = "place";
/// A key and two names.
const LONGEST: u64 = 64 << 10;

/// Keeps with whom this box is paired.
pub(crate) fn remember(appliance: &Appliance, status: &Status) -> Result<(), VaultdError> {
    // A new box has none before it has taken up the place of the one before: what that one had stays known.
    if status.receivers.is_empty() {
        return Ok(());
    }
    let kept: Vec<KeptReceiver> = status.receivers.iter().map(kept).collect();
    if appliance.state.document::<Vec<KeptReceiver>>(RECEIVERS)?.as_ref() != Some(&kept) {
        appliance.state.set_document(RECEIVERS, &kept)?;
    }
    Ok(())
}

/// With one of them it is paired no more.
pub(crate) fn forget(appliance: &Appliance, name: &str) -> Result<(), VaultdError> {
    let known = appliance.state.document::<Vec<KeptReceiver>>(RECEIVERS)?.unwrap_or_default();
    let kept: Vec<KeptReceiver> = known.into_iter().filter(|known| known.name != name).collect();
    Ok(appliance.state.set_document(RECEIVERS, &kept)?)
}

fn kept(receiver: &Receiver) -> KeptReceiver {
    KeptReceiver {
        name: receiver.name.clone(),
        receipt_key: receiver.receipt_key.clone(),
        address: receiver.address.clone(),
        place: receiver.place.clone(),
        quota_bytes: receiver.quota_bytes,
        floor_s: receiver.floor_s,
        paired_at: receiver.paired_at,
    }
}

/// A vault is taken over: whoever brought it back may have left the key of its place in it.
pub(crate) fn found(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let snapshots = vault.snapshots()?;
    if let Some(newest) = snapshots.iter().rfind(|snapshot| snapshot.body.name == PLACE_NAME) {
        appliance.state.note(PLACE, &Some(newest.id.to_string()))?;
    }
    Ok(())
}

/// Gives the key to replicad, until that goes on with it.
pub(crate) fn take_up(appliance: &Appliance, status: &Status) -> Result<(), VaultdError> {
    let Some(snapshot) = appliance.state.document::<Option<String>>(PLACE)?.flatten() else { return Ok(()) };
    // It has done so; or it was paired by somebody meanwhile, and is known by its own key.
    if !status.receivers.is_empty() || !status.tenants.is_empty() {
        return Ok(appliance.state.note(PLACE, &None::<String>)?);
    }
    let Ok(vault) = appliance.engine.vault() else { return Ok(()) };
    let place: KeptPlace = serde_json::from_slice(&read(&vault, &snapshot)?).map_err(|error| VaultdError::Own(error.into()))?;
    let known = appliance.state.document::<Vec<KeptReceiver>>(RECEIVERS)?.unwrap_or_default();
    let Some(receiver) = known.into_iter().find(|known| known.name == place.receiver) else {
        tracing::warn!("the lost box's state does not say what was agreed on with the box that kept its vault: pair with that one anew");
        return Ok(appliance.state.note(PLACE, &None::<String>)?);
    };
    let order = TakePlace {
        key: place.key,
        vault: vault.id().to_string(),
        // Where it was found after the fire.
        receiver: KeptReceiver { address: place.address, ..receiver },
    };
    replicad(appliance).post::<Done>("/v1/place", &order).map(drop).map_err(VaultdError::of_replicad)
}

fn read(vault: &Vault, snapshot: &str) -> Result<Zeroizing<Vec<u8>>, VaultdError> {
    let snapshot = vault.resolve(snapshot)?;
    let file = vault.open_file(&snapshot, &Key::from_path(PLACE_FILE.as_bytes()).expect("a plain name"))?;
    let size = usize::try_from(file.size().min(LONGEST)).unwrap_or(0);
    // As long as it becomes, so that no copy of a secret stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    let _ = vault.read_file(&file, &mut |part| {
        if bytes.len() + part.len() > size {
            return ControlFlow::Break(());
        }
        bytes.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    Ok(bytes)
}
