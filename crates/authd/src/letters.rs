//! Codes that people read on a screen and type: random letters and digits that are not mistaken for one another. Owns how one looks and how a typed one is read; keeps none.

use keepwell_api::Base64;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::world::{NoRandomness, World, random};

/// Crockford's base 32: five bits each.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// As many random letters.
pub(crate) fn make<const N: usize>(world: &dyn World) -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let bytes = Zeroizing::new(random::<N>(world)?);
    Ok(Zeroizing::new(bytes.map(|byte| LETTERS[usize::from(byte % 32)])))
}

/// As they are shown: in groups of so many.
pub(crate) fn shown(letters: &[u8], group: usize) -> Base64 {
    letters.chunks(group).collect::<Vec<_>>().join(&b'-').into()
}

/// What is kept of them.
pub(crate) fn hash(letters: &[u8]) -> Base64 {
    Sha256::digest(letters).to_vec().into()
}

/// The same of a code of `length` letters, however it was typed.
pub(crate) fn typed(typed: &[u8], length: usize) -> Base64 {
    let letter = |byte: &u8| match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let mut letters = Zeroizing::new(Vec::with_capacity(length + 1));
    letters.extend(typed.iter().filter(|byte| !b"- ".contains(byte)).take(length + 1).map(letter));
    hash(&letters)
}
