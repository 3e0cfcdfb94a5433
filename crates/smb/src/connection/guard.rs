//! Lets in only what is protected as agreed (MS-SMB2 3.2.5.1.1 to 3.2.5.1.3). Owns the checks of received frames; never delivers one.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::{Opener, Signer};
use crate::wire::header::{self, AnswerHeader};
use crate::wire::transform;
use crate::{NtStatus, SmbError};

/// Checks what comes in on one session.
pub(super) struct Guard {
    pub(super) session_id: u64,
    pub(super) protection: Inbound,
}

/// How answers must be protected.
pub(super) enum Inbound {
    Sealed(Opener),
    Signed(Arc<Signer>),
}

impl Guard {
    /// The answers in `frame`: header, and body without header. Every error ends the connection.
    pub(super) fn admit(&self, mut frame: Vec<u8>) -> Result<Vec<(AnswerHeader, Bytes)>, SmbError> {
        let start = match &self.protection {
            _ if !frame.starts_with(&transform::PROTOCOL) => 0,
            Inbound::Sealed(opener) => {
                opener.open(&mut frame)?;
                transform::LENGTH
            }
            Inbound::Signed(_) => return Err(SmbError::Broken { what: "encrypted without agreement" }),
        };
        let mut messages = header::split(&frame[start..]).map_err(SmbError::fatal)?;
        messages.retain(|(header, _)| !header.is_unsolicited());
        for (header, range) in &messages {
            self.check(header, &mut frame[start..][range.clone()], start > 0)?;
        }
        let frame = Bytes::from(frame).slice(start..);
        Ok(messages.into_iter().map(|(header, range)| (header, frame.slice(range.start + header::LENGTH..range.end))).collect())
    }

    fn check(&self, header: &AnswerHeader, message: &mut [u8], sealed: bool) -> Result<(), SmbError> {
        match &self.protection {
            // Sealed answers need no signature.
            Inbound::Sealed(_) if sealed => {}
            // A server that has forgotten the session has no key any more.
            _ if !header.is_signed() && header.status == NtStatus::USER_SESSION_DELETED => {}
            // Interim answers may come unsigned; they only grant credits.
            Inbound::Signed(_) if header.is_interim() && !header.is_signed() => {}
            Inbound::Signed(signer) if header.is_signed() && signer.verify(message) => {}
            _ => return Err(SmbError::Signature),
        }
        let over = match header.status {
            NtStatus::NETWORK_SESSION_EXPIRED | NtStatus::USER_SESSION_DELETED => "the server has ended the session",
            NtStatus::NETWORK_NAME_DELETED => "the server has closed the share",
            _ if !header.is_answer() => return Err(SmbError::Broken { what: "a request" }),
            _ if header.session_id != self.session_id => return Err(SmbError::Broken { what: "answer for another session" }),
            _ => return Ok(()),
        };
        Err(SmbError::Lost { source: io::Error::new(io::ErrorKind::ConnectionAborted, over) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Sealer;
    use crate::wire::header::{FLAG_ASYNC, tests::answer};
    use crate::{Cipher, Signing};

    const SESSION: u64 = 77;

    fn plain(status: NtStatus, flags: u32, id: u64) -> Vec<u8> {
        let mut message = answer(8, status, flags, id, SESSION, 1);
        message.extend(b"the body");
        message
    }

    fn sealed(message: &[u8], session: u64) -> Vec<u8> {
        let mut frame = [&[0; transform::LENGTH], message].concat();
        Sealer::new(Cipher::Aes128Gcm, &[1; 16], session).seal(&mut frame);
        frame
    }

    #[test]
    fn sealed_means_sealed() {
        let guard = Guard { session_id: SESSION, protection: Inbound::Sealed(Opener::new(Cipher::Aes128Gcm, &[1; 16], SESSION)) };
        let message = plain(NtStatus::SUCCESS, 0, 4);
        let admitted = guard.admit(sealed(&message, SESSION)).unwrap();
        assert_eq!((admitted[0].0.message_id, &admitted[0].1[..]), (4, b"the body".as_slice()));
        assert!(matches!(guard.admit(sealed(&message, 78)), Err(SmbError::Signature)));
        let mut signed = message.clone();
        Signer::new(Signing::AesGmac, &[1; 16]).sign(&mut signed);
        for bare in [message.clone(), signed, plain(NtStatus::PENDING, FLAG_ASYNC, 4)] {
            assert!(matches!(guard.admit(bare), Err(SmbError::Signature)));
        }
        let expired = plain(NtStatus::NETWORK_SESSION_EXPIRED, 0, 4);
        assert!(matches!(guard.admit(sealed(&expired, SESSION)), Err(SmbError::Lost { .. })));
        assert!(matches!(guard.admit(sealed(&answer(8, NtStatus::SUCCESS, 0, 4, 5, 1), SESSION)), Err(SmbError::Broken { .. })));
    }

    #[test]
    fn signed_means_signed() {
        let signer = Arc::new(Signer::new(Signing::AesCmac, &[1; 16]));
        let guard = Guard { session_id: SESSION, protection: Inbound::Signed(signer.clone()) };
        let mut message = plain(NtStatus::SUCCESS, 0, 4);
        assert!(matches!(guard.admit(message.clone()), Err(SmbError::Signature)));
        signer.sign(&mut message);
        assert_eq!(guard.admit(message.clone()).unwrap()[0].1, b"the body".as_slice());
        *message.last_mut().unwrap() ^= 1;
        assert!(matches!(guard.admit(message), Err(SmbError::Signature)));
        assert!(guard.admit(plain(NtStatus::PENDING, FLAG_ASYNC, 4)).unwrap()[0].0.is_interim());
        assert!(matches!(guard.admit(sealed(&plain(NtStatus::SUCCESS, 0, 4), SESSION)), Err(SmbError::Broken { .. })));
        assert!(guard.admit(answer(18, NtStatus::SUCCESS, 0, u64::MAX, 0, 0)).unwrap().is_empty(), "an oplock break");
        assert!(guard.admit(Vec::new()).is_err());
        let mut mirrored = plain(NtStatus::SUCCESS, 0, 4);
        mirrored[header::FLAGS].fill(0);
        assert!(matches!(guard.admit(mirrored.clone()), Err(SmbError::Signature)));
        signer.sign(&mut mirrored);
        assert!(matches!(guard.admit(mirrored), Err(SmbError::Broken { .. })), "our own request, sent back");
    }
}
