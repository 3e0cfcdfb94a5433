//! Owns what the server counts while it serves: requests, bytes, requests in flight, breaches of the protocol. Never decides anything.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

use crate::protocol::Command;

/// What was counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests by command; those of a compound chain count each.
    pub requests: BTreeMap<Command, u64>,
    /// Frames received; a compound chain is one.
    pub frames: u64,
    /// Bytes received and sent, without the length prefixes.
    pub received_bytes: u64,
    /// Bytes sent, likewise.
    pub sent_bytes: u64,
    /// Bytes handed out by READ.
    pub read_bytes: u64,
    /// Bytes taken in by WRITE.
    pub written_bytes: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Sign-ins that were right.
    pub sign_ins: u64,
    /// Sign-ins that were wrong.
    pub refused_sign_ins: u64,
    /// Handles that are open now.
    pub open_handles: u64,
    /// The most frames that one connection had in flight.
    pub most_in_flight: u64,
    /// What the client did that MS-SMB2 forbids, or that no client should ask for: `..` in a path, more messages than credits.
    pub breaches: Vec<String>,
}

/// Shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Counts>);

impl Counters {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn breach(&self, what: impl Into<String>) {
        // A client in a loop must not fill the memory with its breaches.
        self.count(|counts| {
            if counts.breaches.len() < 1000 {
                counts.breaches.push(what.into());
            }
        });
    }

    pub(crate) fn now(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
