//! What a change of a suite does, or would do.

use std::collections::{BTreeMap, HashSet};

use deb_index::{
    change::client_view::ViewChange,
    digest::Sha256,
    name::SuiteName,
    suite::{
        commit::{Change, Commit},
        settings::Settings,
    },
};
use jiff::Timestamp;
use repository::{Draft, Outcome, PackageFile, Published, Suite};
use serde::Serialize;

use crate::{
    context::Context,
    printer::Report,
    settings_text,
    text::{Table, bytes, one_line, short},
};

/// The JSON document of every command that changes a suite.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeReport {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    pub(crate) suite: SuiteName,
    /// Whether nothing was written because only the plan was asked for.
    dry_run: bool,
    /// Whether the suite was changed, or would be.
    changed: bool,
    /// Whether the suite did not exist before.
    new_suite: bool,
    /// The commit that has what was asked for: the new one, or the one that was there if nothing changed. Null in a dry run.
    commit: Option<Sha256>,
    /// The commit before it; in a dry run, the one that would be built on. Null if there is none.
    parent: Option<Sha256>,
    /// The `Date` of the suite's `Release`. Null in a dry run.
    date: Option<Timestamp>,
    /// Packages that were added, replaced or removed, or would be.
    changes: Vec<Package>,
    /// Packages that were given and are in the suite already.
    unchanged: Vec<Package>,
    /// What devices have to accept of the change.
    client_changes: Vec<ViewChange>,
    /// The suite's settings from here on.
    settings: Settings,
    /// What did not go well, or will not, though the command succeeded.
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    old_settings: Option<Settings>,
}

/// A package of a change.
#[derive(Debug, Serialize)]
struct Package {
    /// `add`, `replace` or `remove`; missing if the package is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    component: String,
    package: String,
    version: String,
    architecture: String,
    /// Length of its file in bytes; missing if no file was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Digest of its file.
    sha256: String,
    /// Its key, relative to the repository; missing if the package is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

/// The packages of `changes`, and those of `files`, each once, that are not among them.
fn sort(files: &[PackageFile], changes: &[Change]) -> (Vec<Package>, Vec<Package>) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let sizes: BTreeMap<_, _> = files
        .iter()
        .map(|file| (file.stanza.sha256.to_string(), file.stanza.size))
        .collect();
    let changed = changes.iter().map(|change| Package {
        action: Some(change.action.clone()),
        component: text(&change.component),
        package: text(&change.package),
        version: text(&change.version),
        architecture: text(&change.architecture),
        size: sizes.get(&text(&change.sha256)).copied(),
        sha256: text(&change.sha256),
        filename: change.filename.clone(),
    });
    let changed: Vec<_> = changed.collect();
    let identity = |package: &Package| {
        let Package {
            component,
            package,
            version,
            architecture,
            ..
        } = package;
        [component, package, version, architecture].map(Clone::clone)
    };
    let is_there = |package: &&Package| package.action.as_deref() != Some(Change::REMOVE);
    let mut seen: HashSet<_> = changed.iter().filter(is_there).map(identity).collect();
    let given = files.iter().map(|file| Package {
        action: None,
        component: file.stanza.id.component.to_string(),
        package: file.stanza.id.name.to_string(),
        version: file.stanza.id.version.to_string(),
        architecture: file.stanza.id.architecture.to_string(),
        size: Some(file.stanza.size),
        sha256: file.stanza.sha256.to_string(),
        filename: None,
    });
    let unchanged = given.filter(|package| seen.insert(identity(package)));
    let unchanged = unchanged.collect();
    (changed, unchanged)
}

impl ChangeReport {
    pub(crate) fn new(
        context: &Context,
        suite: &Suite<'_>,
        draft: &Draft<'_>,
        files: &[PackageFile],
    ) -> Self {
        let plan = draft.plan();
        let (changes, unchanged) = sort(files, &plan.changes);
        Self {
            repo: context.url().map(|url| url.to_string()).unwrap_or_default(),
            suite: suite.name().clone(),
            dry_run: true,
            changed: !draft.is_empty(),
            new_suite: draft.base().is_none(),
            commit: None,
            parent: draft.base().map(|head| head.id()),
            date: None,
            changes,
            unchanged,
            client_changes: draft.view_changes().to_vec(),
            settings: plan.settings.clone(),
            warnings: Vec::new(),
            old_settings: draft.base().map(|head| head.commit.settings.clone()),
        }
    }

    pub(crate) fn carried_out(self, published: &Published, files: &[PackageFile]) -> Self {
        let (id, commit, date): (_, &Commit, _) = match &published.outcome {
            Outcome::Committed(committed) => {
                (committed.id, &committed.commit, committed.commit.time)
            }
            Outcome::Unchanged(head) => (head.id(), &head.commit, head.release.date),
        };
        let committed = match &published.outcome {
            Outcome::Committed(committed) => Some(committed),
            Outcome::Unchanged(_) => None,
        };
        let changes = committed.map_or(&[][..], |committed| &committed.commit.changes);
        let (changes, unchanged) = sort(files, changes);
        Self {
            dry_run: false,
            changed: committed.is_some(),
            new_suite: committed.is_some() && commit.parent.is_none(),
            commit: Some(id),
            parent: commit.parent,
            date: Some(date),
            changes,
            unchanged,
            client_changes: committed
                .map_or_else(Vec::new, |committed| committed.view_changes.clone()),
            settings: commit.settings.clone(),
            ..self
        }
    }

    /// The packages to send.
    pub(crate) fn uploads(&self) -> usize {
        self.sent().count()
    }

    fn sent(&self) -> impl Iterator<Item = u64> {
        let packages = self.changes.iter();
        let sent = packages.filter(|package| package.action.as_deref() != Some(Change::REMOVE));
        sent.filter_map(|package| package.size)
    }

    pub(crate) fn conclusion(&self) -> String {
        if self.dry_run {
            return "nothing was written in this dry run\n".to_owned();
        }
        let Self { repo, suite, .. } = self;
        let id = self.commit.as_ref().map(short).unwrap_or_default();
        match (self.changed, self.new_suite) {
            (true, true) => format!("created suite {suite} in {repo}: commit {id}\n"),
            (true, false) => format!("suite {suite} in {repo} is at commit {id}\n"),
            (false, _) => {
                format!(
                    "nothing to do: suite {suite} in {repo} is like that already (commit {id})\n"
                )
            }
        }
    }

    fn plan(&self) -> String {
        let Self { repo, suite, .. } = self;
        let mut text = match self.new_suite {
            true => format!("would create suite {suite} in {repo}\n"),
            false if self.changed => format!("would change suite {suite} in {repo}\n"),
            false => format!("nothing to do: suite {suite} in {repo} is like that already\n"),
        };
        for line in settings_text::changed_lines(self.old_settings.as_ref(), &self.settings) {
            text.push_str(&format!("  {}\n", one_line(&line)));
        }
        text
    }
}

impl Package {
    fn cells(&self, word: &str) -> Vec<String> {
        let Self {
            component,
            package,
            version,
            architecture,
            ..
        } = self;
        let cells = [package, version, architecture, component];
        let cells = cells.into_iter().cloned();
        [word.to_owned()].into_iter().chain(cells).collect()
    }
}

impl Report for ChangeReport {
    fn text(&self) -> String {
        let (indent, mut text) = if self.dry_run {
            ("  ", self.plan())
        } else {
            ("", String::new())
        };
        let mut table = Table::default();
        for package in &self.changes {
            let word = match (self.dry_run, package.action.as_deref().unwrap_or_default()) {
                (false, Change::ADD) => "added",
                (false, Change::REPLACE) => "replaced",
                (false, Change::REMOVE) => "removed",
                (_, action) => action,
            };
            let mut cells = package.cells(&format!("{indent}{word}"));
            if self.dry_run {
                cells.push(package.size.map(bytes).unwrap_or_default());
                cells.push(package.filename.clone().unwrap_or_default());
            }
            table.line(cells);
        }
        for package in &self.unchanged {
            table.line(package.cells(&format!("{indent}already there")));
        }
        text.push_str(&table.render());
        for change in &self.client_changes {
            text.push_str(&format!("{indent}devices have to accept: {change}\n"));
        }
        if self.dry_run {
            let count = self.uploads();
            let uploads = match count {
                0 => String::new(),
                _ => format!(" ({count} to upload, {})", bytes(self.sent().sum())),
            };
            text.push_str(&format!("dry run: nothing was written{uploads}\n"));
        } else {
            text.push_str(&self.conclusion());
        }
        text
    }
}
