//! What all places have in common that a restore writes to: how they are opened, and what they say about what could not be set.

use keepwell_format::port::Target;

use crate::{LocalTarget, NfsTarget, Warnings};

/// A target that says what it could not set.
pub trait RestoreTarget: Target {
    /// So far.
    fn warnings(&self) -> Warnings;
}

impl RestoreTarget for LocalTarget {
    fn warnings(&self) -> Warnings {
        Self::warnings(self)
    }
}

impl RestoreTarget for NfsTarget {
    fn warnings(&self) -> Warnings {
        Self::warnings(self)
    }
}

/// How a target is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is made where it is not there; something in it is an error.
    Empty,
    /// It is made where it is not there, and may hold something.
    Merge,
    /// It is only looked at; nothing is made. With `empty`, something in it is an error.
    Preview {
        /// It must be empty.
        empty: bool,
    },
}

impl Opening {
    pub(crate) fn makes(self) -> bool {
        !matches!(self, Self::Preview { .. })
    }

    pub(crate) fn wants_empty(self) -> bool {
        matches!(self, Self::Empty | Self::Preview { empty: true })
    }
}
