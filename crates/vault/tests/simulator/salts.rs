//! No two different messages share a key: the salts of all frames that any run ever wrote, over crashes and copies.

use std::collections::HashMap;

use keepwell_vault::Vault;

/// Salts seen, with a hash of the frame they came with.
#[derive(Default)]
pub(crate) struct Salts(HashMap<[u8; 32], blake3::Hash>);

impl Salts {
    /// Takes in all frames of a vault; answers what is wrong.
    pub(crate) fn collect(&mut self, vault: &Vault) -> Option<String> {
        let mut wrong = None;
        let seen = vault.for_each_frame(&mut |frame| {
            let salt: [u8; 32] = frame[..32].try_into().expect("a frame begins with its salt");
            let hash = blake3::hash(frame);
            if *self.0.entry(salt).or_insert(hash) != hash {
                wrong = Some("two different frames share a salt".to_owned());
            }
        });
        wrong.or_else(|| seen.err().map(|error| format!("frames can't be read: {error}")))
    }
}
