//! What all commands that change a suite share: their options, and carrying the change out.

use clap::Args;
use deb_index::{
    change::{Intent, Plan, PlanError},
    name::SuiteName,
    phase::Percentage,
};
use repository::{Allow, Draft, Keys, PackageFile, Published, Repository, Suite};

use crate::{
    authorship::authorship,
    change_report::ChangeReport,
    context::Context,
    error::{Error, Role, not_found},
    key_options::{SigningOptions, SourceTrust},
    printer::Report,
    store_options::WriteOptions,
    uploads::Progress,
};

/// Packages that are named in warnings.
const NAMED: usize = 10;

/// How a suite is changed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Change")]
pub struct ChangeOptions {
    /// Message recorded in the suite's history
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(crate) message: String,
    /// Show what would be done, without writing anything
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    signing: SigningOptions,
    #[command(flatten)]
    write: WriteOptions,
    #[command(flatten)]
    allow: AllowOptions,
}

/// What is refused unless it is asked for by name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Allow")]
struct AllowOptions {
    /// Change the Origin, Label, Codename or priority of a published suite: apt on each device then refuses it until its user
    /// accepts the change. Or its Suite or Version, which apt mentions; or take a component or an architecture away, whose devices
    /// then find no packages
    #[arg(long, visible_alias = "allow-releaseinfo-change")]
    allow_release_info_change: bool,
    /// Sign with the newest key of the certificate, although devices with an earlier copy of the certificate cannot verify it
    #[arg(long)]
    adopt_signing_key: bool,
    /// Go on from a head that was put back to an older commit
    #[arg(long)]
    accept_rollback: bool,
    /// Believe a store whose clock is more than two days ahead of this machine's
    #[arg(long)]
    trust_store_clock: bool,
    /// Date the suite by the store's clock again, although it was dated later: for a suite whose date is in the future
    #[arg(long)]
    reset_date: bool,
}

impl AllowOptions {
    fn allow(&self) -> Allow {
        Allow {
            release_info_change: self.allow_release_info_change,
            new_signing_key: self.adopt_signing_key,
            put_back: self.accept_rollback,
            store_clock: self.trust_store_clock,
            reset_date: self.reset_date,
        }
    }
}

/// What a command wants of a suite.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) intent: Intent,
    /// The packages that it adds and that may have to be sent.
    pub(crate) files: Vec<PackageFile>,
    /// What is odd about them.
    pub(crate) warnings: Vec<String>,
    /// The part of the devices that they are for, if that was said.
    pub(crate) phase: Option<Percentage>,
    /// Whether it is fine if there is nothing to remove.
    pub(crate) allow_missing: bool,
    /// What devices notice of a head that was brought back for it just now.
    pub(crate) restored: Option<&'static str>,
}

impl ChangeOptions {
    pub(crate) fn keys(&self, suite: &SuiteName) -> Result<Keys, Error> {
        self.signing.keys(suite)
    }

    /// The keys for reading a suite that packages are taken from, into one that is changed with `keys`.
    pub(crate) fn source_keys(&self, source: &SourceTrust, keys: &Keys) -> Result<Keys, Error> {
        self.signing.source_keys(source, keys)
    }

    /// The message of the history, where the caller gives none.
    pub(crate) fn set_default_message(&mut self, message: String) {
        if self.message.is_empty() {
            self.message = message;
        }
    }

    pub(crate) async fn repository(&self, context: &Context) -> Result<Repository, Error> {
        self.repository_as(Role::Publisher, context).await
    }

    pub(crate) async fn repository_as(
        &self,
        role: Role,
        context: &Context,
    ) -> Result<Repository, Error> {
        context.writable_repository(&self.write, role).await
    }

    pub(crate) fn allow(&self) -> Allow {
        self.allow.allow()
    }

    /// Plans the change, carries it out unless only the plan was asked for, and prints what came of it.
    pub(crate) async fn carry_out(
        &self,
        context: &Context,
        suite: &Suite<'_>,
        wanted: Wanted,
    ) -> Result<(), Error> {
        let restored = wanted.restored;
        let planned = self.plan(context, suite, wanted).await?;
        let mut report = self.commit(context, planned).await?;
        if let Some(notice) = restored {
            report.has_restored(notice);
        }
        print(context, &report, std::slice::from_ref(&report))
    }

    /// Plans the change. Nothing is written.
    pub(crate) async fn plan<'s>(
        &self,
        context: &Context,
        suite: &'s Suite<'_>,
        wanted: Wanted,
    ) -> Result<Planned<'s>, Error> {
        let draft = suite.draft(wanted.intent, self.allow.allow()).await;
        let mut draft = draft.map_err(|error| in_the_way(suite.name(), error))?;
        let unmatched = &draft.plan().unmatched;
        if !unmatched.is_empty() && !wanted.allow_missing {
            return Err(not_found(suite.name(), unmatched));
        }
        draft.check_files(&wanted.files)?;
        if self.dry_run {
            draft.rehearse(&wanted.files).await?;
        }
        let mut report = ChangeReport::new(context, suite, &draft, &wanted.files);
        if self.dry_run {
            report.seen(&draft)?;
        }
        match draft.alias_changes().await {
            Ok(changes) => report.alias_packages = changes,
            Err(error) => {
                let warning = format!(
                    "what devices of the new aliases see until now cannot be read: {error}"
                );
                context.printer.warn(&warning);
                report.warnings.push(warning);
            }
        }
        report.warnings.extend(wanted.warnings);
        let phase = wanted.phase.iter();
        let others = phase.flat_map(|phase| other_phases(suite.name(), *phase, draft.plan()));
        for warning in others {
            context.printer.warn(&warning);
            report.warnings.push(context.printer.complete(&warning));
        }
        for warning in draft.warnings() {
            context.warn(suite.name(), &warning);
            report.warnings.push(warning.to_string());
        }
        Ok(Planned {
            draft,
            files: wanted.files,
            report,
        })
    }

    /// Carries the change out, unless only the plan was asked for.
    pub(crate) async fn commit(
        &self,
        context: &Context,
        planned: Planned<'_>,
    ) -> Result<ChangeReport, Error> {
        let Planned {
            mut draft,
            files,
            mut report,
        } = planned;
        if self.dry_run {
            return Ok(report);
        }
        let progress = Progress::new(context, report.uploads(), report.copies);
        let authorship = authorship(self.message.clone());
        let published = draft.carry_out(&files, &authorship, &progress).await;
        let published = published.map_err(|error| in_the_way(&report.suite, error))?;
        drop(progress);
        report
            .warnings
            .extend(stale_followers(context, &report.suite, &published));
        report.planned(&draft, &files);
        if context.printer.is_json() {
            // The change took effect, whatever comes of this.
            let _ = report.seen(&draft);
        }
        Ok(report.carried_out(&published))
    }
}

#[derive(Debug)]
pub(crate) struct Planned<'s> {
    draft: Draft<'s>,
    files: Vec<PackageFile>,
    report: ChangeReport,
}

/// Names the suite in which something is in the way: it may be one of several.
fn in_the_way(suite: &SuiteName, error: repository::Error) -> Error {
    let suite = suite.clone();
    match error {
        repository::Error::Plan(PlanError::Exists) => Error::SuiteExists(suite),
        repository::Error::Plan(PlanError::Conflict { id, key }) => {
            Error::OtherBuild { suite, id, key }
        }
        repository::Error::Plan(PlanError::TakenBack(id)) => Error::TakenBack { suite, id },
        repository::Error::Plan(PlanError::Collision(ids)) => Error::Collision { suite, ids },
        error => error.into(),
    }
}

/// Packages to add that the suite has already, for another part of the devices than was said.
fn other_phases(suite: &SuiteName, phase: Percentage, plan: &Plan) -> Vec<String> {
    let others = plan.phases.iter().filter(|(_, there)| *there != phase);
    let mut warnings: Vec<_> = others
        .clone()
        .take(NAMED)
        .map(|(id, there)| {
            format!(
                "{id} is in suite {suite} already, for {}, and stays so; to have it for {}: `debucket phase {}:{}={} {} --suite {suite} \
                 --component {}`",
                part(*there),
                part(phase),
                id.name,
                id.architecture,
                id.version,
                u8::from(phase),
                id.component
            )
        })
        .collect();
    let count = others.count();
    if count > NAMED {
        warnings.push(format!(
            "{} more packages are in suite {suite} already, for another part of the devices than {}, and stay so",
            count - NAMED,
            part(phase)
        ));
    }
    warnings
}

fn part(phase: Percentage) -> String {
    match phase {
        Percentage::ALL => "all devices".to_owned(),
        phase => format!("{phase} of the devices"),
    }
}

/// Prints what came of a change.
pub(crate) fn print(
    context: &Context,
    report: &impl Report,
    of: &[ChangeReport],
) -> Result<(), Error> {
    context.printer.outcome(report, || {
        let conclusions = of
            .iter()
            .map(|report| report.conclusion().trim_end().to_owned());
        conclusions.collect::<Vec<_>>().join("; ")
    })
}

/// Warns if the followers of a new head were not brought up.
pub(crate) fn stale_followers(
    context: &Context,
    suite: &SuiteName,
    published: &Published,
) -> Option<String> {
    let error = published.stale_followers.as_ref()?;
    let warning = match error {
        repository::Error::Deleted { suite: deleted } if deleted == suite => {
            format!("{error}, and this change with it")
        }
        repository::Error::Deleted { suite: alias } => {
            format!(
                "{alias} was deleted although the suite lists it; `debucket verify {suite} --repair` makes it anew"
            )
        }
        repository::Error::AliasTaken { alias, .. }
        | repository::Error::Deleting { suite: alias } => {
            format!("devices of {alias} see the previous state until this is settled: {error}")
        }
        error => format!(
            "clients that do not read InRelease or fetch by hash may see the previous state until the next publish or `debucket refresh --suite {suite}`: {error}"
        ),
    };
    let warning = context.printer.complete(&warning);
    context.printer.warn(&warning);
    Some(warning)
}
