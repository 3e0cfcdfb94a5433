//! Credits, message ids, and who waits for which (MS-SMB2 3.2.4.1.2, 3.2.4.1.6, 3.2.5.1). Owns the books of a connection; never does
//! input or output.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::exchange::Slot;
use crate::SmbError;
use crate::wire::header::AnswerHeader;

/// Credits wanted: 32 MiB under way.
const WANTED: u32 = 512;
/// Credits believed, whatever the server grants.
const MOST: u32 = 8192;
/// An answer may be longer than its payload by this: its fixed part and padding.
const SLACK: usize = 1024;
const CREDIT_BYTES: usize = 65_536;

pub(super) struct Ledger {
    books: Mutex<Books>,
    changed: Condvar,
}

struct Books {
    next_id: u64,
    /// Credits at hand.
    available: u32,
    /// Credits asked for with requests under way.
    asked: u32,
    waiting: HashMap<u64, Waiter>,
    ended: Option<SmbError>,
}

struct Waiter {
    slot: Arc<Slot>,
    place: usize,
    charge: u16,
    asked: u16,
    command: u16,
}

/// What a request goes out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) message_id: u64,
    pub(super) charge: u16,
    pub(super) asked: u16,
}

impl Ledger {
    pub(super) fn new(next_id: u64, available: u32) -> Self {
        let books = Books { next_id, available, asked: 0, waiting: HashMap::new(), ended: None };
        Self { books: Mutex::new(books), changed: Condvar::new() }
    }

    /// Takes message ids and credits for a chain of (command, charge) whose answers go to `slot`. Waits for credits until the deadline.
    pub(super) fn reserve(&self, chain: &[(u16, u16)], slot: &Arc<Slot>, deadline: Instant) -> Result<Vec<Ticket>, SmbError> {
        let needed: u32 = chain.iter().map(|(_, charge)| u32::from(*charge)).sum();
        let mut books = self.lock();
        loop {
            if let Some(ended) = &books.ended {
                return Err(ended.replica());
            }
            if books.available >= needed {
                return Ok(books.issue(chain, slot));
            }
            // Nothing that could still bring credits.
            if books.waiting.is_empty() {
                return Err(SmbError::Credits);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(SmbError::Timeout)?;
            books = self.changed.wait_timeout(books, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives an answer to whoever waits for it. Every error ends the connection.
    pub(super) fn deliver(&self, header: &AnswerHeader, body: Bytes) -> Result<(), SmbError> {
        let mut books = self.lock();
        books.available = (books.available + u32::from(header.credits)).min(MOST);
        self.changed.notify_all();
        let waiter = books.waiting.get(&header.message_id).ok_or(SmbError::Broken { what: "answer to nothing that was asked" })?;
        if header.command != waiter.command {
            return Err(SmbError::Broken { what: "answer to another command" });
        }
        if body.len() > usize::from(waiter.charge) * CREDIT_BYTES + SLACK {
            return Err(SmbError::Broken { what: "answer longer than asked for" });
        }
        if header.is_interim() {
            return Ok(());
        }
        let waiter = books.waiting.remove(&header.message_id).expect("it was there a moment ago");
        books.asked -= u32::from(waiter.asked);
        drop(books);
        waiter.slot.put(waiter.place, *header, body);
        Ok(())
    }

    /// Ends everything under way and everything to come with `failure`, unless it has ended already.
    pub(super) fn end(&self, failure: SmbError) {
        let mut books = self.lock();
        let failure = books.ended.get_or_insert(failure).replica();
        let waiting = std::mem::take(&mut books.waiting);
        drop(books);
        waiting.into_values().for_each(|waiter| waiter.slot.fail(failure.replica()));
        self.changed.notify_all();
    }

    /// Why the connection is over, if it is.
    pub(super) fn ended(&self) -> Option<SmbError> {
        self.lock().ended.as_ref().map(SmbError::replica)
    }

    /// Credits at hand now.
    pub(super) fn available(&self) -> u32 {
        self.lock().available
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn issue(&mut self, chain: &[(u16, u16)], slot: &Arc<Slot>) -> Vec<Ticket> {
        let mut tickets = Vec::with_capacity(chain.len());
        for (place, &(command, charge)) in chain.iter().enumerate() {
            self.available -= u32::from(charge);
            // Servers give the credits of a compound with its last answer.
            let short = if place + 1 == chain.len() { WANTED.saturating_sub(self.available + self.asked + u32::from(charge)) } else { 0 };
            let asked = charge.saturating_add(short as u16);
            let ticket = Ticket { message_id: self.next_id, charge, asked };
            self.next_id += u64::from(charge);
            self.asked += u32::from(asked);
            self.waiting.insert(ticket.message_id, Waiter { slot: slot.clone(), place, charge, asked, command });
            tickets.push(ticket);
        }
        tickets
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::NtStatus;
    use crate::wire::header::{FLAG_ASYNC, tests::answer};

    const READ: u16 = 8;

    fn deliver(ledger: &Ledger, id: u64, status: NtStatus, credits: u16, length: usize) -> Result<(), SmbError> {
        let flags = if status == NtStatus::PENDING { FLAG_ASYNC } else { 0 };
        ledger.deliver(&AnswerHeader::read(&answer(READ, status, flags, id, 1, credits)).unwrap(), vec![0; length].into())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn ids_and_credits_are_never_overdrawn() {
        let (ledger, slot) = (Ledger::new(10, 6), Slot::new(2));
        let tickets = ledger.reserve(&[(READ, 1), (READ, 4)], &slot, soon()).unwrap();
        assert_eq!(tickets[0], Ticket { message_id: 10, charge: 1, asked: 1 });
        assert_eq!(tickets[1], Ticket { message_id: 11, charge: 4, asked: 510 });
        assert!(matches!(ledger.reserve(&[(READ, 2)], &Slot::new(1), soon()), Err(SmbError::Timeout)));
        // An interim answer brings the credits, and the wait goes on.
        deliver(&ledger, 11, NtStatus::PENDING, 500, 9).unwrap();
        assert_eq!(ledger.reserve(&[(READ, 2)], &Slot::new(1), soon()).unwrap()[0].message_id, 15);
        deliver(&ledger, 11, NtStatus::SUCCESS, 0, 4 * CREDIT_BYTES).unwrap();
        deliver(&ledger, 10, NtStatus::END_OF_FILE, 0, 9).unwrap();
        let ready = Slot::take(&slot, soon()).unwrap().unwrap();
        assert_eq!(ready.iter().map(|(header, _)| header.status).collect::<Vec<_>>(), [NtStatus::END_OF_FILE, NtStatus::SUCCESS]);
        assert!(matches!(deliver(&ledger, 11, NtStatus::SUCCESS, 1, 9), Err(SmbError::Broken { .. })), "twice");
        for _ in 0..20 {
            assert!(deliver(&ledger, 15, NtStatus::PENDING, u16::MAX, 0).is_ok());
        }
        assert_eq!(ledger.available(), MOST);
    }

    #[test]
    fn a_starving_or_garrulous_server_is_an_error() {
        let ledger = Ledger::new(0, 1);
        assert!(matches!(ledger.reserve(&[(READ, 2)], &Slot::new(1), soon()), Err(SmbError::Credits)));
        ledger.reserve(&[(READ, 1)], &Slot::new(1), soon()).unwrap();
        assert!(deliver(&ledger, 0, NtStatus::SUCCESS, 1, CREDIT_BYTES + SLACK + 1).is_err());
        assert!(deliver(&ledger, 1, NtStatus::SUCCESS, 1, 0).is_err());
    }

    #[test]
    fn the_end_reaches_everybody_at_once() {
        let (ledger, slot) = (Arc::new(Ledger::new(0, 1)), Slot::new(1));
        ledger.reserve(&[(READ, 1)], &slot, soon()).unwrap();
        let hungry = std::thread::spawn({
            let ledger = ledger.clone();
            move || ledger.reserve(&[(READ, 1)], &Slot::new(1), Instant::now() + Duration::from_secs(60))
        });
        ledger.end(SmbError::Signature);
        ledger.end(SmbError::Timeout);
        assert!(matches!(slot.take(Instant::now()), Some(Err(SmbError::Signature))));
        assert!(matches!(hungry.join().unwrap(), Err(SmbError::Signature)));
        assert!(matches!(ledger.ended(), Some(SmbError::Signature)));
    }
}
