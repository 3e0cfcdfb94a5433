//! A file that the other end reads: its parts as they come, with leave for more as they are taken.

use std::sync::Arc;

use keepwell_format::codec::Writer;
use keepwell_format::port::{Piece, ReadFile, Steady};
use keepwell_format::{Gap, GapReason, Node};

use super::desk::{Inbox, Part};
use super::line::Line;
use crate::frame::{Chunk, Kind};
use crate::message::Ended;
use crate::{IngestError, READ_WINDOW, cost};

/// Bytes that are waited for; more is taken if it is there. Whoever cuts and hashes likes long runs.
const GOOD: usize = 1 << 20;
/// What a window may shrink to before it is opened again.
const LOW: u64 = READ_WINDOW / 4 * 3;

/// One open file.
pub(super) struct RemoteFile {
    line: Arc<Line>,
    channel: u32,
    inbox: Arc<Inbox>,
    /// Where leave for more is given: late for a file that should have come whole by then.
    low: u64,
    current: Option<(Chunk, usize)>,
    end: Option<Result<Ended, Gap>>,
}

/// What may be sent of a file of this size before anybody asks for more: all of a small one.
pub(super) fn window(size: u64) -> u64 {
    size.saturating_add(2 * cost(0)).div_ceil(cost(0)).saturating_mul(cost(0)).min(READ_WINDOW)
}

impl RemoteFile {
    pub(super) fn new(line: Arc<Line>, channel: u32, inbox: Arc<Inbox>, window: u64) -> Self {
        let low = if window == READ_WINDOW { LOW } else { cost(0) - 1 };
        Self { line, channel, inbox, low, current: None, end: None }
    }

    /// The next part, if it is there or must be waited for.
    fn part(&mut self, data: bool, wait: bool) -> Option<Part> {
        let low = &mut self.low;
        let grant = |allowed: u64, held: u64| {
            if allowed > *low || allowed + held >= READ_WINDOW {
                return 0;
            }
            *low = LOW;
            READ_WINDOW - allowed - held
        };
        let (line, channel) = (&self.line, self.channel);
        let send = |more: u64| {
            let mut out = Writer::new();
            out.varint(more);
            // Who waits for the answer hears of what went wrong.
            let _ = line.send(Kind::Credit, channel, out.as_bytes());
        };
        self.inbox.take(data, wait, grant, send)
    }

    /// Copies what is there of the current run.
    fn copy(&mut self, into: &mut [u8]) -> usize {
        let Some((chunk, at)) = &mut self.current else { return 0 };
        let rest = &chunk.filled()[*at..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        *at += count;
        if *at == chunk.used
            && let Some((chunk, _)) = self.current.take()
        {
            self.line.outlet.pool.give(chunk);
        }
        count
    }

    fn broken(&self) -> Gap {
        self.line.ended().gap()
    }
}

impl ReadFile for RemoteFile {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let mut filled = 0;
        loop {
            filled += self.copy(&mut buffer[filled..]);
            if filled == buffer.len() {
                return Ok(Piece::Data(filled));
            }
            match &self.end {
                Some(Err(gap)) => return Err(gap.clone()),
                Some(Ok(_)) => return Ok(Piece::End),
                None => {}
            }
            let wait = filled < GOOD.min(buffer.len());
            match self.part(filled > 0, wait) {
                Some(Part::Data(chunk)) => self.current = Some((chunk, 0)),
                Some(Part::Hole(length)) => return Ok(Piece::Hole(length)),
                Some(Part::End(end)) => self.end = Some(*end),
                None if filled > 0 => return Ok(Piece::Data(filled)),
                None => return Err(self.broken()),
            }
        }
    }

    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        let early = Gap { reason: GapReason::Read, text: IngestError::Protocol("it was finished before its end").to_string() };
        let ended = self.end.as_ref().unwrap_or(&Err(early)).clone()?;
        if let Some(seen) = ended.node {
            take_over(node, *seen);
        }
        Ok(ended.steady)
    }

    fn streams(&self) -> Vec<Vec<u8>> {
        self.end.as_ref().and_then(|end| end.as_ref().ok()).map_or_else(Vec::new, |ended| ended.streams.clone())
    }
}

/// Puts what was seen of a file at its end into the node that the caller has. What only an earlier backup knew of it stays where the end shows
/// nothing, and what the source left out then it has as a gap.
fn take_over(node: &mut Node, seen: Node) {
    (node.owner, node.mtime, node.ctime, node.btime) = (seen.owner, seen.mtime, seen.ctime, seen.btime);
    (node.file_id, node.dos, node.links) = (seen.file_id, seen.dos, seen.links);
    if seen.descriptor.is_some() {
        node.descriptor = seen.descriptor;
    }
    if seen.gap.is_none() || !seen.attributes.is_empty() {
        node.attributes = seen.attributes;
    }
    if seen.gap.is_some() {
        node.gap = seen.gap;
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        let (tell, parts) = self.inbox.drop_all();
        for part in parts {
            if let Part::Data(chunk) = part {
                self.line.outlet.pool.give(chunk);
            }
        }
        if tell {
            // If the line is broken, the other end knows that nobody reads.
            let _ = self.line.send(Kind::Drop, self.channel, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use keepwell_format::node::Attribute;
    use keepwell_format::{Kind, Time};

    use super::*;

    #[test]
    fn what_an_earlier_backup_knew_stays_only_where_the_end_shows_nothing() {
        let old = vec![Attribute { name: b"old".to_vec(), value: Vec::new() }];
        let known = Node { attributes: old.clone(), descriptor: Some(vec![1]), links: 3, ..Node::new(Kind::File) };
        let mtime = Some(Time { seconds: 1, nanos: 2 });
        let mut node = known.clone();
        take_over(&mut node, Node { mtime, ..Node::new(Kind::File) });
        assert_eq!(node, Node { attributes: Vec::new(), mtime, links: 1, ..known.clone() });
        // Where the attributes could not be read, the gap says that these are not as it is now.
        let gap = Some(Gap { reason: GapReason::Metadata, text: "refused".to_owned() });
        let mut node = known.clone();
        take_over(&mut node, Node { gap: gap.clone(), descriptor: Some(vec![2]), ..Node::new(Kind::File) });
        assert_eq!(node, Node { gap, descriptor: Some(vec![2]), links: 1, ..known });
    }

    #[test]
    fn a_small_file_has_leave_to_come_whole() {
        assert_eq!((window(0), window(1), window(100_000)), (8192, 12288, 110_592));
        assert_eq!((window(1 << 40), window(u64::MAX)), (READ_WINDOW, READ_WINDOW));
    }
}
