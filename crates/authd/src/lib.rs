//! Who may do what on this box: users, passwords, second factors, roles, lock-out, sessions and grants. A library, so that tests reach the inside.
//!
//! Owns the users' secrets and the key that signs grants. Never has a network, a key of the vault or a byte of data, and never carries out what it grants.

pub mod account;
pub mod attempts;
pub mod authority;
pub mod break_glass;
pub mod challenges;
pub mod claim_code;
pub mod error;
mod letters;
pub mod lockout;
pub mod passkey;
pub mod proof;
pub mod recovery;
pub mod service;
pub mod sessions;
pub mod setup_code;
pub mod source;
pub mod store;
pub mod tally;
pub mod token;
pub mod webauthn;
pub mod world;
