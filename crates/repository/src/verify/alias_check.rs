//! Looking for what is wrong with the index files in the folders of aliases. `stale` looks at the followers there.

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::IndexPath,
    name::SuiteName,
    suite::{
        commit::{Commit, Stored},
        layout,
    },
};

use crate::{
    Depth, Error, Folder, Repository,
    gc::inventory::InStore,
    verify::{
        BEING_DELETED,
        check::{Check, chain, compare},
        problem::{Fix, Part, Problem, Remedy},
    },
};

/// What is wrong with the `suite.json` of a name that a suite lists, and that was deleted when it did.
pub(crate) const DELETED: &str = "says that the name was deleted, but a suite lists it as an alias";

impl Repository {
    /// What is wrong with the names that no suite lists any more: clients that still use one see what it showed last.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify_dropped(&self) -> Result<Vec<Problem>, Error> {
        let mut problems = Vec::new();
        for (alias, folder) in self.folders().await? {
            let Folder::Alias(holder) = folder? else {
                continue;
            };
            match self.has_alias(&holder, &alias).await {
                Ok(false) => {}
                Err(error @ Error::Storage(_)) => return Err(error),
                // What is wrong with the suite is told of it.
                Ok(true) | Err(_) => continue,
            }
            for (key, shown) in self.folder(&alias).shown().await? {
                let commit = match shown {
                    Ok(release) => self.folder(&holder).read_commit(&release.commit).await,
                    Err(error) => Err(error),
                };
                let text = match commit {
                    Ok(_) => continue,
                    Err(error @ Error::Storage(_)) => return Err(error),
                    Err(error) => chain(&error),
                };
                let text = format!("cannot be used, and no suite has this alias: {text}");
                let mut problem = self.folder(&alias).problem(Part::Follower, key, text);
                problem.remedy = Remedy::Delete;
                problems.push(problem);
            }
        }
        Ok(problems)
    }
}

impl Check<'_> {
    /// The index files in the folders of the aliases.
    pub(crate) async fn aliases(&mut self, commit: &Commit) -> Result<(), Error> {
        let suite = self.suite;
        for alias in &commit.settings.aliases {
            match suite.check_held(alias).await {
                Ok(()) => {}
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(lost) => {
                    let problem = self.lost_alias(alias, lost).await?;
                    self.add(problem);
                    continue;
                }
            }
            for (path, index) in &commit.indexes {
                for stored in index.files.values() {
                    self.alias_index(alias, path, stored).await?;
                }
            }
        }
        Ok(())
    }

    /// What can be done about an alias that the suite lists and does not hold.
    async fn lost_alias(&self, alias: &SuiteName, lost: Error) -> Result<Problem, Error> {
        let suite = self.suite;
        let (text, remedy) = match (lost, suite.free_for_alias(alias).await) {
            (_, Err(error @ Error::Storage(_))) => return Err(error),
            (Error::Damaged { problem, .. }, Ok(_)) => (problem.to_owned(), Remedy::Repair),
            (_, Ok(_)) => (DELETED.to_owned(), Remedy::Repair),
            (_, Err(Error::Deleting { .. })) => (BEING_DELETED.to_owned(), Remedy::Delete),
            (_, Err(error)) => (error.to_string(), Remedy::Manual),
        };
        let mut problem = suite.problem(Part::Founding, layout::founding_key(alias), text);
        problem.fix = (remedy == Remedy::Repair).then(|| Fix::Alias(alias.clone()));
        problem.remedy = remedy;
        Ok(problem)
    }

    async fn alias_index(
        &mut self,
        alias: &SuiteName,
        path: &IndexPath,
        stored: &Stored,
    ) -> Result<(), Error> {
        let (suite, sha256) = (self.suite, stored.sha256);
        let is_good = |bytes: &Bytes| Sha256::of(bytes) == sha256;
        let by_hash = path.by_hash(&sha256);
        let (key, own) = (
            layout::in_suite(alias, &by_hash),
            layout::in_suite(&suite.name, &by_hash),
        );
        let there = self.inventory.get(&key);
        let etag = |object: Option<&InStore>| object.map(|object| object.etag.clone());
        let is_same = etag(there) == etag(self.inventory.get(&own));
        let text = match compare(there, stored.size) {
            Some(text) => text,
            None if is_same && self.depth == Depth::Listing => return Ok(()),
            None if suite.find_index(&key).await?.is_some_and(|b| is_good(&b)) => return Ok(()),
            None => "has other content than its name says".to_owned(),
        };
        let bytes = suite.find_index(&own).await?.filter(is_good);
        let fix = bytes.map(|bytes| Fix::Index { sha256, bytes });
        let problem = suite.problem(Part::Index, key, text);
        self.add(problem.fixed_by(fix));
        Ok(())
    }
}
