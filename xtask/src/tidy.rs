//! `cargo xtask tidy`: the invariants of `ARCHITECTURE.md` that the compiler cannot hold.
//!
//! It reads source text, not syntax: a rule names a word that may stand only in certain files. Comments and the
//! `#[cfg(test)]` module at the end of a file are left out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{binaries::workspace, e2e, proofs};

/// A file beyond this is listed; it is no error, but one idea seldom needs more.
const LONG: usize = 500;

/// Checks the architecture's invariants in the sources.
#[derive(Debug, Args)]
pub(crate) struct Tidy {}

/// Words that may not stand below `folder`, except in `except`.
struct Rule {
    folder: &'static str,
    words: &'static [&'static str],
    except: &'static [&'static str],
    reason: &'static str,
}

/// Below `folder` errors are recognised by their types and values.
const fn by_value(folder: &'static str) -> Rule {
    Rule {
        folder,
        words: &[
            ".to_string().contains(",
            ".to_string().starts_with(",
            ".to_string().ends_with(",
            "text.contains(",
            "message().contains(",
        ],
        except: &[],
        reason: "an error is recognised by its type and values, never by its text",
    }
}

const RULES: &[Rule] = &[
    Rule {
        folder: "",
        words: &["aws_sdk_s3"],
        except: &["crates/s3-storage/"],
        reason: "only s3-storage names the S3 SDK",
    },
    Rule {
        folder: "",
        words: &[
            "aws_config::",
            "aws_credential_types",
            "aws_types",
            "aws_smithy_http_client",
        ],
        except: &["crates/aws-access/"],
        reason: "only aws-access names the SDK's crates for credentials, configuration and connections",
    },
    Rule {
        folder: "",
        words: &["aws_smithy", "aws_runtime"],
        except: &["crates/aws-access/", "crates/s3-storage/"],
        reason: "the SDK stays below aws-access and the services' crates",
    },
    by_value("crates/apt-method/src/"),
    by_value("crates/aws-access/src/"),
    by_value("crates/dev-s3/src/"),
    by_value("crates/s3-storage/src/"),
    Rule {
        folder: "crates/publisher/src/",
        words: &["head_key"],
        except: &[
            "crates/publisher/src/commit.rs",
            "crates/publisher/src/followers.rs",
            "crates/publisher/src/snapshot.rs",
        ],
        reason: "the head is moved by commit, read by snapshot, watched by followers, and nobody else's business",
    },
    Rule {
        folder: "crates/publisher/src/",
        words: &[".put("],
        except: &[
            "crates/publisher/src/commit.rs",
            "crates/publisher/src/followers.rs",
            "crates/publisher/src/upload.rs",
        ],
        reason: "only upload, commit and followers write",
    },
    Rule {
        folder: "crates/apt-method/src/",
        words: &["stdout()", "println!", "print!("],
        except: &["crates/apt-method/src/main.rs"],
        reason: "the method's standard output is the protocol, written by main alone",
    },
    Rule {
        folder: "crates/apt-method/src/",
        words: &[".put(", ".delete("],
        except: &[],
        reason: "the method only reads",
    },
    Rule {
        folder: "crates/deb-index/src/",
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "tokio",
            "SystemTime",
            "Instant::",
            "Timestamp::now",
            "async fn",
        ],
        except: &[],
        reason: "the model does no I/O beyond Read and Write, and reads no clock",
    },
];

impl Tidy {
    /// Prints what is wrong; fails if anything is.
    pub(crate) fn run(&self) -> Result<()> {
        let root = workspace();
        let files = sources(&root)?;
        let mut wrong = Vec::new();
        let mut long = Vec::new();
        for path in &files {
            let text = fs::read_to_string(root.join(path))
                .with_context(|| format!("cannot read {path}"))?;
            wrong.extend(check(path, &text));
            let lines = text.lines().count();
            if lines > LONG {
                long.push((lines, path));
            }
        }
        let scenarios = e2e::scenarios();
        let names = scenarios.iter().map(|scenario| scenario.name).collect();
        wrong.extend(proofs::missing(&root, &files, names)?);
        long.sort_unstable_by(|one, two| two.cmp(one));
        for (lines, path) in long {
            println!("note: {path} has {lines} lines (more than {LONG})");
        }
        for message in &wrong {
            println!("{message}");
        }
        if !wrong.is_empty() {
            bail!("{} places are wrong", wrong.len());
        }
        println!("tidy: {} files, no invariant broken", files.len());
        Ok(())
    }
}

/// Every Rust file of the workspace, relative to its root, sorted.
fn sources(root: &Path) -> Result<Vec<String>> {
    let mut folders: Vec<PathBuf> = vec![root.join("crates"), root.join("xtask")];
    let mut files = Vec::new();
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
                files.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong with one file.
fn check(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//!") {
        wrong.push(format!(
            "{path}:1: a module starts with `//!`, which says what it is"
        ));
    }
    // The rules' own words stand here.
    if path == "xtask/src/tidy.rs" {
        return wrong;
    }
    for (number, line) in chains(text) {
        for rule in RULES {
            let applies = path.starts_with(rule.folder)
                && !rule.except.iter().any(|allowed| path.starts_with(allowed));
            let word = rule.words.iter().find(|word| has_word(&line, word));
            if let (true, Some(word)) = (applies, word) {
                wrong.push(format!("{path}:{number}: `{word}`: {}", rule.reason));
            }
        }
    }
    wrong
}

/// Whether `word` stands in `line` and does not merely end a longer one, as `println!` ends `eprintln!`.
fn has_word(line: &str, word: &str) -> bool {
    let is_own = |at: usize| {
        let before = line.get(..at).and_then(|start| start.chars().next_back());
        !word.starts_with(char::is_alphanumeric) || !before.is_some_and(char::is_alphanumeric)
    };
    line.match_indices(word).any(|(at, _)| is_own(at))
}

/// The lines that are code, a chain of calls as one.
fn chains(text: &str) -> Vec<(usize, String)> {
    let mut chains: Vec<(usize, String)> = Vec::new();
    for (number, line) in code(text) {
        match chains.last_mut() {
            Some((_, chain)) if line.trim_start().starts_with('.') => {
                chain.push_str(line.trim_start());
            }
            _ => chains.push((number, line.to_owned())),
        }
    }
    chains
}

/// The lines that are code: no comments, and nothing of the test module that ends a file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_test_module = |pair: &[&str]| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    let end = lines
        .windows(2)
        .position(is_test_module)
        .unwrap_or(lines.len());
    lines
        .into_iter()
        .take(end)
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_word_and_spares_its_exceptions() {
        let source = |line: &str| format!("//! A module.\n{line}\n");
        let wrong = |path: &str, line: &str| check(path, &source(line)).len();
        assert_eq!(
            wrong("crates/publisher/src/list.rs", "use aws_sdk_s3::Client;"),
            1
        );
        assert_eq!(
            wrong("crates/s3-storage/src/client.rs", "use aws_sdk_s3::Client;"),
            0
        );
        for (line, at_home) in [
            ("use aws_config::SdkConfig;", 0),
            ("use aws_credential_types::Credentials;", 0),
            ("use aws_smithy_http_client::Connector;", 0),
            ("use aws_sdk_s3::Client;", 1),
        ] {
            assert_eq!(wrong("crates/aws-access/src/a.rs", line), at_home, "{line}");
            assert_ne!(wrong("crates/apt-method/src/a.rs", line), 0, "{line}");
        }
        let searched = "if error.to_string().contains(\"certificate\") {";
        assert_eq!(wrong("crates/s3-storage/src/a.rs", searched), 1);
        assert_eq!(
            wrong("crates/s3-storage/src/a.rs", "if error.is_timeout() {"),
            0
        );
        let put = "storage.put(&head_key(suite), payload, options)";
        assert_eq!(wrong("crates/publisher/src/publish.rs", put), 2);
        assert_eq!(wrong("crates/publisher/src/upload.rs", put), 1);
        assert_eq!(wrong("crates/publisher/src/commit.rs", put), 0);
        assert_eq!(
            wrong("crates/apt-method/src/fetch.rs", "println!(\"x\")"),
            1
        );
        assert_eq!(
            wrong("crates/apt-method/src/fetch.rs", "eprintln!(\"x\")"),
            0
        );
        assert_eq!(
            wrong("crates/apt-method/src/main.rs", "let out = io::stdout();"),
            0
        );
        assert_eq!(
            wrong(
                "crates/deb-index/src/release.rs",
                "let now = SystemTime::now();"
            ),
            1
        );
    }

    #[test]
    fn comments_and_tests_are_left_out() {
        let text = "//! A module.\n// aws_sdk_s3 is elsewhere.\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    use aws_sdk_s3 as _;\n}\n";
        assert_eq!(
            check("crates/publisher/src/a.rs", text),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_module_without_a_word_on_itself_is_found() {
        assert_eq!(check("crates/deb-index/src/a.rs", "fn f() {}\n").len(), 1);
    }
}
