//! `debucket log`: the history of a suite, newest first.

use std::ops::ControlFlow;

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    catalogue,
    cli::{OutputFormat, OutputOptions},
    error::Error,
    options::{StoreOptions, SuiteOption},
    output::log as output,
    signing_options::TrustOptions,
    snapshot,
};

/// Arguments of `debucket log`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite.

Example:
  debucket log --repo s3://acme-apt --oneline -n 10")]
pub struct Log {
    /// Show at most this many commits
    #[arg(long, short = 'n', value_name = "NUMBER")]
    max_count: Option<usize>,
    /// Show each commit on one line
    #[arg(long)]
    oneline: bool,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Log {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(self, store: &StoreOptions, output: &OutputOptions) -> Result<(), Error> {
        let url = store.url()?;
        let trust = self.trust.trust(output)?;
        let storage = store.open().await?;
        let suite = &self.suite.suite;
        let head = catalogue::head(storage.as_ref(), &url, suite, &trust).await?;
        let history = snapshot::history(storage.as_ref(), suite, head.id);
        let history = history.take(self.max_count.unwrap_or(usize::MAX));
        if output.output == OutputFormat::Json {
            return output::json(&history.try_collect::<Vec<_>>().await?);
        }
        // Each as soon as it is read: a history may be long, and its reader may have seen enough.
        let mut history = std::pin::pin!(history);
        while let Some((id, commit)) = history.try_next().await? {
            let shown = if self.oneline {
                output::line(&id, &commit)
            } else {
                output::entry(&id, &commit)
            };
            if let ControlFlow::Break(()) = crate::output::text(shown)? {
                break;
            }
        }
        Ok(())
    }
}
