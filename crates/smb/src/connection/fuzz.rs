//! Foreign bytes on the whole way of a received frame, for fuzzing. Owns nothing that the product uses.

use std::sync::Arc;
use std::time::Instant;

use super::exchange::Slot;
use super::guard::{Guard, Inbound};
use super::ledger::Ledger;
use super::socket;
use crate::crypto::{Opener, Sealer, Signer};
use crate::wire::{header, transform};
use crate::{Cipher, Signing};

const SESSION: u64 = 1;
const KEY: [u8; 16] = [0; 16];
/// The commands of one request each, under way when the frame comes.
const UNDER_WAY: [(u16, u16); 6] = [(13, 1), (5, 1), (16, 1), (8, 4), (6, 1), (14, 1)];

/// As they come, sealed rightly, and signed rightly: past each protection too.
pub(crate) fn frame(bytes: &[u8]) {
    let _ = socket::read_frame(&mut &*bytes, 1 << 16);
    let signer = Arc::new(Signer::new(Signing::AesGmac, &KEY));
    let signing = Guard { session_id: SESSION, protection: Inbound::Signed(signer.clone()) };
    let sealing = Guard { session_id: SESSION, protection: Inbound::Sealed(Opener::new(Cipher::Aes128Gcm, &KEY, SESSION)) };
    take_in(&signing, bytes.to_vec());
    take_in(&sealing, bytes.to_vec());
    let mut sealed = [&[0; transform::LENGTH], bytes].concat();
    Sealer::new(Cipher::Aes128Gcm, &KEY, SESSION).seal(&mut sealed);
    take_in(&sealing, sealed);
    let mut signed = bytes.to_vec();
    for (_, range) in header::split(bytes).unwrap_or_default() {
        signer.sign(&mut signed[range]);
    }
    take_in(&signing, signed);
}

fn take_in(guard: &Guard, frame: Vec<u8>) {
    let (ledger, slot) = (Ledger::new(0, 64), Slot::new(UNDER_WAY.len()));
    ledger.reserve(&UNDER_WAY, &slot, Instant::now()).expect("enough credits");
    let Ok(messages) = guard.admit(frame) else { return };
    let delivered = messages.into_iter().try_for_each(|(header, body)| ledger.deliver(&header, body));
    if let Err(failure) = delivered {
        ledger.end(failure);
    }
    let _ = slot.take(Instant::now());
}
