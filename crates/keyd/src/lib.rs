//! Seals and opens a box's vault keys, and holds its signing identity: a library, so that tests and fuzz targets reach the inside.
//!
//! Owns the TPM, the sealed state, the recovery kit's life and the service that answers for them. Never has a network, a disk of the pool or a share,
//! and never writes a key to its state in the clear but the half that opens nothing without the TPM.

pub mod entropy;
pub mod error;
pub mod hex;
pub mod keeper;
pub mod memory;
pub mod policy;
pub mod service;
pub mod state;
pub mod tpm;
