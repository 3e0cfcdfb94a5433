//! TREE_CONNECT (MS-SMB2 2.2.9, 2.2.10). Owns its layout; never decides what a share is good for.

use crate::SmbError;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::header;

const SHARE_FLAG_DFS: u32 = 0x1;
const SHARE_FLAG_DFS_ROOT: u32 = 0x2;
const SHARE_FLAG_ENCRYPT: u32 = 0x8000;
const CAPABILITY_DFS: u32 = 0x8;

pub(crate) fn request(host: &str, share: &str) -> Result<Vec<u8>, SmbError> {
    let path: Vec<u16> = format!(r"\\{host}\{share}").encode_utf16().collect();
    let length = u16::try_from(path.len() * 2).map_err(|_| SmbError::Config { what: "the share's name is too long" })?;
    let mut body = Writer::new();
    body.u16(9).u16(0).u16((header::LENGTH + 8) as u16).u16(length).units(path);
    Ok(body.finish())
}

/// What the server said of a share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) is_dfs: bool,
    /// The server wants everything about this share encrypted.
    pub(crate) must_encrypt: bool,
    pub(crate) maximal_access: u32,
}

impl Reply {
    pub(crate) fn read(body: &[u8]) -> Result<Self, SmbError> {
        let mut reader = Reader::new(body, "tree connect answer");
        reader.structure(16)?;
        reader.skip(2)?;
        let (flags, capabilities, maximal_access) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let is_dfs = flags & (SHARE_FLAG_DFS | SHARE_FLAG_DFS_ROOT) != 0 || capabilities & CAPABILITY_DFS != 0;
        Ok(Self { is_dfs, must_encrypt: flags & SHARE_FLAG_ENCRYPT != 0, maximal_access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_named_and_described() {
        let body = request("nas", "ä").unwrap();
        assert_eq!(body[4..8], [72, 0, 14, 0]);
        assert_eq!(body[body.len() - 4..], [b'\\', 0, 0xE4, 0]);
        assert!(request("nas", &"x".repeat(40_000)).is_err());
        for (flags, capabilities, dfs, encrypt) in [(0, 0, false, false), (0x8000, 8, true, true), (2, 0, true, false)] {
            let mut answer = Writer::new();
            answer.u16(16).u16(1).u32(flags).u32(capabilities).u32(0x1F_01FF);
            let answer = answer.finish();
            let reply = Reply::read(&answer).unwrap();
            assert_eq!((reply.is_dfs, reply.must_encrypt, reply.maximal_access), (dfs, encrypt, 0x1F_01FF));
            assert!(Reply::read(&answer[1..]).is_err());
        }
    }
}
