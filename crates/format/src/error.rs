//! What can be wrong with bytes.

/// Why bytes are not the structure they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end before the structure does.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// Bytes are left over.
    #[error("{0} has bytes left over")]
    Trailing(&'static str),
    /// The magic at the start is another.
    #[error("this is no {0}")]
    Magic(&'static str),
    /// Written by a later release.
    #[error("{what} has format version {found}; this program reads up to {known}")]
    Newer {
        /// The structure.
        what: &'static str,
        /// Version found.
        found: u16,
        /// Newest version known.
        known: u16,
    },
    /// A field has a value that the format does not allow.
    #[error("{what}: {why}")]
    Invalid {
        /// The structure.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A part of the format that this release does not read.
    #[error("{0} is not supported by this release")]
    Unsupported(&'static str),
    /// A text is not an id.
    #[error("not a valid {0}")]
    Id(&'static str),
}
