//! `debucket verify`: looks for everything that is wrong with a repository, and repairs what can be.

use std::collections::BTreeSet;

use clap::Args;
use deb_index::{digest::Sha256, name::SuiteName};
use repository::{Depth, Problem, Remedy, RepairOptions, Repository, Suite, Verified};

use super::verify_report::VerifyReport;
use crate::{
    authorship::authorship,
    context::Context,
    error::{Error, Role},
    key_options::{KeyOptions, TrustOptions},
    store_options::WriteOptions,
};

/// Rounds of repair: each may uncover what the next one repairs.
const ROUNDS: usize = 4;

/// Check suites and everything they name, and repair what can be repaired
///
/// Checks the signature, the head, its commit, the indexes, the pool, the history, and what older clients read. Sizes come from
/// listings, so this takes a request for every thousand packages. All problems are reported, each with what it means and what can
/// be done.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 no problem is left but lost history; 1 problems are left, or failed; 2 usage; 3 conflict; 4 no such suite.

Examples:
  debucket verify --repo s3://acme-apt --keyring acme.asc
  debucket verify stable --deep --repo s3://acme-apt --keyring acme.asc
  debucket verify stable --repair --repo s3://acme-apt --sign-key key.asc")]
pub struct Verify {
    /// Suites to check [default: all of the repository]
    #[arg(value_name = "SUITE")]
    suites: Vec<SuiteName>,
    /// Read and hash everything that the suites name
    #[arg(long)]
    deep: bool,
    /// Repair what can be repaired, as long as its content is somewhere in the repository
    #[arg(long)]
    repair: bool,
    /// Sign what no signature vouches for any more: the newest commit, an index with what is left of it, or the packages in the
    /// pool. Anyone who can write to the bucket could have made them: look at them first (`debucket show --commit`)
    #[arg(long, requires = "repair")]
    accept_unproven: bool,
    /// Commit that a lost head of this suite is to name again, where it is not known which one it named
    #[arg(long, value_name = "COMMIT", requires = "accept_unproven")]
    commit: Option<Sha256>,
    /// Message of the commits that a repair makes
    #[arg(
        long,
        short,
        requires = "repair",
        default_value = "Repaired by debucket verify"
    )]
    message: String,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    write: WriteOptions,
}

impl Verify {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repository = if self.repair {
            context
                .writable_repository(&self.write, Role::Publisher)
                .await?
        } else {
            context.repository().await?
        };
        let is_named = !self.suites.is_empty();
        if self.commit.is_some() && self.suites.len() != 1 {
            return Err(Error::Usage(
                "--commit is of one suite: name that, too".to_owned(),
            ));
        }
        let (names, others) = if is_named {
            (self.suites.clone(), Vec::new())
        } else {
            repository.all_suites().await?
        };
        for other in others {
            context
                .printer
                .note(&format!("skipping suite {other}: another tool wrote it"));
        }
        let mut suites = Vec::new();
        for name in names {
            suites.push(self.suite(&repository, name).await?);
        }
        if suites.iter().any(Suite::is_unchecked) {
            context
                .printer
                .note("no key was given (--keyring), so signatures are not checked");
        }
        let depth = if self.deep {
            Depth::Content
        } else {
            Depth::Listing
        };
        let mut condemned = repository.verify_condemned().await?.err();
        let mut found = repository.verify(&suites, depth).await?;
        for (suite, found) in suites.iter().zip(&found) {
            if is_named && found.commit.is_none() && found.problems.is_empty() {
                suite.existing_head().await?;
            }
        }
        let mut repaired = Vec::new();
        if self.repair {
            context.set_goes_on();
            if let Some(problem) = condemned.take_if(|problem| problem.remedy == Remedy::Repair) {
                repository.repair_condemned().await?;
                repaired.push(problem);
            }
            let options = RepairOptions {
                unproven: self.accept_unproven,
                commit: self.commit,
                authorship: authorship(self.message.clone()),
            };
            for _ in 0..ROUNDS {
                if !found.iter().any(|found| self.has_repairs(found)) {
                    break;
                }
                repository.repair(&suites, &found, &options).await?;
                // What was read and hashed before need not be again.
                let mut now = repository.verify(&suites, Depth::Listing).await?;
                for (before, now) in found.iter_mut().zip(&mut now) {
                    repaired.extend(settle(before, now));
                }
                found = now;
            }
        }
        for (suite, found) in suites.iter().zip(&found) {
            context.warn_of_all(suite, &found.warnings);
        }
        let names = suites.iter().map(|suite| suite.name().clone());
        let mut report = VerifyReport::new(context, self.deep, names.zip(found).collect())?;
        let mut others: Vec<_> = condemned.into_iter().collect();
        if !is_named {
            others.extend(repository.verify_dropped().await?);
        }
        report.of_repository(&others);
        report.repaired(&repaired);
        report.conclude(context)
    }

    /// A suite, with the signing key only if it is to be repaired and is signed.
    async fn suite<'r>(
        &self,
        repository: &'r Repository,
        name: SuiteName,
    ) -> Result<Suite<'r>, Error> {
        let keys = self.trust.keys_and(&self.key)?;
        let keys = if self.repair {
            keys
        } else {
            keys.for_reading()
        };
        let mut suite = repository.suite(name, keys);
        suite.recognize_unsigned().await?;
        Ok(suite)
    }

    fn has_repairs(&self, found: &Verified) -> bool {
        found.problems.iter().any(|problem| match problem.remedy {
            Remedy::Repair => true,
            Remedy::RepairUnproven => self.accept_unproven,
            Remedy::NameCommit => self.commit.is_some(),
            Remedy::GiveKey | Remedy::Manual | Remedy::Delete | Remedy::Lost => false,
        })
    }
}

/// Carries over what the second look, which reads less, cannot see; returns what it no longer sees.
fn settle(before: &Verified, now: &mut Verified) -> Vec<Problem> {
    let id = |problem: &Problem| (problem.part, problem.key.clone());
    let left: BTreeSet<_> = now.problems.iter().map(id).collect();
    let gone = before
        .problems
        .iter()
        .filter(|problem| !left.contains(&id(problem)));
    let (kept, repaired): (Vec<_>, Vec<_>) = gone.cloned().partition(Problem::needs_content);
    now.problems.extend(kept);
    repaired
}
