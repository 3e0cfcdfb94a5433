//! Ascending keys, each written as what it does not share with the one before.

use crate::codec::{Reader, Writer};
use crate::{FormatError, Key};

/// Reads the key after `previous`; none is before the first.
pub(super) fn read(reader: &mut Reader<'_>, previous: Option<&Key>) -> Result<Key, FormatError> {
    let before = previous.map_or(&[][..], Key::as_bytes);
    let (shared, rest) = (reader.varint()?, reader.bytes()?);
    let kept = usize::try_from(shared).ok().and_then(|shared| before.get(..shared));
    let kept = kept.ok_or(reader.invalid("a key shares more than there is"))?;
    if previous.is_some() {
        // The first byte that differs must be greater: that is both ascending order and the longest shared part.
        let ascends = rest.first().is_some_and(|first| before.get(kept.len()).is_none_or(|old| first > old));
        reader.check(ascends, "keys do not ascend, or share more than they say")?;
    }
    reader.check(kept.len() + rest.len() <= Key::MAX_LEN, "a key is too long")?;
    Key::from_bytes([kept, rest].concat()).map_err(|_| reader.invalid("a key has a bad component"))
}

/// Writes `key` after `previous`.
pub(super) fn write(out: &mut Writer, previous: &[u8], key: &[u8]) {
    let shared = previous.iter().zip(key).take_while(|(a, b)| a == b).count();
    out.count(shared).bytes(&key[shared..]);
}
