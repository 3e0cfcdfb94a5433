//! One function for every parser of bytes that others may have written: disks, paper, file servers, a person's keyboard.
//!
//! A target takes any bytes and must not panic, hang or take memory without bound. Where the parser accepts them, it also asserts that
//! the value has this one encoding. Coverage-guided fuzzing (`fuzz_targets`) and the replay of the corpus (`tests/replay.rs`) share these.

mod audit;
mod authd;
mod crypt;
mod diskd;
mod format;
mod ingest;
mod keyd;
mod server;
mod source;
mod storage;
mod wire;

pub use audit::{ledger_file, ledger_record};
pub use authd::passkey;
pub use crypt::{SEED, kit_file, kit_slot, kit_words, sealed};
pub use diskd::{box_label, smart};
pub use format::{
    codec, directory, extent_page, id, key, keyring, keyring_body, kit_payload, manifest, manifest_body, pack_header, page,
    passphrase_slot, slots, tombstone, tombstone_body, tpm_slot, trailer,
};
pub use ingest::ingest_frames;
pub use keyd::signed_policies;
pub use server::{
    nfs_records, nfs_reply, nfs_results, smb_bodies, smb_frame, smb_information, smb_listing, smb_names, smb_negotiate, smb_session,
    smb_spnego,
};
pub use source::{as_of, nfs_url, smb_url};
pub use storage::{disk_label, shard_header, shard_name};
pub use wire::{challenge, challenged, survey, wire_invitation, wire_message};

/// A parser under test.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also its folder in `corpus` and its program in `fuzz_targets`. Add new ones here.
pub const TARGETS: &[(&str, Target)] = &[
    ("as_of", as_of),
    ("box_label", box_label),
    ("codec", codec),
    ("directory", directory),
    ("disk_label", disk_label),
    ("extent_page", extent_page),
    ("id", id),
    ("ingest_frames", ingest_frames),
    ("key", key),
    ("keyring", keyring),
    ("keyring_body", keyring_body),
    ("kit_file", kit_file),
    ("kit_payload", kit_payload),
    ("kit_slot", kit_slot),
    ("kit_words", kit_words),
    ("ledger_file", ledger_file),
    ("ledger_record", ledger_record),
    ("manifest", manifest),
    ("manifest_body", manifest_body),
    ("nfs_records", nfs_records),
    ("nfs_reply", nfs_reply),
    ("nfs_results", nfs_results),
    ("nfs_url", nfs_url),
    ("pack_header", pack_header),
    ("page", page),
    ("passkey", passkey),
    ("passphrase_slot", passphrase_slot),
    ("sealed", sealed),
    ("shard_header", shard_header),
    ("shard_name", shard_name),
    ("signed_policies", signed_policies),
    ("slots", slots),
    ("smart", smart),
    ("smb_bodies", smb_bodies),
    ("smb_frame", smb_frame),
    ("smb_information", smb_information),
    ("smb_listing", smb_listing),
    ("smb_names", smb_names),
    ("smb_negotiate", smb_negotiate),
    ("smb_session", smb_session),
    ("smb_spnego", smb_spnego),
    ("smb_url", smb_url),
    ("tombstone", tombstone),
    ("tombstone_body", tombstone_body),
    ("tpm_slot", tpm_slot),
    ("trailer", trailer),
    ("wire_invitation", wire_invitation),
    ("wire_message", wire_message),
];

/// Input for parsers of text. What is no UTF-8 is no input.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
