//! Files that are written.
