//! `CHANGELOG.md` (<https://keepachangelog.com>) as a Debian changelog (deb-changelog(5)).

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// What is said of the version that is being built, as long as it has no section of its own.
const UNRELEASED: &str = "Unreleased";
/// Columns of a line, as Debian's changelogs have them.
const WIDTH: usize = 76;

/// A version and what is new in it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    version: String,
    /// `YYYY-MM-DD`; the version that is being built may have none.
    date: Option<String>,
    changes: Vec<String>,
}

/// The changelog of `package` in `version`, which was made at `epoch`.
pub(crate) fn debian(
    markdown: &str,
    package: &str,
    version: &str,
    maintainer: &str,
    epoch: u64,
) -> Result<String> {
    let mut entries = parse(markdown);
    for entry in &mut entries {
        if entry.version == UNRELEASED {
            version.clone_into(&mut entry.version);
        }
    }
    let first = entries
        .iter()
        .position(|entry| entry.version == version)
        .with_context(|| format!("CHANGELOG.md says nothing of {version}"))?;
    let mut text = String::new();
    for entry in &entries[first..] {
        let moment = match (&entry.date, entry.version == version) {
            (Some(date), false) => date.clone(),
            _ => format!("@{epoch}"),
        };
        text.push_str(&format!(
            "{package} ({}) stable; urgency=medium\n\n",
            entry.version
        ));
        for change in &entry.changes {
            text.push_str(&bullet(change));
        }
        text.push_str(&format!("\n -- {maintainer}  {}\n\n", rfc_2822(&moment)?));
    }
    text.pop();
    Ok(text)
}

/// The sections `## [1.2.3] - 2026-01-31` or `## Unreleased`, those without a change left out.
fn parse(markdown: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in markdown.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let mut words = title.split_whitespace();
            let version = words.next().unwrap_or_default().trim_matches(['[', ']']);
            entries.push(Entry {
                version: version.to_owned(),
                date: words.find(|word| *word != "-").map(str::to_owned),
                changes: Vec::new(),
            });
        } else if let Some(entry) = entries.last_mut() {
            match (line.strip_prefix("- "), entry.changes.last_mut()) {
                (Some(change), _) => entry.changes.push(change.to_owned()),
                (None, Some(change)) if line.starts_with("  ") => {
                    change.push(' ');
                    change.push_str(line.trim());
                }
                _ => {}
            }
        }
    }
    entries.retain(|entry| !entry.changes.is_empty());
    entries
}

/// `  * …`, wrapped.
fn bullet(text: &str) -> String {
    let mut lines = vec!["  *".to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("    {word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A moment that date(1) understands, as changelogs and mails have it.
fn rfc_2822(moment: &str) -> Result<String> {
    let outcome = process::run(Command::new("date").env("LC_ALL", "C").args([
        "--utc",
        "--rfc-email",
        "--date",
        moment,
    ]))?
    .success()
    .context("CHANGELOG.md has a date that is none")?;
    Ok(outcome.stdout.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKDOWN: &str = "# Changelog\n\nWords.\n\n## Unreleased\n\n### Added\n\n- One thing that is\n  long.\n- Another.\n\n## [0.1.0] - 2026-01-02\n\n### Fixed\n\n- All.\n\n## 0.0.1\n";

    #[test]
    fn each_version_becomes_an_entry() {
        let text = debian(MARKDOWN, "p", "0.2.0", "A <a@example.org>", 1_767_225_600).unwrap();
        assert_eq!(
            text,
            "p (0.2.0) stable; urgency=medium\n\n  * One thing that is long.\n  * Another.\n\n -- A <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n\np (0.1.0) stable; urgency=medium\n\n  * All.\n\n -- A <a@example.org>  Fri, 02 Jan 2026 00:00:00 +0000\n"
        );
    }

    #[test]
    fn long_lines_are_wrapped_and_a_version_without_words_is_an_error() {
        let words = "word ".repeat(40);
        let text = bullet(&words);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().count(), 41);
        assert!(debian("# Changelog\n\n## Unreleased\n", "p", "1", "A", 1).is_err());
    }
}
