//! `cargo xtask tidy`: the invariants of `ARCHITECTURE.md` that the compiler cannot hold.

mod code;
mod imports;
mod layers;
mod proofs;
mod words;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use self::{layers::Metadata, proofs::Tests};
use crate::{binaries::workspace, e2e};

/// A file beyond this is listed; it is no error, but one idea seldom needs more.
const LONG: usize = 500;

/// Checks the architecture's invariants in the sources.
#[derive(Debug, Args)]
pub(crate) struct Tidy {}

impl Tidy {
    /// Prints what is wrong; fails if anything is.
    pub(crate) fn run(&self) -> Result<()> {
        let root = workspace();
        let texts = sources(&root)?;
        let codes: BTreeMap<&str, String> = texts
            .iter()
            .map(|(path, text)| (path.as_str(), code::without_tests(text)))
            .collect();
        let exists = |start: &str| codes.keys().any(|path| path.starts_with(start));
        let mut wrong = Vec::new();
        for (path, text) in &texts {
            if !text.starts_with("//!") {
                wrong.push(format!(
                    "{path}:1: a module starts with `//!`, which says what it is"
                ));
            }
            wrong.extend(words::check(path, &codes[path.as_str()], &exists));
        }
        for file in codes.keys().filter(|file| is_crate_root(file)) {
            for cycle in imports::cycles(file, &|file| codes.get(file).cloned()) {
                wrong.push(format!("an import cycle:\n  {}", cycle.join("\n  ")));
            }
        }
        wrong.extend(Metadata::read()?.check(&root));
        let scenarios = e2e::scenarios();
        let tests = Tests {
            sources: &texts,
            scenarios: scenarios.iter().map(|scenario| scenario.name).collect(),
        };
        wrong.extend(proofs::missing(&root, &tests)?);

        let mut long: Vec<_> = texts
            .iter()
            .map(|(path, text)| (text.lines().count(), path))
            .filter(|(lines, _)| *lines > LONG)
            .collect();
        long.sort_unstable_by(|one, two| two.cmp(one));
        for (lines, path) in long {
            println!("note: {path} has {lines} lines (more than {LONG})");
        }
        for message in &wrong {
            println!("{message}");
        }
        if !wrong.is_empty() {
            bail!("{} invariants are broken", wrong.len());
        }
        println!("tidy: {} files, no invariant broken", texts.len());
        Ok(())
    }
}

fn is_crate_root(file: &str) -> bool {
    file.ends_with("/src/lib.rs") || file.ends_with("/src/main.rs") || file.contains("/src/bin/")
}

/// Every Rust file of the workspace, by its path from the root.
fn sources(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut folders: Vec<PathBuf> = ["crates", "patches", "xtask"]
        .map(|name| root.join(name))
        .into();
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                files.insert(name, text);
            }
        }
    }
    Ok(files)
}
