//! The API between programs on one box: HTTP/1.1 and JSON over Unix sockets, where the kernel says who is at the other end.
//!
//! Owns how a program listens, who may ask it, how refusals look, and the types of each program's requests and answers. Decides nothing:
//! what a request does is the program's. One image ships all programs, so this API has no versions.

pub mod auth;
pub mod client;
pub mod disks;
pub mod error;
pub mod grants;
pub mod hex;
pub mod keys;
pub mod notices;
pub mod offsite;
pub mod outflow;
pub mod recovery;
pub mod secret;
pub mod server;
pub mod state_locked;
pub mod vault;
mod watchdog;

pub use client::{Client, ClientError};
pub use error::Refusal;
pub use secret::{Base64, wiped};
pub use server::{Caller, Callers, Ending, listen, serve, serve_while};
pub use watchdog::{Alive, LifeSigns, Watchdog};
