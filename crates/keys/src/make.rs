//! The keys of a new vault, its slots, and the three papers of its recovery kit.

use std::fmt;

use keepwell_crypt::{Argon2Cost, CryptError, KitFile, Sealer, Secret, Signer};
use keepwell_format::keys::{ChunkSizes, Keyring, KeyringBody, PassphraseSlot, Slot, SlotKind, Slots};
use keepwell_format::{Epoch, VaultId};
use zeroize::Zeroizing;

use crate::KeysError;
use crate::change::{kit_slot, new_kit};

/// Chunk sizes of production.
const CHUNK: ChunkSizes = ChunkSizes { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };

/// What a new vault is to be.
pub struct NewVault<'a> {
    /// Its id.
    pub vault: VaultId,
    /// Whether it is for tests only: such a vault may be made to forget sooner.
    pub test_vault: bool,
    /// How files are cut.
    pub chunk: ChunkSizes,
    /// A passphrase that opens it beside the kit.
    pub passphrase: Option<&'a [u8]>,
    /// What a guess at the passphrase costs.
    pub argon2: Argon2Cost,
}

impl NewVault<'_> {
    /// A vault with the settings of production and no passphrase.
    pub const fn new(vault: VaultId) -> Self {
        Self { vault, test_vault: false, chunk: CHUNK, passphrase: None, argon2: Argon2Cost::DEFAULT }
    }
}

impl fmt::Debug for NewVault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewVault").field("vault", &self.vault).finish_non_exhaustive()
    }
}

/// Fills a buffer with random bytes.
pub(crate) type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// All that a new vault's keys are: two objects for its pool, three papers for three people, and the key itself.
#[expect(missing_debug_implementations, reason = "holds the vault key and the kit")]
pub struct NewKeys {
    /// To be stored on every disk.
    pub slots: Slots,
    /// To be stored on every disk.
    pub keyring: Keyring,
    /// To be printed, and kept nowhere.
    pub kit: [KitFile; 3],
    /// The vault key of the first epoch.
    pub vault_key: Secret,
}

impl NewKeys {
    /// Makes them.
    pub fn make(new: &NewVault<'_>, random: Random<'_>) -> Result<Self, KeysError> {
        let failed = KeysError::crypt("the keys of the new vault could not be made");
        let epoch = Epoch(1);
        let vault_key = Secret::random(random);
        let body = keyring_body(new, epoch, random);
        let verify_key = Signer::from_seed(&Secret::from_bytes(*body.signing_seed)).verify_key();

        let mut bytes = [0; 2];
        random(&mut bytes);
        let (kit, papers) = new_kit(new.vault, u16::from_le_bytes(bytes), random);
        let mut slots = vec![kit_slot(new.vault, epoch, &kit.recipient, &vault_key).map_err(&failed)?];
        if let Some(passphrase) = new.passphrase {
            slots.push(passphrase_slot(new, epoch, passphrase, &vault_key, random).map_err(&failed)?);
        }
        let slots = Slots { vault: new.vault, epoch, revision: 1, test_vault: new.test_vault, verify_key, kit, slots };
        let mut keyring = Keyring { vault: new.vault, epoch, revision: 1, sealed: Vec::new() };
        keyring.sealed = Sealer::new(&vault_key, "keyring").seal(&keyring.head(), &body.encode());
        Ok(Self { slots, keyring, kit: papers, vault_key })
    }
}

fn keyring_body(new: &NewVault<'_>, epoch: Epoch, random: Random<'_>) -> KeyringBody {
    let mut key = || {
        let mut bytes = Zeroizing::new([0; 32]);
        random(&mut bytes[..]);
        bytes
    };
    KeyringBody {
        blob_id_key: key(),
        gear_key: key(),
        page_key: key(),
        signing_seed: key(),
        chunk: new.chunk,
        epochs: vec![(epoch, key())],
    }
}

fn passphrase_slot(
    new: &NewVault<'_>,
    epoch: Epoch,
    passphrase: &[u8],
    vault_key: &Secret,
    random: Random<'_>,
) -> Result<Slot, CryptError> {
    let mut salt = [0; 16];
    random(&mut salt);
    let sealed = keepwell_crypt::wrap_with_passphrase(passphrase, &salt, new.argon2, &new.vault.0, epoch.0, vault_key)?;
    let Argon2Cost { m_kib, t, p } = new.argon2;
    Ok(Slot { kind: SlotKind::Passphrase, payload: PassphraseSlot { salt, m_kib, t, p, sealed }.encode() })
}
