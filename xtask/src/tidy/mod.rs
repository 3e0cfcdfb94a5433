//! `cargo xtask tidy`: the house rules that no compiler checks. Reads, never changes anything.

mod layers;
mod licences;
mod routes;
mod rust;
mod spec;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use tree::Tree;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// File or crate, relative to the root; a line where there is one.
    place: String,
    what: String,
}

impl Complaint {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }

    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks the checkout at `root`, prints what is wrong and returns how many rules are broken.
pub(crate) fn run(root: &Path) -> anyhow::Result<usize> {
    let tree = Tree::read(root)?;
    let rules: [(&str, Vec<Complaint>); 6] = [
        ("layers", layers::check(&layers::packages(root)?)),
        ("words", words::check(&tree)),
        ("rust files", rust::check(&tree)),
        ("formats and source", spec::check(&tree)),
        ("api.md and routes", routes::check(&tree)),
        ("licences", licences::check(&tree)),
    ];
    let broken = rules.iter().map(|(_, complaints)| complaints.len()).sum();
    for (rule, complaints) in &rules {
        complaints.iter().for_each(|complaint| eprintln!("tidy, {rule}: {complaint}"));
    }
    let passed = rules.iter().filter(|(_, complaints)| complaints.is_empty()).count();
    println!("tidy: {} files, {passed} passed, {} failed", tree.files().count(), rules.len() - passed);
    Ok(broken)
}
