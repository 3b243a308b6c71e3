//! `debucket gc`: deletes what no suite names any more.

use clap::Args;
use deb_index::name::SuiteName;
use jiff::{SignedDuration, Timestamp};
use repository::{CollectOptions, Collected, Repository, Suite, Tally};
use serde::Serialize;

use crate::{
    context::Context,
    duration::Span,
    error::{Error, Role},
    key_options::TrustOptions,
    printer::Report,
    store_options::WriteOptions,
    text::{bytes, one_line},
};

/// Times that the suites are looked for again because one was begun meanwhile.
const TRIES: usize = 5;

/// Delete packages, indexes and commits that no suite names any more
///
/// Works in two steps: one run condemns what nothing names, and a later run, after the grace period, deletes what is still unnamed.
/// So run it on a timer. Publishers that run at the same time lose nothing. Nothing is collected as long as any suite cannot be read
/// and verified. Below pool/, only .deb, .udeb and .ddeb files are deleted; source packages and whatever else is there stay.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed, or a suite cannot be relied on; 2 usage; 3 a suite is being deleted.

Examples:
  debucket gc --repo s3://acme-apt --keyring acme.asc --dry-run
  debucket gc --repo s3://acme-apt --keyring acme.asc --keep-history 30d")]
pub struct Gc {
    /// Delete only what has been unnamed for this long; it must be longer than any publish takes
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    grace: Span,
    /// Keep all that a suite had within this time, for log, rollback and devices in the middle of an update
    #[arg(long, value_name = "SPAN", default_value = "90d")]
    keep_history: Span,
    /// Show what would be done, without changing anything
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Leave package files alone: for a prefix that suites of other tools share
    #[arg(long)]
    leave_pool: bool,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    write: WriteOptions,
}

/// The JSON document of `debucket gc`.
#[derive(Debug, Serialize)]
struct Document {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    dry_run: bool,
    /// The suites that were read.
    suites: Vec<SuiteName>,
    /// Their commits that are kept.
    commits: u64,
    /// What was there before.
    stored: Count,
    /// What was deleted, or would be.
    deleted: Count,
    /// What was condemned now, or would be, and is deleted after the grace period.
    condemned: Count,
    /// What was condemned by an earlier run and has to wait.
    waiting: Count,
    /// Objects that were condemned and are in use again.
    spared: u64,
    /// What is left for later runs, because there is too much of it.
    left: Count,
    /// What is below `pool/` and no package file, or of another repository there. It is never deleted.
    foreign: Count,
    /// Why package files were left alone; null if they were not.
    pool_left: Option<String>,
    /// Earlier states that cannot be read. What they may have named is kept: package files, and all of their suites.
    unreadable: Vec<Held>,
    deleted_keys: Vec<String>,
    condemned_keys: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Held {
    suite: SuiteName,
    /// The commit or the index that is missing or damaged.
    key: String,
    /// When it is older than `--keep-history`.
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Count {
    objects: u64,
    bytes: u64,
}

impl From<Tally> for Count {
    fn from(Tally { objects, bytes }: Tally) -> Self {
        Self { objects, bytes }
    }
}

impl Count {
    fn text(self) -> String {
        let objects = match self.objects {
            1 => "1 object".to_owned(),
            objects => format!("{objects} objects"),
        };
        format!("{objects} ({})", bytes(self.bytes))
    }
}

impl Gc {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repository = context
            .writable_repository(&self.write, Role::Collector)
            .await?;
        let options = CollectOptions {
            grace: self.grace.into(),
            keep_history: self.keep_history.into(),
            dry_run: self.dry_run,
            leave_pool: self.leave_pool,
        };
        if !self.dry_run {
            context.set_goes_on();
        }
        let mut tries = 0..TRIES;
        let collected = loop {
            let suites = self.suites(&repository).await?;
            match repository.collect(&suites, options).await {
                // It was begun meanwhile.
                Err(repository::Error::Missing(_)) if tries.next().is_some() => {}
                collected => break collected?,
            }
        };
        let document = Document::new(context, self.dry_run, collected, options.kept())?;
        context.printer.outcome(&document, || {
            format!("{} were deleted", document.deleted.text())
        })
    }

    /// All suites of the repository, with the keys that they are checked with.
    async fn suites<'r>(&self, repository: &'r Repository) -> Result<Vec<Suite<'r>>, Error> {
        let (ours, _) = repository.all_suites().await?;
        let mut suites = Vec::new();
        for name in ours {
            let mut suite = repository.suite(name, self.trust.keys()?);
            suite.recognize_unsigned().await?;
            suites.push(suite);
        }
        Ok(suites)
    }
}

impl Document {
    fn new(
        context: &Context,
        dry_run: bool,
        collected: Collected,
        kept: SignedDuration,
    ) -> Result<Self, Error> {
        let held = collected.unreadable.into_iter().map(|state| Held {
            suite: state.suite,
            key: state.key,
            until: state.ended.checked_add(kept).ok(),
        });
        Ok(Self {
            repo: context.url()?.to_string(),
            dry_run,
            suites: collected.suites,
            commits: collected.commits,
            stored: collected.stored.into(),
            deleted: collected.deleted.into(),
            condemned: collected.condemned.into(),
            waiting: collected.waiting.into(),
            spared: collected.spared,
            left: collected.left.into(),
            foreign: collected.foreign.into(),
            pool_left: collected.pool_left,
            unreadable: held.collect(),
            deleted_keys: collected.deleted_keys,
            condemned_keys: collected.condemned_keys,
        })
    }
}

impl Report for Document {
    fn text(&self) -> String {
        let (would, nothing) = if self.dry_run {
            ("would be ", "dry run: nothing was changed\n")
        } else {
            ("", "")
        };
        let mut text = String::new();
        if self.dry_run {
            for key in &self.deleted_keys {
                text.push_str(&format!("delete   {}\n", one_line(key)));
            }
            for key in &self.condemned_keys {
                text.push_str(&format!("condemn  {}\n", one_line(key)));
            }
        }
        text.push_str(&format!("{would}deleted: {}\n", self.deleted.text()));
        text.push_str(&format!("{would}condemned: {}\n", self.condemned.text()));
        if self.waiting.objects > 0 {
            text.push_str(&format!("waiting: {}\n", self.waiting.text()));
        }
        if self.spared > 0 {
            text.push_str(&format!("in use again: {} objects\n", self.spared));
        }
        if self.left.objects > 0 {
            text.push_str(&format!("left for later runs: {}\n", self.left.text()));
        }
        if self.foreign.objects > 0 {
            text.push_str(&format!(
                "left alone below pool/, as no package files: {}\n",
                self.foreign.text()
            ));
        }
        if let Some(reason) = &self.pool_left {
            text.push_str(&format!("package files were left alone: {reason}\n"));
        }
        for Held { suite, key, until } in &self.unreadable {
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            text.push_str(&format!(
                "kept{until}: all package files, and all of suite {suite}: {key}, which an earlier state needs, is missing or damaged\n"
            ));
        }
        let (suites, commits) = (self.suites.len(), self.commits);
        let stored = self.stored.text();
        text.push_str(&format!(
            "{suites} suites, {commits} commits kept, of {stored}\n{nothing}"
        ));
        text
    }
}
