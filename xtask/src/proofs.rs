//! The proofs that the documents name: each must be there to be run.
//!
//! The documents have tables whose last column is headed `proof`, and sentences that begin with
//! `Proof:`. What stands there between backticks is a scenario of `cargo xtask e2e`, a test's name, a file of tests, or a path of
//! modules below `crates/publisher/tests`.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

/// The documents, and whether each promise in them must have a proof.
const DOCUMENTS: [(&str, bool); 3] = [
    ("docs/semantics.md", true),
    ("docs/threat-model.md", false),
    ("docs/fields.md", false),
];

/// What proofs are looked up in.
struct Tests<'a> {
    root: &'a Path,
    /// The Rust files of the workspace, relative to `root`.
    sources: &'a [String],
    scenarios: BTreeSet<&'static str>,
}

/// What the documents name and nobody finds, as messages.
pub(crate) fn missing(
    root: &Path,
    sources: &[String],
    scenarios: BTreeSet<&'static str>,
) -> Result<Vec<String>> {
    let tests = Tests {
        root,
        sources,
        scenarios,
    };
    let mut missing = Vec::new();
    for (document, all_proven) in DOCUMENTS {
        let text = fs::read_to_string(root.join(document))
            .with_context(|| format!("cannot read {document}"))?;
        for (number, proof) in proofs(&text) {
            if all_proven && proof.trim().is_empty() {
                missing.push(format!("{document}:{number}: a promise without a proof"));
            }
            for name in names(proof) {
                if !tests.have(name)? {
                    missing.push(format!("{document}:{number}: there is no test `{name}`"));
                }
            }
        }
    }
    Ok(missing)
}

/// The texts that name proofs, with the numbers of their lines.
fn proofs(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_table = false;
    for (number, line) in (1..).zip(text.lines()) {
        let cells = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'));
        let last = cells.and_then(|cells| cells.rsplit('|').next());
        match last.map(str::trim) {
            None => in_table = false,
            Some("proof") => in_table = true,
            Some(cell) if in_table && cell.trim_matches('-').is_empty() && !cell.is_empty() => {}
            Some(cell) if in_table => {
                found.push((number, cell));
                continue;
            }
            Some(_) => {}
        }
        if let Some((_, proof)) = line.split_once("Proof: ") {
            found.push((number, proof.trim_end_matches('|')));
        }
    }
    found
}

/// What stands between backticks, without commands.
fn names(proof: &str) -> impl Iterator<Item = &str> {
    proof
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| !name.contains(' '))
}

impl Tests<'_> {
    fn have(&self, name: &str) -> Result<bool> {
        if self.scenarios.contains(name) {
            return Ok(true);
        }
        if name.starts_with("tests/") {
            return Ok(self.sources.iter().any(|source| {
                let inside = source.splitn(3, '/').nth(2).unwrap_or_default();
                inside == name || inside.starts_with(&format!("{name}/"))
            }));
        }
        if let Some((module, test)) = name.rsplit_once("::") {
            let folder = Path::new("crates/publisher/tests");
            let is_module = |path: &str| {
                let file = folder.join(path.replace("::", "/")).with_extension("rs");
                self.root.join(&file).is_file().then_some(file)
            };
            return Ok(match is_module(module) {
                Some(file) => self.defines(&file, test)?,
                None => is_module(name).is_some(),
            });
        }
        if self
            .root
            .join("crates")
            .join(name.replace('_', "-"))
            .is_dir()
        {
            return Ok(true);
        }
        for source in self.sources {
            if self.defines(Path::new(source), name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn defines(&self, source: &Path, test: &str) -> Result<bool> {
        let text = fs::read_to_string(self.root.join(source))
            .with_context(|| format!("cannot read {}", source.display()))?;
        Ok(text.contains(&format!("fn {test}(")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binaries::workspace;

    #[test]
    fn proofs_are_found_in_tables_and_sentences() {
        let text = "| a | proof |\n|---|---|\n| x | `one`, e2e `two` |\n| y | |\n\n| b | c |\n|---|---|\n| z | `no` |\nSo. Proof: `cargo test`, `three`.\n";
        let found = proofs(text);
        assert_eq!(
            found,
            [
                (3, "`one`, e2e `two`"),
                (4, ""),
                (9, "`cargo test`, `three`.")
            ]
        );
        let named: Vec<_> = found.iter().flat_map(|(_, proof)| names(proof)).collect();
        assert_eq!(named, ["one", "two", "three"]);
    }

    #[test]
    fn a_test_is_known_by_its_name_alone() {
        let root = workspace();
        let sources = [
            "xtask/src/proofs.rs".to_owned(),
            "crates/publisher/tests/commit/time.rs".to_owned(),
        ];
        let tests = Tests {
            root: &root,
            sources: &sources,
            scenarios: BTreeSet::from(["flow"]),
        };
        for (name, expected) in [
            ("flow", true),
            ("flaw", false),
            ("a_test_is_known_by_its_name_alone", true),
            ("a_test_is_known", false),
            ("tests/commit/time.rs", true),
            ("tests/commit", true),
            ("tests/com", false),
            ("commit::time", true),
            ("commit::tide", false),
            ("commit::time::no_such_test", false),
            ("deb_index", true),
            ("deb_indexes", false),
        ] {
            assert_eq!(tests.have(name).unwrap(), expected, "{name}");
        }
    }
}
