//! The header of an encrypted message (MS-SMB2 2.2.41). Owns its layout; never a key.

use std::ops::Range;

use crate::SmbError;
use crate::wire::cursor::Reader;

/// Length of the header, bytes.
pub(crate) const LENGTH: usize = 52;
/// First bytes of an encrypted message.
pub(crate) const PROTOCOL: [u8; 4] = *b"\xFDSMB";
/// Where the authentication tag is.
pub(crate) const TAG: Range<usize> = 4..20;
/// Where the nonce is; ciphers use its first 11 or 12 bytes.
pub(crate) const NONCE: Range<usize> = 20..36;
/// What the tag covers besides the message.
pub(crate) const AUTHENTICATED: Range<usize> = 20..52;

/// The only value of Flags (or EncryptionAlgorithm): encrypted.
const ENCRYPTED: u16 = 1;

/// Fills in the header of `frame`, which is a header's room followed by the message. The tag is left for the cipher.
pub(crate) fn write(frame: &mut [u8], nonce: &[u8; 16], session_id: u64) {
    let size = u32::try_from(frame.len() - LENGTH).expect("a frame is shorter than 16 MiB");
    frame[..4].copy_from_slice(&PROTOCOL);
    frame[NONCE].copy_from_slice(nonce);
    frame[36..40].copy_from_slice(&size.to_le_bytes());
    frame[40..42].fill(0);
    frame[42..44].copy_from_slice(&ENCRYPTED.to_le_bytes());
    frame[44..52].copy_from_slice(&session_id.to_le_bytes());
}

/// Checks the header of `frame` against what follows it, and gives the session id.
pub(crate) fn read(frame: &[u8]) -> Result<u64, SmbError> {
    let mut reader = Reader::new(frame, "encrypted message");
    if reader.array()? != PROTOCOL {
        return Err(reader.malformed());
    }
    reader.skip(32)?;
    let size = reader.u32()? as usize;
    reader.skip(2)?;
    let flags = reader.u16()?;
    let session_id = reader.u64()?;
    if size != reader.remaining() || flags != ENCRYPTED { Err(reader.malformed()) } else { Ok(session_id) }
}
