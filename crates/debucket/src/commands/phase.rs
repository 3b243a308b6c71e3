//! `debucket phase`: how many devices get a version, and taking one back.

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Selector},
    name::Component,
    phase::Percentage,
};

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    error::Error,
    store_options::SuiteOption,
};

/// Change how many devices get a version, or take it back
///
/// apt keeps a phased version back on all devices but so many percent (Phased-Update-Percentage), where it would be an upgrade.
/// Which devices get it follows from their machine's id and from the source package: the binary packages of one source come together
/// if they have the same percentage. 100 is for all. Of each package, the newest of the versions that are meant is phased. Whoever
/// installs it by name gets it at once.
///
/// --halt takes the versions out of the suite. If devices would see no other version of a package, the one that the suite had before
/// comes back as it was. Devices that have the version keep it, because apt never goes back by itself.
#[derive(Debug, Args)]
#[command(
    override_usage = "debucket phase [OPTIONS] <PACKAGE>... <PERCENT>\n       debucket phase [OPTIONS] --halt <PACKAGE>...",
    after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 4 no such suite or package, or no version to go back to.

Examples:
  debucket phase helloworld 50 --repo s3://acme-apt
  debucket phase helloworld=2.0 --halt --repo s3://acme-apt --dry-run"
)]
pub struct Phase {
    /// Packages: NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)', where NAME may be a glob; then the percentage of devices
    #[arg(value_name = "PACKAGE|PERCENT", required = true)]
    arguments: Vec<String>,
    /// Take the versions out of the suite, and bring the ones before them back
    #[arg(long)]
    halt: bool,
    /// Take a version out even if the suite had none before it
    #[arg(long, requires = "halt")]
    allow_no_version: bool,
    /// Only in this component
    #[arg(long)]
    component: Option<Component>,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Phase {
    pub(crate) async fn run(mut self, context: &Context) -> Result<(), Error> {
        let percentage = if self.halt {
            None
        } else {
            Some(self.percentage()?)
        };
        let selectors = self.selectors()?;
        let name = self.suite.name()?;
        let keys = self.change.keys(&name)?;
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(name, keys);
        let head = suite.existing_head().await?;
        let (of, unmatched) = suite.newest_packages(&head, &selectors).await?;
        if !unmatched.is_empty() {
            let (suite, unmatched) = (suite.name(), unmatched.join(", "));
            return Err(Error::NotFound(format!(
                "suite {suite} has no package {unmatched}"
            )));
        }
        let mut warnings = Vec::new();
        let edit = match percentage {
            Some(percentage) => {
                warnings.extend(warning(context, percentage));
                Edit::Phase { of, percentage }
            }
            None => {
                let halting = suite.halting(&head, &of).await?;
                if !halting.without.is_empty() && !self.allow_no_version {
                    let packages = halting.without.iter().map(ToString::to_string);
                    return Err(Error::NoEarlierVersion {
                        suite: suite.name().clone(),
                        packages: packages.collect(),
                    });
                }
                let names = of.iter().map(|id| format!("{} {}", id.name, id.version));
                let mut names: Vec<_> = names.collect();
                names.dedup();
                context.printer.note(&format!(
                    "devices that have {} keep it until they get a later version",
                    names.join(", ")
                ));
                Edit::Halt {
                    of,
                    earlier: halting.earlier,
                }
            }
        };
        let wanted = Wanted {
            intent: Intent(vec![edit]),
            warnings,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }

    /// The last argument.
    fn percentage(&mut self) -> Result<Percentage, Error> {
        let text = self.arguments.pop().unwrap_or_default();
        let percentage = text.parse().map_err(|error| {
            Error::Usage(format!(
                "the last argument is the percentage of devices: {error}, not “{text}”"
            ))
        })?;
        if self.arguments.is_empty() {
            return Err(Error::Usage("give a package before the percentage".into()));
        }
        Ok(percentage)
    }

    fn selectors(&self) -> Result<Vec<Selector>, Error> {
        let parsed = self.arguments.iter().map(|text| {
            let selector = text.parse::<Selector>();
            let mut selector =
                selector.map_err(|error| Error::Usage(format!("“{text}”: {error}")))?;
            selector.component.clone_from(&self.component);
            Ok(selector)
        });
        parsed.collect()
    }
}

/// Warns that apt takes 0 % for about 1 %.
pub(super) fn warning(context: &Context, percentage: Percentage) -> Option<String> {
    let warning = "apt lets about 1 % of the devices through at 0 %; to keep a version from all of them, take it back \
                   (`debucket phase --halt`)";
    percentage.is_zero().then(|| {
        context.printer.warn(warning);
        warning.to_owned()
    })
}
