//! The licence of the whole: both texts are there, and every crate takes the workspace's licence.

use super::Complaint;
use super::tree::Tree;

const TEXTS: [(&str, &str); 2] = [("LICENSE-APACHE", "Apache License"), ("LICENSE-MIT", "Permission is hereby granted, free of charge")];
const EXPRESSION: &str = "license = \"Apache-2.0 OR MIT\"";

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let missing = TEXTS.iter().filter(|(path, words)| !tree.get(path).is_some_and(|text| text.contains(words)));
    let mut complaints: Vec<_> = missing.map(|(path, _)| Complaint::new(*path, "the licence text is missing")).collect();
    let manifests = tree.files().filter(|(path, text)| path.ends_with("Cargo.toml") && text.contains("[package]"));
    let unlicensed = manifests.filter(|(_, text)| !text.contains("license.workspace = true") && !text.contains(EXPRESSION));
    complaints.extend(unlicensed.map(|(path, _)| Complaint::new(path, "says no licence, or another one")));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_manifests_are_looked_at() {
        let good = [
            ("LICENSE-APACHE", "Apache License 2.0"),
            ("LICENSE-MIT", "Permission is hereby granted, free of charge, to"),
            ("Cargo.toml", "[workspace]"),
            ("crates/a/Cargo.toml", "[package]\nlicense.workspace = true"),
        ];
        assert_eq!(check(&Tree::of(&good)), []);
        assert_eq!(check(&Tree::of(&good[1..])).len(), 1);
        assert_eq!(check(&Tree::of(&[good[0], good[1], ("crates/b/Cargo.toml", "[package]\nlicense = \"GPL-2.0\"")])).len(), 1);
    }
}
