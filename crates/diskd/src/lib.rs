//! The program that has the disks: finds, watches, prepares, mounts and erases them. Has no network and no keys, and does not know the vault's format: what is in a
//! disk's file system is not its business. Never writes to a disk that the box runs from.

pub mod program;
pub mod smart;
