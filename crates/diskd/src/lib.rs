//! The program that has the disks: finds, watches, prepares, mounts and erases them. Has no network and no keys, and does not know the vault's format: what is in a
//! disk's file system is not its business. Never writes to a disk that the box runs from.

pub mod calendar;
pub mod certificate;
pub mod content;
pub mod erase;
pub mod error;
pub mod former;
pub mod guard;
pub mod history;
pub mod identity;
pub mod inventory;
pub mod keyd;
pub mod label;
pub mod locate;
pub mod medium;
pub mod mount;
pub mod mounter;
pub mod prepare;
pub mod program;
pub mod service;
pub mod smart;
pub mod vitals;
pub mod watch;

pub use error::DiskError;
