//! `debucket show`: what the index says of a package.

use std::cmp::Ordering;

use clap::Args;
use deb_index::{name::PackageName, version::Version};

use crate::{
    catalogue::{Catalogue, Package, Selection},
    cli::OutputOptions,
    error::Error,
    options::{StoreOptions, SuiteOption},
    output::show as output,
    signing_options::TrustOptions,
};

/// Arguments of `debucket show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite, package or version.

Example:
  debucket show helloworld --repo s3://acme-apt")]
pub struct Show {
    /// Name of the package
    package: PackageName,
    /// Its version [default: the newest]
    #[arg(id = "of-version", value_name = "VERSION")]
    version: Option<Version>,
    /// Show all versions
    #[arg(long, short, conflicts_with = "of-version")]
    all_versions: bool,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Show {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(self, store: &StoreOptions, output: &OutputOptions) -> Result<(), Error> {
        let url = store.url()?;
        let trust = self.trust.trust(output)?;
        let storage = store.open().await?;
        let suite = &self.suite.suite;
        let catalogue =
            Catalogue::open(storage.as_ref(), &url, suite, &trust, &self.selection).await?;
        let mut packages = catalogue.packages(suite)?;
        packages.retain(|package| package.entry.package == self.package.as_str());
        let there = versions(&packages);
        // Ordered by version, so the newest is the last.
        let wanted = self.version.or_else(|| packages.last()?.version.clone());
        if !self.all_versions {
            packages.retain(|package| is_version(package, wanted.as_ref()));
        }
        if packages.is_empty() {
            let message = match (wanted, there.as_str()) {
                (Some(version), there) if !there.is_empty() => {
                    format!(
                        "suite {suite} has no version {version} of {}; it has {there}",
                        self.package
                    )
                }
                _ => format!("suite {suite} has no package {}", self.package),
            };
            return Err(Error::NotFound(message));
        }
        output::packages(output, &url, suite, &catalogue.head, &packages)
    }
}

/// Whether it is `wanted` as dpkg compares versions: `1.0` is `1.0-0`.
fn is_version(package: &Package<'_>, wanted: Option<&Version>) -> bool {
    match (&package.version, wanted) {
        (Some(version), Some(wanted)) => version.compare(wanted) == Ordering::Equal,
        _ => false,
    }
}

/// Each version once.
fn versions(packages: &[Package<'_>]) -> String {
    let mut versions: Vec<_> = packages
        .iter()
        .map(|package| package.entry.version)
        .collect();
    versions.dedup();
    versions.join(", ")
}
