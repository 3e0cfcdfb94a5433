//! The program `keepwell-ingestd`: one process, one job, one credential. It has a network and nothing else: no keys, no disks, no old data, and no
//! verb to ask for any (`docs/ingest.md`).
//!
//! Owns how a job's connection is had and who may be at its other end, and which kind of share an order leads to.

pub mod accept;
pub mod connection;
mod doors;
mod error;

pub use doors::Shares;
pub use error::IngestdError;
