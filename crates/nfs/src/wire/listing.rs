//! Results of READDIR and READDIRPLUS (RFC 1813 sections 3.3.16 and 3.3.17). Names that no file can have never get out of here.

use super::{post_op, post_op_handle, status, verifier};
use crate::NfsError;
use crate::rpc::Procedure;
use crate::types::{Entry, Page};
use crate::xdr::{Reader, Result};

/// Longest name taken from a server; none has longer ones than 255 bytes.
const MAX_NAME: usize = 4096;

pub(crate) fn page(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Page> {
    list(reader, procedure, |_| Ok((None, None)))
}

pub(crate) fn page_plus(reader: &mut Reader<'_>, procedure: Procedure, _: u32) -> Result<Page> {
    list(reader, procedure, |reader| Ok((post_op(reader)?, post_op_handle(reader)?)))
}

type More = (Option<crate::Attributes>, Option<crate::Handle>);

fn list(reader: &mut Reader<'_>, procedure: Procedure, more: impl Fn(&mut Reader<'_>) -> Result<More>) -> Result<Page> {
    status(reader, procedure)?;
    let attributes = post_op(reader)?;
    let mut page = Page { entries: Vec::new(), verifier: verifier(reader)?, next: None, end: false, attributes, refused: 0 };
    while reader.bool()? {
        let (fileid, name, cookie) = (reader.u64()?, reader.opaque(MAX_NAME)?, reader.u64()?);
        let (attributes, handle) = more(reader)?;
        page.next = Some(cookie);
        if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            page.refused += 1;
        } else if name != b"." && name != b".." {
            page.entries.push(Entry { name: name.into(), fileid, cookie, attributes, handle });
        }
    }
    page.end = reader.bool()?;
    if !page.end && page.next.is_none() {
        return Err(NfsError::Malformed("a listing that neither ends nor goes on"));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{READDIRPLUS, attributes::tests::sample};
    use super::*;
    use crate::xdr::Writer;

    fn answer(names: &[&[u8]], end: bool) -> Bytes {
        let mut out = Writer::new();
        out.u32(0).bool(false).fixed(&[7; 8]);
        for (number, name) in names.iter().enumerate() {
            out.bool(true).u64(99).opaque(name).u64(number as u64).bool(true).fixed(&sample(1)).bool(true).opaque(&[1; 64]);
        }
        out.bool(false).bool(end);
        out.into_bytes().into()
    }

    fn read(answer: &Bytes) -> Result<Page> {
        page_plus(&mut Reader::new(answer), READDIRPLUS, 0)
    }

    #[test]
    fn names_that_no_file_can_have_are_left_out_and_counted() {
        let names: [&[u8]; 8] = [b".", b"..", b"../x", b"/etc/passwd", b"", b"a\0b", b"...", b"\xff"];
        let page = read(&answer(&names, false)).unwrap();
        assert_eq!(page.entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), [&b"..."[..], b"\xff"]);
        assert_eq!((page.refused, page.next, page.end, page.verifier.0), (4, Some(7), false, [7; 8]));
        assert_eq!(page.entries[0].handle.as_ref().unwrap().as_bytes(), [1; 64]);
        assert_eq!(page.entries[0].attributes.unwrap().fileid, 10);
    }

    #[test]
    fn what_is_cut_off_or_gets_nowhere_is_malformed() {
        let whole = answer(&[b"a", b"b"], true);
        assert!(read(&whole).unwrap().end);
        for length in 0..whole.len() {
            assert!(matches!(read(&whole.slice(..length)), Err(NfsError::Malformed(_))), "{length}");
        }
        assert!(read(&answer(&[], true)).unwrap().entries.is_empty());
        assert!(matches!(read(&answer(&[], false)), Err(NfsError::Malformed(_))));
        assert!(matches!(read(&answer(&[&[b'n'; 4097]], true)), Err(NfsError::Malformed(_))));
    }
}
