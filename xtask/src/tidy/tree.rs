//! The text files of the checkout that git tracks or would track. Owns the only reading of files in `tidy`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Path relative to the root -> content, for every text file.
pub(super) struct Tree(BTreeMap<String, String>);

impl Tree {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files")?;
        ensure!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
        let names = listing.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(Self(names.filter_map(|name| text(root, std::str::from_utf8(name).ok()?)).collect()))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// None for what is deleted, a link or not text.
fn text(root: &Path, name: &str) -> Option<(String, String)> {
    let path = root.join(name);
    let regular = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let content = regular.then(|| std::fs::read_to_string(path).ok()).flatten()?;
    (!content.contains('\0')).then(|| (name.to_owned(), content))
}

#[cfg(test)]
impl Tree {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }
}
