//! The primitive encodings (`docs/format.md` 1).
