//! Which shares somebody may read from: all, or those of a list of names.

use serde::{Deserialize, Serialize};

use super::Verb;

/// Most names in a list.
pub const NAMES_MAX: usize = 32;
/// Longest name in one, bytes.
pub const NAME_MAX: usize = 64;

/// No list of shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list of shares has at most 32 names, of 1 to 64 bytes without control characters")]
pub struct BadScope;

/// Shares by name, sorted, each once. Empty means all, and is what everybody has unless somebody said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scope(Vec<String>);

impl Scope {
    /// These shares; all if there are none.
    pub fn new(mut names: Vec<String>) -> Result<Self, BadScope> {
        names.sort_unstable();
        names.dedup();
        let good = |name: &String| (1..=NAME_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        if names.len() <= NAMES_MAX && names.iter().all(good) { Ok(Self(names)) } else { Err(BadScope) }
    }

    /// Whether there is no limit.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this share is one of them.
    pub fn covers(&self, share: &str) -> bool {
        self.is_all() || self.0.iter().any(|name| name == share)
    }

    /// The names; none for all.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Scope {
    type Error = BadScope;

    fn try_from(names: Vec<String>) -> Result<Self, BadScope> {
        Self::new(names)
    }
}

impl From<Scope> for Vec<String> {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

/// Whether a right to this can be limited to shares. vaultd refuses a limited grant for anything else, so that a verb that knows nothing of limits can't be used past one.
pub const fn takes_scope(verb: Verb) -> bool {
    matches!(verb, Verb::SnapshotsList | Verb::FilesList | Verb::Restore | Verb::Download | Verb::RunNow)
}
