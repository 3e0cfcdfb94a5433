//! Ascending keys, each written as what it does not share with the one before.

use crate::codec::{Reader, Writer};
use crate::{FormatError, Key};

/// Reads the key after this one in its place; the root stands before the first.
pub(super) fn read(reader: &mut Reader<'_>, key: &mut Key, is_first: bool) -> Result<(), FormatError> {
    let (shared, rest) = (reader.varint()?, reader.bytes()?);
    let before = key.as_bytes();
    let kept = usize::try_from(shared).ok().filter(|shared| *shared <= before.len());
    let kept = kept.ok_or(reader.invalid("a key shares more than there is"))?;
    if !is_first {
        // The first byte that differs must be greater: that is both ascending order and the longest shared part.
        let ascends = rest.first().is_some_and(|first| before.get(kept).is_none_or(|old| first > old));
        reader.check(ascends, "keys do not ascend, or share more than they say")?;
    }
    reader.check(kept + rest.len() <= Key::MAX_LEN, "a key is too long")?;
    key.replace_end(kept, rest).map_err(|_| reader.invalid("a key has a bad component"))
}

/// Writes `key` after `previous`.
pub(super) fn write(out: &mut Writer, previous: &[u8], key: &[u8]) {
    let shared = previous.iter().zip(key).take_while(|(a, b)| a == b).count();
    out.count(shared).bytes(&key[shared..]);
}
