//! `debucket rollback`: the packages of an earlier commit, as a new one.

use clap::Args;
use deb_index::change::Intent;
use repository::Revision;

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    error::Error,
    store_options::SuiteOption,
    text::short,
};

/// Bring the packages of an earlier commit back
///
/// This is a new commit, so it is part of the history and can itself be rolled back. Components and architectures that the suite
/// has dropped since then come back with their packages; the other settings stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite or commit.

Examples:
  debucket rollback --to @~1 --repo s3://acme-apt --dry-run
  debucket rollback --to 2026-11-30T10:00:00Z --repo s3://acme-apt --message 'Back to before the bad release'")]
pub struct Rollback {
    /// The commit: its first digits (at least 6), @~N for N commits back, or a time for the commit that was the newest then
    #[arg(long, value_name = "COMMIT|TIME")]
    to: Revision,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Rollback {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let name = self.suite.name()?;
        let keys = self.change.keys(&name)?;
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(name, keys);
        let head = suite.existing_head().await?;
        let read = suite.reading(head, async |head| {
            let (id, commit) = suite.revision(head, &self.to).await?;
            let edit = suite.restored(head, id, &commit).await?;
            Ok((id, commit.time, edit))
        });
        let (_, (id, time, edit)) = read.await?;
        let note = format!("commit {} of {time}", short(&id));
        context.printer.note(&note);
        let wanted = Wanted {
            intent: Intent(vec![edit]),
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }
}
