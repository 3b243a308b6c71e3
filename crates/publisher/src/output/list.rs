//! The result of `debucket list`.

use deb_index::{
    digest::Sha256,
    name::{Component, SuiteName},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    catalogue,
    cli::{OutputFormat, OutputOptions},
    error::Error,
    output::{self, Table, bytes},
    repository::RepositoryUrl,
    snapshot::Head,
};

/// The JSON document of `debucket list`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    /// The suite.
    suite: &'a SuiteName,
    /// The commit that was read.
    commit: Sha256,
    /// The `Date` of the suite's `Release`.
    date: Timestamp,
    /// The packages, ordered by name, version and architecture.
    packages: Vec<Package<'a>>,
}

/// A package; a value that its stanza lacks is null.
#[derive(Debug, Serialize)]
struct Package<'a> {
    /// Its component.
    component: &'a Component,
    /// Its name.
    package: &'a str,
    /// Its version.
    version: &'a str,
    /// Its architecture.
    architecture: &'a str,
    /// Length of its file in bytes.
    size: Option<u64>,
    /// Digest of its file.
    sha256: Option<&'a str>,
    /// Its key, relative to the repository.
    filename: Option<&'a str>,
}

/// The JSON document of `debucket list --suites`.
#[derive(Debug, Serialize)]
struct Suites<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    /// Its suites, in order.
    suites: &'a [SuiteName],
}

impl<'a> Package<'a> {
    fn of(package: &catalogue::Package<'a>) -> Self {
        let entry = package.entry;
        Self {
            component: package.component,
            package: entry.package,
            version: entry.version,
            architecture: entry.architecture,
            size: entry.field("Size").and_then(|size| size.parse().ok()),
            sha256: entry.field("SHA256"),
            filename: entry.field("Filename"),
        }
    }
}

/// Shows packages.
///
/// # Errors
/// Those of writing.
pub fn packages(
    output: &OutputOptions,
    url: &RepositoryUrl,
    suite: &SuiteName,
    head: &Head,
    packages: &[catalogue::Package<'_>],
    long: bool,
) -> Result<(), Error> {
    let packages: Vec<_> = packages.iter().map(Package::of).collect();
    if output.output == OutputFormat::Json {
        return output::json(&Document {
            repo: url.to_string(),
            suite,
            commit: head.id,
            date: head.date,
            packages,
        });
    }
    let mut table = Table::default();
    for package in packages {
        let mut cells = vec![
            package.package.to_owned(),
            package.version.to_owned(),
            package.architecture.to_owned(),
            package.component.to_string(),
        ];
        if long {
            cells.push(package.size.map(bytes).unwrap_or_default());
            cells.push(package.filename.unwrap_or_default().to_owned());
        }
        table.line(cells);
    }
    output::text(table.render()).map(|_| ())
}

/// Shows the names of suites.
///
/// # Errors
/// Those of writing.
pub fn suites(
    output: &OutputOptions,
    url: &RepositoryUrl,
    suites: &[SuiteName],
) -> Result<(), Error> {
    if output.output == OutputFormat::Json {
        return output::json(&Suites {
            repo: url.to_string(),
            suites,
        });
    }
    output::text(
        suites
            .iter()
            .map(|suite| format!("{suite}\n"))
            .collect::<String>(),
    )
    .map(|_| ())
}
