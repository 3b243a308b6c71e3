//! `debucket list`: the packages of a suite, or the suites.

use clap::Args;
use deb_index::{change::Selector, name::Component, phase::Percentage, stanza::StanzaRef};
use jiff::Timestamp;
use repository::Listed;
use serde::Serialize;

use super::suite::Suites;
use crate::{
    context::Context,
    error::Error,
    printer::Report,
    source::{ReadFrom, SourceOptions},
    text::{Table, bytes},
};

/// List the packages of a suite
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, also where nothing matches; 1 failed; 2 usage; 4 no such suite, component or architecture.

Examples:
  debucket list --repo s3://acme-apt
  debucket list 'ros-*' --repo s3://acme-apt --arch arm64 --output json")]
pub struct List {
    /// Only these: NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)', where NAME may be a glob
    #[arg(value_name = "PACKAGE")]
    packages: Vec<Selector>,
    /// Add size and key of each package's file
    #[arg(long, short)]
    long: bool,
    /// List the suites of the repository instead
    #[arg(long, conflicts_with_all = ["packages", "long", "component", "arch", "commit"])]
    suites: bool,
    #[command(flatten)]
    source: SourceOptions,
}

/// The JSON document of `debucket list`.
#[derive(Debug, Serialize)]
struct Packages<'a> {
    #[serde(flatten)]
    from: ReadFrom<'a>,
    /// The `Date` of the suite's `Release`.
    date: Timestamp,
    /// Ordered by name, version and architecture.
    packages: Vec<Package<'a>>,
    #[serde(skip)]
    long: bool,
}

/// A package; a value that its stanza lacks is null.
#[derive(Debug, Serialize)]
struct Package<'a> {
    component: &'a Component,
    package: &'a str,
    version: &'a str,
    architecture: &'a str,
    /// Length of its file in bytes.
    size: Option<u64>,
    /// Digest of its file.
    sha256: Option<&'a str>,
    /// Its key, relative to the repository.
    filename: Option<&'a str>,
    /// The percentage of the devices that it is for; missing if it is for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Percentage>,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        if self.suites {
            let repo = context.url()?.to_string();
            let repository = context.repository().await?;
            return Suites::read(repo, &repository).await?.print(context);
        }
        let repository = context.repository().await?;
        let (suite, list) = self.source.read(context, &repository).await?;
        let mut packages = suite.sorted(&list)?;
        let is_wanted = |package: &Listed<'_>| {
            let mut wanted = self.packages.iter();
            wanted.any(|selector| selector.matches(&package.component, &package.stanza))
        };
        packages.retain(|package| self.packages.is_empty() || is_wanted(package));
        context.printer.result(&Packages {
            from: ReadFrom::new(context, &suite, list.id)?,
            date: list.commit.time,
            packages: packages.iter().map(Package::new).collect(),
            long: self.long,
        })
    }
}

impl<'a> Package<'a> {
    fn new(
        Listed {
            component, stanza, ..
        }: &'a Listed<'a>,
    ) -> Self {
        let StanzaRef {
            name,
            version,
            architecture,
            ..
        } = *stanza;
        Self {
            component,
            package: name,
            version,
            architecture,
            size: stanza.field("Size").and_then(|size| size.parse().ok()),
            sha256: stanza.field("SHA256"),
            filename: stanza.field("Filename"),
            phase: Some(stanza.phase()).filter(|phase| *phase != Percentage::ALL),
        }
    }
}

impl Report for Packages<'_> {
    fn text(&self) -> String {
        let mut table = Table::default();
        for package in &self.packages {
            let mut cells = vec![
                package.package.to_owned(),
                package.version.to_owned(),
                package.architecture.to_owned(),
                package.component.to_string(),
            ];
            if self.long {
                cells.push(package.size.map(bytes).unwrap_or_default());
                cells.push(package.filename.unwrap_or_default().to_owned());
            }
            cells.extend(package.phase.map(|phase| format!("for {phase}")));
            table.line(cells);
        }
        table.render()
    }
}
