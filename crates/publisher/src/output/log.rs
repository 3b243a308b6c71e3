//! The result of `debucket log`.

use deb_index::{
    commit::{Action, Change, Commit},
    digest::Sha256,
    settings::Settings,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    error::Error,
    output::{self, Table, short},
};

/// Changes that are named on one line.
const NAMED: usize = 3;

/// A commit in the JSON array of `debucket log`, newest first.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// Its name.
    id: &'a Sha256,
    /// The commit before it; null for the first.
    parent: Option<Sha256>,
    /// The `Date` of its `Release`, by the store's clock.
    time: Timestamp,
    /// Who made it.
    author: &'a str,
    /// The program that made it.
    tool: &'a str,
    /// Why; may be empty.
    message: &'a str,
    /// What it changed: action, component, package, version, architecture, sha256 and filename of
    /// each package.
    changes: &'a [Change],
    /// The suite's settings from then on.
    settings: &'a Settings,
}

/// Shows a history as JSON.
///
/// # Errors
/// Those of writing.
pub fn json(history: &[(Sha256, Commit)]) -> Result<(), Error> {
    let documents = history.iter().map(|(id, commit)| Document {
        id,
        parent: commit.parent,
        time: commit.time,
        author: &commit.author,
        tool: &commit.tool,
        message: &commit.message,
        changes: &commit.changes,
        settings: &commit.settings,
    });
    output::json(&documents.collect::<Vec<_>>())
}

/// A commit as `git log` would show it.
pub fn entry(id: &Sha256, commit: &Commit) -> String {
    let mut text = format!(
        "commit {id}\nAuthor: {}\nDate:   {}\n\n",
        commit.author, commit.time
    );
    for line in commit.message.lines() {
        text.push_str(format!("    {line}").trim_end());
        text.push('\n');
    }
    if !commit.message.trim().is_empty() {
        text.push('\n');
    }
    let mut table = Table::default();
    for change in &commit.changes {
        let sign = match change.action {
            Action::Add => "    +",
            Action::Replace => "    ~",
        };
        let Change {
            package,
            version,
            architecture,
            component,
            ..
        } = change;
        let cells = [
            sign.to_owned(),
            package.to_string(),
            version.to_string(),
            architecture.to_string(),
            component.to_string(),
        ];
        table.line(cells);
    }
    if commit.changes.is_empty() {
        text.push_str("    settings only\n");
    }
    text.push_str(&table.render());
    if commit.parent.is_some() {
        text.push('\n');
    }
    text
}

/// A commit on one line: its name, its time, and the first line of its message or what it changed.
pub fn line(id: &Sha256, commit: &Commit) -> String {
    let first = commit
        .message
        .lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let subject = first.map_or_else(|| summary(&commit.changes), ToOwned::to_owned);
    format!("{} {} {subject}\n", short(id), commit.time)
}

fn summary(changes: &[Change]) -> String {
    let name = |change: &Change| {
        let word = match change.action {
            Action::Add => "add",
            Action::Replace => "replace",
        };
        format!(
            "{word} {}_{}_{}",
            change.package, change.version, change.architecture
        )
    };
    let mut named: Vec<_> = changes.iter().take(NAMED).map(name).collect();
    match changes.len() {
        0 => return "settings only".to_owned(),
        count if count > NAMED => named.push(format!("and {} more", count - NAMED)),
        _ => {}
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(message: &str, changes: usize) -> Commit {
        let change = |number: usize| Change {
            action: if number == 0 {
                Action::Replace
            } else {
                Action::Add
            },
            component: "main".parse().unwrap(),
            package: format!("pkg{number}").parse().unwrap(),
            version: "1.0".parse().unwrap(),
            architecture: "all".parse().unwrap(),
            sha256: Sha256([7; 32]),
            filename: "pool/x.deb".to_owned(),
        };
        Commit {
            format: Commit::FORMAT,
            parent: None,
            time: Timestamp::from_second(1_764_000_000).unwrap(),
            author: "ada@build".to_owned(),
            tool: "debucket 0.1.0".to_owned(),
            message: message.to_owned(),
            settings: Settings::default(),
            changes: (0..changes).map(change).collect(),
            indexes: Vec::new(),
        }
    }

    #[test]
    fn an_entry_reads_like_git() {
        let id = Sha256([0xab; 32]);
        let shown = entry(&id, &commit("Fix the fan\n\nIt was loud.", 2));
        let expected = format!(
            "commit {id}\nAuthor: ada@build\nDate:   2025-11-24T16:00:00Z\n\n    Fix the fan\n\n    It was loud.\n\n    ~  pkg0  1.0  all  main\n    +  pkg1  1.0  all  main\n"
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_line_says_what_changed_if_nobody_said_why() {
        let id = Sha256([0xab; 32]);
        assert_eq!(
            line(&id, &commit("Why\nmore", 1)),
            "abababababab 2025-11-24T16:00:00Z Why\n"
        );
        let shown = line(&id, &commit("", 5));
        assert!(
            shown.ends_with(
                "replace pkg0_1.0_all, add pkg1_1.0_all, add pkg2_1.0_all, and 2 more\n"
            ),
            "{shown}"
        );
        assert!(line(&id, &commit(" ", 0)).ends_with("settings only\n"));
    }
}
