//! Files that are being read for the caller, as far as it gave leave. No thread waits for leave: a file that has used up its own is put aside, so
//! files that nobody takes never keep those from being read that somebody waits for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use keepwell_format::codec::Writer;
use keepwell_format::port::{Piece, ReadFile, Steady};
use keepwell_format::{Gap, GapReason, Node};

use super::ahead::fit_streams;
use crate::call::strip;
use crate::frame::{Chunk, HEAD, Head, Kind, NODE_MAX, PIECE};
use crate::message::{self, Ended};
use crate::outlet::Outlet;
use crate::{IngestError, LEAST_COST, MOST_CHANNELS, READ_WINDOW, cost, lock};

/// Bytes that are collected before they are sent, so that a small file is sent at once.
const COLLECT: usize = 64 << 10;

/// A file that was opened, and its node as it was listed.
pub(super) type Opened<'a> = (Box<dyn ReadFile + 'a>, Box<Node>);
/// How a file is opened.
pub(super) type Open<'a> = Box<dyn FnOnce() -> Result<Opened<'a>, Gap> + Send + 'a>;

/// A file on its way.
pub(super) struct Reading<'a> {
    channel: u32,
    gate: Arc<Gate<'a>>,
    stage: Stage<'a>,
}

enum Stage<'a> {
    Waiting(Open<'a>),
    Open(Opened<'a>),
}

/// What the caller gave leave for, and the file while it is put aside.
struct Gate<'a>(Mutex<GateState<'a>>);

struct GateState<'a> {
    credit: u64,
    dropped: bool,
    aside: Option<Reading<'a>>,
}

/// All files that are being read.
pub(super) struct Readings<'a> {
    gates: Mutex<HashMap<u32, Arc<Gate<'a>>>>,
    outlet: &'a Outlet,
    /// Why nothing more can be read.
    gone: &'a (dyn Fn() -> Option<Gap> + Sync),
}

/// Why a file's turn ends.
enum Turn {
    Aside,
    Dropped,
    Ended(Result<Ended, Gap>),
}

impl<'a> Readings<'a> {
    pub(super) fn new(outlet: &'a Outlet, gone: &'a (dyn Fn() -> Option<Gap> + Sync)) -> Self {
        Self { gates: Mutex::default(), outlet, gone }
    }

    /// Takes up a file.
    pub(super) fn begin(&self, channel: u32, credit: u64, open: Open<'a>) -> Result<Reading<'a>, IngestError> {
        let gate = Arc::new(Gate(Mutex::new(GateState { credit, dropped: false, aside: None })));
        let mut gates = lock(&self.gates);
        if gates.len() >= MOST_CHANNELS || credit > READ_WINDOW || gates.insert(channel, Arc::clone(&gate)).is_some() {
            return Err(IngestError::Protocol("too much is read at once"));
        }
        Ok(Reading { channel, gate, stage: Stage::Waiting(open) })
    }

    /// The caller takes more. Answers the file if it was put aside.
    pub(super) fn credit(&self, channel: u32, more: u64) -> Result<Option<Reading<'a>>, IngestError> {
        // Of one that has ended meanwhile there is no more to send.
        let Some(gate) = lock(&self.gates).get(&channel).cloned() else { return Ok(None) };
        let mut state = lock(&gate.0);
        let credit = state.credit.checked_add(more).filter(|credit| *credit <= READ_WINDOW);
        state.credit = credit.ok_or(IngestError::Protocol("too much is read ahead"))?;
        Ok(state.aside.take())
    }

    /// The caller does not want it any more. Answers the file if it was put aside.
    pub(super) fn cancel(&self, channel: u32) -> Option<Reading<'a>> {
        let gate = lock(&self.gates).get(&channel).cloned()?;
        let mut state = lock(&gate.0);
        state.dropped = true;
        state.aside.take()
    }

    /// Lets go of all that was put aside.
    pub(super) fn close(&self) {
        let gates = std::mem::take(&mut *lock(&self.gates));
        for gate in gates.into_values() {
            let aside = lock(&gate.0).aside.take();
            drop(aside);
        }
    }

    /// Reads on, as far as there is leave.
    pub(super) fn run(&self, reading: Reading<'a>) {
        let mut next = Some(reading);
        while let Some(reading) = next {
            next = self.turn(reading);
        }
    }

    /// Reads on until leave is used up. Answers the file if more leave came meanwhile.
    fn turn(&self, reading: Reading<'a>) -> Option<Reading<'a>> {
        let Reading { channel, gate, stage } = reading;
        let mut out = self.outlet.pool.take();
        let dropped = lock(&gate.0).dropped;
        let opened = match stage {
            _ if dropped => return self.end(channel, out, Turn::Dropped),
            Stage::Open(opened) => Ok(opened),
            Stage::Waiting(open) => open(),
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(gap) => return self.end(channel, out, Turn::Ended(Err(gap))),
        };
        match self.read(channel, &gate, &mut opened, &mut out) {
            Turn::Aside => self.put_aside(Reading { channel, gate, stage: Stage::Open(opened) }, out),
            turn => {
                drop(opened);
                self.end(channel, out, turn)
            }
        }
    }

    fn read(&self, channel: u32, gate: &Gate<'a>, (file, node): &mut Opened<'a>, out: &mut Chunk) -> Turn {
        loop {
            let credit = {
                let state = lock(&gate.0);
                match state.credit {
                    _ if state.dropped => return Turn::Dropped,
                    credit if credit < LEAST_COST => return Turn::Aside,
                    credit => credit,
                }
            };
            if out.used + HEAD >= COLLECT && !self.flush(out) {
                return Turn::Dropped;
            }
            let from = out.used + HEAD;
            let most = (PIECE + HEAD - from).min(usize::try_from(credit).unwrap_or(PIECE));
            let spent = match file.next(&mut out.bytes[from..from + most]) {
                Ok(Piece::Data(0) | Piece::End) => return Turn::Ended(finish(&mut **file, node)),
                Ok(Piece::Data(count)) => {
                    let count = count.min(most);
                    out.bytes[out.used..from].copy_from_slice(&Head::encode(Kind::Data, channel, count));
                    out.used = from + count;
                    cost(count)
                }
                Ok(Piece::Hole(0)) => 0,
                Ok(Piece::Hole(length)) => {
                    let mut hole = Writer::new();
                    hole.varint(length);
                    out.push(Kind::Hole, channel, hole.as_bytes());
                    cost(0)
                }
                Err(gap) => return Turn::Ended(Err(gap)),
            };
            lock(&gate.0).credit -= spent;
        }
    }

    /// Sends what was collected. False when nobody reads any more.
    fn flush(&self, out: &mut Chunk) -> bool {
        let next = self.outlet.pool.take();
        self.outlet.send(std::mem::replace(out, next)).is_ok()
    }

    /// Answers the file if more leave came meanwhile.
    fn put_aside(&self, reading: Reading<'a>, out: Chunk) -> Option<Reading<'a>> {
        if out.used > 0 && self.outlet.send(out).is_err() {
            return None;
        }
        let (channel, gate) = (reading.channel, Arc::clone(&reading.gate));
        let mut state = lock(&gate.0);
        if state.dropped || state.credit >= LEAST_COST {
            return Some(reading);
        }
        state.aside = Some(reading);
        drop(state);
        if !lock(&self.gates).contains_key(&channel) {
            // Nobody will ask for it any more.
            let aside = lock(&gate.0).aside.take();
            drop(aside);
        }
        None
    }

    /// Says how it ended: once for each file, whatever happened.
    fn end(&self, channel: u32, mut out: Chunk, turn: Turn) -> Option<Reading<'a>> {
        let end = match turn {
            Turn::Ended(end) => end,
            Turn::Aside | Turn::Dropped => Err(Gap { reason: GapReason::Read, text: "it is not wanted any more".to_owned() }),
        };
        if end.is_err()
            && let Some(gone) = (self.gone)()
        {
            out.push(Kind::ServerGone, 0, &message::gap_frame(&gone));
        }
        out.push(Kind::FileEnd, channel, &encode(end));
        lock(&self.gates).remove(&channel);
        // If nobody reads any more, the end of the connection is seen by who reads it.
        let _ = self.outlet.send(out);
        None
    }
}

fn finish(file: &mut dyn ReadFile, node: &mut Node) -> Result<Ended, Gap> {
    let steady = file.finish(node)?;
    (node.content, node.link_to, node.inconsistent) = (None, None, false);
    node.streams.clear();
    let mut streams = file.streams();
    fit_streams(node, &mut streams);
    let seen = std::mem::replace(node, Node::new(node.kind));
    Ok(Ended { steady, node: (steady == Steady::Unchanged).then(|| Box::new(seen)), streams })
}

/// What is too large to be sent is left out, and said to be.
fn encode(mut end: Result<Ended, Gap>) -> Vec<u8> {
    for _ in 0..2 {
        match message::file_end(&end) {
            Ok(bytes) if bytes.len() <= NODE_MAX => return bytes,
            _ => {
                if let Ok(ended) = &mut end {
                    ended.node.iter_mut().for_each(|node| strip(node));
                    ended.streams.clear();
                }
            }
        }
    }
    let gap = Gap { reason: GapReason::Metadata, text: "its metadata can't be handed over".to_owned() };
    message::file_end(&Err(gap)).unwrap_or_default()
}
