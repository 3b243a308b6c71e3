//! `debucket list`: the packages of a suite, or the suites.

use clap::Args;
use glob::Pattern;

use crate::{
    catalogue::{Catalogue, Package, Selection},
    cli::OutputOptions,
    error::Error,
    options::{StoreOptions, SuiteOption},
    output::list as output,
    signing_options::TrustOptions,
    suites::suites,
};

/// Arguments of `debucket list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, also where nothing matches; 1 failed; 2 usage; 4 no such suite, component or architecture.

Examples:
  debucket list --repo s3://acme-apt
  debucket list 'ros-*' --repo s3://acme-apt --arch arm64 --output json")]
pub struct List {
    /// Only packages whose name matches one of these globs
    #[arg(value_name = "PACKAGE")]
    names: Vec<Pattern>,
    /// Add size and key of each package's file
    #[arg(long, short)]
    long: bool,
    /// List the suites of the repository instead
    #[arg(long, conflicts_with_all = ["names", "long", "component", "arch"])]
    suites: bool,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    trust: TrustOptions,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(self, store: &StoreOptions, output: &OutputOptions) -> Result<(), Error> {
        let url = store.url()?;
        if self.suites {
            let storage = store.open().await?;
            return output::suites(output, &url, &suites(storage.as_ref()).await?);
        }
        let trust = self.trust.trust(output)?;
        let storage = store.open().await?;
        let suite = &self.suite.suite;
        let catalogue =
            Catalogue::open(storage.as_ref(), &url, suite, &trust, &self.selection).await?;
        let mut packages = catalogue.packages(suite)?;
        let is_wanted = |package: &Package<'_>| {
            self.names
                .iter()
                .any(|name| name.matches(package.entry.package))
        };
        packages.retain(|package| self.names.is_empty() || is_wanted(package));
        output::packages(output, &url, suite, &catalogue.head, &packages, self.long)
    }
}
