//! The local web console as a library: everything but arguments and the process. Relays what people prove to authd and what they ask to vaultd; holds no key,
//! no credential and no data, and has no right of its own.
#![allow(clippy::result_large_err, reason = "what keeps a page from being shown is another page; they are made once for each request")]

pub mod api;
pub mod app;
pub mod authority;
pub mod certificate;
pub mod downtime;
pub mod error;
mod flow;
pub mod form;
pub mod guard;
pub mod listen;
pub mod live;
pub mod neighbours;
pub mod pages;
mod passkey;
pub mod reckoning;
pub mod refill;
pub mod sessions;
pub mod view;
pub mod visit;
