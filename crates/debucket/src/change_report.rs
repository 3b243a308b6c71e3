//! What a change of a suite does, or would do.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use deb_index::{
    change::{
        client_view::ViewChange,
        device_view::{PackageChange, Transition},
    },
    digest::Sha256,
    name::SuiteName,
    package_id::PackageId,
    suite::{
        commit::{Change, Commit, PhaseChange},
        settings::Settings,
    },
};
use jiff::{SignedDuration, Timestamp};
use repository::{Draft, Outcome, PackageFile, Published, Suite};
use serde::{Serialize, Serializer};

use crate::{
    context::Context,
    duration::Span,
    error::{Error, list},
    package_changes,
    printer::Report,
    settings_text::{self, SettingChange},
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
    /// The commit that has what was asked for: the new one, or the one that was there if nothing changes. Null where a dry run does
    /// not make the new one.
    commit: Option<Sha256>,
    /// The commit before it, or the one that would be built on. Null if there is none.
    parent: Option<Sha256>,
    /// The `Date` of the suite's `Release` at `commit`. Null if that is.
    date: Option<Timestamp>,
    /// Packages that were added, replaced, phased or removed, or would be.
    changes: Changed,
    /// What a device gets of the packages that change, by component and name.
    packages: Vec<PackageChange>,
    /// By alias that comes to the suite, what its devices get of what they do not see yet; missing if the name is new. Devices of
    /// other aliases get what `packages` says.
    pub(crate) alias_packages: BTreeMap<SuiteName, Vec<PackageChange>>,
    /// Aliases that it has no longer; what they show stays.
    #[serde(skip)]
    dropped_aliases: BTreeSet<SuiteName>,
    /// Packages that were given and are in the suite already.
    unchanged: Unchanged,
    /// What devices notice of the change beside its packages, or have to accept.
    client_changes: Vec<ViewChange>,
    /// The suite's settings from here on.
    settings: Settings,
    /// What is new about them, if the suite existed before; otherwise empty.
    setting_changes: Vec<SettingChange>,
    /// What did not go well, or will not, though the command succeeded.
    pub(crate) warnings: Vec<String>,
    /// `Date` and the span of validity that a head would have which changes nothing else.
    #[serde(skip)]
    redated: Option<(Timestamp, Option<Span>)>,
    /// Whether files are copied from another repository.
    #[serde(skip)]
    pub(crate) copies: bool,
}

#[derive(Debug, Serialize)]
struct Package<'a> {
    /// `add`, `replace`, `phase` or `remove`; missing if the package is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    component: &'a str,
    package: &'a str,
    version: &'a str,
    architecture: &'a str,
    /// Length of its file in bytes; missing if no file was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Digest of its file.
    sha256: Cow<'a, str>,
    /// Its key, relative to the repository; missing if the package is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    /// Missing where it is for all devices, before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<PhaseChange>,
}

/// Packages that are changed. There may be tens of thousands, so they are the commit's own.
#[derive(Debug, Default)]
struct Changed {
    changes: Arc<Vec<Change>>,
    /// Lengths of the files that were given, in bytes, by their digests.
    sizes: HashMap<Sha256, u64>,
}

impl Changed {
    fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        fn text(text: &Option<String>) -> &str {
            text.as_deref().unwrap_or_default()
        }
        self.changes.iter().map(|change| Package {
            action: Some(&change.action),
            component: text(&change.component),
            package: text(&change.package),
            version: text(&change.version),
            architecture: text(&change.architecture),
            size: self.size(change),
            sha256: text(&change.sha256).into(),
            filename: change.filename.as_deref(),
            phase: change.phase,
        })
    }

    fn size(&self, change: &Change) -> Option<u64> {
        let sha256 = change.sha256.as_ref().filter(|_| !self.sizes.is_empty());
        self.sizes.get(&sha256?.parse().ok()?).copied()
    }
}

impl Serialize for Changed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.packages())
    }
}

/// The packages of `files`, each once, that are not among the changed ones.
#[derive(Debug, Default)]
struct Unchanged(Vec<(PackageId, u64, Sha256)>);

impl Unchanged {
    fn of(files: &[PackageFile], changes: &[Change]) -> Self {
        // Those of another repository were not given one by one.
        let given = files.iter().filter(|file| !file.is_copied());
        let mut given = given.peekable();
        if given.peek().is_none() {
            return Self::default();
        }
        let there = changes
            .iter()
            .filter(|change| change.action != Change::REMOVE);
        let there = there.map(|change| {
            [
                &change.component,
                &change.package,
                &change.version,
                &change.architecture,
            ]
            .map(|text| text.as_deref().unwrap_or_default())
        });
        let mut seen: HashSet<_> = there.collect();
        let mut unchanged = Vec::new();
        for PackageFile { stanza, .. } in given {
            if seen.insert(identity(&stanza.id)) {
                unchanged.push((stanza.id.clone(), stanza.size, stanza.sha256));
            }
        }
        Self(unchanged)
    }

    fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        self.0.iter().map(|(id, size, sha256)| {
            let [component, package, version, architecture] = identity(id);
            Package {
                action: None,
                component,
                package,
                version,
                architecture,
                size: Some(*size),
                sha256: sha256.to_string().into(),
                filename: None,
                phase: None,
            }
        })
    }
}

impl Serialize for Unchanged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.packages())
    }
}

fn identity(id: &PackageId) -> [&str; 4] {
    [
        id.component.as_str(),
        id.name.as_str(),
        id.version.as_str(),
        id.architecture.as_str(),
    ]
}

impl ChangeReport {
    pub(crate) fn new(
        context: &Context,
        suite: &Suite<'_>,
        draft: &Draft<'_>,
        files: &[PackageFile],
    ) -> Self {
        let base = draft.base();
        let there = base.filter(|_| draft.is_empty());
        let mut report = Self {
            repo: context.url().map(|url| url.to_string()).unwrap_or_default(),
            suite: suite.name().clone(),
            dry_run: true,
            changed: !draft.is_empty(),
            new_suite: base.is_none(),
            commit: there.map(|head| head.id()),
            parent: match there {
                Some(there) => there.commit.parent,
                None => base.map(|head| head.id()),
            },
            date: there.map(|head| head.release.date),
            changes: Changed::default(),
            packages: Vec::new(),
            alias_packages: BTreeMap::new(),
            dropped_aliases: BTreeSet::new(),
            unchanged: Unchanged::default(),
            redated: None,
            copies: files.iter().any(PackageFile::is_copied),
            client_changes: draft.view_changes().to_vec(),
            settings: draft.settings(),
            setting_changes: Vec::new(),
            warnings: Vec::new(),
        };
        report.planned(draft, files);
        report
    }

    /// Notes what the draft changes.
    pub(crate) fn planned(&mut self, draft: &Draft<'_>, files: &[PackageFile]) {
        let plan = draft.plan();
        let files_of = files.iter().map(|file| &file.stanza);
        self.changes = Changed {
            changes: plan.changes.clone(),
            sizes: files_of
                .map(|stanza| (stanza.sha256, stanza.size))
                .collect(),
        };
        self.unchanged = Unchanged::of(files, &plan.changes);
        let old = draft.base().map(|head| &head.commit.settings);
        self.dropped_aliases = old.map_or_else(BTreeSet::new, |old| {
            old.aliases
                .difference(&plan.settings.aliases)
                .cloned()
                .collect()
        });
        self.setting_changes = old.map_or_else(Vec::new, |old| {
            settings_text::changes(Some(old), &plan.settings)
        });
        let is_redated = self.changes.changes.is_empty() && self.setting_changes.is_empty();
        let valid = plan.settings.valid_seconds.map(Span);
        self.redated = is_redated.then(|| (draft.date(), valid));
    }

    /// Notes what devices get, which costs as much as the plan.
    pub(crate) fn seen(&mut self, draft: &Draft<'_>) -> Result<(), Error> {
        self.packages = draft.package_changes()?;
        self.packages.retain(PackageChange::is_noticed);
        Ok(())
    }

    pub(crate) fn carried_out(self, published: &Published) -> Self {
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
        Self {
            dry_run: false,
            changed: committed.is_some(),
            new_suite: committed.is_some() && commit.parent.is_none(),
            commit: Some(id),
            parent: commit.parent,
            date: Some(date),
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
        let changes = self.changes.changes.iter();
        let sent = changes.filter(|change| change.brings_file());
        sent.filter_map(|change| self.changes.size(change))
    }

    /// The head was brought back before, for devices with other keys.
    pub(crate) fn has_restored(&mut self, warning: &str) {
        self.changed = true;
        self.warnings.push(warning.to_owned());
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
        let all;
        let changes = if self.new_suite {
            all = settings_text::changes(None, &self.settings);
            &all
        } else {
            &self.setting_changes
        };
        for change in changes {
            text.push_str(&format!("  {}\n", one_line(&change.line())));
        }
        if let (true, false, Some((date, valid))) = (self.changed, self.new_suite, self.redated) {
            text.push_str(&format!("  Date: {date}\n"));
            let until = valid.and_then(|valid| date.checked_add(SignedDuration::from(valid)).ok());
            text.extend(until.map(|until| format!("  Valid-Until: {until}\n")));
        }
        text
    }

    /// What a device gets.
    fn devices(&self) -> String {
        // Those of the aliases that stay see the same.
        let aliases = self.settings.aliases.iter();
        let aliases = aliases.filter(|alias| !self.alias_packages.contains_key(*alias));
        let names: Vec<_> = [&self.suite].into_iter().chain(aliases).collect();
        match &names[..] {
            [_] => seen("what devices see", &self.packages, "  "),
            names => {
                let title = format!("what devices of {} see", list(names));
                seen(&title, &self.packages, "  ")
            }
        }
    }

    /// What devices of aliases get that come to the suite, and of those that it drops.
    fn aliases(&self, indent: &str) -> String {
        let mut text = String::new();
        for (alias, packages) in &self.alias_packages {
            let packages = packages.iter().filter(|package| package.is_noticed());
            let packages: Vec<_> = packages.cloned().collect();
            let table = seen(&format!("what devices of {alias} see"), &packages, indent);
            match table.is_empty() {
                true => text.push_str(&format!(
                    "{indent}devices of {alias} see the same packages\n"
                )),
                false => text.push_str(&table),
            }
        }
        for alias in &self.dropped_aliases {
            text.push_str(&format!(
                "{indent}devices of {alias} see no further changes, until another suite takes the name\n"
            ));
        }
        text
    }
}

/// A table of what devices get.
fn seen(title: &str, packages: &[PackageChange], indent: &str) -> String {
    let mut table = Table::default();
    for change in packages {
        let [before, after] = [&change.before, &change.after];
        let [before, after] = [before, after].map(|version| version.as_deref().unwrap_or(""));
        let mut cells = package_changes::cells(change, before, after);
        cells[0].insert_str(0, &format!("{indent}  "));
        if change.change == Transition::Downgraded {
            cells.push(format!("devices stay at {before}: apt does not downgrade"));
        }
        table.line(cells);
    }
    let table = table.render();
    if table.is_empty() {
        return table;
    }
    format!("{indent}{title}:\n{table}")
}

impl Package<'_> {
    fn cells(&self, word: &str) -> Vec<String> {
        let cells = [
            word,
            self.package,
            self.version,
            self.architecture,
            self.component,
        ];
        cells.map(ToOwned::to_owned).to_vec()
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
        for package in self.changes.packages() {
            let word = match (self.dry_run, package.action.unwrap_or_default()) {
                (false, Change::ADD) => "added",
                (false, Change::REPLACE) => "replaced",
                (false, Change::REMOVE) => "removed",
                (false, Change::PHASE) => "phased",
                (_, action) => action,
            };
            let mut cells = package.cells(&format!("{indent}{word}"));
            if self.dry_run {
                cells.push(package.size.map(bytes).unwrap_or_default());
                cells.push(package.filename.unwrap_or_default().to_owned());
            }
            cells.extend(package.phase.as_ref().map(package_changes::phase));
            table.line(cells);
        }
        for package in self.unchanged.packages() {
            table.line(package.cells(&format!("{indent}already there")));
        }
        text.push_str(&table.render());
        if self.dry_run {
            text.push_str(&self.devices());
        }
        text.push_str(&self.aliases(indent));
        for change in &self.client_changes {
            let effect = change.effect();
            text.push_str(&format!("{indent}devices notice: {change} ({effect})\n"));
        }
        if self.dry_run {
            let count = self.uploads();
            let uploads = match count {
                0 => String::new(),
                _ => {
                    let word = if self.copies { "copy" } else { "upload" };
                    format!(" ({count} to {word}, {})", bytes(self.sent().sum()))
                }
            };
            text.push_str(&format!("dry run: nothing was written{uploads}\n"));
        } else {
            text.push_str(&self.conclusion());
        }
        text
    }
}
