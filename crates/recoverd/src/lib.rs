//! recoverd: a blank box fetches the vault of a lost one from the box that kept it.
//!
//! The only program of a box that has both a network and what two papers open, and so one that runs only where there is nothing yet: it is started by the screen, on a box that has no vault, and ends
//! when all is there. vaultd makes the disks ready and stays away from them until then. Owns what is under way; what comes, in which order and what of it is believed, `keepwell-recover` decides.

mod error;
pub mod service;
mod told;
pub mod work;

pub use error::RecoverdError;
