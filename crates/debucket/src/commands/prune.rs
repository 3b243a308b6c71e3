//! `debucket prune`: takes old versions out of a suite.

use std::num::NonZeroU32;

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Retention, Selector},
    name::Component,
    version::Version,
};
use jiff::{SignedDuration, Timestamp};
use repository::Gap;

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    duration::Span,
    error::Error,
    store_options::SuiteOption,
};

/// Take old versions of packages out of a suite
///
/// Versions are counted for each name and architecture. The newest always stay. Files stay in the pool, so a rollback can bring
/// old versions back. `debucket suite set --keep` makes this a part of every publish.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite, or no such package.

Examples:
  debucket prune --keep 3 --repo s3://acme-apt --dry-run
  debucket prune 'ros-*' --keep 1 --older-than 90d --repo s3://acme-apt --suite testing")]
pub struct Prune {
    /// Packages: NAME, NAME:ARCH or 'NAME (<< VERSION)', where NAME may be a glob [default: all]
    #[arg(value_name = "PACKAGE")]
    packages: Vec<Selector>,
    /// How many versions stay, at least 1
    #[arg(long, value_name = "NUMBER")]
    keep: NonZeroU32,
    /// Take out only what has been in the suite for longer than this (90d, 8w)
    #[arg(long, value_name = "SPAN")]
    older_than: Option<Span>,
    /// Take out only versions below this one
    #[arg(long, value_name = "VERSION")]
    below: Option<Version>,
    /// Only in this component
    #[arg(long)]
    component: Option<Component>,
    /// Succeed even if a package is not there
    #[arg(long)]
    allow_missing: bool,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Prune {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let name = self.suite.name()?;
        let keys = self.change.keys(&name)?;
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(name, keys);
        let only = match self.older_than {
            None => None,
            Some(span) => {
                let head = suite.existing_head().await?;
                // The store's clock dates commits.
                let now = head.store_time.unwrap_or(head.release.date);
                let limit = now.checked_sub(SignedDuration::from(span));
                let limit = limit.unwrap_or(Timestamp::MIN);
                let read = suite.reading(head, async |head| suite.older_than(head, limit).await);
                let (_, (old, gap)) = read.await?;
                let note = match gap {
                    None => None,
                    Some(Gap::Lost(commit)) => {
                        context.warn_of_lost(&suite, Some(commit));
                        Some("what came in before that commit is not known to be old, so it stays")
                    }
                    Some(Gap::Collected) => Some(
                        "the history that a garbage collection has kept is younger: what came in before it is not known to be old, so it stays",
                    ),
                };
                if let Some(note) = note {
                    context.printer.note(note);
                }
                Some(old)
            }
        };
        let mut of = self.packages;
        let all_of = self.component.as_ref().filter(|_| of.is_empty());
        if let Some(component) = all_of.filter(|_| !self.allow_missing) {
            let head = suite.existing_head().await?;
            if !head.commit.settings.components.contains(component) {
                return Err(Error::NotFound {
                    suite: suite.name().clone(),
                    what: format!("component {component}"),
                    repository: None,
                });
            }
        }
        // A suite without packages is fine where none was named.
        let allow_missing = self.allow_missing || of.is_empty();
        if of.is_empty() {
            of.push(Selector::all(None));
        }
        for selector in &mut of {
            selector.component.clone_from(&self.component);
        }
        let edits = of.into_iter().map(|of| {
            Edit::Keep(Retention {
                of: vec![of],
                newest: self.keep,
                below: self.below.clone(),
                only: only.clone(),
            })
        });
        let wanted = Wanted {
            intent: Intent(edits.collect()),
            allow_missing,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }
}
