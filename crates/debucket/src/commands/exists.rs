//! `debucket exists`: whether a suite has a package, for scripts.

use std::cmp::Ordering;

use clap::Args;
use deb_index::{
    digest::Sha256,
    name::{PackageName, SuiteName},
    version::Version,
};
use repository::Listed;
use serde::Serialize;

use super::list::SelectionOptions;
use crate::{
    context::Context, error::Error, key_options::TrustOptions, printer::Report,
    store_options::SuiteOption,
};

/// Find out whether a suite has a package
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 it has all of them; 1 failed; 2 usage; 4 one is missing, or there is no such suite.

Examples:
  debucket exists helloworld --repo s3://acme-apt
  debucket exists helloworld=1.0 --repo s3://acme-apt --arch arm64 || build")]
pub struct Exists {
    /// Name of a package, with or without its exact version
    #[arg(value_name = "PACKAGE[=VERSION]", required = true)]
    packages: Vec<Wanted>,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    selection: SelectionOptions,
    #[command(flatten)]
    trust: TrustOptions,
}

/// `NAME` or `NAME=VERSION`.
#[derive(Debug, Clone)]
struct Wanted {
    text: String,
    name: PackageName,
    version: Option<Version>,
}

impl std::str::FromStr for Wanted {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            text: text.to_owned(),
            name: name.parse()?,
            version,
        })
    }
}

impl Wanted {
    /// Versions are the same if dpkg considers them equal: `1.0` and `1.0-0`, but not `1.0-1`.
    fn is(&self, package: &Listed<'_>) -> bool {
        let is_version = |wanted: &Version| {
            let version = package.stanza.version.parse::<Version>();
            version.is_ok_and(|version| version.compare(wanted) == Ordering::Equal)
        };
        package.stanza.name == self.name.as_str() && self.version.as_ref().is_none_or(is_version)
    }
}

/// The JSON document of `debucket exists`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: &'a SuiteName,
    /// The commit that was read.
    commit: Sha256,
    /// What was asked for and is in the suite.
    found: Vec<&'a str>,
    /// What was asked for and is not.
    missing: Vec<&'a str>,
}

impl Report for Document<'_> {
    fn text(&self) -> String {
        String::new()
    }
}

impl Exists {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repo = context.url()?.to_string();
        let repository = context.repository().await?;
        let suite = context.readable_suite(&repository, self.suite.name()?, &self.trust)?;
        let list = suite.packages(&self.selection.into()).await?;
        context.warn_of(&suite, &list.head);
        let packages = suite.sorted(&list)?;
        let is_there = |wanted: &&Wanted| packages.iter().any(|package| wanted.is(package));
        let (found, missing): (Vec<_>, Vec<_>) = self.packages.iter().partition(is_there);
        let document = Document {
            repo,
            suite: suite.name(),
            commit: list.head.id(),
            found: found.iter().map(|wanted| wanted.text.as_str()).collect(),
            missing: missing.iter().map(|wanted| wanted.text.as_str()).collect(),
        };
        context.printer.result(&document)?;
        if missing.is_empty() {
            return Ok(());
        }
        let missing = document.missing.join(", ");
        Err(Error::NotFound(format!(
            "suite {} has no package {missing}",
            suite.name()
        )))
    }
}
