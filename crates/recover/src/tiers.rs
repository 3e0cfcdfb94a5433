//! How much each share matters: in the clear nothing says it, but the box's own state, which is a snapshot like any other, does.

use std::ops::ControlFlow;
use std::sync::Arc;

use keepwell_api::offsite::{KeptShares, SHARES_FILE};
use keepwell_format::keys::KeyringBody;
use keepwell_format::{Key, Time};
use keepwell_storage::Pool;
use keepwell_vault::{Clock, Env, IndexPlace, NoProgress, Sealed, Snapshot, Unlock, VaultError, Workers};

use crate::RecoverError;
use crate::order::Tiers;

/// Longest list of shares.
const LONGEST: u64 = 1 << 20;

/// Nothing is written with it, so no time is told.
struct Never;

impl Clock for Never {
    fn now(&self) -> Time {
        Time { seconds: 0, nanos: 0 }
    }
}

/// Reads them from the newest state, all of which has to be in the pool. None where an older release wrote it.
pub(crate) fn read(pool: Arc<Pool>, keys: KeyringBody, index: IndexPlace, state: &Snapshot) -> Result<Option<Tiers>, RecoverError> {
    let sealed = Sealed::open(pool, Env::new(Arc::new(Never), Workers::Threads(2)))?;
    let vault = sealed.unlock(&Unlock::Keyring(Box::new(keys)), index, &NoProgress)?;
    let key = Key::from_path(SHARES_FILE.as_bytes()).expect("a plain name");
    let file = match vault.open_file(state, &key) {
        Ok(file) if file.size() <= LONGEST => file,
        Ok(_) | Err(VaultError::NoPath(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    let whole = vault.read_file(&file, &mut |part| {
        bytes.extend_from_slice(part);
        ControlFlow::Continue(())
    })?;
    let kept: Option<KeptShares> = whole.is_continue().then(|| serde_json::from_slice(&bytes).ok()).flatten();
    Ok(kept.map(|kept| kept.shares.into_iter().map(|share| (share.name, share.tier)).collect()))
}
