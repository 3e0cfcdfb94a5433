//! How much each share matters: in the clear nothing says it, but the box's own state, which is a snapshot like any other, does.

use std::ops::ControlFlow;

use keepwell_api::offsite::{KeptShares, SHARES_FILE};
use keepwell_format::Key;
use keepwell_vault::{Snapshot, Vault, VaultError};
use zeroize::Zeroizing;

use crate::RecoverError;
use crate::order::Tiers;

/// Longest file that is read whole.
const LONGEST: u64 = 1 << 20;

/// Reads them from the newest state, all of which has to be in the pool. None where an older release wrote it.
pub(crate) fn read(vault: &Vault, state: &Snapshot) -> Result<Option<Tiers>, RecoverError> {
    let bytes = small_file(vault, state, SHARES_FILE)?;
    let kept: Option<KeptShares> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(kept.map(|kept| kept.shares.into_iter().map(|share| (share.name, share.tier)).collect()))
}

/// A file of a snapshot; none if it is not there, or longer than any that a box keeps of itself.
pub(crate) fn small_file(vault: &Vault, snapshot: &Snapshot, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, RecoverError> {
    let key = Key::from_path(name.as_bytes()).expect("a plain name");
    let file = match vault.open_file(snapshot, &key) {
        Ok(file) if file.size() <= LONGEST => file,
        Ok(_) | Err(VaultError::NoPath(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // As long as it becomes, so that no copy of a secret stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(file.size()).unwrap_or(0)));
    let whole = vault.read_file(&file, &mut |part| {
        bytes.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    Ok(whole.is_continue().then_some(bytes))
}
