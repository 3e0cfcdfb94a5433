//! A long answer of vaultd to a browser, piece by piece: begun before anything is sent, broken off unless it has a good end, and kept nowhere.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use axum::body::Body;
use keepwell_api::outflow::{Outflow, outflow};
use keepwell_api::{Client, ClientError};
use serde::Serialize;
use tokio::sync::oneshot;

/// Pieces between the two ends.
const PIECES: usize = 4;

/// Asks, and answers once it has begun: what is refused is refused before a byte was sent. `length` in bytes where it is known. The places are free again when both ends are done, whoever
/// hangs up. No error stands for no answer at all.
pub(crate) async fn begin(
    client: Client,
    route: &'static str,
    ask: impl Serialize + Send + 'static,
    length: Option<u64>,
    place: impl Send + Sync + 'static,
) -> Result<Body, Option<ClientError>> {
    let (out, body) = outflow(length);
    let (begun, has_begun) = oneshot::channel();
    let (pieces, taken) = sync_channel(PIECES);
    let (ended, has_ended) = oneshot::channel();
    let place = Arc::new(place);
    let with_fetch = Arc::clone(&place);
    tokio::task::spawn_blocking(move || {
        fetch(&client, route, &ask, Pipe { pieces, begun: Some(begun) }, ended);
        drop(with_fetch);
    });
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime.block_on(pass_on(&out, &taken, has_ended));
        drop(place);
    });
    has_begun.await.map_err(|_| None)?.map_err(Some).map(|()| body)
}

fn fetch(client: &Client, route: &str, ask: &impl Serialize, mut pipe: Pipe, ended: oneshot::Sender<bool>) {
    let done = client.post_for_stream(route, ask, &mut pipe);
    let good = done.is_ok();
    let begun = pipe.begun.take();
    drop(pipe);
    match (begun, done) {
        (Some(begun), done) => drop(begun.send(done.map(drop))),
        (None, Err(ClientError::NotTaken { .. })) => tracing::debug!("an answer was not taken to its end"),
        (None, Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "an answer broke off"),
        (None, Ok(_)) => {}
    }
    let _ = ended.send(good);
}

/// Without a good end the answer breaks off, so that nobody takes a part for the whole.
async fn pass_on(out: &Outflow, taken: &Receiver<Vec<u8>>, ended: oneshot::Receiver<bool>) {
    while let Ok(piece) = taken.recv() {
        if out.put(piece).await.is_err() {
            return;
        }
    }
    if ended.await == Ok(true) {
        let _ = out.end().await;
    }
}

/// Where vaultd's answer goes, from a thread that may wait.
struct Pipe {
    pieces: SyncSender<Vec<u8>>,
    begun: Option<oneshot::Sender<Result<(), ClientError>>>,
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(Ok(()));
        }
        self.pieces.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
