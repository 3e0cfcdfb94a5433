//! Tells a server that speaks SMB 1 only from one that is not there. Owns the only SMB 1 message that is ever sent; never goes on in SMB 1,
//! and never believes more of the answer than that there is one.

use std::time::Instant;

use crate::SmbError;
use crate::connection::socket::{Bounded, PREFIX, dial, read_frame, write_frame};
use crate::session::Server;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::header::PROTOCOL_SMB1;

/// SMB_COM_NEGOTIATE (MS-CIFS 2.2.4.52).
const NEGOTIATE: u8 = 0x72;
/// Paths in any case, in their canonical form (MS-CIFS 2.2.3.1).
const FLAGS: u8 = 0x18;
const FLAG_ANSWER: u8 = 0x80;
/// Unicode, NTSTATUS, extended security, long names (MS-SMB 2.2.3.1).
const FLAGS2: u16 = 0xC801;
/// The dialects offered: one, without any of SMB 2 (MS-SMB2 3.2.4.2.2.1).
const DIALECTS: &[u8] = b"\x02NT LM 0.12\0";
/// Words of an answer that takes NT LM 0.12 (MS-CIFS 2.2.4.52.2, MS-SMB 2.2.4.5.2).
const WORDS: u8 = 17;
/// Answers are a few hundred bytes long.
const LONGEST: usize = 64 << 10;

/// Whether a server that has hung up on a negotiation of SMB 2 takes one of SMB 1. Over a connection of its own; has an answer by the deadline.
pub(crate) fn is_spoken(server: &Server, deadline: Instant) -> bool {
    ask(server, deadline).unwrap_or(false)
}

fn ask(server: &Server, deadline: Instant) -> Result<bool, SmbError> {
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(SmbError::Timeout)?;
    let socket = dial(&server.host, server.port, left, left).map_err(|source| SmbError::Lost { source })?;
    write_frame(&socket, &mut request(), left)?;
    accepts(&read_frame(&mut Bounded { stream: &socket, deadline }, LONGEST)?)
}

/// The request, behind room for its length.
fn request() -> Vec<u8> {
    let mut frame = Writer::with_capacity(64);
    frame.bytes(&[0; PREFIX]).bytes(&PROTOCOL_SMB1).u8(NEGOTIATE).u32(0).u8(FLAGS).u16(FLAGS2).bytes(&[0; 12]);
    // Tree, process, user, multiplex (MS-CIFS 2.2.3.1).
    frame.u16(0xFFFF).u16(0xFEFF).u16(0).u16(0);
    frame.u8(0).u16(DIALECTS.len() as u16).bytes(DIALECTS);
    frame.finish()
}

fn accepts(answer: &[u8]) -> Result<bool, SmbError> {
    let mut reader = Reader::new(answer, "SMB1 answer");
    let is_smb1 = reader.array()? == PROTOCOL_SMB1;
    let command = reader.u8()?;
    let (status, flags) = (reader.u32()?, reader.u8()?);
    reader.skip(22)?;
    // The first and only dialect that was offered; FFFF is none.
    Ok(is_smb1 && command == NEGOTIATE && status == 0 && flags & FLAG_ANSWER != 0 && reader.u8()? == WORDS && reader.u16()? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_takes_the_dialect_counts() {
        let asked = request();
        assert_eq!((asked.len(), &asked[4..9], &asked[PREFIX + 32..PREFIX + 35]), (PREFIX + 35 + 12, &b"\xFFSMB\x72"[..], &[0, 12, 0][..]));
        let mut taken = asked[PREFIX..PREFIX + 32].to_vec();
        taken[9] |= FLAG_ANSWER;
        let answer = |words: &[u8]| accepts(&[&taken[..], words].concat());
        assert!(answer(&[17, 0, 0]).unwrap());
        assert!(!answer(&[1, 0xFF, 0xFF]).unwrap());
        assert!(!answer(&[17, 0xFF, 0xFF]).unwrap());
        assert!(answer(&[17, 0]).is_err() && accepts(&[]).is_err());
        assert!(!accepts(&[&asked[PREFIX..PREFIX + 32], &[17, 0, 0]].concat()).unwrap(), "a request is no answer");
        assert!(!accepts(&[0xFE; 64]).unwrap());
    }
}
