//! Which of the key slots and keyrings that the other box has are the vault's: those that two papers open, and that open what was backed up. Whoever took over the lost box could add others, and seal
//! them to the same papers: the kit's recipient is public. They change nothing.

use keepwell_crypt::{KitFile, Secret, Signer};
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, KeyringBody, Slots};
use keepwell_keys::{open_keyring, open_kit};
use keepwell_vault::Manifests;

use crate::RecoverError;

/// No box of ours has changed its keys so often. Beyond it there would be no room for the next change.
const MOST_CHANGES: u32 = 1 << 31;

/// Slots and a keyring that the papers open.
pub(crate) struct Locks {
    pub(crate) slots: Slots,
    pub(crate) keyring: Keyring,
    pub(crate) body: KeyringBody,
}

impl Locks {
    /// Whether it reads this manifest: the box that they belong to signed it, and its keys open it.
    fn reads(&self, manifest: &[u8]) -> bool {
        Manifests::new(self.slots.vault, &self.body).is_ok_and(|reader| reader.read(manifest).is_ok())
    }
}

/// Whether `all` has every key of `some`: a newer keyring of the same vault has.
fn covers(all: &KeyringBody, some: &KeyringBody) -> bool {
    let of = |body: &KeyringBody| [*body.blob_id_key, *body.gear_key, *body.page_key, *body.signing_seed];
    of(all) == of(some) && some.epochs.iter().all(|one| all.epochs.contains(one))
}

/// All that the papers open, each set of keys once and the newest first.
pub(crate) struct Choice(Vec<Locks>);

impl Choice {
    /// Of all that the other box has.
    pub(crate) fn of(vault: VaultId, papers: &[KitFile; 2], slots: &[Vec<u8>], keyrings: &[Vec<u8>]) -> Result<Self, RecoverError> {
        let mut all: Vec<Slots> = slots.iter().filter_map(|bytes| Slots::decode(bytes).ok()).collect();
        all.retain(|one| one.vault == vault && one.epoch.0.max(one.revision) < MOST_CHANGES);
        all.sort_by_key(|one| std::cmp::Reverse((one.epoch, one.revision)));
        let mut rings: Vec<Keyring> = keyrings.iter().filter_map(|bytes| Keyring::decode(bytes).ok()).collect();
        rings.retain(|one| one.vault == vault && one.epoch.0.max(one.revision) < MOST_CHANGES);
        rings.sort_by_key(|one| std::cmp::Reverse((one.epoch, one.revision)));
        let (mut found, mut first) = (Vec::<Locks>::new(), None);
        for slots in all {
            let key: Secret = match open_kit(&slots, &papers[0], &papers[1]) {
                Ok(key) => key,
                Err(error) => {
                    first.get_or_insert(error.to_string());
                    continue;
                }
            };
            let opened = rings.iter().filter_map(|ring| Some((ring, open_keyring(&slots, ring, &key).ok()?)));
            let fits = |body: &KeyringBody| Signer::from_seed(&Secret::from_bytes(*body.signing_seed)).verify_key() == slots.verify_key;
            let mut fitting = 0;
            for (ring, body) in opened.filter(|(_, body)| fits(body)) {
                fitting += 1;
                if !found.iter().any(|known| covers(&known.body, &body)) {
                    found.push(Locks { slots: slots.clone(), keyring: ring.clone(), body });
                }
            }
            if fitting == 0 {
                first.get_or_insert_with(|| "no keyring goes with the key slots".to_owned());
            }
        }
        if found.is_empty() {
            let first = first.unwrap_or_else(|| "there are none of this vault".to_owned());
            return Err(RecoverError::NoLocks { slots: slots.len(), keyrings: keyrings.len(), first });
        }
        Ok(Self(found))
    }

    /// Whether there is nothing to choose any more.
    pub(crate) fn is_made(&self) -> bool {
        self.0.len() == 1
    }

    /// Those go that can't read this manifest, if others can. Manifests come by their receipts, the first one first: what was signed for before somebody else had the box, only the vault's own keys open.
    pub(crate) fn narrow(&mut self, manifest: &[u8]) {
        let reads: Vec<bool> = self.0.iter().map(|locks| locks.reads(manifest)).collect();
        if reads.contains(&true) {
            let mut reads = reads.into_iter();
            self.0.retain(|_| reads.next() == Some(true));
        }
    }

    /// The newest that is left.
    pub(crate) fn newest(mut self) -> Locks {
        self.0.swap_remove(0)
    }
}

#[cfg(test)]
mod tests {
    use keepwell_crypt::{Sealer, wrap_for_recipient};
    use keepwell_format::keys::{KitPayload, Slot, SlotKind};
    use keepwell_format::manifest::{Outcome, SeqRanges};
    use keepwell_format::{Epoch, Manifest, SnapshotId};
    use keepwell_keys::{NewKeys, NewVault};
    use zeroize::Zeroizing;

    use super::*;
    use crate::fixture::body as body_of;

    const VAULT: VaultId = VaultId([1; 16]);

    fn keys() -> (NewKeys, KeyringBody) {
        let mut n = 100;
        let mut random = |bytes: &mut [u8]| {
            n += 1;
            bytes.fill(n);
        };
        let keys = NewKeys::make(&NewVault { test_vault: true, ..NewVault::new(VAULT) }, &mut random).unwrap();
        let body = open_keyring(&keys.slots, &keys.keyring, &keys.vault_key).unwrap();
        (keys, body)
    }

    fn copy(body: &KeyringBody) -> KeyringBody {
        KeyringBody::decode(&body.encode()).unwrap()
    }

    /// Locks that the clinic's papers open, with other keys behind them.
    fn forged(known: &Slots, number: u32, seed: [u8; 32], body: KeyringBody) -> (Vec<u8>, Vec<u8>) {
        let (epoch, key) = (Epoch(number), Secret::from_bytes([7; 32]));
        let payload = KitPayload { vault: VAULT, epoch, vault_key: Zeroizing::new([7; 32]) }.encode();
        let payload = wrap_for_recipient(&known.kit.recipient, &payload).unwrap();
        let verify_key = Signer::from_seed(&Secret::from_bytes(seed)).verify_key();
        let slots = Slots { epoch, verify_key, slots: vec![Slot { kind: SlotKind::Kit, payload }], ..known.clone() };
        let mut ring = Keyring { vault: VAULT, epoch, revision: 1, sealed: Vec::new() };
        ring.sealed = Sealer::new(&key, "keyring").seal(&ring.head(), &KeyringBody { signing_seed: Zeroizing::new(seed), ..body }.encode());
        (slots.encode(), ring.encode())
    }

    fn manifest(body: &KeyringBody, sequence: u64) -> Vec<u8> {
        let inside = body_of("records", Outcome::Complete);
        let (epoch, key) = body.epochs.last().unwrap();
        let (previous, needs) = (SnapshotId([0; 32]), SeqRanges::new());
        let mut manifest =
            Manifest { vault: VAULT, epoch: *epoch, sequence, previous, received: 0, needs, sealed: vec![], signature: [0; 64] };
        manifest.sealed = Sealer::new(&Secret::from_bytes(**key), "manifest").seal(&manifest.head(), &inside.encode());
        manifest.signature = Signer::from_seed(&Secret::from_bytes(*body.signing_seed)).sign(&manifest.signed());
        manifest.encode()
    }

    /// What is chosen of all locks, when these manifests come in this order.
    fn chosen(keys: &NewKeys, others: &[(Vec<u8>, Vec<u8>)], manifests: &[Vec<u8>]) -> KeyringBody {
        let slots: Vec<Vec<u8>> = others.iter().map(|(slots, _)| slots.clone()).chain([keys.slots.encode()]).collect();
        let rings: Vec<Vec<u8>> = others.iter().map(|(_, ring)| ring.clone()).chain([keys.keyring.encode()]).collect();
        let papers = [0, 2].map(|n: usize| KitFile::parse(&keys.kit[n].lines()).unwrap());
        let mut choice = Choice::of(VAULT, &papers, &slots, &rings).unwrap();
        manifests.iter().for_each(|manifest| choice.narrow(manifest));
        choice.newest().body
    }

    #[test]
    fn keys_that_somebody_else_sealed_to_the_papers_lock_nobody_out() {
        let (keys, own) = keys();
        let other = |number: u32| KeyringBody { epochs: (1..=number).map(|n| (Epoch(n), Zeroizing::new([6; 32]))).collect(), ..copy(&own) };
        let seed = *own.signing_seed;
        let others = [
            forged(&keys.slots, 2, [5; 32], other(2)),
            forged(&keys.slots, 3, seed, other(3)),
            forged(&keys.slots, u32::MAX, seed, other(2)),
        ];
        // What they sign later, their keys alone read.
        let late = manifest(&KeyringBody { signing_seed: Zeroizing::new(seed), ..other(3) }, 9);
        let found = chosen(&keys, &others, &[manifest(&own, 1), manifest(&own, 2), late.clone(), late]);
        assert!(*found.encode() == *own.encode());
    }

    #[test]
    fn a_newer_keyring_of_the_vault_is_taken_without_a_question() {
        let (keys, own) = keys();
        let mut newer = copy(&own);
        newer.epochs.push((Epoch(2), Zeroizing::new([9; 32])));
        let next = forged(&keys.slots, 2, *own.signing_seed, copy(&newer));
        let papers = [0, 1].map(|n: usize| KitFile::parse(&keys.kit[n].lines()).unwrap());
        let choice = Choice::of(VAULT, &papers, &[keys.slots.encode(), next.0], &[keys.keyring.encode(), next.1]).unwrap();
        assert!(choice.is_made());
        assert!(*choice.newest().body.encode() == *newer.encode());
    }
}
