//! A small scripted SMB 2.1 / 3.0 / 3.1.1 server for tests: it serves a tree in memory, and misbehaves as it is told. It owns its own codecs and
//! must never use those of the client that it tests; it must never serve anything but tests.

mod command;
mod connection;
mod content;
mod counters;
mod crypto;
mod descriptor;
mod faults;
mod handle;
mod node;
mod ntlm;
mod outbox;
mod protocol;
mod script;
mod server;
mod session;
mod spnego;
mod status;
mod tree;
mod wire;

pub use content::Content;
pub use counters::Counts;
pub use crypto::{Signing, sha256};
pub use faults::{Fault, Faults, Rule};
pub use node::{DIRECTORY, Extended, NEW_YEAR, NORMAL, Names, Node, Quirks, REPARSE, SPARSE};
pub use ntlm::{PASSWORD, USER};
pub use protocol::Command;
pub use script::{Script, ScriptError};
pub use server::{Options, Server};
pub use status::Status;
pub use tree::{NodeId, Tree, TreePath, Volume};
