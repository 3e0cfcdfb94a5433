//! Speaks outwards for a box: notices become e-mail, signed webhooks and log messages. A library, so that tests reach the inside.
//!
//! Keeps nothing, reads no file, and takes no order from outside: settings and text come with each request, and of what the other end says only its
//! answer to this one delivery is looked at, with a cap and a deadline. Never sends a password, or a notice by mail, over a connection that is not encrypted.

mod connect;
pub mod error;
pub mod mail;
pub mod service;
mod smtp;
mod starttls;
pub mod syslog;
pub mod webhook;
mod words;
