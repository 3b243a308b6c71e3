//! What a repository stores, from paged listings: a thousand objects a request.

use std::collections::BTreeMap;

use deb_index::{
    name::SuiteName,
    suite::{founding::Founding, layout},
};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use s3_storage::{ETag, Listed};

use crate::{Error, Repository};

/// Folder of the package files.
pub(crate) const POOL: &str = "pool/";
/// What a suite has directly in its folder.
const MARKS: [&str; 3] = ["InRelease", "Release", FOUNDING];
/// What only this program writes there.
const FOUNDING: &str = "suite.json";

/// The objects below `dists/` and `pool/`, by key.
#[derive(Debug, Default)]
pub(crate) struct Inventory(BTreeMap<String, InStore>);

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InStore {
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) modified: Option<Timestamp>,
}

impl Inventory {
    pub(crate) fn get(&self, key: &str) -> Option<&InStore> {
        self.0.get(key)
    }

    /// The objects whose keys begin like this.
    pub(crate) fn below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a InStore)> {
        let from = self.0.range(prefix.to_owned()..);
        from.take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// The folders of this program that have no history: those of aliases are among them.
    pub(crate) fn may_be_aliases(&self) -> Vec<SuiteName> {
        let suites = self.suites().into_iter();
        let has_none = |name: &SuiteName| {
            let folders = [layout::commits(name), layout::succession(name)];
            folders
                .iter()
                .all(|folder| self.below(folder).next().is_none())
        };
        let ours = suites.filter(|(_, is_ours)| *is_ours);
        ours.map(|(name, _)| name).filter(has_none).collect()
    }

    /// The folders that are suites, or were: those with a head, a history or `suite.json`. For each, whether it is of this program,
    /// and not of another tool.
    pub(crate) fn suites(&self) -> BTreeMap<SuiteName, bool> {
        let folder = |(key, _): (&String, &InStore)| {
            let path = key.strip_prefix(layout::SUITES)?;
            let (folder, name) = path.rsplit_once('/')?;
            let (folder, is_ours) = match folder.rsplit_once('/') {
                Some((suite, "commits" | "succession")) => (suite, true),
                _ if MARKS.contains(&name) => (folder, name == FOUNDING),
                _ => return None,
            };
            let last = folder.rsplit('/').next().unwrap_or_default();
            // Other tools write a `Release` into the folder of each index.
            let is_of_index = last.starts_with("binary-") || last == "source";
            let name = folder.parse().ok().filter(|_| !is_of_index);
            Some((name?, is_ours))
        };
        let mut suites = BTreeMap::new();
        for (name, is_ours) in self.below(layout::SUITES).filter_map(folder) {
            *suites.entry(name).or_default() |= is_ours;
        }
        suites
    }
}

impl Repository {
    /// Names of all suites, those included whose head is gone: first those of this program, then those of other tools. Aliases, and
    /// suites that were deleted, are not among them.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn all_suites(&self) -> Result<(Vec<SuiteName>, Vec<SuiteName>), Error> {
        let inventory = self.dists().await?;
        let mut suites = inventory.suites();
        for name in inventory.may_be_aliases() {
            match self.folder(&name).founding().await {
                Ok((Some(Founding::AliasOf(_) | Founding::Deleted), _)) => {
                    suites.remove(&name);
                }
                Ok(_) | Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (ours, others): (Vec<_>, Vec<_>) = suites.into_iter().partition(|(_, ours)| *ours);
        let names = |suites: Vec<(SuiteName, bool)>| suites.into_iter().map(|(name, _)| name);
        Ok((names(ours).collect(), names(others).collect()))
    }

    pub(crate) async fn inventory(&self) -> Result<Inventory, Error> {
        let (mut all, pool) = futures::try_join!(self.listed(layout::SUITES), self.listed(POOL))?;
        all.extend(pool);
        Ok(Inventory(all))
    }

    /// The objects below `dists/`.
    pub(crate) async fn dists(&self) -> Result<Inventory, Error> {
        Ok(Inventory(self.listed(layout::SUITES).await?))
    }

    async fn listed(&self, prefix: &str) -> Result<BTreeMap<String, InStore>, Error> {
        let entries = self.storage.list(prefix, None);
        let objects = entries.try_filter_map(async |entry| {
            Ok(match entry {
                Listed::Object(object) => Some((
                    object.key,
                    InStore {
                        size: object.size,
                        etag: object.etag,
                        modified: object.last_modified,
                    },
                )),
                Listed::Folder(_) => None,
            })
        });
        Ok(objects.try_collect().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_told_from_the_folders_of_their_indexes() {
        let keys = [
            "dists/stable/InRelease",
            "dists/stable/main/binary-amd64/Release",
            "dists/stable/main/source/Release",
            "dists/bookworm/updates/Release",
            "dists/lost/commits/x.json",
            "dists/begun/suite.json",
            "dists/nothing/main/binary-amd64/Packages.gz",
            "pool/main/h/hello/Release",
        ];
        let object = InStore {
            size: 0,
            etag: ETag(String::new()),
            modified: None,
        };
        let inventory = Inventory(keys.map(|key| (key.to_owned(), object.clone())).into());
        let suites = inventory.suites();
        let suites = suites
            .iter()
            .map(|(name, is_ours)| (name.to_string(), *is_ours));
        let expected = [
            ("begun", true),
            ("bookworm/updates", false),
            ("lost", true),
            ("stable", false),
        ];
        let expected = expected.map(|(name, is_ours)| (name.to_owned(), is_ours));
        assert_eq!(suites.collect::<Vec<_>>(), expected);
        assert_eq!(inventory.below("dists/stable/main/").count(), 2);
    }
}
