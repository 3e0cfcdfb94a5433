//! Owns the answers on their way out: when each leaves, and where the line is cut. Never looks into them.

use std::{
    io::{self, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

/// A frame, or whatever else is sent in its place.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    pub(crate) due: Instant,
    /// Leaves when so many later ones have left, or when it is due.
    pub(crate) behind: Option<usize>,
    /// The line is cut after so many bytes.
    pub(crate) cut: Option<usize>,
}

/// Parcels in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Vec<Parcel>);

impl Outbox {
    pub(crate) fn push(&mut self, parcel: Parcel) {
        self.0.push(parcel);
    }

    /// How long until the next one is due.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.0.iter().map(|parcel| parcel.due).min().map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Sends what may leave; gives their number.
    pub(crate) fn flush(&mut self, stream: &mut TcpStream) -> io::Result<u64> {
        let mut sent = 0;
        let now = Instant::now();
        while let Some(at) = self.0.iter().position(|parcel| parcel.due <= now || parcel.behind == Some(0)) {
            let parcel = self.0.remove(at);
            for earlier in &mut self.0[..at] {
                earlier.behind = earlier.behind.map(|behind| behind.saturating_sub(1));
            }
            let length = parcel.cut.unwrap_or(usize::MAX).min(parcel.bytes.len());
            stream.write_all(&parcel.bytes[..length])?;
            sent += 1;
            if parcel.cut.is_some() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(sent)
    }
}
