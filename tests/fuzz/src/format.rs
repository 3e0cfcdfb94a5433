//! Parsers of `keepwell-format`.

use keepwell_format::codec::{Reader, Writer, varint_len};
use keepwell_format::keys::{Keyring, KeyringBody, KitPayload, PassphraseSlot, Slots, TpmSlot};
use keepwell_format::{
    BlobId, Directory, ExtentPage, Key, Manifest, ManifestBody, PackHeader, Page, Tombstone, TombstoneBody, Trailer, VaultId,
};

/// Primitives: each is read from the start of the bytes.
pub fn codec(data: &[u8]) {
    let reader = || Reader::new("fuzz", data);
    let mut varint = reader();
    if let Ok(value) = varint.varint() {
        let length = data.len() - varint.remaining();
        assert_eq!(length, varint_len(value));
        assert_eq!(Writer::new().varint(value).as_bytes(), &data[..length]);
    }
    if let Ok(value) = reader().zigzag() {
        assert!(data.starts_with(Writer::new().zigzag(value).as_bytes()));
    }
    if let Ok(value) = reader().time() {
        assert!(data.starts_with(Writer::new().time(value).as_bytes()));
    }
    if let Ok(value) = reader().text() {
        assert!(data.starts_with(Writer::new().text(&value).as_bytes()));
    }
    if let Ok(count) = reader().count(3) {
        assert!(count <= data.len() / 3);
    }
}

/// Ids as people write them.
pub fn id(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(id) = text.parse::<BlobId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<VaultId>() {
        assert_eq!(id.to_string(), text);
    }
}

/// Keys, encoded and as paths.
pub fn key(data: &[u8]) {
    if let Ok(key) = Key::from_bytes(data.to_vec()) {
        assert_eq!(key.as_bytes(), data);
        check_key(&key);
    }
    if let Ok(key) = Key::from_path(data) {
        check_key(&key);
    }
}

fn check_key(key: &Key) {
    assert_eq!(Key::from_path(&key.to_path()).as_ref(), Ok(key));
    assert_eq!(key.components().try_fold(Key::root(), |folder, name| folder.join(name)).as_ref(), Ok(key));
    assert!(key.components().all(|name| name != b".." && !name.contains(&b'/')), "{key} leaves its folder");
    if let Some(parent) = key.parent() {
        assert!(key.is_in(&parent) && parent < *key);
        assert_eq!(parent.join(key.name()).as_ref(), Ok(key));
    }
    assert!(!key.to_string().is_empty());
}

/// Header of a pack.
pub fn pack_header(data: &[u8]) {
    if let Ok(header) = PackHeader::decode(data) {
        assert_eq!(header.encode(), data);
    }
}

/// Directory of a pack.
pub fn directory(data: &[u8]) {
    if let Ok(directory) = Directory::decode(data) {
        let padding = data.len() - directory.encode(0).len();
        assert_eq!(directory.encode(padding), data);
        assert!(directory.positions().all(|(offset, entry)| offset + u64::from(entry.stored_len) <= directory.offset()));
    }
}

/// Trailer of a pack.
pub fn trailer(data: &[u8]) {
    if let Ok(trailer) = Trailer::decode(data) {
        assert_eq!(trailer.encode(), data);
    }
}

/// Page of the catalog.
pub fn page(data: &[u8]) {
    let page = Page::decode(data);
    let none = Page::decode_where(data, &mut |_| false);
    assert_eq!(none.as_ref().err(), page.as_ref().err(), "what nobody wants is checked all the same");
    if let Ok(page) = page {
        assert_eq!(page.encode().as_deref(), Ok(data));
    }
}

/// Page of an extent tree.
pub fn extent_page(data: &[u8]) {
    if let Ok(page) = ExtentPage::decode(data) {
        assert_eq!(page.encode(), data);
    }
}

/// Manifest of a snapshot.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::decode(data) {
        assert_eq!(manifest.encode(), data);
        assert!(data.starts_with(&manifest.head()));
    }
}

/// Its opened body.
pub fn manifest_body(data: &[u8]) {
    if let Ok(body) = ManifestBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
}

/// Tombstone of snapshots.
pub fn tombstone(data: &[u8]) {
    if let Ok(tombstone) = Tombstone::decode(data) {
        assert_eq!(tombstone.encode(), data);
        assert!(data.starts_with(&tombstone.head()));
        assert!(tombstone.gone.is_sorted_by(|a, b| a.snapshot < b.snapshot));
    }
}

/// Its opened body.
pub fn tombstone_body(data: &[u8]) {
    if let Ok(body) = TombstoneBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
}

/// Key slots.
pub fn slots(data: &[u8]) {
    if let Ok(slots) = Slots::decode(data) {
        assert_eq!(slots.encode(), data);
    }
}

/// Payload of a passphrase slot.
pub fn passphrase_slot(data: &[u8]) {
    if let Ok(slot) = PassphraseSlot::decode(data) {
        assert_eq!(slot.encode(), data);
        assert!(slot.m_kib <= 1 << 20 && slot.t <= 16 && slot.p <= 16, "a forged slot could eat the machine");
    }
}

/// The slot that a box opens.
pub fn tpm_slot(data: &[u8]) {
    if let Ok(slot) = TpmSlot::decode(data) {
        assert_eq!(slot.encode(), data);
    }
}

/// What the kit slot's age file holds.
pub fn kit_payload(data: &[u8]) {
    if let Ok(payload) = KitPayload::decode(data) {
        assert_eq!(*payload.encode(), data);
    }
}

/// Keyring.
pub fn keyring(data: &[u8]) {
    if let Ok(keyring) = Keyring::decode(data) {
        assert_eq!(keyring.encode(), data);
    }
}

/// Its opened body.
pub fn keyring_body(data: &[u8]) {
    if let Ok(body) = KeyringBody::decode(data) {
        assert_eq!(*body.encode(), data);
    }
}
