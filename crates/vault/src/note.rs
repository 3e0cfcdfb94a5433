//! Short secrets that are kept outside of the pool, such as the password of a share: sealed with the vault's keys, for one purpose each.

use keepwell_format::Epoch;
use keepwell_format::codec::{Reader, Writer};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::vault::Vault;

impl Vault {
    /// Seals a secret. Whoever opens it has to name the same purpose (`docs/format.md` 5.5).
    pub fn seal_note(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        let epoch = self.keys.epoch;
        let sealer = self.keys.state(epoch).expect("the newest epoch is in the keyring");
        let mut note = Writer::default();
        note.epoch(epoch).raw(&sealer.seal(&self.bound_to(epoch, purpose), secret));
        note.into_bytes()
    }

    /// Opens what [`Vault::seal_note`] made, of any epoch that the keyring has.
    pub fn open_note(&self, purpose: &str, note: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut reader = Reader::new("sealed note", note);
        let epoch = reader.epoch().map_err(|source| VaultError::Format { what: "a sealed note", source })?;
        let failed = |source| VaultError::Crypt { what: "a sealed note can't be opened: it was changed, or is another vault's", source };
        let sealer = self.keys.state(epoch).map_err(failed)?;
        sealer.open(&self.bound_to(epoch, purpose), reader.rest()).map(Zeroizing::new).map_err(failed)
    }

    fn bound_to(&self, epoch: Epoch, purpose: &str) -> Vec<u8> {
        let mut bound = Writer::default();
        bound.raw(&self.keys.vault.0).epoch(epoch).text(purpose);
        bound.into_bytes()
    }
}
