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
    Depth, Error,
    gc::inventory::InStore,
    verify::{
        check::{Check, compare},
        problem::{Fix, Part, Remedy},
    },
};

impl Check<'_> {
    /// The index files in the folders of the aliases.
    pub(crate) async fn aliases(&mut self, commit: &Commit) -> Result<(), Error> {
        let suite = self.suite;
        for alias in &commit.settings.aliases {
            let (text, fix) = match suite.check_held(alias).await {
                Ok(()) => (None, None),
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(Error::Damaged { problem, .. }) => {
                    let fix = Fix::Alias(alias.clone());
                    (Some(problem.to_owned()), Some(fix))
                }
                Err(error) => (Some(error.to_string()), None),
            };
            if let Some(text) = text {
                let key = layout::founding_key(alias);
                let mut problem = suite.problem(Part::Founding, key, text);
                problem.remedy = Remedy::Manual;
                self.add(problem.fixed_by(fix));
                continue;
            }
            for (path, index) in &commit.indexes {
                for stored in index.files.values() {
                    self.alias_index(alias, path, stored).await?;
                }
            }
        }
        Ok(())
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
