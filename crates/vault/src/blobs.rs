//! Blobs in and out of the pool.

mod reader;
mod windows;
mod writer;

pub(crate) use reader::{BlobReader, pack_name};
pub(crate) use writer::BlobWriter;
