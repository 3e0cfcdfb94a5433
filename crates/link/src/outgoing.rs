//! A body on its way out: handed over piece by piece, as the line takes it, and counted.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// Handed over at a time: what is counted as sent is at most so much ahead of what was.
const PIECE: usize = 64 << 10;

/// How much of a body the line has taken.
#[derive(Debug, Default)]
pub struct Handed {
    bytes: AtomicU64,
    bell: Arc<Notify>,
}

impl Handed {
    /// Rings when more was taken.
    pub fn ringing(bell: Arc<Notify>) -> Self {
        Self { bytes: AtomicU64::new(0), bell }
    }

    /// Bytes of all bodies that were counted here.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The body of a request.
pub(crate) struct Outgoing {
    left: Bytes,
    handed: Option<Arc<Handed>>,
}

impl Outgoing {
    pub(crate) fn new(body: Bytes, handed: Option<Arc<Handed>>) -> Self {
        Self { left: body, handed }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.left.len().min(PIECE);
        let piece = self.left.split_to(length);
        if let Some(handed) = &self.handed {
            handed.bytes.fetch_add(length as u64, Ordering::Relaxed);
            handed.bell.notify_one();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
