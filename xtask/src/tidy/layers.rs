//! Which crate may use which (ARCHITECTURE.md, "Layers"). Owns the rule; a new crate needs a decision record and a row here.

use std::path::Path;

use anyhow::Context;
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand};

use super::Complaint;

/// Crate, and what of ours it may use.
const LAYERS: [(&str, &[&str]); 32] = [
    ("keepwell-format", &[]),
    ("keepwell-crypt", &[]),
    ("keepwell-storage", &[]),
    ("keepwell-keys", &["keepwell-format", "keepwell-crypt"]),
    ("keepwell-paper", &["keepwell-crypt"]),
    ("keepwell-vault", &["keepwell-format", "keepwell-crypt", "keepwell-storage", "keepwell-keys"]),
    ("keepwell-smb", &["keepwell-smb-server"]),
    ("keepwell-nfs", &[]),
    ("keepwell-source", &["keepwell-format", "keepwell-smb", "keepwell-nfs", "keepwell-smb-server"]),
    ("keepwell-api", &[]),
    ("keepwell-keyd", &["keepwell-format", "keepwell-crypt", "keepwell-keys", "keepwell-paper", "keepwell-api"]),
    ("keepwell-diskd", &["keepwell-api"]),
    ("keepwell-ingest", &["keepwell-format"]),
    ("keepwell-wire", &["keepwell-format"]),
    ("keepwell-link", &["keepwell-wire"]),
    ("keepwell-replicad", REPLICAD),
    ("keepwell-recover", RECOVER),
    // Has the network, and what two papers open: for as long as a vault comes back to a box that has none.
    ("keepwell-recoverd", RECOVERD),
    ("keepwell-offsite", &["keepwell-format", "keepwell-crypt", "keepwell-storage", "keepwell-wire"]),
    ("keepwell-audit", &[]),
    ("keepwell-duties", &[]),
    ("keepwell-ingestd", &["keepwell-format", "keepwell-source", "keepwell-ingest", "keepwell-api"]),
    ("keepwell-authd", &["keepwell-api"]),
    ("keepwell-notifyd", &["keepwell-api"]),
    ("keepwell-consoled", &["keepwell-duties", "keepwell-api"]),
    ("keepwell-tty", &["keepwell-crypt", "keepwell-duties", "keepwell-wire", "keepwell-api"]),
    ("keepwell-vaultd", VAULTD),
    ("keepwell-cli", CLI),
    ("keepwell-fuzz", FUZZ),
    // The server that tests script: it shares no code with the client, so that an error of one does not hide in the other.
    ("keepwell-smb-server", &[]),
    // What a box that was broken into says, and a peer that lies: with this vault's keys, so with its code.
    ("keepwell-hostile-box", HOSTILE_BOX),
    ("xtask", &[]),
];

const VAULTD: &[&str] = &[
    "keepwell-wire",
    "keepwell-format",
    "keepwell-crypt",
    "keepwell-storage",
    "keepwell-keys",
    "keepwell-vault",
    "keepwell-ingest",
    "keepwell-audit",
    "keepwell-duties",
    "keepwell-api",
];
const RECOVER: &[&str] = &[
    "keepwell-format",
    "keepwell-crypt",
    "keepwell-storage",
    "keepwell-keys",
    "keepwell-vault",
    "keepwell-wire",
    "keepwell-link",
    "keepwell-offsite",
    "keepwell-api",
];
const RECOVERD: &[&str] =
    &["keepwell-format", "keepwell-crypt", "keepwell-storage", "keepwell-vault", "keepwell-wire", "keepwell-recover", "keepwell-api"];
const CLI: &[&str] = &[
    "keepwell-format",
    "keepwell-crypt",
    "keepwell-storage",
    "keepwell-keys",
    "keepwell-paper",
    "keepwell-vault",
    "keepwell-source",
    "keepwell-duties",
    "keepwell-wire",
    "keepwell-recover",
    "keepwell-api",
];
const REPLICAD: &[&str] =
    &["keepwell-format", "keepwell-crypt", "keepwell-storage", "keepwell-wire", "keepwell-link", "keepwell-offsite", "keepwell-api"];
const HOSTILE_BOX: &[&str] = &["keepwell-format", "keepwell-crypt", "keepwell-storage", "keepwell-keys", "keepwell-wire", "keepwell-link"];
const FUZZ: &[&str] = &[
    "keepwell-format",
    "keepwell-crypt",
    "keepwell-storage",
    "keepwell-paper",
    "keepwell-source",
    "keepwell-smb",
    "keepwell-nfs",
    "keepwell-diskd",
    "keepwell-keyd",
    "keepwell-ingest",
    "keepwell-api",
    "keepwell-authd",
    "keepwell-audit",
    "keepwell-wire",
];

/// What tests of a crate may use beside that: the two ends of a connection are tested with each other, and so are two places that both fail.
const TESTS: [(&str, &[&str]); 2] = [
    ("keepwell-replicad", &["keepwell-keys", "keepwell-vault", "keepwell-recover"]),
    ("keepwell-vault", &["keepwell-wire", "keepwell-offsite"]),
];

/// The engine is synchronous and has no network: none of these, ever.
const ENGINE: [&str; 6] = ["keepwell-format", "keepwell-crypt", "keepwell-storage", "keepwell-keys", "keepwell-paper", "keepwell-vault"];
const NETWORK: [&str; 10] = ["keepwell-smb", "keepwell-nfs", "tokio", "sspi", "hyper", "reqwest", "axum", "socket2", "mio", "nfs-rs"];

/// A crate of the workspace and the names of all it depends on, tests and build scripts included.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) uses: Vec<String>,
}

pub(super) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec().context("cargo metadata")?;
    let package = |package: cargo_metadata::Package| {
        let tests = TESTS.iter().find(|(name, _)| package.name == *name).map_or(&[][..], |(_, tests)| *tests);
        let counts = |dependency: &Dependency| dependency.kind != DependencyKind::Development || !tests.contains(&&*dependency.name);
        Package {
            name: package.name.to_string(),
            uses: package.dependencies.into_iter().filter(counts).map(|dependency| dependency.name).collect(),
        }
    };
    Ok(metadata.packages.into_iter().map(package).collect())
}

pub(super) fn check(packages: &[Package]) -> Vec<Complaint> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Complaint> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
        return vec![Complaint::new(&package.name, "is no crate of the map: write a decision record and add it to the layers")];
    };
    let ours = |name: &String| LAYERS.iter().any(|(known, _)| known == name) || name.starts_with("keepwell-");
    let upward = package.uses.iter().filter(|name| ours(name) && !allowed.contains(&name.as_str()));
    let mut complaints: Vec<_> = upward.map(|name| Complaint::new(&package.name, format!("may not use {name}"))).collect();
    if ENGINE.contains(&package.name.as_str()) {
        let network = package.uses.iter().filter(|name| NETWORK.contains(&name.as_str()));
        complaints.extend(network.map(|name| Complaint::new(&package.name, format!("the engine has no network, so no {name}"))));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, uses: &[&str]) -> usize {
        let uses = uses.iter().map(|name| (*name).to_owned()).collect();
        check(&[Package { name: name.into(), uses }]).len()
    }

    #[test]
    fn downward_is_allowed() {
        assert_eq!(complaints("keepwell-vault", &["keepwell-format", "keepwell-storage", "zstd"]), 0);
        assert_eq!(complaints("keepwell-cli", &["keepwell-source", "keepwell-vault", "tokio"]), 0);
    }

    #[test]
    fn upward_and_sideways_are_not() {
        assert_eq!(complaints("keepwell-storage", &["keepwell-format"]), 1);
        assert_eq!(complaints("keepwell-source", &["keepwell-vault", "keepwell-crypt"]), 2);
        assert_eq!(complaints("keepwell-vault", &["keepwell-later"]), 1);
    }

    #[test]
    fn the_engine_has_no_network() {
        assert_eq!(complaints("keepwell-vault", &["tokio"]), 1);
        assert_eq!(complaints("keepwell-source", &["tokio", "keepwell-smb"]), 0);
        assert_eq!(complaints("keepwell-smb", &["keepwell-source"]), 1);
    }

    #[test]
    fn a_crate_that_nobody_decided_on_is_named() {
        assert_eq!(complaints("keepwell-surprise", &[]), 1);
    }
}
