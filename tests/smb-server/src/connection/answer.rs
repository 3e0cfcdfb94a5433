//! Owns the way out of a connection: answers laid out, bent as their faults say, hashed, signed, sealed. Never carries out a request.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{Connection, Step};
use crate::{
    crypto::{self, Signing},
    faults::Fault,
    outbox::Parcel,
    protocol::{ASYNC, Command, Header, Reply, SIGNED},
    status::Status,
    wire::{Out, len32},
};

impl Connection<'_> {
    /// Says at once that the answer will take a while (MS-SMB2 3.3.4.2); such an answer is not signed.
    pub(super) fn interim(&mut self, header: &Header, sealed: Option<u64>) -> Step {
        let mut reply = Reply::new(*header, Err(Status::PENDING.into()), false);
        (reply.flags, reply.async_id) = (reply.flags | ASYNC, header.message_id | 1 << 32);
        reply.credits = self.window.grant(header.credits, None);
        let bytes = self.framed(reply.lay_out(), sealed);
        self.outbox.push(Parcel { bytes, due: Instant::now(), behind: None, cut: None });
        // One frame is in flight until its last answer.
        self.line.in_flight.fetch_add(1, Ordering::Relaxed);
        match self.outbox.flush(&mut self.stream) {
            Ok(sent) => self.line.in_flight.fetch_sub(sent, Ordering::Relaxed),
            Err(_) => return Step::Break(()),
        };
        Step::Continue(())
    }

    /// All that a server does which knows SMB1 only, and is not asked further.
    pub(super) fn smb1(&mut self, frame: &[u8]) -> Step {
        if !frame.starts_with(b"\xFFSMB\x72") {
            return Step::Break(());
        }
        self.outbox.push(Parcel { bytes: smb1_answer(), due: Instant::now(), behind: None, cut: None });
        Step::Continue(())
    }

    pub(super) fn answer(&mut self, replies: Vec<Reply>, sealed: Option<u64>) -> Step {
        if replies.is_empty() {
            self.line.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Step::Continue(());
        }
        let faults: Vec<Fault> = replies.iter().flat_map(|reply| reply.faults.clone()).collect();
        let mut chain = Vec::new();
        for (at, reply) in replies.iter().enumerate() {
            let message = self.finish(reply, at + 1 == replies.len(), sealed);
            chain.extend_from_slice(&message);
        }
        self.shared.counters.count(|counts| counts.sent_bytes += chain.len() as u64);
        let sealed = sealed.filter(|_| !faults.contains(&Fault::Unsealed));
        let mut parcel = Parcel { bytes: self.framed(chain, sealed), due: Instant::now(), behind: None, cut: None };
        for fault in &faults {
            match fault {
                Fault::CutUnanswered => return Step::Break(()),
                Fault::Silence => {
                    self.line.in_flight.fetch_sub(1, Ordering::Relaxed);
                    return Step::Continue(());
                }
                Fault::Delay(ms) | Fault::Pending(ms) => parcel.due += Duration::from_millis(*ms),
                Fault::After(behind) => (parcel.due, parcel.behind) = (parcel.due + Duration::from_millis(200), Some(*behind)),
                Fault::CutWithin(length) => parcel.cut = Some(*length),
                Fault::CutAfter => parcel.cut = Some(usize::MAX),
                Fault::TamperFrame(at, bits) => xor(&mut parcel.bytes, at + 4, bits),
                Fault::Twice => parcel.bytes.extend(parcel.bytes.clone()),
                Fault::Inject(bytes) => drop(parcel.bytes.splice(..0, bytes.iter().copied())),
                Fault::Instead(bytes) => parcel.bytes.clone_from(bytes),
                Fault::Smb1 => parcel.bytes = smb1_answer(),
                _ => {}
            }
        }
        self.outbox.push(parcel);
        Step::Continue(())
    }

    /// Lays out one answer of a chain, bends it as its faults say, hashes and signs it.
    fn finish(&mut self, reply: &Reply, last: bool, sealed: Option<u64>) -> Vec<u8> {
        let mut message = reply.lay_out();
        let unsigned = reply.faults.contains(&Fault::Unsigned);
        let unsealed = sealed.is_none() || reply.faults.contains(&Fault::Unsealed);
        let keys = self.sessions.get(&reply.request.session_id).and_then(|session| session.keys.as_ref());
        let key = keys.filter(|_| (reply.signs || sealed.is_some()) && !unsigned && unsealed).map(|keys| keys.signing);
        if !last {
            message.resize(message.len().next_multiple_of(8), 0);
            let next = len32(message.len());
            message[20..24].copy_from_slice(&next.to_le_bytes());
        }
        if key.is_some() {
            message[16] |= SIGNED as u8;
        }
        reply.faults.iter().for_each(|fault| bend(&mut message, fault));
        self.hash(reply, &message);
        if let Some(key) = key.filter(|_| message.len() >= 64) {
            let signing = self.agreement.signing.unwrap_or(Signing::Hmac);
            let signature = signing.sign(&key, &message, true);
            message[48..64].copy_from_slice(&signature);
        }
        for fault in &reply.faults {
            match fault {
                Fault::WrongSignature => xor(&mut message, 50, &[0x40]),
                Fault::BlankSignature if message.len() >= 64 => message[48..64].fill(0),
                Fault::Tamper(at, bits) => xor(&mut message, *at, bits),
                _ => {}
            }
        }
        message
    }

    fn hash(&mut self, reply: &Reply, message: &[u8]) {
        match reply.request.command {
            Command::Negotiate => {
                self.agreement.preauth = self.agreement.preauth.map(|hash| crypto::preauth(&hash, message));
            }
            Command::SessionSetup if reply.status == Status::MORE_PROCESSING_REQUIRED => {
                if let Some(session) = self.sessions.get_mut(&reply.request.session_id) {
                    session.preauth = crypto::preauth(&session.preauth, message);
                }
            }
            _ => {}
        }
    }

    /// With its length, and sealed if the request was.
    fn framed(&self, mut chain: Vec<u8>, sealed: Option<u64>) -> Vec<u8> {
        let mut out = Out::new();
        let keys = sealed.and_then(|session| Some((session, self.sessions.get(&session)?.keys.as_ref()?)));
        if let Some((session, keys)) = keys {
            let mut nonce = [0; 12];
            nonce[..8].copy_from_slice(&self.shared.fresh_id().to_le_bytes());
            let mut aad = Out::new();
            aad.bytes(&nonce).u32(0).u32(len32(chain.len())).u16(0).u16(1).u64(session);
            let tag = crypto::seal(&keys.from_server, nonce, &aad.0, &mut chain);
            out.bytes(&len32(chain.len() + 52).to_be_bytes()).bytes(b"\xFDSMB").bytes(&tag).bytes(&aad.0);
        } else {
            out.bytes(&len32(chain.len()).to_be_bytes());
        }
        out.bytes(&chain);
        out.0
    }
}

fn bend(message: &mut Vec<u8>, fault: &Fault) {
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = message.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    match fault {
        Fault::MessageId(id) => put(24, &id.to_le_bytes()),
        Fault::SessionId(id) => put(40, &id.to_le_bytes()),
        Fault::Patch(at, bytes) => put(*at, bytes),
        Fault::Truncate(length) => message.truncate(*length),
        Fault::Trailing(length) => message.resize(message.len() + length, 0xEE),
        _ => {}
    }
}

fn xor(message: &mut [u8], at: usize, bits: &[u8]) {
    message.iter_mut().skip(at).zip(bits).for_each(|(byte, bits)| *byte ^= bits);
}

/// A negotiate answer of SMB1 that takes NT LM 0.12.
fn smb1_answer() -> Vec<u8> {
    let mut out = Out::new();
    out.bytes(b"\xFFSMB\x72").zeros(4).u8(0x88).u16(0xC801).zeros(20).u8(17).zeros(34).u16(0);
    [&len32(out.len()).to_be_bytes(), &out.0[..]].concat()
}
