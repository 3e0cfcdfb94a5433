//! The header of every message (MS-SMB2 2.2.1). Owns its layout and the split of compounds; never looks into a body.

use crate::wire::Command;
use crate::wire::cursor::{Reader, Writer};
use crate::{NtStatus, SmbError};

/// Length of a header, bytes.
pub(crate) const LENGTH: usize = 64;
/// Where the signature is.
pub(crate) const SIGNATURE: std::ops::Range<usize> = 48..64;
/// Where the flags are.
pub(crate) const FLAGS: std::ops::Range<usize> = 16..20;
/// Where the message id is.
pub(crate) const MESSAGE_ID: std::ops::Range<usize> = 24..32;

/// First bytes of a message.
pub(crate) const PROTOCOL: [u8; 4] = *b"\xFESMB";
/// First bytes of an SMB1 message.
pub(crate) const PROTOCOL_SMB1: [u8; 4] = *b"\xFFSMB";

pub(crate) const FLAG_ANSWER: u32 = 0x1;
pub(crate) const FLAG_ASYNC: u32 = 0x2;
pub(crate) const FLAG_RELATED: u32 = 0x4;
pub(crate) const FLAG_SIGNED: u32 = 0x8;

/// More messages in one compound than any server of ours sends.
const MAX_COMPOUND: usize = 256;

/// The header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnswerHeader {
    pub(crate) status: NtStatus,
    pub(crate) command: u16,
    /// Credits granted.
    pub(crate) credits: u16,
    pub(crate) flags: u32,
    pub(crate) message_id: u64,
    /// Zero in an asynchronous answer.
    pub(crate) tree_id: u32,
    pub(crate) session_id: u64,
    /// Distance to the next header of the compound, zero in the last.
    next: u32,
}

impl AnswerHeader {
    pub(crate) fn read(message: &[u8]) -> Result<Self, SmbError> {
        let mut reader = Reader::new(message, "header");
        match reader.array()? {
            PROTOCOL => reader.structure(64)?,
            PROTOCOL_SMB1 => return Err(SmbError::OnlySmb1),
            _ => return Err(reader.malformed()),
        }
        reader.skip(2)?;
        let status = NtStatus(reader.u32()?);
        let (command, credits) = (reader.u16()?, reader.u16()?);
        let (flags, next, message_id) = (reader.u32()?, reader.u32()?, reader.u64()?);
        let process_and_tree = reader.u64()?;
        let session_id = reader.u64()?;
        reader.skip(16)?;
        let tree_id = if flags & FLAG_ASYNC == 0 { (process_and_tree >> 32) as u32 } else { 0 };
        Ok(Self { status, command, credits, flags, message_id, tree_id, session_id, next })
    }

    /// Whether it comes from a server. Only to be asked once it is known to be authentic.
    pub(crate) fn is_answer(&self) -> bool {
        self.flags & FLAG_ANSWER != 0
    }

    /// Whether the real answer comes later (MS-SMB2 3.2.5.1.5).
    pub(crate) fn is_interim(&self) -> bool {
        self.status == NtStatus::PENDING && self.flags & FLAG_ASYNC != 0
    }

    /// Whether it answers nothing: a note that an oplock was broken (MS-SMB2 2.2.23). None is ever asked for here.
    pub(crate) fn is_unsolicited(&self) -> bool {
        self.message_id == u64::MAX && self.command == Command::OplockBreak as u16
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.flags & FLAG_SIGNED != 0
    }
}

/// The messages of a compound: each header, and where its message (padding included) is in `bytes`.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<(AnswerHeader, std::ops::Range<usize>)>, SmbError> {
    let mut messages = Vec::with_capacity(1);
    let mut start = 0;
    loop {
        let rest = bytes.get(start..).ok_or(SmbError::Malformed { what: "compound" })?;
        let header = AnswerHeader::read(rest)?;
        let length = header.next as usize;
        if length == 0 {
            messages.push((header, start..bytes.len()));
            return Ok(messages);
        }
        if length < LENGTH || !length.is_multiple_of(8) || length >= rest.len() || messages.len() == MAX_COMPOUND {
            return Err(SmbError::Malformed { what: "compound" });
        }
        messages.push((header, start..start + length));
        start += length;
    }
}

/// The header of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestHeader {
    pub(crate) command: Command,
    pub(crate) charge: u16,
    /// Credits asked for.
    pub(crate) credits: u16,
    pub(crate) flags: u32,
    pub(crate) message_id: u64,
    pub(crate) tree_id: u32,
    pub(crate) session_id: u64,
    /// Distance to the next header of the compound, zero in the last.
    pub(crate) next: u32,
}

impl RequestHeader {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.bytes(&PROTOCOL).u16(64).u16(self.charge).u32(0);
        to.u16(self.command as u16).u16(self.credits).u32(self.flags).u32(self.next).u64(self.message_id);
        to.u32(0).u32(self.tree_id).u64(self.session_id).bytes(&[0; 16]);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer, for tests.
    pub(crate) fn answer(command: u16, status: NtStatus, flags: u32, message_id: u64, session_id: u64, credits: u16) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(&PROTOCOL).u16(64).u16(1).u32(status.0).u16(command).u16(credits).u32(flags | FLAG_ANSWER).u32(0).u64(message_id);
        writer.u32(0).u32(7).u64(session_id).bytes(&[0; 16]);
        writer.finish()
    }

    #[test]
    fn a_compound_is_split_and_a_bad_one_refused() {
        let mut first = answer(5, NtStatus::SUCCESS, 0, 3, 9, 1);
        first.extend([1; 8]);
        let length = first.len();
        first[20..24].copy_from_slice(&(length as u32).to_le_bytes());
        let mut both = first.clone();
        both.extend(answer(6, NtStatus::PENDING, FLAG_ASYNC, 4, 9, 1));
        let messages = split(&both).unwrap();
        assert_eq!(messages.iter().map(|(header, _)| header.message_id).collect::<Vec<_>>(), [3, 4]);
        assert_eq!((messages[0].1.clone(), messages[0].0.tree_id), (0..72, 7));
        assert!(messages[1].0.is_interim());
        for next in [1_u32, 63, 68, 136, 4096, u32::MAX] {
            both[20..24].copy_from_slice(&next.to_le_bytes());
            assert!(split(&both).is_err(), "{next}");
        }
        assert!(split(&first).is_err(), "the second is missing");
        assert!(split(&both[..63]).is_err());
        both[16] = 0;
        assert!(!AnswerHeader::read(&both).unwrap().is_answer(), "a request is no answer");
        both[0] = 0xFF;
        assert!(matches!(split(&both), Err(SmbError::OnlySmb1)));
    }
}
