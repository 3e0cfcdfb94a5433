//! Answers that come piece by piece: files, and what happens. The deadline is between two pieces.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::http::Method;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Client, ClientError};
use crate::vault::Event;

/// Events, or comments in their place, come at least every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Takes a piece, and says whether more are wanted.
type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>, ClientError>;

/// Longest line of an event.
const LINE_MAX: usize = 1 << 20;

impl Client {
    /// As [`Client::post_for_bytes`], for an answer of any length, which goes to `out`. Answers its length. One that broke off is an error.
    pub fn post_for_stream(&self, route: &str, body: &impl Serialize, out: &mut dyn io::Write) -> Result<u64, ClientError> {
        let (body, mut written) = (self.encoded(body)?, 0);
        self.pieces(Method::POST, route, body, self.deadline, &mut |piece| {
            out.write_all(piece).map_err(|source| ClientError::NotTaken { program: self.program, source })?;
            written += piece.len() as u64;
            Ok(ControlFlow::Continue(()))
        })?;
        out.flush().map_err(|source| ClientError::NotTaken { program: self.program, source })?;
        Ok(written)
    }

    /// Hears what happens, event by event, until `hear` breaks it off or the other program ends.
    pub fn follow(&self, route: &str, hear: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<(), ClientError> {
        let mut lines = Lines::default();
        self.pieces(Method::GET, route, Zeroizing::default(), self.deadline.max(SILENCE_MAX), &mut |piece| {
            lines.buffer.extend_from_slice(piece);
            while let Some(data) = lines.next() {
                let event = serde_json::from_slice(&data).map_err(|source| ClientError::Unknown { program: self.program, source })?;
                if hear(event).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if lines.buffer.len() > LINE_MAX { Err(self.no_answer("an event without an end")) } else { Ok(ControlFlow::Continue(())) }
        })
    }

    fn pieces(&self, method: Method, route: &str, body: Zeroizing<Vec<u8>>, patience: Duration, take: Take<'_>) -> Result<(), ClientError> {
        self.waiting(async {
            let sent = tokio::time::timeout(self.deadline, self.send(method, route, body));
            let (mut answer, driver) = sent.await.map_err(|_| self.late())??;
            let status = answer.status();
            if !status.is_success() {
                let whole = tokio::time::timeout(self.deadline, self.whole(answer)).await.map_err(|_| self.late())??;
                return Err(self.refused(status, &whole));
            }
            while let Some(piece) = self.piece(&mut answer, patience).await? {
                if take(&piece)?.is_break() {
                    break;
                }
            }
            driver.abort();
            Ok(())
        })
    }

    async fn piece(&self, answer: &mut Response<Incoming>, patience: Duration) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(patience, answer.body_mut().frame());
            let Some(frame) = frame.await.map_err(|_| self.no_answer(format_args!("nothing came for {} s", patience.as_secs())))? else {
                return Ok(None);
            };
            if let Ok(piece) = frame.map_err(|error| self.no_answer(error))?.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

/// Server-sent events (HTML Living Standard, section 9.2.6), as far as our programs send them: one line of `data` each.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    /// The next event's data, if it is here whole.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data:") {
                return Some(data.trim_ascii().to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_in_whatever_pieces_they_come() {
        let sent = b": kept alive\n\nevent: status\ndata: {\"at\":1}\n\nevent: run\ndata: 2\n\n";
        for size in 1..sent.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in sent.chunks(size) {
                lines.buffer.extend_from_slice(piece);
                found.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(found, [b"{\"at\":1}".to_vec(), b"2".to_vec()], "{size}");
        }
    }
}
