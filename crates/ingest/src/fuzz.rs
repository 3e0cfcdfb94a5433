//! Parsers for fuzzing.
