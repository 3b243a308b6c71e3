//! What a repository stores, from paged listings: a thousand objects a request.

use std::collections::{BTreeMap, BTreeSet};

use deb_index::suite::layout;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use s3_storage::{ETag, Listed};

use crate::{Error, Repository, Work};

/// Folder of the package files.
pub(crate) const POOL: &str = "pool/";
/// The objects below `dists/` and `pool/`, by key.
#[derive(Debug, Default)]
pub(crate) struct Inventory(pub(crate) BTreeMap<String, InStore>);

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

    /// The folders below `pool/` that are repositories of their own, as a publisher of another prefix has them.
    pub(crate) fn repositories_in_pool(&self) -> BTreeSet<&str> {
        let within = self.below(POOL).filter_map(|(key, _)| {
            let is_head = ["/InRelease", "/Release", "/suite.json"]
                .iter()
                .any(|end| key.ends_with(end));
            let (folder, _) = key.split_once(layout::SUITES).filter(|_| is_head)?;
            folder.ends_with('/').then_some(folder)
        });
        within.collect()
    }

    /// The objects whose keys begin like this.
    pub(crate) fn below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a InStore)> {
        let from = self.0.range(prefix.to_owned()..);
        from.take_while(move |(key, _)| key.starts_with(prefix))
    }
}

impl Repository {
    pub(crate) async fn inventory(&self) -> Result<Inventory, Error> {
        let (mut all, pool) = futures::try_join!(self.listed(layout::SUITES), self.listed(POOL))?;
        all.extend(pool);
        Ok(Inventory(all))
    }

    /// The objects below `dists/`.
    pub(crate) async fn dists(&self) -> Result<Inventory, Error> {
        Ok(Inventory(self.listed(layout::SUITES).await?))
    }

    /// The objects whose keys begin like this.
    pub(crate) async fn listed(&self, prefix: &str) -> Result<BTreeMap<String, InStore>, Error> {
        let folder = prefix.to_owned();
        let work = &self.observed.work(Work::Listing { folder });
        let entries = self.storage.list(prefix, None);
        let objects = entries.try_filter_map(async |entry| {
            work.done(1);
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
