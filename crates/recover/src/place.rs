//! The place that was taken goes with the vault, sealed like everything in it: a box that gets its disks goes on sending from there, and nobody carries a key.

use keepwell_api::offsite::{KeptPlace, PLACE_FILE, PLACE_NAME};
use keepwell_vault::{BackupOptions, GivenFiles, NoProgress, Reread, Vault};
use zeroize::Zeroizing;

use crate::RecoverError;
use crate::tiers::small_file;

/// Writes it into the vault, unless it is there.
pub(crate) fn keep(vault: &Vault, place: &KeptPlace) -> Result<(), RecoverError> {
    let bytes = Zeroizing::new(serde_json::to_vec(place).map_err(RecoverError::nonsense)?);
    let snapshots = vault.snapshots()?;
    if let Some(newest) = snapshots.iter().rfind(|snapshot| snapshot.body.name == PLACE_NAME)
        && small_file(vault, newest, PLACE_FILE)?.as_ref() == Some(&bytes)
    {
        return Ok(());
    }
    let options = BackupOptions { name: PLACE_NAME.to_owned(), level: 3, reread: Reread::NONE, intended: true };
    vault.backup(&GivenFiles::new(PLACE_NAME).with_bytes(PLACE_FILE, bytes), &options, &NoProgress)?;
    Ok(())
}
