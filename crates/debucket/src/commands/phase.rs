//! `debucket phase`: how many devices get a version, and taking one back.

use std::collections::BTreeMap;

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Phasing, Selector},
    name::{Component, SuiteName},
    package_id::PackageId,
    phase::Percentage,
    stanza::Stanza,
};
use repository::{Halting, PhaseTargets};

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    error::{Error, list, not_found},
    store_options::SuiteOption,
};

/// Packages that are named in a warning.
const NAMED: usize = 10;

/// Change how many devices get a version, or take it back
///
/// apt keeps a phased version back on all devices but so many percent (Phased-Update-Percentage), where it would be an upgrade.
/// Which devices get it follows from their machine's id and from the source package: the binary packages of one source come together
/// if they have the same percentage. 100 is for all. A device on which it is installed by name gets it at once.
///
/// Only versions that are being phased change, of each package the newest. One that is for all devices changes only if it is named,
/// as NAME=VERSION.
///
/// --halt takes the version out of the suite. If devices would see no other version of a package, the one that the suite had before
/// comes back as it was. Where a later version was taken back already, only a version that is named follows it, so that a halt can be
/// run again. Devices that have the version keep it, because apt never goes back by itself.
#[derive(Debug, Args)]
#[command(
    override_usage = "debucket phase [OPTIONS] <PACKAGE>... <PERCENT>\n       debucket phase [OPTIONS] --halt <PACKAGE>...",
    after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite or package, or no version to go back to.

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
    /// Take a version out even if the suite had none before it, or if that is lost
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
            self.check_no_percentage()?;
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
        let read = suite.reading(head, async |head| {
            let targets = suite.phase_targets(head, &selectors).await?;
            if !self.halt {
                return Ok((targets, Halting::default(), Vec::new()));
            }
            let unmatched = targets.unmatched;
            let (halted, phased) = suite.stepped_back(head, targets.phased).await?;
            let targets = PhaseTargets {
                // What is out already need not be taken out.
                unmatched: suite.never_had(head, unmatched).await?,
                phased,
                ..targets
            };
            let all = [&targets.named[..], &targets.phased].concat();
            let halting = suite.halting(head, &all).await?;
            Ok((targets, halting, halted))
        });
        let (_, (targets, halting, halted)) = read.await?;
        let missing = targets.unmatched;
        if !missing.is_empty() {
            return Err(not_found(suite.name(), &missing));
        }
        let of = [
            (Phasing::Named, targets.named),
            (Phasing::Begun, targets.phased),
        ];
        let mut warnings: Vec<_> = left(&targets.released).into_iter().collect();
        warnings.extend(staying(&halted));
        for warning in &warnings {
            context.printer.warn(warning);
        }
        let edits = match percentage {
            Some(percentage) => {
                warnings.extend(warning(context, percentage));
                let edit = |(only, of)| Edit::Phase {
                    of,
                    percentage,
                    only,
                };
                of.map(edit)
            }
            None => {
                let all: Vec<_> = of.iter().flat_map(|(_, of)| of).cloned().collect();
                let earlier = self.earlier(suite.name(), halting)?;
                kept(context, &all);
                self.change
                    .set_default_message(format!("Take back {}", list(&selectors)));
                let edit = |(only, of)| Edit::Halt {
                    of,
                    earlier: earlier.clone(),
                    only,
                };
                of.map(edit)
            }
        };
        let wanted = Wanted {
            intent: Intent(edits.into()),
            warnings,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }

    /// What comes back in place of packages.
    fn earlier(&self, suite: &SuiteName, halting: Halting) -> Result<Vec<Stanza>, Error> {
        if self.allow_no_version || halting.without.is_empty() {
            return Ok(halting.earlier);
        }
        let suite = suite.clone();
        let packages = halting.without;
        Err(match halting.problem {
            None => Error::NoEarlierVersion { suite, packages },
            Some(source) => Error::EarlierLost {
                suite,
                packages,
                source: source.into(),
            },
        })
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

    fn check_no_percentage(&self) -> Result<(), Error> {
        let last = self.arguments.last();
        match last.filter(|last| last.parse::<Percentage>().is_ok()) {
            Some(last) => Err(Error::Usage(format!(
                "--halt takes versions from all devices, not from {last} % of them"
            ))),
            None => Ok(()),
        }
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

/// Says what devices do that have packages which are taken back.
fn kept(context: &Context, of: &[PackageId]) {
    let names = of.iter().map(|id| format!("{} {}", id.name, id.version));
    let mut names: Vec<_> = names.collect();
    names.dedup();
    if !names.is_empty() {
        let names = names.join(", ");
        let note = format!("devices that have {names} keep it until they get a later version");
        context.printer.note(&note);
    }
}

/// What to know about versions that stay as they are because they are for all devices.
fn left(released: &BTreeMap<String, String>) -> Option<String> {
    let names = released.iter().take(NAMED);
    let mut names: Vec<_> = names
        .map(|(package, version)| format!("{package}={version}"))
        .collect();
    match released.len() {
        0 => return None,
        count if count > NAMED => names.push(format!("{} more", count - NAMED)),
        _ => {}
    }
    Some(format!(
        "already released to all devices, so unchanged; to change one, name its version: {}",
        names.join(", ")
    ))
}

/// What to know about versions that stay because a later one was taken back.
fn staying(phased: &[PackageId]) -> Option<String> {
    let named = phased.iter().take(NAMED);
    let mut named: Vec<_> = named
        .map(|id| format!("{}:{}={}", id.name, id.architecture, id.version))
        .collect();
    if phased.len() > NAMED {
        named.push(format!("{} more", phased.len() - NAMED));
    }
    (!named.is_empty()).then(|| {
        format!(
            "a later version was taken back already, so unchanged; to take an earlier one back, too, name it: {}",
            named.join(", ")
        )
    })
}

/// Warns that apt takes 0 % for about 1 %.
pub(super) fn warning(context: &Context, percentage: Percentage) -> Option<String> {
    let warning = "apt lets about 1 % of the devices through at 0 %; to keep a version from all of them, take it back \
                   (phase --halt)";
    percentage.is_zero().then(|| {
        context.printer.warn(warning);
        warning.to_owned()
    })
}
