//! An answer that is made while it is sent: a few pieces in memory, and an end as soon as nobody takes them any more.
//!
//! An answer that can't be finished breaks the connection, so that nobody takes what came for the whole.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that wait to be taken.
const PIECES: usize = 4;
/// Who takes no piece for so long gets no more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody takes the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("whoever asked takes no more")]
pub struct Hung;

/// Where pieces are put in.
#[derive(Clone, Debug)]
pub struct Outflow(mpsc::Sender<Option<Bytes>>);

/// An answer's body, and where its pieces are put in. With `length`, it has just so many bytes; else its end is when `Outflow` says so.
pub fn outflow(length: Option<u64>) -> (Outflow, Body) {
    let (sender, pieces) = mpsc::channel(PIECES);
    (Outflow(sender), Body::new(Flowing { pieces, left: length, over: length == Some(0) }))
}

impl Outflow {
    /// Puts a piece in as soon as there is room.
    pub async fn put(&self, piece: impl Into<Bytes>) -> Result<(), Hung> {
        self.send(Some(piece.into())).await
    }

    /// Says that this is all. Without it, the answer breaks where it is when the last `Outflow` is dropped, or when its length was not reached.
    pub async fn end(&self) -> Result<(), Hung> {
        self.send(None).await
    }

    /// Resolves when nobody takes the answer any more.
    pub async fn hung(&self) {
        self.0.closed().await;
    }

    async fn send(&self, piece: Option<Bytes>) -> Result<(), Hung> {
        self.0.send_timeout(piece, PATIENCE).await.map_err(|_| Hung)
    }
}

struct Flowing {
    pieces: mpsc::Receiver<Option<Bytes>>,
    /// Bytes to come, where that is known.
    left: Option<u64>,
    over: bool,
}

impl HttpBody for Flowing {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let Poll::Ready(piece) = self.pieces.poll_recv(context) else { return Poll::Pending };
        let broken = |why: &'static str| Poll::Ready(Some(Err(why.into())));
        match piece {
            None => broken("the answer could not be finished"),
            Some(None) if self.left.is_some_and(|left| left > 0) => broken("the answer is shorter than it was to be"),
            Some(None) => {
                self.over = true;
                Poll::Ready(None)
            }
            Some(Some(bytes)) => {
                if let Some(left) = self.left {
                    let Some(left) = left.checked_sub(bytes.len() as u64) else { return broken("the answer is longer than it was to be") };
                    self.left = Some(left);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
