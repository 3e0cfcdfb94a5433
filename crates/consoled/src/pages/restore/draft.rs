//! Restores that are being prepared.

/// Those of one session.
#[derive(Debug, Default)]
pub struct Drafts;
