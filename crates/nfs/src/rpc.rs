//! Calls and replies of ONC RPC version 2 (RFC 5531 section 9), with AUTH_NONE or AUTH_SYS (appendix A).

use bytes::Bytes;

use crate::NfsError;
use crate::xdr::{Reader, Result, Writer};

const CALL: u32 = 0;
const REPLY: u32 = 1;
const VERSION: u32 = 2;
const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;
/// Longest body of credentials and verifiers (RFC 5531 section 8.2).
const MAX_AUTH: usize = 400;

/// A procedure of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Procedure {
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) number: u32,
    /// For people.
    pub(crate) name: &'static str,
}

/// The bytes of a credential, as they stand in a call.
#[derive(Debug, Clone)]
pub(crate) struct Credential(Vec<u8>);

impl Credential {
    pub(crate) fn none() -> Self {
        let mut out = Writer::new();
        out.u32(AUTH_NONE).opaque(&[]);
        Self(out.into_bytes())
    }

    /// At most 16 groups are sent.
    pub(crate) fn system(machine: &str, uid: u32, gid: u32, groups: &[u32]) -> Self {
        let groups = &groups[..groups.len().min(16)];
        let mut body = Writer::new();
        body.u32(0).opaque(&machine.as_bytes()[..machine.len().min(255)]).u32(uid).u32(gid).length(groups.len());
        groups.iter().for_each(|group| {
            body.u32(*group);
        });
        let mut out = Writer::new();
        out.u32(AUTH_SYS).opaque(&body.into_bytes());
        Self(out.into_bytes())
    }
}

/// The header of a call; its arguments follow.
pub(crate) fn call(xid: u32, procedure: Procedure, credential: &Credential) -> Writer {
    let mut out = Writer::new();
    out.u32(xid).u32(CALL).u32(VERSION).u32(procedure.program).u32(procedure.version).u32(procedure.number);
    out.fixed(&credential.0).u32(AUTH_NONE).opaque(&[]);
    out
}

/// The id of a reply; none if it is too short to have one.
pub(crate) fn xid(record: &Bytes) -> Option<u32> {
    record.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Reads a reply's header up to its results.
pub(crate) fn results<'a>(record: &'a Bytes, procedure: Procedure) -> Result<Reader<'a>> {
    let mut reader = Reader::new(record);
    reader.u32()?;
    if reader.u32()? != REPLY {
        return Err(NfsError::Malformed("a call instead of a reply"));
    }
    match reader.u32()? {
        0 => accepted(reader, procedure),
        1 => Err(denied(&mut reader)?),
        _ => Err(NfsError::Malformed("an unknown kind of reply")),
    }
}

fn accepted<'a>(mut reader: Reader<'a>, procedure: Procedure) -> Result<Reader<'a>> {
    reader.u32()?;
    reader.opaque(MAX_AUTH)?;
    match reader.u32()? {
        0 => Ok(reader),
        1..=3 => Err(NfsError::NotOffered(procedure.name)),
        4 => Err(NfsError::Server("it could not read the call")),
        5 => Err(NfsError::Server("out of memory or similar")),
        _ => Err(NfsError::Malformed("an unknown kind of answer")),
    }
}

fn denied(reader: &mut Reader<'_>) -> Result<NfsError> {
    Ok(match reader.u32()? {
        0 => NfsError::NotOffered("version 2 of RPC"),
        1 => NfsError::Refused(reader.u32()?),
        _ => NfsError::Malformed("an unknown kind of denial"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: Procedure = Procedure { program: 100_003, version: 3, number: 0, name: "NFS version 3" };

    fn reply(words: &[u32]) -> Bytes {
        words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>().into()
    }

    #[test]
    fn calls_have_the_bytes_of_the_standard() {
        let out = call(9, NULL, &Credential::system("abcde", 1, 2, &[3; 20])).into_bytes();
        let words: Vec<u32> = out.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words[..8], [9, 0, 2, 100_003, 3, 0, 1, 4 + 4 + 8 + 4 + 4 + 4 + 64]);
        assert_eq!(words[8..10], [0, 5]);
        assert_eq!(words[12..15], [1, 2, 16]);
        assert_eq!(words[31..], [0, 0]);
    }

    #[test]
    fn replies_are_told_apart() {
        let results = |words: &[u32]| results(&reply(words), NULL).map(|reader| reader.remaining());
        assert_eq!(results(&[9, 1, 0, 0, 0, 0, 77]).unwrap(), 4);
        assert!(matches!(results(&[9, 1, 0, 0, 0, 1]), Err(NfsError::NotOffered(_))));
        assert!(matches!(results(&[9, 1, 0, 0, 0, 4]), Err(NfsError::Server(_))));
        assert!(matches!(results(&[9, 1, 1, 1, 5]), Err(NfsError::Refused(5))));
        for bad in [&[9][..], &[9, 0], &[9, 1, 2], &[9, 1, 0, 0, 401], &[9, 1, 0, 0, 0, 9], &[9, 1, 1, 7]] {
            assert!(matches!(results(bad), Err(NfsError::Malformed(_))), "{bad:?}");
        }
    }
}
