//! One TCP connection. Owns the socket, its reader thread, credits and the requests under way; never understands bodies of messages.

mod exchange;

pub(crate) use exchange::{Answer, Exchange, Request};
