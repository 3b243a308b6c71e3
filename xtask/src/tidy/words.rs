//! Which files may name what: a table of words, each with the places that own it.

use std::collections::BTreeSet;

use super::code::{self, Kind, Token};

/// Words that may be used below `folders` in the files below `owners` only.
struct Rule {
    folders: &'static [&'static str],
    words: &'static [&'static str],
    /// Starts of paths. Where none of them exists yet, the rule waits.
    owners: &'static [&'static str],
    reason: &'static str,
}

const EVERYWHERE: &[&str] = &[""];
const NO_FILE: &[&str] = &[];

const RULES: &[Rule] = &[
    Rule {
        folders: EVERYWHERE,
        words: &["aws_sdk_s3"],
        owners: &["crates/s3-storage/"],
        reason: "only s3-storage names the S3 SDK",
    },
    Rule {
        folders: EVERYWHERE,
        words: &["aws_config"],
        owners: &["crates/aws-access/"],
        reason: "only aws-access names the credential SDK",
    },
    Rule {
        folders: EVERYWHERE,
        words: &[
            "aws_config",
            "aws_credential_types",
            "aws_smithy",
            "aws_types",
        ],
        owners: &["crates/aws-access/", "crates/s3-storage/"],
        reason: "what the SDK is made of stays behind aws-access and s3-storage",
    },
    Rule {
        folders: &["crates/repository/src/"],
        words: &["PutMode::Update"],
        owners: &[
            "crates/repository/src/commit.rs",
            "crates/repository/src/commit/followers",
        ],
        reason: "only commit moves a head, and only followers follow it",
    },
    Rule {
        folders: &["crates/repository/src/"],
        words: &["head_key"],
        owners: &[
            "crates/repository/src/adopt/head.rs",
            "crates/repository/src/commit.rs",
            "crates/repository/src/commit/followers.rs",
            "crates/repository/src/read/head.rs",
            "crates/repository/src/verify.rs",
        ],
        reason: "the head is moved by commit, read by head (another program's by adopt) and watched by followers",
    },
    Rule {
        folders: &["crates/repository/src/"],
        words: &[".put("],
        owners: &[
            "crates/repository/src/commit.rs",
            "crates/repository/src/commit/followers.rs",
            "crates/repository/src/commit/founding.rs",
            "crates/repository/src/commit/prepare.rs",
            "crates/repository/src/commit/upload.rs",
        ],
        reason: "only these write, each its own kind of object",
    },
    Rule {
        folders: &["crates/repository/src/"],
        words: &[".delete("],
        owners: &[
            "crates/repository/src/folders/delete.rs",
            "crates/repository/src/gc.rs",
        ],
        reason: "only a collection, and the deletion of a suite, delete",
    },
    Rule {
        folders: &["crates/repository/src/"],
        words: &["condemned_record().update"],
        owners: &[
            "crates/repository/src/gc.rs",
            "crates/repository/src/gc/",
            "crates/repository/src/repair/condemned.rs",
        ],
        reason: "what is condemned is decided by collections, and spared by publishers",
    },
    Rule {
        folders: &["crates/debucket/src/"],
        words: &[".put(", ".delete(", ".copy("],
        owners: NO_FILE,
        reason: "a command changes a bucket through the repository library",
    },
    Rule {
        folders: &[
            "crates/aws-access/src/",
            "crates/deb-index/src/",
            "crates/repo-signing/src/",
            "crates/repository/src/",
            "crates/s3-storage/src/",
        ],
        words: &["println!", "print!(", "eprintln!", "eprint!(", "clap::"],
        owners: NO_FILE,
        reason: "a library prints nothing and has no command line",
    },
    Rule {
        folders: &["crates/apt-method/src/"],
        words: &["stdout()", "println!", "print!("],
        owners: &["crates/apt-method/src/main.rs"],
        reason: "the method's standard output is the protocol, written by main alone",
    },
    Rule {
        folders: &["crates/apt-method/src/"],
        words: &[".put(", ".delete(", ".copy("],
        owners: NO_FILE,
        reason: "the method only reads",
    },
    Rule {
        folders: &["crates/deb-index/src/"],
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
        owners: NO_FILE,
        reason: "the model does no I/O beyond Read and Write, and reads no clock",
    },
];

/// This file, whose table has all the words.
const TABLE: &str = "xtask/src/tidy/words.rs";

/// What is wrong with the code of one file; `exists` says whether a path starts so anywhere in the workspace.
pub(super) fn check(path: &str, code: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    if path == TABLE {
        return Vec::new();
    }
    let starts = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    let rules: Vec<_> = RULES
        .iter()
        .filter(|rule| starts(rule.folders) && !starts(rule.owners))
        .filter(|rule| rule.owners.is_empty() || rule.owners.iter().any(|owner| exists(owner)))
        .collect();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for rule in &rules {
            if let Some(word) = rule.words.iter().find(|word| has_word(line, word)) {
                wrong.push(format!("{path}:{number}: `{word}`: {}", rule.reason));
            }
        }
    }
    if path.contains("/src/") {
        wrong.extend(judged_by_text(path, code));
    }
    wrong
}

/// Whether `word` is in `line` and does not merely end a longer one, as `println!` ends `eprintln!`.
fn has_word(line: &str, word: &str) -> bool {
    let is_own = |at: usize| {
        let before = line.get(..at).and_then(|start| start.chars().next_back());
        !word.starts_with(char::is_alphanumeric)
            || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    line.match_indices(word).any(|(at, _)| is_own(at))
}

/// Places that render a value and then look what the text says: causes are kept as values.
///
/// The text may have been given a name first; then it counts only where it was made from an error.
fn judged_by_text(path: &str, code: &str) -> Vec<String> {
    let tokens = code::tokens(code);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut wrong = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let rendered = match token.text {
            "to_string" if text(at + 1) == "(" && text(at + 2) == ")" => Some(at + 3),
            "format" if text(at + 1) == "!" && text(at + 2) == "(" => {
                code::closing(&tokens, at + 2).map(|end| end + 1)
            }
            name if named.contains(name) => Some(at + 1),
            _ => None,
        };
        let Some((rest, end)) = rendered.and_then(|end| Some((tokens.get(end..)?, end))) else {
            continue;
        };
        if is_judgement(rest) {
            wrong.push(format!(
                "{path}:{}: nothing is decided by the text of a value: match on the value",
                token.line(code)
            ));
        } else if rest.first().is_some_and(|token| token.text == ";") {
            // From `let name =` to the end of the statement.
            let begin = tokens[..at]
                .iter()
                .rposition(|token| [";", "{", "}"].contains(&token.text));
            let statement = &tokens[begin.map_or(0, |at| at + 1)..end];
            let is_of_error = statement.iter().any(|token| token.text.contains("err"));
            if let [keyword, name, equals, ..] = statement
                && keyword.text == "let"
                && equals.text == "="
                && is_of_error
            {
                named.insert(name.text);
            }
        }
    }
    wrong
}

/// `.contains(` and its like, also after `.to_lowercase()` and such.
fn is_judgement(mut rest: &[Token<'_>]) -> bool {
    while let [dot, method, open, ..] = rest
        && dot.text == "."
        && method.kind == Kind::Word
        && open.text == "("
    {
        match method.text {
            "contains" | "starts_with" | "ends_with" | "find" => return true,
            "as_str" | "to_lowercase" | "to_ascii_lowercase" | "trim" => {
                rest = rest.get(4..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, line: &str) -> usize {
        check(path, line, &|_| true).len()
    }

    /// Every word of every rule, where it may not be, and where it may.
    #[test]
    fn each_rule_finds_its_words_and_spares_their_owners() {
        for rule in RULES {
            for word in rule.words {
                let line = format!("let x = {word};");
                for folder in rule.folders {
                    let folder = if folder.is_empty() {
                        "crates/other/"
                    } else {
                        folder
                    };
                    let found = check(&format!("{folder}other.rs"), &line, &|_| true);
                    assert!(
                        found.iter().any(|found| found.contains(rule.reason)),
                        "{folder} {word}"
                    );
                }
                for owner in rule.owners {
                    let path = format!("{owner}/own.rs");
                    let found = check(&path, &line, &|_| true);
                    assert!(
                        !found.iter().any(|found| found.contains(rule.reason)),
                        "{owner} {word}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_word_that_ends_a_longer_one_is_not_found() {
        assert_eq!(
            wrong("crates/apt-method/src/fetch.rs", "eprintln!(\"x\")"),
            0
        );
        assert_eq!(wrong("crates/x/src/a.rs", "my_aws_config()"), 0);
    }

    #[test]
    fn a_rule_waits_for_its_owner() {
        let check = |exists: bool| {
            let exists = move |path: &str| exists || path != "crates/aws-access/";
            check("crates/s3-storage/src/a.rs", "use aws_config::X;", &exists).len()
        };
        assert_eq!((check(true), check(false)), (1, 0));
    }

    #[test]
    fn a_decision_by_text_is_found() {
        for line in [
            "if error.to_string().contains(\"timed out\") {}",
            "error\n    .to_string()\n    .to_lowercase()\n    .starts_with(\"tls\")",
            "format!(\"{error:#}\").contains(\"x (\")",
            "format!(\"{:?}\", error.source()).ends_with('x')",
            "let text = error.to_string();\nif text.contains(\"x\") {}",
            "let said = format!(\"{}\", io_err);\nsaid.to_lowercase().find('x')",
        ] {
            assert_eq!(wrong("crates/x/src/a.rs", line), 1, "{line}");
            assert_eq!(wrong("crates/x/tests/a.rs", line), 0, "{line}");
        }
        for line in [
            "names.contains(&name.to_string())",
            "name.to_string().len()",
            "println!(\"{error}\")",
            "let text = name.to_string();\ntext.contains('x')",
        ] {
            assert_eq!(wrong("crates/x/src/a.rs", line), 0, "{line}");
        }
    }
}
