//! `debucket diff`: how two suites, or two commits of one, differ.

use std::{collections::BTreeMap, str::FromStr};

use clap::Args;
use deb_index::{digest::Sha256, name::SuiteName, version::Version};
use repository::{Listed, PackageList, Repository, Revision, Selection, Suite};
use serde::Serialize;

use crate::{
    context::Context, error::Error, key_options::TrustOptions, printer::Report, source, text::Table,
};

/// Show how two suites, or two commits, differ
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, whether they differ or not; 1 failed; 2 usage; 4 no such suite or commit.

Examples:
  debucket diff stable testing --repo s3://acme-apt
  debucket diff stable@~1 stable --repo s3://acme-apt
  debucket diff stable@2026-11-30 stable --repo s3://acme-apt --output json")]
pub struct Diff {
    /// The old state: SUITE, SUITE@~N, SUITE@COMMIT or SUITE@TIME
    #[arg(value_name = "OLD")]
    old: State,
    /// The new state
    #[arg(value_name = "NEW")]
    new: State,
    #[command(flatten)]
    trust: TrustOptions,
}

/// A suite, or a commit of its history.
#[derive(Debug, Clone)]
struct State {
    suite: SuiteName,
    revision: Option<Revision>,
}

impl FromStr for State {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (suite, revision) = match text.split_once('@') {
            None => (text, None),
            Some((suite, back)) if back.is_empty() || back.starts_with('~') => {
                (suite, Some(format!("@{back}").parse()?))
            }
            Some((suite, revision)) => (suite, Some(revision.parse()?)),
        };
        Ok(Self {
            suite: suite.parse()?,
            revision,
        })
    }
}

/// The JSON document of `debucket diff`.
#[derive(Debug, Serialize)]
struct Document {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    /// The commits that were read.
    old: Sha256,
    new: Sha256,
    /// Ordered by component, name and architecture.
    packages: Vec<Difference>,
}

/// How the two differ in a package.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    change: Change,
    component: String,
    package: String,
    architecture: String,
    /// Versions that only the old state has, the newest last. A version with another file is in both lists.
    old: Vec<String>,
    /// Versions that only the new state has.
    new: Vec<String>,
}

/// What a device notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Added,
    Removed,
    /// The newest version is a later one.
    Upgraded,
    /// The newest version is an earlier one.
    Downgraded,
    /// The newest version has another file.
    Replaced,
    /// The newest version is the same; older ones differ.
    OlderVersions,
}

impl Diff {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repo = context.url()?.to_string();
        let repository = context.repository().await?;
        let (suite, old) = self.read(context, &repository, &self.old).await?;
        let (_, new) = self.read(context, &repository, &self.new).await?;
        let packages = differences(&suite.sorted(&old)?, &suite.sorted(&new)?);
        context.printer.result(&Document {
            repo,
            old: old.id,
            new: new.id,
            packages,
        })
    }

    async fn read<'r>(
        &self,
        context: &Context,
        repository: &'r Repository,
        state: &State,
    ) -> Result<(Suite<'r>, PackageList), Error> {
        let name = state.suite.clone();
        let found = context.read_suite(repository, name, &self.trust).await?;
        source::read(found, state.revision.as_ref(), Selection::default()).await
    }
}

/// Versions and the digests of their files, the newest last.
type Versions<'a> = Vec<(&'a str, Option<&'a str>)>;

fn differences(old: &[Listed<'_>], new: &[Listed<'_>]) -> Vec<Difference> {
    let mut packages: BTreeMap<_, (Versions<'_>, Versions<'_>)> = BTreeMap::new();
    for (side, listed) in [(0, old), (1, new)] {
        for Listed { component, stanza } in listed {
            let id = (component.to_string(), stanza.name, stanza.architecture);
            let (old, new) = packages.entry(id).or_default();
            let versions = if side == 0 { old } else { new };
            versions.push((stanza.version, stanza.field("SHA256")));
        }
    }
    let differing = packages.into_iter().filter(|(_, (old, new))| old != new);
    let difference = differing.map(|((component, package, architecture), (old, new))| {
        let only = |these: &Versions<'_>, others: &Versions<'_>| {
            let only = these.iter().filter(|version| !others.contains(version));
            only.map(|(version, _)| (*version).to_owned()).collect()
        };
        Difference {
            change: change(&old, &new),
            component,
            package: package.to_owned(),
            architecture: architecture.to_owned(),
            old: only(&old, &new),
            new: only(&new, &old),
        }
    });
    difference.collect()
}

fn change(old: &Versions<'_>, new: &Versions<'_>) -> Change {
    let (Some(old), Some(new)) = (old.last(), new.last()) else {
        return if old.is_empty() {
            Change::Added
        } else {
            Change::Removed
        };
    };
    let version = |text: &str| text.parse::<Version>().ok();
    let order = match (version(old.0), version(new.0)) {
        (Some(old), Some(new)) => old.compare(&new),
        _ => old.0.cmp(new.0),
    };
    match order {
        std::cmp::Ordering::Less => Change::Upgraded,
        std::cmp::Ordering::Greater => Change::Downgraded,
        std::cmp::Ordering::Equal if old == new => Change::OlderVersions,
        std::cmp::Ordering::Equal => Change::Replaced,
    }
}

impl Report for Document {
    fn text(&self) -> String {
        let mut table = Table::default();
        for package in &self.packages {
            let word = match package.change {
                Change::Added => "added",
                Change::Removed => "removed",
                Change::Upgraded => "upgraded",
                Change::Downgraded => "downgraded",
                Change::Replaced => "replaced",
                Change::OlderVersions => "older versions",
            };
            let versions = [&package.old, &package.new].map(|versions| versions.join(", "));
            let versions = match &versions {
                [old, new] if old.is_empty() => new.clone(),
                [old, new] if new.is_empty() => old.clone(),
                [old, new] => format!("{old} -> {new}"),
            };
            table.line([
                word.to_owned(),
                package.package.clone(),
                versions,
                package.architecture.clone(),
                package.component.clone(),
            ]);
        }
        table.render()
    }
}
