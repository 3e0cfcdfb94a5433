//! What came of objects before a line was cut (`docs/wire.md` 5).

use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};

use crate::Class;

/// Most beginnings in an answer.
pub const MAX_UPLOADS: usize = 1024;

const WHAT: &str = "list of uploads";

/// The beginning of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    /// What the object is.
    pub class: Class,
    /// Its id.
    pub id: [u8; 32],
    /// Bytes of it that are there.
    pub here: u64,
}

/// The bytes of a list of beginnings, by ascending class and id and at most [`MAX_UPLOADS`].
pub fn encode_uploads(uploads: &[Upload]) -> Vec<u8> {
    let mut out = Writer::with_capacity(8 + 41 * uploads.len());
    out.count(uploads.len());
    for one in uploads {
        out.u8(one.class as u8).raw(&one.id).u64(one.here);
    }
    out.into_bytes()
}

/// Parses them.
pub fn decode_uploads(bytes: &[u8]) -> Result<Vec<Upload>, FormatError> {
    let mut reader = Reader::new(WHAT, bytes);
    let count = reader.count(41)?;
    reader.check(count <= MAX_UPLOADS, "too many uploads")?;
    let upload = |reader: &mut Reader<'_>| Ok(Upload { class: Class::read(reader)?, id: reader.array()?, here: reader.u64()? });
    let uploads: Vec<Upload> = (0..count).map(|_| upload(&mut reader)).collect::<Result<_, FormatError>>()?;
    reader.check(uploads.is_sorted_by(|a, b| (a.class, a.id) < (b.class, b.id)), "uploads do not ascend")?;
    reader.finish()?;
    Ok(uploads)
}
