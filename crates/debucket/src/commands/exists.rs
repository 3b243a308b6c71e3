//! `debucket exists`: whether a suite has a package, for scripts.

use clap::Args;
use deb_index::change::Selector;
use serde::Serialize;

use crate::{
    context::Context,
    error::{Error, not_found},
    printer::Report,
    source::{ReadFrom, SourceOptions},
};

/// Find out whether a suite has a package
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 it has all of them; 1 failed; 2 usage; 4 one is missing, or there is no such suite.

Examples:
  debucket exists helloworld --repo s3://acme-apt
  debucket exists helloworld=1.0 --repo s3://acme-apt --arch arm64 || build")]
pub struct Exists {
    /// Packages: NAME, NAME=VERSION, NAME:ARCH or 'NAME (>= VERSION)', where NAME may be a glob
    #[arg(value_name = "PACKAGE", required = true)]
    packages: Vec<Selector>,
    #[command(flatten)]
    source: SourceOptions,
}

/// The JSON document of `debucket exists`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    from: ReadFrom<'a>,
    /// What was asked for and is in the suite.
    found: Vec<String>,
    /// What was asked for and is not.
    missing: Vec<String>,
}

impl Report for Document<'_> {
    fn text(&self) -> String {
        String::new()
    }
}

impl Exists {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repository = context.repository().await?;
        let (suite, list) = self.source.read(context, &repository).await?;
        let packages = suite.sorted(&list)?;
        let is_there = |wanted: &&Selector| {
            let mut packages = packages.iter();
            packages.any(|package| wanted.matches(&package.component, &package.stanza))
        };
        let (found, missing): (Vec<_>, Vec<_>) = self.packages.iter().partition(is_there);
        let texts = |wanted: Vec<&Selector>| wanted.into_iter().map(ToString::to_string).collect();
        let document = Document {
            from: ReadFrom::new(context, &suite, list.id)?,
            found: texts(found),
            missing: texts(missing),
        };
        context.printer.result(&document)?;
        if document.missing.is_empty() {
            return Ok(());
        }
        Err(not_found(suite.name(), &document.missing))
    }
}
