//! `debucket doctor`: what works and what does not, on the first day and in an incident.
//!
//! Asking the store and judging its answers are separate, and the judging is pure. Checks that do not depend on each other run at
//! once. A check that fails keeps only those from running that depend on it.

mod bucket;
mod reach;
mod report;
mod rights;
mod suites;

use std::{sync::Arc, time::Duration};

use clap::Args;
use deb_index::name::SuiteName;
use futures::{StreamExt as _, join, stream};
use jiff::Timestamp;
use repository::{Folder, Keys, Repository};
use s3_storage::{LocalClock, S3, Storage, probe_folder};

use self::{
    report::{Check, Document, Status},
    rights::{Examined, Sample},
};
use crate::{
    context::Context,
    error::{Error, Role},
    key_options::{KeyOptions, TrustOptions},
    store_options::WriteOptions,
};

/// How long the store may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the checks of one kind may take together.
const LIMIT: Duration = Duration::from_secs(300);
/// Suites that are looked at at once.
const CONCURRENT: usize = 4;

/// Check access, rights, the bucket's settings and suites, and say what to do
///
/// Prints a line for each check: ok, warn, fail, or skipped and why. Each right of the role is tried, by requests
/// that cannot succeed and on objects below debucket-probe/ that are removed again. Nothing of the repository is changed. `debucket verify` looks into suites in depth.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 no check failed; 1 one did; 2 usage; 4 only that a suite is missing.

Examples:
  debucket doctor --repo s3://acme-apt --sign-key key.asc
  debucket doctor stable --repo s3://acme-apt --role reader --keyring acme.asc
  debucket doctor --repo s3://acme-apt --role collector --output json")]
pub struct Doctor {
    /// Suites to check [default: all of the repository]
    #[arg(value_name = "SUITE")]
    suites: Vec<SuiteName>,
    /// Whose rights to try
    #[arg(long, value_enum, default_value_t = Role::Publisher)]
    role: Role,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    write: WriteOptions,
}

struct Subject<'a> {
    s3: S3,
    storage: Arc<dyn Storage>,
    repository: Repository,
    bucket: &'a str,
    /// What comes before the keys of the repository: empty, or ends with a slash.
    prefix: String,
}

impl Doctor {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let (role, url) = (self.role, context.url()?);
        let mut checks = match context.examined(&self.write, role, PATIENCE).await {
            Err(error @ Error::Usage(_)) => return Err(error),
            // The configuration is wrong.
            Err(error) => {
                const WHY: &str = "the bucket cannot be reached";
                let bucket = Check::failed("bucket", &error, role);
                let [identity, clock] = ["identity", "clock"].map(|it| Check::skipped(it, WHY));
                let mut checks = vec![bucket, identity];
                checks.extend(self.behind(WHY, clock, None));
                checks
            }
            Ok((s3, storage, repository)) => {
                let subject = Subject {
                    s3,
                    storage,
                    repository,
                    bucket: &url.bucket,
                    prefix: match url.prefix.as_str() {
                        "" => String::new(),
                        prefix => format!("{prefix}/"),
                    },
                };
                let (caller, mut checks) = join!(subject.s3.caller(), self.checks(&subject));
                checks.insert(1, reach::identity(&caller));
                checks
            }
        };
        for check in &mut checks {
            check.detail = context.printer.complete(&check.detail);
            if let Some(next) = &mut check.next {
                *next = context.printer.complete(next);
            }
        }
        let document = Document {
            repo: url.to_string(),
            role,
            checks,
        };
        context.printer.result(&document)?;
        let missing = document.checks.iter().filter(|check| check.is_missing);
        let missing = missing.count();
        match document.count(Status::Fail) {
            0 => Ok(()),
            failed => Err(Error::Unhealthy {
                failed,
                are_missing: failed == missing,
            }),
        }
    }

    /// The checks that need the bucket, skipped because it cannot be reached, and the others.
    fn behind(&self, why: &str, clock: Check, now: Option<Timestamp>) -> Vec<Check> {
        let mut checks = vec![Check::skipped("region", why), clock];
        let rights = rights::names(self.role).into_iter();
        let names = rights.chain(bucket::NAMES).chain(["suites"]);
        checks.extend(names.map(|name| Check::skipped(name, why)));
        checks.extend(self.keys_alone(now));
        checks
    }

    /// All but the identity: first whether the bucket can be reached, then what depends on that.
    async fn checks(&self, subject: &Subject<'_>) -> Vec<Check> {
        let (role, s3) = (self.role, &subject.s3);
        let folder = format!("{}{}", subject.prefix, probe_folder());
        let greeting = s3.greet(&folder).await;
        let now = greeting.clocks.map(|clocks| clocks.store);
        let clock = reach::clock(greeting.clocks, &subject.repository, role);
        let mut checks = vec![reach::bucket(&greeting, s3, subject.bucket, role)];
        if let Some(why) = reach::obstacle(&greeting) {
            checks.extend(self.behind(why, clock, now));
            return checks;
        }
        let (configured, region) = s3.regions().await;
        checks.extend([reach::region(&configured, &region, role), clock]);
        let sample = Sample::find(&*subject.storage, &self.suites).await;
        let whole = sample.key.as_ref();
        let whole = whole.map(|key| format!("{}{key}", subject.prefix));
        let examined = Examined {
            s3,
            storage: &*subject.storage,
            prefix: &subject.prefix,
            role,
            writes: self.write.writes(),
        };
        let rights = examined.all(greeting.listing.as_ref().map(drop), &sample);
        let settings = bucket::checks(s3, subject.bucket, &subject.prefix, whole.as_deref(), now);
        let suites = self.suites(&subject.repository, now);
        let names = rights::names(role);
        let (rights, settings, suites) = join!(
            within(&names, rights),
            within(&bucket::NAMES, settings),
            within(&["suites"], suites),
        );
        checks.extend(rights.into_iter().chain(settings).chain(suites));
        checks
    }

    fn keys(&self) -> Result<Keys, Error> {
        let keys = self.trust.keys_and(&self.key)?;
        Ok(if self.role.commits() {
            keys
        } else {
            keys.for_reading()
        })
    }

    /// The keys, where there is no suite that they are for.
    fn keys_alone(&self, now: Option<Timestamp>) -> Option<Check> {
        let own = || Timestamp::try_from(LocalClock::default().now()).ok();
        match self.keys() {
            Ok(keys) => suites::keys_alone(&keys, self.role, now.or_else(own)?),
            Err(error) => Some(Check::failed("keys", &error, self.role)),
        }
    }

    async fn suites(&self, repository: &Repository, now: Option<Timestamp>) -> Vec<Check> {
        let role = self.role;
        let is_named = !self.suites.is_empty();
        let mut checks = Vec::new();
        let mut names = self.suites.clone();
        if !is_named {
            match repository.folders().await {
                Ok(folders) => {
                    let (mut others, mut unknown) = (Vec::new(), Vec::new());
                    for (name, folder) in folders {
                        match folder {
                            Ok(folder) if folder.is_suite() => names.push(name),
                            Ok(Folder::Foreign) => others.push(name),
                            Ok(_) => {}
                            Err(error) => unknown.push(suites::unknown(&name, error, role)),
                        }
                    }
                    checks.push(reach::suites(&names, &others));
                    checks.extend(unknown);
                }
                Err(error) => checks.push(reach::no_suites(error, role)),
            }
        }
        if names.is_empty() {
            checks.extend(self.keys_alone(now));
        }
        let of_suites: Vec<Vec<Check>> = stream::iter(names)
            .map(|name| async move {
                suites::checks(repository, &name, self.keys(), role, is_named).await
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        checks.extend(of_suites.into_iter().flatten());
        if role != Role::Reader {
            checks.push(suites::garbage(repository, role).await);
        }
        checks
    }
}

/// The checks, or their failures if they take too long.
async fn within(names: &[&'static str], checks: impl Future<Output = Vec<Check>>) -> Vec<Check> {
    match tokio::time::timeout(LIMIT, checks).await {
        Ok(checks) => checks,
        Err(_) => {
            let told = format!("the store took longer than {} s", LIMIT.as_secs());
            let next = "check the network; then run the same command again";
            let late = |name: &&'static str| Check::fail(name, told.clone(), next);
            names.iter().map(late).collect()
        }
    }
}
