//! `debucket remove`: takes packages out of a suite.

use std::collections::HashSet;

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Selector},
    name::Component,
};

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    error::Error,
    store_options::SuiteOption,
};

/// Take packages out of a suite
///
/// Their files stay in the pool, so a rollback can bring them back.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 3 conflict; 4 no such suite, or no such package.

Examples:
  debucket remove helloworld=1.0 --repo s3://acme-apt
  debucket remove 'ros-*:arm64' 'tool (<< 2.0)' --repo s3://acme-apt --suite testing --dry-run")]
pub struct Remove {
    /// Packages: NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)', where NAME may be a glob
    #[arg(value_name = "PACKAGE", required = true)]
    packages: Vec<Selector>,
    /// Only from this component
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

impl Remove {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let name = self.suite.name()?;
        let keys = self.change.keys(&name)?;
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(name, keys);
        let edits = self.packages.into_iter().map(|mut of| {
            of.component.clone_from(&self.component);
            Edit::Remove {
                of,
                except: HashSet::new(),
            }
        });
        let wanted = Wanted {
            intent: Intent(edits.collect()),
            allow_missing: self.allow_missing,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }
}
