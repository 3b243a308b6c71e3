//! The result of `debucket publish`, carried out or only planned.

use std::collections::BTreeMap;

use deb_index::{
    commit::{Action, Change},
    digest::Sha256,
    name::{Architecture, Component, PackageName, SuiteName},
    settings::Settings,
    version::Version,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{OutputFormat, OutputOptions},
    commit::Outcome,
    error::Error,
    output::{self, Table, bytes, short},
    publish::{Preview, Published},
    repository::RepositoryUrl,
    upload::PackageFile,
};

/// The JSON document of `debucket publish`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    /// The suite.
    suite: &'a SuiteName,
    /// Whether nothing was written because only the plan was asked for.
    dry_run: bool,
    /// Whether the suite was changed, or would be.
    changed: bool,
    /// Whether the suite did not exist before.
    new_suite: bool,
    /// The commit that holds what was asked for: the new one, or the one that was there where
    /// nothing changed. Null in a dry run.
    commit: Option<Sha256>,
    /// The commit before it; in a dry run, the one that would be built on. Null where there is
    /// none.
    parent: Option<Sha256>,
    /// The `Date` of the suite's `Release`. Null in a dry run.
    date: Option<Timestamp>,
    /// Packages that were added or replaced, or would be.
    changes: Vec<Package<'a>>,
    /// Packages that were given and are in the suite already.
    unchanged: Vec<Package<'a>>,
    /// The suite's settings from here on.
    settings: &'a Settings,
    /// What did not go well, though the publication did.
    warnings: Vec<String>,
}

/// A package that was given.
#[derive(Debug, Serialize)]
struct Package<'a> {
    /// `add` or `replace`; not there for a package that is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    /// Its component.
    component: &'a Component,
    /// Its name.
    package: &'a PackageName,
    /// Its version.
    version: &'a Version,
    /// Its architecture.
    architecture: &'a Architecture,
    /// Length of its file in bytes.
    size: u64,
    /// Digest of its file.
    sha256: Sha256,
    /// Its key, relative to the repository; not there for a package that is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

impl Package<'_> {
    fn cells(&self, word: &str) -> Vec<String> {
        let Self {
            component,
            package,
            version,
            architecture,
            ..
        } = self;
        vec![
            word.to_owned(),
            package.to_string(),
            version.to_string(),
            architecture.to_string(),
            component.to_string(),
        ]
    }
}

/// The given packages, each once, sorted into those that are among `changes` and the others.
fn sort<'a>(
    files: &'a [PackageFile],
    changes: &'a [Change],
) -> (Vec<Package<'a>>, Vec<Package<'a>>) {
    let mut unique = BTreeMap::new();
    for (position, PackageFile { addition, .. }) in files.iter().enumerate() {
        unique
            .entry((&addition.component, addition.identity()))
            .or_insert((position, addition));
    }
    let mut given: Vec<_> = unique.into_values().collect();
    given.sort_by_key(|(position, _)| *position);
    let package = |addition: &'a deb_index::plan::Addition| {
        let deb = &addition.deb;
        let change = changes.iter().find(|change| {
            change.component == addition.component
                && change.package == deb.package
                && change.version == deb.version
                && change.architecture == deb.architecture
        });
        Package {
            action: change.map(|change| change.action),
            component: &addition.component,
            package: &deb.package,
            version: &deb.version,
            architecture: &deb.architecture,
            size: deb.size(),
            sha256: addition.sha256(),
            filename: change.map(|change| change.filename.as_str()),
        }
    };
    given
        .into_iter()
        .map(|(_, addition)| package(addition))
        .partition(|package| package.action.is_some())
}

/// Shows what would be published.
///
/// # Errors
/// Those of writing.
pub fn preview(
    output: &OutputOptions,
    url: &RepositoryUrl,
    suite: &SuiteName,
    files: &[PackageFile],
    preview: &Preview,
) -> Result<(), Error> {
    let Preview { head, plan, .. } = preview;
    let base = head.as_ref().map(|head| &head.commit);
    let (changes, unchanged) = sort(files, &plan.changes);
    let document = Document {
        repo: url.to_string(),
        suite,
        dry_run: true,
        changed: !plan.is_empty(base),
        new_suite: head.is_none(),
        commit: None,
        parent: head.as_ref().map(|head| head.id),
        date: None,
        changes,
        unchanged,
        settings: &plan.settings,
        warnings: Vec::new(),
    };
    if output.output == OutputFormat::Json {
        return output::json(&document);
    }
    if output.quiet {
        return Ok(());
    }
    let settings = settings_lines(base.map(|base| &base.settings), &plan.settings);
    output::text(planned(&document, &settings)).map(|_| ())
}

fn planned(document: &Document<'_>, settings: &[String]) -> String {
    let Document { repo, suite, .. } = document;
    let mut text = match document.new_suite {
        true => format!("would create suite {suite} in {repo}\n"),
        false if document.changed => format!("would change suite {suite} in {repo}\n"),
        false => format!("nothing to do: suite {suite} in {repo} has all of this already\n"),
    };
    for line in settings {
        text.push_str(&format!("  {line}\n"));
    }
    let mut table = Table::default();
    for package in &document.changes {
        let word = if package.action == Some(Action::Replace) {
            "  replace"
        } else {
            "  add"
        };
        let key = package.filename.unwrap_or_default();
        table.line(
            package
                .cells(word)
                .into_iter()
                .chain([bytes(package.size), key.to_owned()]),
        );
    }
    for package in &document.unchanged {
        table.line(package.cells("  already there"));
    }
    text.push_str(&table.render());
    let total: u64 = document.changes.iter().map(|package| package.size).sum();
    let count = document.changes.len();
    text.push_str(&format!(
        "dry run: nothing was written ({count} to upload, {})\n",
        bytes(total)
    ));
    text
}

/// A line for each setting that becomes another one.
fn settings_lines(before: Option<&Settings>, after: &Settings) -> Vec<String> {
    let value = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
    let (before, after) = (before.map(value).unwrap_or_default(), value(after));
    let settings = after.as_object().into_iter().flatten();
    let changed = settings.filter(|(name, value)| before.get(name.as_str()) != Some(*value));
    changed
        .map(|(name, after)| match before.get(name).map(words) {
            Some(before) if !before.is_empty() => {
                format!("{}: {before} -> {}", name.replace('_', " "), words(after))
            }
            _ => format!("{}: {}", name.replace('_', " "), words(after)),
        })
        .collect()
}

fn words(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) if items.is_empty() => "none".to_owned(),
        serde_json::Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Shows what was published, and warns of followers that lag behind.
///
/// # Errors
/// Those of writing.
pub fn published(
    output: &OutputOptions,
    url: &RepositoryUrl,
    suite: &SuiteName,
    files: &[PackageFile],
    published: &Published,
) -> Result<(), Error> {
    let (id, commit, date, changes) = match &published.outcome {
        Outcome::Committed(committed) => (
            committed.id,
            &committed.commit,
            committed.commit.time,
            committed.commit.changes.as_slice(),
        ),
        Outcome::Unchanged(head) => (head.id, &head.commit, head.date, &[][..]),
    };
    let changed = matches!(published.outcome, Outcome::Committed(_));
    let lagging = published.lagging.as_ref().map(|error| {
        format!("clients that do not read InRelease or fetch by hash may see the previous state until the next publish: {error}")
    });
    let (changes, unchanged) = sort(files, changes);
    let document = Document {
        repo: url.to_string(),
        suite,
        dry_run: false,
        changed,
        new_suite: changed && commit.parent.is_none(),
        commit: Some(id),
        parent: commit.parent,
        date: Some(date),
        changes,
        unchanged,
        settings: &commit.settings,
        warnings: lagging.into_iter().collect(),
    };
    for warning in &document.warnings {
        eprintln!("warning: {warning}");
    }
    match output.output {
        OutputFormat::Json => output::json(&document),
        OutputFormat::Human if output.quiet => Ok(()),
        OutputFormat::Human => output::text(done(&document, &id)).map(|_| ()),
    }
}

fn done(document: &Document<'_>, id: &Sha256) -> String {
    let Document { repo, suite, .. } = document;
    let mut table = Table::default();
    for package in &document.changes {
        table.line(package.cells(if package.action == Some(Action::Replace) {
            "replaced"
        } else {
            "added"
        }));
    }
    for package in &document.unchanged {
        table.line(package.cells("already there"));
    }
    let mut text = table.render();
    let id = short(id);
    text.push_str(&match (document.changed, document.new_suite) {
        (true, true) => format!("created suite {suite} in {repo}: commit {id}\n"),
        (true, false) => format!("suite {suite} in {repo} is at commit {id}\n"),
        (false, _) => format!(
            "nothing to do: suite {suite} in {repo} has all of this already (commit {id})\n"
        ),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_change_are_shown() {
        let before = Settings {
            architectures: vec!["amd64".parse().unwrap()],
            ..Settings::default()
        };
        let mut after = before.clone();
        assert!(settings_lines(Some(&before), &after).is_empty());
        after.architectures.push("arm64".parse().unwrap());
        assert_eq!(
            settings_lines(Some(&before), &after),
            ["architectures: amd64 -> amd64, arm64"]
        );
        assert!(settings_lines(None, &after).contains(&"signing keys: none".to_owned()));
    }
}
