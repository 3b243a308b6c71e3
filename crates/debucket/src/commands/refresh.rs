//! `debucket refresh`: dates and signs a suite anew before its `Valid-Until` runs out.

use clap::Args;
use deb_index::change::{Edit, Intent};
use jiff::{SignedDuration, Timestamp};

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    duration::Span,
    error::Error,
    store_options::SuiteOption,
};

/// Sign a suite anew before devices refuse it as outdated
///
/// For a timer: it does nothing while there is time, or if the suite has no end of validity (`debucket suite set --valid-for`).
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite.

Example:
  debucket refresh --repo s3://acme-apt --suite stable")]
pub struct Refresh {
    /// Act when less than this is left [default: half of the suite's validity]
    #[arg(long, value_name = "SPAN", conflicts_with = "force")]
    within: Option<Span>,
    /// Act although there is time
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Refresh {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let name = self.suite.name()?;
        let keys = self.change.keys(&name)?;
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(name, keys);
        let head = suite.existing_head().await?;
        let now = head.store_time.unwrap_or(head.release.date);
        let valid = head
            .commit
            .settings
            .valid_seconds
            .map(Span)
            .map(SignedDuration::from);
        let mut warnings = Vec::new();
        let since = match (self.force, valid) {
            // The head may be dated in this second.
            (true, _) => {
                let after = head.release.date.checked_add(SignedDuration::from_secs(1));
                after.unwrap_or(Timestamp::MAX).max(now)
            }
            (false, None) => Timestamp::MIN,
            (false, Some(valid)) => {
                let within = self.within.map_or(valid / 2, SignedDuration::from);
                // A timer goes on: a refusal would let the suite run out.
                if within >= valid {
                    let warning = "--within is not shorter than the suite's validity (--valid-for), so each refresh acts";
                    context.printer.warn(warning);
                    warnings.push(warning.to_owned());
                }
                let since = now
                    .checked_sub(valid)
                    .and_then(|since| since.checked_add(within));
                since.unwrap_or(Timestamp::MIN)
            }
        };
        let wanted = Wanted {
            intent: Intent(vec![Edit::Refresh { since }]),
            warnings,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }
}
