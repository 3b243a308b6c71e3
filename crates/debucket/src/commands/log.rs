//! `debucket log`: the history of a suite, newest first.

use std::{cell::Cell, ops::ControlFlow, sync::Arc};

use clap::Args;
use deb_index::{
    change::Selector,
    digest::Sha256,
    suite::{
        commit::{Change, Commit},
        settings::Settings,
    },
};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use repository::{Depth, Head, Past, Suite};
use serde::Serialize;

use super::verify_report::VerifyReport;
use crate::{
    context::Context,
    error::Error,
    key_options::TrustOptions,
    package_changes,
    store_options::SuiteOption,
    text::{Table, one_line, short},
};

/// Changes that are named on one line.
const NAMED: usize = 3;

/// Show the history of a suite
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite.

Examples:
  debucket log --repo s3://acme-apt --oneline -n 10
  debucket log helloworld --repo s3://acme-apt")]
pub struct Log {
    /// Only commits that changed these packages, and only those changes: NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)'
    #[arg(value_name = "PACKAGE")]
    packages: Vec<Selector>,
    /// Show at most this many commits
    #[arg(long, short = 'n', value_name = "NUMBER")]
    max_count: Option<usize>,
    /// Show each commit on one line
    #[arg(long)]
    oneline: bool,
    /// Verify the whole history instead: each commit, and that the index files and package files of each state are there and have
    /// the right size
    #[arg(long, conflicts_with_all = ["packages", "max_count", "oneline"])]
    verify: bool,
    /// With --verify, also read and hash these files
    #[arg(long, requires = "verify")]
    deep: bool,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    trust: TrustOptions,
}

/// A commit in the JSON array of `debucket log`, newest first.
#[derive(Debug, Serialize)]
struct Document<'a> {
    id: &'a Sha256,
    /// The commit before it; null for the first.
    parent: Option<Sha256>,
    /// The `Date` of its `Release`, by the store's clock.
    time: Timestamp,
    author: &'a str,
    /// The program that made it.
    tool: &'a str,
    /// May be empty.
    message: &'a str,
    /// Action, component, package, version, architecture, size in bytes, sha256, filename and phase of each package that it changed.
    changes: &'a [Change],
    /// The suite's settings from then on.
    settings: &'a Settings,
}

impl Log {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repository = context.repository().await?;
        let found = context.read_suite(&repository, self.suite.name()?, &self.trust);
        let (suite, head) = found.await?;
        if self.verify {
            let name = suite.name().clone();
            let depth = match self.deep {
                true => Depth::History,
                false => Depth::Listing,
            };
            let found = suite.verify_history(depth).await?;
            let mut whole = suite.newest_whole(&head).await?;
            if found.problems.is_empty() && whole == head.commit.parent {
                whole = None;
            }
            let report = VerifyReport::of_history(context, self.deep, name, found, whole)?;
            return report.conclude(context);
        }
        if context.printer.is_json() {
            let read = suite.reading(head, async |head| {
                self.history(context, &suite, head).try_collect().await
            });
            let (_, history): (_, Vec<_>) = read.await?;
            let documents = history.iter().map(|(id, commit)| Document::new(id, commit));
            return context.printer.json(&documents.collect::<Vec<_>>());
        }
        // Each as soon as it is read: a history may be long, and its reader may have seen enough. Nothing begins again after that.
        let is_begun = Cell::new(false);
        let read = suite.reading(head, async |head| {
            let mut history = std::pin::pin!(self.history(context, &suite, head));
            loop {
                let (id, commit) = match history.try_next().await {
                    Ok(Some(step)) => step,
                    Ok(None) => return Ok(Ok(())),
                    Err(error) if is_begun.get() => return Ok(Err(error.into())),
                    Err(error) => return Err(error),
                };
                is_begun.set(true);
                let text = if self.oneline {
                    line(&id, &commit)
                } else {
                    entry(&id, &commit)
                };
                match context.printer.text(&text) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(error)),
                }
            }
        });
        read.await?.1
    }

    /// The commits to show.
    fn history<'a>(
        &'a self,
        context: &'a Context,
        suite: &'a Suite<'_>,
        head: &Head,
    ) -> impl Stream<Item = Result<(Sha256, Commit), repository::Error>> + 'a {
        let past = suite.past(head.id());
        let history = past.try_filter_map(async |step| {
            let (id, mut commit) = match step {
                Past::Commit(id, commit) => (id, *commit),
                Past::Lost(id) => {
                    context.warn_of_lost(suite, Some(id));
                    return Ok(None);
                }
            };
            if !self.packages.is_empty() {
                Arc::make_mut(&mut commit.changes).retain(|change| {
                    let mut packages = self.packages.iter();
                    packages.any(|selector| selector.is_about(change))
                });
                if commit.changes.is_empty() {
                    return Ok(None);
                }
            }
            Ok(Some((id, commit)))
        });
        history.take(self.max_count.unwrap_or(usize::MAX))
    }
}

impl<'a> Document<'a> {
    fn new(id: &'a Sha256, commit: &'a Commit) -> Self {
        Self {
            id,
            parent: commit.parent,
            time: commit.time,
            author: &commit.authorship.author,
            tool: &commit.authorship.tool,
            message: &commit.authorship.message,
            changes: &commit.changes,
            settings: &commit.settings,
        }
    }
}

/// A commit as `git log` would show it.
fn entry(id: &Sha256, commit: &Commit) -> String {
    let (author, message) = (
        one_line(&commit.authorship.author),
        &commit.authorship.message,
    );
    let mut text = format!("commit {id}\nAuthor: {author}\nDate:   {}\n\n", commit.time);
    for line in message.lines() {
        text.push_str(format!("    {}", one_line(line)).trim_end());
        text.push('\n');
    }
    if !message.trim().is_empty() {
        text.push('\n');
    }
    let mut table = Table::default();
    for change in commit.changes.iter() {
        let sign = match change.action.as_str() {
            Change::ADD => "+",
            Change::REPLACE => "~",
            Change::REMOVE => "-",
            other => other,
        };
        let Change {
            package,
            version,
            architecture,
            component,
            ..
        } = change;
        let parts = [package, version, architecture, component];
        let parts = parts.map(|part| part.clone().unwrap_or_default());
        let phase = change.phase.as_ref().map(package_changes::phase);
        let cells = [format!("    {sign}")].into_iter().chain(parts);
        table.line(cells.chain(phase));
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
fn line(id: &Sha256, commit: &Commit) -> String {
    let message = commit.authorship.message.lines().next().map(str::trim);
    let subject = message
        .filter(|line| !line.is_empty())
        .map_or_else(|| summary(&commit.changes), ToOwned::to_owned);
    format!("{} {} {}\n", short(id), commit.time, one_line(&subject))
}

fn summary(changes: &[Change]) -> String {
    let name = |change: &Change| {
        let parts = [&change.package, &change.version, &change.architecture];
        let parts: Vec<_> = parts.into_iter().flatten().cloned().collect();
        let phase = change.phase.as_ref().map(package_changes::phase);
        let phase = phase.unwrap_or_default();
        let text = format!("{} {} {phase}", change.action, parts.join("_"));
        text.trim_end().to_owned()
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
        let change = |number: usize| {
            serde_json::json!({
                "action": if number == 0 { "replace" } else { "add" },
                "component": "main", "package": format!("pkg{number}"), "version": "1.0", "architecture": "all",
            })
        };
        let changes: Vec<_> = (0..changes).map(change).collect();
        serde_json::from_value(serde_json::json!({
            "format": 1, "suite": "stable", "parent": null, "time": "2025-11-24T16:00:00Z",
            "authorship": {"author": "ada@build", "message": message}, "changes": changes, "indexes": {},
            "settings": {"components": [], "architectures": [], "formats": [], "signing_keys": []},
        }))
        .unwrap()
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
    fn a_line_without_a_message_says_what_changed() {
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
