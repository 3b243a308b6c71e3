//! Making good what [`Repository::verify`] found, as far as its content is somewhere in the repository.

use std::collections::HashSet;

use crate::{
    Error, Repository, Suite, Verified,
    commit::restore_head,
    followers,
    problem::{Fix, Part},
};

/// What a repair may do only if its caller has said so.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepairOptions {
    /// Sign a commit again although no signature vouches for it. Whoever may write to the bucket could have made it.
    pub unproven_heads: bool,
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
        options: RepairOptions,
    ) -> Result<(), Error> {
        for (suite, found) in suites.iter().zip(found) {
            suite.repair(found, options).await?;
        }
        Ok(())
    }
}

impl Suite<'_> {
    async fn repair(&self, found: &Verified, options: RepairOptions) -> Result<(), Error> {
        let mut followers = HashSet::new();
        let mut new_head = None;
        for problem in &found.problems {
            match &problem.fix {
                None => {}
                Some(Fix::Index { sha256, bytes }) => {
                    self.put_by_digest(problem.key.clone(), bytes.clone(), *sha256)
                        .await?;
                }
                Some(Fix::Founding { signed }) => self.restore_founding(*signed).await?,
                Some(Fix::Follower) => drop(followers.insert(problem.key.clone())),
                Some(Fix::Head { commit, is_proven }) if *is_proven || options.unproven_heads => {
                    new_head = Some(*commit);
                }
                Some(Fix::Head { .. }) => {}
            }
        }
        if let Some(commit) = new_head {
            return restore_head(self, commit).await;
        }
        let is_head_sound = !found
            .problems
            .iter()
            .any(|p| p.part == Part::Head && p.fix.is_some());
        if followers.is_empty() || !is_head_sound {
            return Ok(());
        }
        let Some(head) = self.current_head().await? else {
            return Ok(());
        };
        self.keys.check(&self.name, Some(head.signed()))?;
        followers::repair(self, &head, &followers).await
    }
}
