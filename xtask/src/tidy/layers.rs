//! The crates as cargo resolves them: which may depend on which, and whether a patch is in use.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{binaries, process};

/// From the lowest up. A crate depends on those below it only, and on none beside it.
const ORDER: &[&[&str]] = &[
    &["deb-index", "aws-access"],
    &["s3-storage"],
    &["repo-signing"],
    &["repo-signing-kms"],
    &["repository"],
    &["debucket", "apt-method-s3"],
    &["dev-s3"],
    &["e2e"],
    &["xtask"],
];

/// Arrows that the order alone would allow.
const FORBIDDEN: &[(&str, &str)] = &[
    ("s3-storage", "deb-index"),
    ("repo-signing", "s3-storage"),
    ("apt-method-s3", "repo-signing"),
    ("apt-method-s3", "repository"),
    ("dev-s3", "debucket"),
    ("dev-s3", "repository"),
];

/// The folder whose crates stand in for others.
const PATCHES: &str = "patches";

/// What `cargo metadata` says
/// (<https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>).
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    /// `None` for a path.
    source: Option<String>,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None`, `dev` or `build`.
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

impl Metadata {
    /// Asks cargo. Only crates of this platform are looked at: others need not be downloaded.
    pub(super) fn read() -> Result<Self> {
        let rustc = process::run(Command::new("rustc").arg("-vV"))?.success()?;
        let host = rustc
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("rustc does not name its host")?
            .to_owned();
        let mut cargo = binaries::cargo();
        cargo.args(["metadata", "--format-version=1", "--filter-platform", &host]);
        let outcome = process::run(&mut cargo)?.success()?;
        serde_json::from_str(&outcome.stdout).context("cargo metadata is not understood")
    }

    /// What is wrong with the order and the patches.
    pub(super) fn check(&self, root: &Path) -> Vec<String> {
        let mut wrong = self.against_the_order();
        wrong.extend(self.unused_patches(&root.join(PATCHES)));
        wrong
    }

    fn against_the_order(&self) -> Vec<String> {
        let height: BTreeMap<&str, usize> = (0..)
            .zip(ORDER)
            .flat_map(|(height, names)| names.iter().map(move |name| (*name, height)))
            .collect();
        let mut wrong = Vec::new();
        for package in self
            .packages
            .iter()
            .filter(|package| package.source.is_none())
        {
            let from = package.name.as_str();
            for dependency in &package.dependencies {
                // Tests may use what is above them.
                let is_ours = dependency.path.is_some() && dependency.kind.is_none();
                let to = dependency.name.as_str();
                if !is_ours {
                    continue;
                }
                match (height.get(from), height.get(to)) {
                    (Some(one), Some(other)) if one > other && !FORBIDDEN.contains(&(from, to)) => {
                    }
                    (Some(_), Some(_)) => {
                        wrong.push(format!("{from} -> {to}: against the order of the crates"));
                    }
                    _ => wrong.push(format!("{from} -> {to}: not in the order of the crates")),
                }
            }
        }
        wrong
    }

    /// cargo only warns where a patch fits no version that is asked for.
    fn unused_patches(&self, folder: &Path) -> Vec<String> {
        let mut wrong = Vec::new();
        for patch in &self.packages {
            if !Path::new(&patch.manifest_path).starts_with(folder) {
                continue;
            }
            let is_used = self
                .resolve
                .nodes
                .iter()
                .any(|node| node.id != patch.id && node.dependencies.contains(&patch.id));
            if !is_used {
                wrong.push(format!("the patch of {} is not used", patch.name));
            }
            for other in &self.packages {
                if let (true, Some(source)) = (other.name == patch.name, &other.source) {
                    wrong.push(format!("{} also comes from {source}", patch.name));
                }
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        Package {
            id: format!("{folder}#{name}"),
            name: name.to_owned(),
            source: None,
            manifest_path: format!("/w/{folder}/Cargo.toml"),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                    path: Some("/w".to_owned()),
                })
                .collect(),
        }
    }

    fn metadata(packages: Vec<Package>, nodes: &[(&str, &str)]) -> Metadata {
        let nodes = nodes
            .iter()
            .map(|(id, dependency)| Node {
                id: (*id).to_owned(),
                dependencies: vec![(*dependency).to_owned()],
            })
            .collect();
        Metadata {
            packages,
            resolve: Resolve { nodes },
        }
    }

    #[test]
    fn an_arrow_goes_down_only() {
        let one = |from: &str, to: &str, kind: Option<&str>| {
            metadata(vec![package(from, "crates/x", &[(to, kind)])], &[])
                .check(Path::new("/w"))
                .len()
        };
        assert_eq!(one("repository", "s3-storage", None), 0);
        assert_eq!(one("s3-storage", "repository", None), 1);
        assert_eq!(one("s3-storage", "repository", Some("dev")), 0);
        assert_eq!(one("debucket", "apt-method-s3", None), 1, "side by side");
        assert_eq!(one("repo-signing", "s3-storage", None), 1, "forbidden");
        assert_eq!(one("newcomer", "s3-storage", None), 1, "unknown");
    }

    #[test]
    fn a_patch_is_used_and_the_original_is_gone() {
        let patch = || package("crc", "patches/crc", &[]);
        let used = [("sdk", "patches/crc#crc")];
        let check = |packages, nodes: &[_]| metadata(packages, nodes).check(Path::new("/w")).len();
        assert_eq!(check(vec![patch()], &used), 0);
        assert_eq!(check(vec![patch()], &[]), 1);
        let mut original = package("crc", "registry/crc", &[]);
        original.source = Some("registry+https://example".to_owned());
        assert_eq!(check(vec![patch(), original], &used), 1);
    }
}
