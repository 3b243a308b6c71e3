//! `debucket publish`: packages into a suite, as one commit.

use std::{collections::HashMap, path::PathBuf};

use clap::Args;
use deb_index::{
    change::{Edit, Intent, SettingsPatch, client_view::ViewChange},
    digest::Sha256,
    name::{Architecture, Component, PackageName, SuiteName},
    package_id::PackageId,
    stanza::Stanza,
    suite::{
        commit::{Change, Commit},
        settings::{Line, Settings},
    },
    version::Version,
};
use jiff::Timestamp;
use repository::{Allow, Draft, Keys, Outcome, PackageFile, Published, Suite, accepted_key};
use serde::Serialize;

use crate::{
    authorship::authorship,
    context::Context,
    error::Error,
    inputs,
    key_options::SigningOptions,
    printer::Report,
    progress::Progress,
    store_options::{SuiteOption, WriteOptions},
    text::{Table, bytes, one_line, short},
};

/// Architectures of a new suite, beside those of its packages: what most fleets of Debian and Ubuntu machines run on. With both, the
/// devices of both see a first package for all architectures.
const DEFAULT_ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
/// Formats of a new suite's indexes: every client reads gz, and modern ones prefer zst, which is fast on both sides.
const DEFAULT_FORMATS: [&str; 2] = ["gz", "zst"];

/// Add packages to a suite
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 not found.

Examples:
  debucket publish build/*.deb --repo s3://acme-apt --sign-key key.asc
  debucket publish hello_1.0_amd64.deb --repo s3://acme-apt/robots --suite testing --dry-run")]
pub struct Publish {
    /// Packages: .deb files, folders (their .deb files), or globs
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Component to publish into
    #[arg(long, default_value = "main")]
    component: Component,
    /// All architectures of the suite [default: amd64, arm64 and those of its packages]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    architectures: Option<Vec<Architecture>>,
    /// Replace another build of the same version
    #[arg(long)]
    replace: bool,
    /// Message recorded in the suite's history
    #[arg(long, short, default_value = "")]
    message: String,
    /// Show what would be done, without writing anything
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Origin of the suite, for pinning
    #[arg(long)]
    origin: Option<Line>,
    /// Label of the suite, for pinning
    #[arg(long)]
    label: Option<Line>,
    /// Description of the suite
    #[arg(long)]
    description: Option<Line>,
    // Last: the heading of flattened options would apply to what follows them.
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    signing: SigningOptions,
    #[command(flatten)]
    write: WriteOptions,
    #[command(flatten)]
    allow: AllowOptions,
}

/// What is refused unless it is asked for by name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Allow")]
struct AllowOptions {
    /// Change the Origin or Label of a published suite: apt on each device then refuses it until its user accepts the change
    #[arg(long, visible_alias = "allow-releaseinfo-change")]
    allow_release_info_change: bool,
    /// Sign with the newest key of the certificate, although devices with an earlier copy of the certificate cannot verify it
    #[arg(long)]
    adopt_signing_key: bool,
    /// Go on from a head that was put back to an older commit
    #[arg(long)]
    accept_rollback: bool,
    /// Believe a store whose clock is more than two days ahead of this machine's
    #[arg(long)]
    trust_store_clock: bool,
    /// Date the suite by the store's clock again, although it was dated later: for a suite whose date is in the future
    #[arg(long)]
    reset_date: bool,
}

impl AllowOptions {
    fn allow(&self) -> Allow {
        Allow {
            release_info_change: self.allow_release_info_change,
            new_signing_key: self.adopt_signing_key,
            put_back: self.accept_rollback,
            store_clock: self.trust_store_clock,
            reset_date: self.reset_date,
        }
    }
}

impl Publish {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        context.url()?;
        let (files, warnings) = inputs::describe_all(&self.paths, &self.component).await?;
        for warning in &warnings {
            context.printer.warn(warning);
        }
        let name = self.suite.name()?;
        let keys = self.signing.keys(&name)?;
        let intent = self.intent(&files, &keys);
        let repository = context.writable_repository(&self.write).await?;
        let suite = repository.suite(name, keys);
        let draft = suite.draft(intent, self.allow.allow()).await?;
        let mut report = Planned::new(context, &suite, &draft, &files);
        report.warnings.extend(warnings);
        for warning in draft.warnings() {
            context.printer.warn(&warning);
            report.warnings.push(warning.to_string());
        }
        if self.dry_run {
            return context
                .printer
                .outcome(&report, || "nothing was written in this dry run".to_owned());
        }
        let progress = Progress::new(context, draft.plan());
        let published = draft
            .commit(&files, &authorship(self.message), &progress)
            .await?;
        drop(progress);
        if let Some(error) = &published.stale_followers {
            let warning = stale(error);
            context.printer.warn(&warning);
            report.warnings.push(warning);
        }
        let report = report.carried_out(&published, &files);
        context
            .printer
            .outcome(&report, || report.conclusion().trim_end().to_owned())
    }

    fn intent(&self, files: &[PackageFile], keys: &Keys) -> Intent {
        let signing_keys = match keys {
            Keys::Sign { signers, .. } => {
                let certificates = signers.iter().map(|signer| signer.certificate());
                certificates.map(accepted_key).collect()
            }
            _ => Vec::new(),
        };
        let new_suite = Settings {
            architectures: DEFAULT_ARCHITECTURES
                .iter()
                .flat_map(|name| name.parse())
                .collect(),
            formats: DEFAULT_FORMATS.map(ToOwned::to_owned).to_vec(),
            signing_keys,
            ..Settings::default()
        };
        let patch = SettingsPatch {
            origin: self.origin.clone(),
            label: self.label.clone(),
            description: self.description.clone(),
            architectures: self.architectures.clone(),
            ..SettingsPatch::default()
        };
        let additions = files.iter().map(|file| Edit::Add {
            stanza: file.stanza.clone(),
            replace: self.replace,
        });
        let edits = [Edit::Exist(new_suite), Edit::Set(patch)];
        Intent(edits.into_iter().chain(additions).collect())
    }
}

fn stale(error: &repository::Error) -> String {
    format!(
        "clients that do not read InRelease or fetch by hash may see the previous state until the next publish: {error}"
    )
}

/// The JSON document of `debucket publish`.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: &'a SuiteName,
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
    /// Packages that were added or replaced, or would be.
    changes: Vec<Package<'a>>,
    /// Packages that were given and are in the suite already.
    unchanged: Vec<Package<'a>>,
    /// What devices have to accept of the change.
    client_changes: Vec<ViewChange>,
    /// The suite's settings from here on.
    settings: Settings,
    /// What did not go well, or will not, though the command succeeded.
    warnings: Vec<String>,
    #[serde(skip)]
    old_settings: Option<Settings>,
}

/// A package that was given.
#[derive(Debug, Serialize)]
struct Package<'a> {
    /// `add` or `replace`; missing if the package is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    component: &'a Component,
    package: &'a PackageName,
    version: &'a Version,
    architecture: &'a Architecture,
    /// Length of its file in bytes.
    size: u64,
    /// Digest of its file.
    sha256: Sha256,
    /// Its key, relative to the repository; missing if the package is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

impl Package<'_> {
    fn cells(&self, word: &str) -> Vec<String> {
        vec![
            word.to_owned(),
            self.package.to_string(),
            self.version.to_string(),
            self.architecture.to_string(),
            self.component.to_string(),
        ]
    }
}

/// The given packages, each once: those that are among `changes`, and the others.
fn sort<'a>(files: &'a [PackageFile], changes: &[Change]) -> (Vec<Package<'a>>, Vec<Package<'a>>) {
    let identity = |change: &Change| {
        let Change {
            component,
            package,
            version,
            architecture,
            ..
        } = change;
        [component, package, version, architecture].map(|part| part.clone().unwrap_or_default())
    };
    let changes: HashMap<_, _> = changes
        .iter()
        .map(|change| (identity(change), change))
        .collect();
    let mut seen = std::collections::HashSet::new();
    let distinct = files.iter().filter(|file| seen.insert(&file.stanza.id));
    let package = |Stanza {
                       id, size, sha256, ..
                   }: &'a Stanza| {
        let PackageId {
            component,
            name,
            version,
            architecture,
        } = id;
        let identity = [
            component.to_string(),
            name.to_string(),
            version.to_string(),
            architecture.to_string(),
        ];
        let change = changes.get(&identity);
        Package {
            action: change.map(|change| change.action.clone()),
            component,
            package: name,
            version,
            architecture,
            size: *size,
            sha256: *sha256,
            filename: change.and_then(|change| change.filename.clone()),
        }
    };
    distinct
        .map(|file| package(&file.stanza))
        .partition(|package| package.action.is_some())
}

impl<'a> Planned<'a> {
    fn new(
        context: &Context,
        suite: &'a Suite<'_>,
        draft: &Draft<'_>,
        files: &'a [PackageFile],
    ) -> Self {
        let plan = draft.plan();
        let (changes, unchanged) = sort(files, &plan.changes);
        Self {
            repo: context.url().map(|url| url.to_string()).unwrap_or_default(),
            suite: suite.name(),
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

    fn carried_out(self, published: &Published, files: &'a [PackageFile]) -> Self {
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

    fn conclusion(&self) -> String {
        let Self { repo, suite, .. } = self;
        let id = self.commit.as_ref().map(short).unwrap_or_default();
        match (self.changed, self.new_suite) {
            (true, true) => format!("created suite {suite} in {repo}: commit {id}\n"),
            (true, false) => format!("suite {suite} in {repo} is at commit {id}\n"),
            (false, _) => {
                format!(
                    "nothing to do: suite {suite} in {repo} has all of this already (commit {id})\n"
                )
            }
        }
    }

    fn plan(&self) -> String {
        let Self { repo, suite, .. } = self;
        let mut text = match self.new_suite {
            true => format!("would create suite {suite} in {repo}\n"),
            false if self.changed => format!("would change suite {suite} in {repo}\n"),
            false => format!("nothing to do: suite {suite} in {repo} has all of this already\n"),
        };
        for line in settings_lines(self.old_settings.as_ref(), &self.settings) {
            text.push_str(&format!("  {}\n", one_line(&line)));
        }
        text
    }
}

impl Report for Planned<'_> {
    fn text(&self) -> String {
        let (indent, mut text) = if self.dry_run {
            ("  ", self.plan())
        } else {
            ("", String::new())
        };
        let mut table = Table::default();
        for package in &self.changes {
            let is_replaced = package.action.as_deref() == Some(Change::REPLACE);
            let word = match (self.dry_run, is_replaced) {
                (true, true) => "replace",
                (true, false) => "add",
                (false, true) => "replaced",
                (false, false) => "added",
            };
            let mut cells = package.cells(&format!("{indent}{word}"));
            if self.dry_run {
                cells.push(bytes(package.size));
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
            let total: u64 = self.changes.iter().map(|package| package.size).sum();
            let count = self.changes.len();
            text.push_str(&format!(
                "dry run: nothing was written ({count} to upload, {})\n",
                bytes(total)
            ));
        } else {
            text.push_str(&self.conclusion());
        }
        text
    }
}

/// A line for each setting that gets another value. Of a key, only the fingerprint.
fn settings_lines(before: Option<&Settings>, after: &Settings) -> Vec<String> {
    let value = |settings: &Settings| {
        let mut value = serde_json::to_value(settings).unwrap_or_default();
        let keys = settings.signing_keys.iter();
        value["signing_keys"] = keys.map(|key| key.fingerprint.to_string()).collect();
        value
    };
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
