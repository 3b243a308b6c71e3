//! `debucket diff`: how two suites, or two commits of one, differ.

use std::str::FromStr;

use clap::Args;
use deb_index::{change::device_view::PackageChange, digest::Sha256, name::SuiteName};
use repository::{PackageList, Repository, Revision, Selection, Suite};
use serde::Serialize;

use crate::{
    context::Context, error::Error, key_options::TrustOptions, package_changes, printer::Report,
    source, text::Table,
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
    /// What devices notice, ordered by component and name.
    packages: Vec<PackageChange>,
}

impl Diff {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repo = context.url()?.to_string();
        let repository = context.repository().await?;
        let (suite, old) = self.read(context, &repository, &self.old).await?;
        let (other, new) = self.read(context, &repository, &self.new).await?;
        let packages = suite.changes(&old, &other, &new)?;
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
        source::read(
            context,
            found,
            state.revision.as_ref(),
            Selection::default(),
        )
        .await
    }
}

impl Report for Document {
    fn text(&self) -> String {
        let mut table = Table::default();
        for change in &self.packages {
            let [old, new] = [&change.old, &change.new].map(|versions| versions.join(", "));
            let newest = change.after.as_deref().unwrap_or_default();
            let new = if old.is_empty() && new.is_empty() {
                newest
            } else {
                &new
            };
            table.line(package_changes::cells(change, &old, new));
        }
        table.render()
    }
}
