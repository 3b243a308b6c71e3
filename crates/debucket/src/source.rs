//! What commands that read the packages of a suite share: which suite, at which commit, and which part of it.

use clap::Args;
use deb_index::name::{Architecture, Component};
use repository::{PackageList, Repository, Revision, Selection, Suite};

use crate::{
    context::Context, error::Error, key_options::TrustOptions, store_options::SuiteOption,
};

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
    commit: Option<Named>,
    #[command(flatten)]
    pub suite: SuiteOption,
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A revision, and how it was written.
#[derive(Debug, Clone)]
pub struct Named {
    pub(crate) text: String,
    pub(crate) revision: Revision,
}

impl std::str::FromStr for Named {
    type Err = repository::InvalidRevision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self {
            text: text.to_owned(),
            revision: text.parse()?,
        })
    }
}

impl SourceOptions {
    /// Reads the packages, and prints what is known to go wrong with the suite.
    pub(crate) async fn read<'r>(
        &self,
        context: &Context,
        repository: &'r Repository,
    ) -> Result<(Suite<'r>, PackageList), Error> {
        let suite = context.readable_suite(repository, self.suite.name()?, &self.trust)?;
        let selection = Selection {
            component: self.component.clone(),
            architecture: self.arch.clone(),
        };
        let head = suite.existing_head().await?;
        context.warn_of(&suite, &head);
        let (id, commit) = match &self.commit {
            None => (head.id(), head.commit),
            Some(Named { text, revision }) => {
                let (id, commit) = suite.revision(&head, revision, text).await?;
                (id, commit.into())
            }
        };
        let list = suite.packages_of(id, commit, selection).await?;
        Ok((suite, list))
    }
}
