//! `debucket publish`: packages into a suite, as one commit.

use std::{collections::HashSet, num::NonZeroU32, path::PathBuf};

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Phasing, Retention, Selector, SettingsPatch},
    name::{Architecture, Component, SuiteName},
    phase::Percentage,
    suite::settings::{FieldName, Line, Settings},
};
use repository::{Keys, PackageFile};
use serde::Serialize;

use super::phase::warning as zero_warning;
use crate::{
    change::{ChangeOptions, Wanted, print},
    change_report::ChangeReport,
    context::Context,
    environment,
    error::Error,
    inputs::{self, Inputs},
    printer::Report,
    store_options::SuiteOption,
};

/// The Distribution of a `.changes` whose changelog was not finished.
const UNRELEASED: &str = "UNRELEASED";

/// Add packages to a suite
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 not found.

Examples:
  debucket publish build/*.deb --repo s3://acme-apt --sign-key key.asc
  debucket publish hello_1.0_amd64.deb --repo s3://acme-apt/robots --suite testing --dry-run")]
pub struct Publish {
    /// Packages: .deb and .changes files, folders (their .deb files), globs, or - for a list of paths on standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Component to publish into [default: that of the .changes file, or main]
    #[arg(long)]
    component: Option<Component>,
    /// Suites to publish into, a commit each; can be repeated [default: DEBUCKET_SUITE, the Distribution of a .changes file, or
    /// stable]
    #[arg(
        long,
        value_name = "SUITE",
        value_delimiter = ',',
        visible_alias = "codename"
    )]
    suite: Vec<SuiteName>,
    /// All architectures of the suite [default: amd64, arm64 and those of its packages]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    architectures: Option<Vec<Architecture>>,
    /// Replace another build of the same version
    #[arg(long)]
    replace: bool,
    /// Leave only this many versions of each package in the suite, the newest and what is published now
    #[arg(long, value_name = "NUMBER")]
    keep: Option<NonZeroU32>,
    /// Give the packages to this percentage of the devices only (Phased-Update-Percentage); those that are there already stay as
    /// they are
    #[arg(long, value_name = "PERCENT")]
    phase: Option<Percentage>,
    /// Publish versions again that were taken back (phase --halt)
    #[arg(long)]
    undo_halt: bool,
    /// Origin of the suite, for pinning
    #[arg(long)]
    origin: Option<Line>,
    /// Label of the suite, for pinning
    #[arg(long)]
    label: Option<Line>,
    /// Description of the suite
    #[arg(long)]
    description: Option<Line>,
    // Last: the heading of flattened options would apply to what follows them.
    #[command(flatten)]
    change: ChangeOptions,
}

impl Publish {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        context.url()?;
        let mut inputs = inputs::describe_all(&self.paths, self.component.as_ref()).await?;
        for warning in &inputs.warnings {
            context.printer.warn(warning);
        }
        let is_zero = self.phase.and_then(|phase| zero_warning(context, phase));
        inputs.warnings.extend(is_zero);
        let mut suites = Vec::new();
        let repository = self.change.repository(context).await?;
        for name in self.suites(&inputs)? {
            let keys = self.change.keys(&name)?;
            let intent = self.intent(&inputs.files, &keys);
            suites.push((repository.suite(name, keys), intent));
        }
        // All are planned before the first is changed.
        let mut plans = Vec::new();
        for (number, (suite, intent)) in suites.iter_mut().enumerate() {
            let mut files = inputs.files.clone();
            files.iter_mut().for_each(|file| file.is_sent = number > 0);
            let wanted = Wanted {
                intent: std::mem::take(intent),
                files,
                warnings: inputs.warnings.clone(),
                // It removes nothing that was named.
                allow_missing: true,
                restored: None,
                phase: Some(self.phase.unwrap_or(Percentage::ALL)),
            };
            plans.push(self.change.plan(context, suite, wanted).await?);
        }
        if plans.len() > 1 {
            context.set_goes_on();
        }
        let mut reports = Vec::new();
        for plan in plans {
            match self.change.commit(context, plan).await {
                Ok(report) => reports.push(report),
                Err(error) => {
                    // What was done is done.
                    if !reports.is_empty() {
                        print(context, &Reports(&reports), &reports)?;
                    }
                    return Err(error);
                }
            }
        }
        match &reports[..] {
            [report] => print(context, report, &reports),
            _ => print(context, &Reports(&reports), &reports),
        }
    }

    /// The suites to publish into, each once: those given, otherwise that of the environment, otherwise those of `.changes` files.
    fn suites(&self, inputs: &Inputs) -> Result<Vec<SuiteName>, Error> {
        let mut suites = self.suite.clone();
        if suites.is_empty() {
            suites.extend(environment::parsed(environment::SUITE)?);
        }
        if suites.is_empty() && inputs.suites_differ {
            let message = "the .changes files are for different suites: publish them one by one, or give --suite";
            return Err(Error::Usage(message.to_owned()));
        }
        if suites.is_empty()
            && inputs
                .suites
                .iter()
                .any(|suite| suite.as_str() == UNRELEASED)
        {
            return Err(Error::Unreleased);
        }
        if suites.is_empty() {
            suites.clone_from(&inputs.suites);
        }
        if suites.is_empty() {
            suites.push(SuiteOption::default_name()?);
        }
        let mut seen = HashSet::new();
        suites.retain(|suite| seen.insert(suite.clone()));
        Ok(suites)
    }

    fn intent(&self, files: &[PackageFile], keys: &Keys) -> Intent {
        let fields = [
            ("Origin", &self.origin),
            ("Label", &self.label),
            ("Description", &self.description),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| {
            let name = FieldName::try_from(name.to_owned()).ok()?;
            value.is_some().then(|| (name, value.clone()))
        });
        let patch = SettingsPatch {
            fields: fields.collect(),
            architectures: self.architectures.clone(),
            ..SettingsPatch::default()
        };
        let additions = files.iter().map(|file| Edit::Add {
            stanza: file.stanza.clone(),
            replace: self.replace,
        });
        let edits = [
            Edit::Exist(Settings::of_new_suite(keys.certificates()).into()),
            Edit::Set(Box::new(patch)),
        ];
        let mut edits: Vec<_> = edits.into_iter().chain(additions).collect();
        if let Some(percentage) = self.phase {
            let of = files.iter().map(|file| file.stanza.id.clone()).collect();
            edits.push(Edit::Phase {
                of,
                percentage,
                only: Phasing::Added,
            });
        }
        if !self.undo_halt {
            edits.push(Edit::RespectHalts);
        }
        if let Some(newest) = self.keep {
            let names = files.iter().map(|file| &file.stanza.id);
            let of = names.map(|id| Selector::package(&id.name, Some(id.component.clone())));
            edits.push(Edit::Keep(Retention {
                of: of.collect(),
                newest,
                below: None,
                only: None,
            }));
        }
        Intent(edits)
    }
}

/// The results for several suites, in the order in which they were given.
#[derive(Debug, Serialize)]
struct Reports<'a>(&'a [ChangeReport]);

impl Report for Reports<'_> {
    fn text(&self) -> String {
        self.0.iter().map(Report::text).collect()
    }
}
