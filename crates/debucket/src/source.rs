//! What commands that read the packages of a suite share: which suite, at which commit, and which part of it.

use clap::Args;
use deb_index::{
    digest::Sha256,
    name::{Architecture, Component, SuiteName},
};
use repository::{Head, PackageList, Repository, Revision, Selection, Suite};
use serde::Serialize;

use crate::{
    context::Context, error::Error, key_options::TrustOptions, store_options::SuiteOption,
};

/// How the JSON document of a command begins that reads a suite.
#[derive(Debug, Serialize)]
pub(crate) struct ReadFrom<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    pub(crate) suite: &'a SuiteName,
    /// The commit that was read.
    pub(crate) commit: Sha256,
}

impl<'a> ReadFrom<'a> {
    pub(crate) fn new(
        context: &Context,
        suite: &'a Suite<'_>,
        commit: Sha256,
    ) -> Result<Self, Error> {
        Ok(Self {
            repo: context.url()?.to_string(),
            suite: suite.name(),
            commit,
        })
    }
}

/// Packages to read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub struct SourceOptions {
    /// Only this component
    #[arg(long)]
    component: Option<Component>,
    /// Only what a device of this architecture sees: its own packages and those for all; with “all”, only these
    #[arg(long, visible_alias = "architecture")]
    arch: Option<Architecture>,
    /// As of this commit: its first digits, @~N for N commits back, or a time
    #[arg(long, value_name = "COMMIT|TIME")]
    commit: Option<Revision>,
    #[command(flatten)]
    pub suite: SuiteOption,
    #[command(flatten)]
    pub trust: TrustOptions,
}

impl SourceOptions {
    /// Reads the packages, and prints what is known to go wrong with the suite.
    pub(crate) async fn read<'r>(
        &self,
        context: &Context,
        repository: &'r Repository,
    ) -> Result<(Suite<'r>, PackageList), Error> {
        let selection = Selection {
            component: self.component.clone(),
            architecture: self.arch.clone(),
        };
        let name = self.suite.name()?;
        let found = context.read_suite(repository, name, &self.trust).await?;
        read(context, found, self.commit.as_ref(), selection).await
    }
}

/// Reads packages of a suite as of a commit, its newest if none is named.
pub(crate) async fn read<'r>(
    context: &Context,
    (suite, head): (Suite<'r>, Head),
    commit: Option<&Revision>,
    selection: Selection,
) -> Result<(Suite<'r>, PackageList), Error> {
    let read = suite.reading(head, async |head| {
        let (id, commit, lost) = match commit {
            None => (head.id(), head.commit.clone(), None),
            Some(revision) => {
                let found = suite.find_revision(head, revision).await?;
                (found.id, found.commit.into(), found.lost)
            }
        };
        let selection = selection.clone();
        let list = match id == head.id() {
            true => suite.packages_of(id, commit, selection).await?,
            false => suite.packages_then(id, commit, selection).await?,
        };
        Ok((list, lost))
    });
    let (_, (list, lost)) = read.await?;
    context.warn_of_lost(&suite, lost);
    Ok((suite, list))
}
