//! `debucket exists`: whether a suite has a package, for scripts.

use clap::Args;
use deb_index::{digest::Sha256, name::SuiteName};
use serde::Serialize;

use super::list::SelectionOptions;
use crate::{
    context::Context, error::Error, key_options::TrustOptions, printer::Report,
    store_options::SuiteOption, wanted::Wanted,
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
