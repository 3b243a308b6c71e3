//! The packages of a suite, read from its indexes for showing.
//!
//! A package of architecture `all` stands in the index of each architecture; here it is one
//! package.

use std::cmp::Ordering;

use bytes::Bytes;
use deb_index::{
    name::{Architecture, Component, SuiteName},
    packages::{Entry, Packages},
    plan::{IndexId, PlainIndexes},
    version::Version,
};
use s3_storage::Storage;

use crate::{
    error::Error,
    repository::RepositoryUrl,
    snapshot::{self, Head, IndexCache, Trust},
};

/// Which part of a suite.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Selection")]
pub struct Selection {
    /// Only this component
    #[arg(long)]
    pub component: Option<Component>,
    /// Only what a device of this architecture sees: its own packages and `all`; with `all`, only
    /// these
    #[arg(long, visible_alias = "architecture")]
    pub arch: Option<Architecture>,
}

/// The indexes of a suite, or of a part of it.
#[derive(Debug)]
pub struct Catalogue {
    /// The suite's head.
    pub head: Head,
    indexes: PlainIndexes<Bytes>,
    only_all: bool,
}

/// A package of a suite.
#[derive(Debug)]
pub struct Package<'a> {
    /// Its component.
    pub component: &'a Component,
    /// Its stanza.
    pub entry: Entry<'a>,
    /// Its version, where it is one.
    pub version: Option<Version>,
}

impl Package<'_> {
    /// By name, version, architecture and component.
    fn order(&self, other: &Self) -> Ordering {
        let by_version = match (&self.version, &other.version) {
            (Some(one), Some(two)) => one.compare(two),
            _ => Ordering::Equal,
        };
        let (one, two) = (&self.entry, &other.entry);
        one.package
            .cmp(two.package)
            .then(by_version)
            .then_with(|| one.version.cmp(two.version))
            .then_with(|| one.architecture.cmp(two.architecture))
            .then_with(|| self.component.cmp(other.component))
    }
}

/// The head of a suite that has to be there.
///
/// # Errors
/// [`Error::NotFound`]; those of reading.
pub async fn head(
    storage: &dyn Storage,
    url: &RepositoryUrl,
    suite: &SuiteName,
    trust: &Trust,
) -> Result<Head, Error> {
    let head = snapshot::read_head(storage, suite, trust).await?;
    head.ok_or_else(|| Error::NotFound(format!("there is no suite {suite} in {url}")))
}

impl Catalogue {
    /// Reads the part of `suite` that is selected.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the suite, the component or the architecture does not exist; those
    /// of reading.
    pub async fn open(
        storage: &dyn Storage,
        url: &RepositoryUrl,
        suite: &SuiteName,
        trust: &Trust,
        selection: &Selection,
    ) -> Result<Self, Error> {
        let head = head(storage, url, suite, trust).await?;
        let settings = &head.commit.settings;
        let components = match &selection.component {
            None => settings.components.clone(),
            Some(one) if settings.components.contains(one) => vec![one.clone()],
            Some(other) => return Err(absent(suite, "component", other, &settings.components)),
        };
        let only_all = selection.arch.as_ref().is_some_and(Architecture::is_all);
        let architectures = match &selection.arch {
            None => settings.architectures.clone(),
            Some(_) if only_all => settings.architectures.iter().take(1).cloned().collect(),
            Some(one) if settings.architectures.contains(one) => vec![one.clone()],
            Some(other) => {
                return Err(absent(
                    suite,
                    "architecture",
                    other,
                    &settings.architectures,
                ));
            }
        };
        let ids = components.iter().flat_map(|component| {
            let id = |architecture: &Architecture| IndexId {
                component: component.clone(),
                architecture: architecture.clone(),
            };
            architectures.iter().map(id)
        });
        let indexes = IndexCache::default()
            .load(storage, suite, &head.commit, ids.collect::<Vec<_>>())
            .await?;
        Ok(Self {
            head,
            indexes,
            only_all,
        })
    }

    /// The packages, ordered by name, version, architecture and component.
    ///
    /// # Errors
    /// [`Error::Damaged`]: a stanza without its identity.
    pub fn packages(&self, suite: &SuiteName) -> Result<Vec<Package<'_>>, Error> {
        let mut packages = Vec::new();
        for (id, plain) in &self.indexes {
            let damaged = |error| {
                let reason = format!(
                    "the index of {} for {}: {error}",
                    id.component, id.architecture
                );
                Error::Damaged {
                    suite: suite.clone(),
                    reason,
                }
            };
            let index = Packages::parse(plain).map_err(damaged)?;
            let entries = index
                .entries()
                .iter()
                .filter(|entry| !self.only_all || entry.architecture == "all");
            packages.extend(entries.map(|entry| Package {
                component: &id.component,
                entry: *entry,
                version: entry.version.parse().ok(),
            }));
        }
        packages.sort_by(Package::order);
        packages.dedup_by(|later, earlier| later.order(earlier) == Ordering::Equal);
        Ok(packages)
    }
}

fn absent<T: ToString>(suite: &SuiteName, what: &str, name: &T, there: &[T]) -> Error {
    let there = there
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    Error::NotFound(format!(
        "suite {suite} has no {what} {}; it has {there}",
        name.to_string()
    ))
}
