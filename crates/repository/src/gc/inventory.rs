//! What a repository stores, from paged listings: a thousand objects a request.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use deb_index::suite::layout;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use s3_storage::{ETag, Listed};

use crate::{Error, Repository, Work};

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

/// A number of objects and their size in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub objects: u64,
    pub bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, object: &InStore) {
        self.objects += 1;
        self.bytes += object.size;
    }
}

impl Inventory {
    pub(crate) fn get(&self, key: &str) -> Option<&InStore> {
        self.0.get(key)
    }

    /// The folders below `pool/` that are repositories of their own, as a publisher of another prefix has them.
    fn repositories_in_pool(&self) -> BTreeSet<&str> {
        let within = self.below(layout::POOL).filter_map(|(key, _)| {
            let is_head = ["/InRelease", "/Release", "/suite.json"]
                .iter()
                .any(|end| key.ends_with(end));
            let (folder, _) = key.split_once(layout::SUITES).filter(|_| is_head)?;
            folder.ends_with('/').then_some(folder)
        });
        within.collect()
    }

    /// What is in the pool: the package files, as far as they are this repository's, and how much else there is.
    pub(crate) fn pool(&self) -> (HashSet<String>, Tally) {
        let others = self.repositories_in_pool();
        let (mut packages, mut foreign) = (HashSet::new(), Tally::default());
        for (key, object) in self.below(layout::POOL) {
            let is_other = others.iter().any(|folder| key.starts_with(folder));
            if layout::is_package_file(key) && !is_other {
                packages.insert(key.clone());
            } else {
                foreign.add(object);
            }
        }
        (packages, foreign)
    }

    /// A `Packages` index in the pool, as a flat repository there has one.
    pub(crate) fn index_in_pool(&self) -> Option<&String> {
        let mut keys = self.below(layout::POOL).map(|(key, _)| key);
        keys.find(|key| is_index(key))
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

/// Whether a key is that of a `Packages` index, compressed or not.
fn is_index(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    let rest = name.strip_prefix("Packages");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Repository {
    pub(crate) async fn inventory(&self) -> Result<Inventory, Error> {
        let (mut all, pool) =
            futures::try_join!(self.listed(layout::SUITES), self.listed(layout::POOL))?;
        all.extend(pool);
        Ok(Inventory(all))
    }

    /// The `Packages` index of a flat repository beside this one, at its root or in a folder there: its fields name files from
    /// the root, so in the pool, too.
    pub(crate) async fn flat_index_beside(&self) -> Result<Option<String>, Error> {
        let mut entries = self.storage.list("", Some("/"));
        while let Some(entry) = entries.try_next().await? {
            let found = match entry {
                Listed::Object(object) => Some(object.key).filter(|key| is_index(key)),
                Listed::Folder(folder) if [layout::SUITES, layout::POOL].contains(&&*folder) => {
                    None
                }
                Listed::Folder(folder) => self.flat_index(&folder).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The `Packages` index of a flat repository directly in a folder, if there is one.
    pub(crate) async fn flat_index(&self, folder: &str) -> Result<Option<String>, Error> {
        let start = format!("{folder}Packages");
        let mut entries = self.storage.list(&start, Some("/"));
        while let Some(entry) = entries.try_next().await? {
            if let Listed::Object(object) = entry
                && is_index(&object.key)
            {
                return Ok(Some(object.key));
            }
        }
        Ok(None)
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
