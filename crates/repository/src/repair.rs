//! Making good what [`Repository::verify`] found, as far as its content is somewhere in the repository.

pub(crate) mod condemned;
pub(crate) mod pool_file;
pub(crate) mod rebuild;
pub(crate) mod recommit;
pub(crate) mod recover;
pub(crate) mod stand_in;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use deb_index::{digest::Sha256, index::IndexPath, suite::commit::Authorship};

use crate::{
    Error, Repository, Suite, Verified,
    commit::followers,
    verify::problem::{Fix, Part, Remedy},
};

/// How a repair is done, and what it may do only if its caller has said so.
#[derive(Debug, Clone, Default)]
pub struct RepairOptions {
    /// Sign what no signature vouches for: a commit again, an index that is not what it was, packages that no index names. Whoever
    /// may write to the bucket could have made them.
    pub unproven: bool,
    /// The commit that a lost head is to name where it is not known which one it named.
    pub commit: Option<Sha256>,
    /// Of the commits that a repair makes.
    pub authorship: Authorship,
}

impl Repository {
    /// Repairs what can be. A repair may uncover further problems, so the suites are to be verified again.
    ///
    /// # Errors
    /// Keys that may not sign the suite, if its head or its followers need a signature; those of the store.
    pub async fn repair(
        &self,
        suites: &[Suite<'_>],
        found: &[Verified],
        options: &RepairOptions,
    ) -> Result<(), Error> {
        for (suite, found) in suites.iter().zip(found) {
            suite.repair(found, options).await?;
        }
        Ok(())
    }
}

/// What the problems of a suite ask for, beside objects that are written one by one.
#[derive(Default)]
struct Repairs {
    followers: HashSet<String>,
    head: Option<Sha256>,
    /// Whether a commit is to be built on the head, and with which indexes.
    commit: bool,
    written: BTreeMap<IndexPath, Bytes>,
    pool: bool,
}

impl Suite<'_> {
    async fn repair(&self, found: &Verified, options: &RepairOptions) -> Result<(), Error> {
        let mut repairs = Repairs::default();
        for problem in &found.problems {
            if problem.remedy == Remedy::NameCommit && options.unproven {
                repairs.head = repairs.head.or(options.commit);
            }
            let may_repair = match problem.remedy {
                Remedy::Repair => true,
                Remedy::RepairUnproven => options.unproven,
                Remedy::NameCommit
                | Remedy::GiveKey
                | Remedy::Manual
                | Remedy::Delete
                | Remedy::Lost => false,
            };
            let Some(fix) = problem.fix.clone().filter(|_| may_repair) else {
                continue;
            };
            match fix {
                Fix::Index { sha256, bytes } => {
                    self.put_by_digest(problem.key.clone(), bytes, sha256)
                        .await?;
                }
                Fix::Founding { signed } => self.restore_founding(signed).await?,
                // What is refused stays a problem, and hinders no other repair.
                Fix::Alias(alias) => {
                    if let Err(error @ Error::Storage(_)) = self.claim(&alias).await {
                        return Err(error);
                    }
                }
                Fix::Succession { parent, id } => {
                    followers::restore_succession(self, parent, id).await?;
                }
                Fix::Follower => drop(repairs.followers.insert(problem.key.clone())),
                Fix::Head { commit, .. } => repairs.head = Some(commit),
                Fix::Commit { .. } => repairs.commit = true,
                Fix::Rewrite { path, plain, .. } => drop(repairs.written.insert(path, plain)),
                Fix::Pool => repairs.pool = true,
            }
        }
        let instead_of = found.tag.as_ref();
        if let Some(commit) = repairs.head {
            return self
                .restore_head(commit, instead_of, &options.authorship)
                .await;
        }
        if repairs.pool {
            return self.begin_again(instead_of, &options.authorship).await;
        }
        let is_head_doubtful = found
            .problems
            .iter()
            .any(|p| matches!(p.part, Part::Head | Part::Commit) && p.fix.is_some());
        if let Some(head) = found.commit
            && (repairs.commit || (!repairs.written.is_empty() && !is_head_doubtful))
        {
            return self
                .recommit(head, instead_of, repairs.written, &options.authorship)
                .await;
        }
        if repairs.followers.is_empty() || is_head_doubtful {
            return Ok(());
        }
        let Some(head) = self.current_head().await? else {
            return Ok(());
        };
        self.keys.check(&self.name, Some(head.signed()))?;
        followers::repair(self, &head, &repairs.followers).await
    }
}
