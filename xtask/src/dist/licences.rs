//! The notices of the libraries that a program holds.
//!
//! Their licences ask that each notice goes along with a binary. cargo knows which libraries these are and where their sources lie;
//! each source has its notices in files of usual names. A text that several share is given once, with the names of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{product::Product, source::Source};
use crate::process;

/// How the files are called, in capitals.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// Nothing for a dependency that is linked; `dev` or `build` for others.
    kind: Option<String>,
}

/// The notices of all that `product` holds, as one text. `triple` is what they are built for.
pub(crate) fn notices(source: &Source, product: Product, triple: &str) -> Result<String> {
    let mut command = source.cargo();
    command.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        triple,
    ]);
    let outcome = process::run(&mut command)?.success()?;
    let metadata: Metadata =
        serde_json::from_str(&outcome.stdout).context("cargo metadata is not understood")?;
    let linked = linked(&metadata, product);
    let mut list = Vec::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        // Those without a source are the workspace's own.
        if !linked.contains(package.id.as_str()) || package.source.is_none() {
            continue;
        }
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its text");
        list.push(format!("{name}: {licence}\n"));
        let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
        for text in read_texts(folder)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    ensure!(!list.is_empty(), "no library is linked: that cannot be");
    list.sort();
    let mut all = format!(
        "This program holds the following libraries. Their sources are at https://crates.io.\n\n{}",
        list.concat()
    );
    let mut ordered: Vec<_> = texts
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    ordered.sort();
    for (names, text) in ordered {
        let names: Vec<_> = names.into_iter().collect();
        all.push_str(&format!(
            "\n{}\n{}\n\n{text}",
            "-".repeat(78),
            names.join(", ")
        ));
    }
    Ok(all)
}

/// What can be reached from `product` by dependencies that are linked.
fn linked(metadata: &Metadata, product: Product) -> BTreeSet<&str> {
    let nodes: BTreeMap<_, _> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut waiting: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| package.name == product.name())
        .map(|package| package.id.as_str())
        .collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).map(|node| node.deps.as_slice());
        for dependency in dependencies.unwrap_or_default() {
            if dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    reached
}

/// The texts of the notices in a library's folder, and in the folders within it, where a library in C has its own; each with one
/// newline at its end.
fn read_texts(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for path in children(folder)? {
        if path.is_dir() {
            files.extend(children(&path)?);
        } else {
            files.push(path);
        }
    }
    let mut texts = Vec::new();
    for path in files.iter().filter(|path| is_notice(path)) {
        let bytes = fs::read(path)?;
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        if !is_gpl(&text) {
            texts.push(format!("{}\n", text.trim_end()));
        }
    }
    Ok(texts)
}

/// zstd may be taken under BSD's licence or under this one, and is taken under the first; in xz it is that of programs which are not
/// linked. A library that has no other is refused by `cargo deny`.
fn is_gpl(text: &str) -> bool {
    let title = text.trim_start().lines().next().unwrap_or_default();
    title.contains("GNU") && title.to_uppercase().contains("GENERAL PUBLIC LICENSE")
}

fn is_notice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_uppercase();
    NAMES.iter().any(|start| name.starts_with(start)) && !name.ends_with(".RS") && path.is_file()
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_found_beside_and_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("xz")).unwrap();
        for (name, text) in [
            ("LICENSE-MIT", "one\r\n\r\n"),
            ("xz/copying", "two"),
            ("license.rs", "code"),
            ("xz/COPYING.GPLv3", "   GNU GENERAL PUBLIC LICENSE\n"),
            ("README", "words"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut texts = read_texts(folder.path()).unwrap();
        texts.sort();
        assert_eq!(texts, ["one\n", "two\n"]);
    }

    #[test]
    fn what_is_linked_has_its_notices_and_what_only_builds_has_none() {
        let source = Source::at(1).unwrap();
        let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let text = notices(&source, Product::AptMethodS3, &triple).unwrap();
        assert!(text.contains("\nring 0."), "{text}");
        assert!(text.contains("Permission is hereby granted"));
        assert!(
            !text.contains("\nclap "),
            "only debucket has a command line"
        );
        assert!(!text.contains("\nproptest "), "tests are not shipped");
        assert!(!text.contains("\ncc "), "build scripts are not shipped");
    }
}
