//! Makes a new vault on a fresh pool: keys, keyring, key slots, and the three papers of the recovery kit.

use std::fmt;

use keepwell_crypt::{Argon2Cost, CryptError, KitFile, KitSeed, Sealer, Secret, Signer, kit_recipient, split};
use keepwell_format::keys::{ChunkSizes, Keyring, KeyringBody, KitPayload, KitPublic, PassphraseSlot, Slot, SlotKind, Slots};
use keepwell_format::{Epoch, VaultId};
use keepwell_storage::{Class, Pool, Spread};
use zeroize::Zeroizing;

use crate::VaultError;

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

type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Makes the keys and writes them to the pool, sealed. The kit papers come back and are kept nowhere else.
pub fn create(pool: &Pool, new: &NewVault<'_>, random: Random<'_>) -> Result<[KitFile; 3], VaultError> {
    let crypt = |source: CryptError| VaultError::Crypt { what: "the keys of the new vault could not be made", source };
    let epoch = Epoch(1);
    let vault_key = Secret::random(random);
    let body = keyring_body(new, epoch, random);
    let verify_key = Signer::from_seed(&Secret::from_bytes(*body.signing_seed)).verify_key();

    let seed = KitSeed::random(random);
    let set = set_number(random);
    let shares = split(&seed, set, random);
    let kit = KitPublic { set, recipient: kit_recipient(&seed), commitments: [0, 1, 2].map(|i: usize| shares[i].commitment(&new.vault.0)) };
    let payload = KitPayload { vault: new.vault, epoch, vault_key: Zeroizing::new(*vault_key.expose()) };
    let wrapped = keepwell_crypt::wrap_for_recipient(&kit.recipient, &payload.encode()).map_err(crypt)?;
    let mut slots = vec![Slot { kind: SlotKind::Kit, payload: wrapped }];
    if let Some(passphrase) = new.passphrase {
        slots.push(passphrase_slot(new, epoch, passphrase, &vault_key, random).map_err(crypt)?);
    }
    let slots = Slots { vault: new.vault, epoch, revision: 1, test_vault: new.test_vault, verify_key, kit, slots };

    let mut keyring = Keyring { vault: new.vault, epoch, revision: 1, sealed: Vec::new() };
    keyring.sealed = Sealer::new(&vault_key, "keyring").seal(&keyring.head(), &body.encode());
    pool.put(Class::Keyring, Spread::Everywhere, &keyring.encode())?;
    pool.put(Class::Slots, Spread::Everywhere, &slots.encode())?;
    Ok(shares.map(|share| KitFile { vault: new.vault.0, set, share }))
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

/// Tells the papers of one kit from those of another.
fn set_number(random: Random<'_>) -> u16 {
    let mut bytes = [0; 2];
    random(&mut bytes);
    u16::from_le_bytes(bytes)
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
