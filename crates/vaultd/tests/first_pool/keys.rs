//! Keys of a vault, as keyd would make them.

use std::sync::Arc;

use keepwell_api::keys::VaultMade;
use keepwell_format::keys::{ChunkSizes, KeyringBody};
use keepwell_format::{Epoch, Time, VaultId};
use keepwell_storage::{Layout, Pool, PoolIds, disk_at};
use keepwell_vault::{Clock, Env, Sealed, Workers};
use zeroize::Zeroizing;

/// Key slots and keyring of a vault, by a pool that is made and thrown away.
pub(crate) fn keys_of(vault: &str) -> VaultMade {
    struct Stopped;
    impl Clock for Stopped {
        fn now(&self) -> Time {
            Time { seconds: 0, nanos: 0 }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let vault: VaultId = vault.parse().unwrap();
    let ids = PoolIds { vault: vault.0, disks: vec![[1; 16]] };
    let pool = Pool::create(vec![disk_at("x", folder.path())], ids, Layout::SINGLE).unwrap();
    keepwell_vault::create(&pool, &keepwell_vault::NewVault::new(vault), &mut |bytes| getrandom::fill(bytes).unwrap()).unwrap();
    let sealed = Sealed::open(Arc::new(pool), Env::new(Arc::new(Stopped), Workers::Threads(1))).unwrap();
    let (slots, keyring) = sealed.locks().unwrap();
    VaultMade { set: slots.kit.set, slots: slots.encode().into(), keyring: keyring.encode().into() }
}

/// What is in that keyring, as far as anybody looks at it.
pub(crate) fn keyring() -> Vec<u8> {
    let key = |byte: u8| Zeroizing::new([byte; 32]);
    let chunk = ChunkSizes { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };
    let (blob_id_key, gear_key, page_key, signing_seed) = (key(1), key(2), key(3), key(4));
    KeyringBody { blob_id_key, gear_key, page_key, signing_seed, chunk, epochs: vec![(Epoch(1), key(5))] }.encode().to_vec()
}
