//! The proofs that the documents name: each must be there to be run.
//!
//! The documents have tables whose last column is headed `proof`, and sentences that begin with
//! `Proof:`. What is there between backticks is a scenario of `cargo xtask e2e`, a test's name, a file of tests, or a path of
//! modules below the `tests` of a crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

/// The documents, and whether each promise in them must have a proof.
const DOCUMENTS: [(&str, bool); 4] = [
    ("docs/semantics.md", true),
    ("docs/threat-model.md", false),
    ("docs/fields.md", false),
    ("docs/migrating-from-deb-s3.md", true),
];

/// What proofs are looked up in.
pub(super) struct Tests<'a> {
    /// The Rust files of the workspace, by their paths from its root.
    pub(super) sources: &'a BTreeMap<String, String>,
    pub(super) scenarios: BTreeSet<&'static str>,
}

/// What the documents name and is not there, as messages.
pub(super) fn missing(root: &Path, tests: &Tests<'_>) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (document, all_proven) in DOCUMENTS {
        let text = fs::read_to_string(root.join(document))
            .with_context(|| format!("cannot read {document}"))?;
        for (number, proof) in proofs(&text) {
            if all_proven && proof.trim().is_empty() {
                missing.push(format!("{document}:{number}: a promise without a proof"));
            }
            for name in names(proof) {
                if !tests.have(name) {
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
    fn have(&self, name: &str) -> bool {
        let defined = |test: &str| format!("fn {test}(");
        if let Some(inside) = name.strip_prefix("tests/") {
            return self.files(inside).next().is_some()
                || self.files(&format!("{inside}/")).next().is_some();
        }
        if let Some((module, test)) = name.rsplit_once("::") {
            let file = |path: &str| format!("{}.rs", path.replace("::", "/"));
            let mut files = self.files(&file(module)).peekable();
            return match files.peek() {
                Some(_) => files.any(|text| text.contains(&defined(test))),
                None => self.files(&file(name)).next().is_some(),
            };
        }
        let of_crate = format!("crates/{}/", name.replace('_', "-"));
        self.scenarios.contains(name)
            || self.sources.keys().any(|path| path.starts_with(&of_crate))
            || self
                .sources
                .values()
                .any(|text| text.contains(&defined(name)))
    }

    /// The test files of all crates at this path below `tests`, or in this folder if it ends with a slash.
    fn files(&self, path: &str) -> impl Iterator<Item = &str> + use<'_> {
        let inside = format!("tests/{path}");
        let matches = move |file: &str| {
            file.splitn(3, '/').nth(2).is_some_and(|file| {
                file == inside || inside.ends_with('/') && file.starts_with(&inside)
            })
        };
        self.sources
            .iter()
            .filter(move |(file, _)| matches(file))
            .map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let sources = [
            (
                "crates/deb-index/src/lib.rs",
                "//! Index.\n#[test]\nfn a_test_of_the_index() {}",
            ),
            (
                "crates/repository/tests/commit/time.rs",
                "fn time_passes() {}",
            ),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into();
        let tests = Tests {
            sources: &sources,
            scenarios: BTreeSet::from(["flow"]),
        };
        for (name, expected) in [
            ("flow", true),
            ("flaw", false),
            ("a_test_of_the_index", true),
            ("a_test_of_the", false),
            ("tests/commit/time.rs", true),
            ("tests/commit", true),
            ("tests/com", false),
            ("commit::time", true),
            ("commit::tide", false),
            ("commit::time::time_passes", true),
            ("commit::time::no_such_test", false),
            ("deb_index", true),
            ("deb_indexes", false),
        ] {
            assert_eq!(tests.have(name), expected, "{name}");
        }
    }
}
