//! Bringing an earlier state of a suite back.
//!
//! The new commit names the stored index files of the old one, as far as they are left. Everything that the indexes name has to be
//! there still.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use deb_index::{
    change::{Edit, Restored, differences},
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    suite::{
        commit::{Change, Commit, Stored},
        layout,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::{Error, Head, Past, Selection, Suite, Work, read::indexes::IndexCache};

/// Objects that are looked for at once.
const CONCURRENT: usize = 32;

/// Why the history does not go back to a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// This commit is lost.
    Lost(Sha256),
    /// What was before was deleted as old.
    Collected,
}

impl Suite<'_> {
    /// The edit that restores the indexes of the commit `id`.
    ///
    /// # Errors
    /// [`Error::Collected`] if an object that they need is gone or damaged; those of reading.
    pub async fn restored(&self, head: &Head, id: Sha256, commit: &Commit) -> Result<Edit, Error> {
        self.check_requirements(id, commit)?;
        let mut commit = commit.clone();
        let key =
            |path: &IndexPath, file: &Stored| layout::by_hash_key(&self.name, path, &file.sha256);
        let now = &head.commit.indexes;
        let changed = commit
            .indexes
            .iter()
            .filter(|(path, index)| now.get(path) != Some(index));
        let files = changed.flat_map(|(path, index)| {
            let files = index.files.values();
            files.map(move |file| (key(path, file), Some(file.size)))
        });
        let gone = self.gone(files.collect()).await?;
        for (path, index) in &mut commit.indexes {
            let is_left = |file: &Stored| !gone.contains(&key(path, file));
            // What is lost is made anew from another form.
            if path.as_packages().is_some() && index.files.values().any(is_left) {
                index.files.retain(|_, file| is_left(file));
            } else if let Some(lost) = index.files.values().find(|file| !is_left(file)) {
                return Err(self.collected(id, key(path, lost)));
            }
        }
        let paths = |commit: &Commit| {
            let paths = commit.indexes.keys();
            paths
                .filter(|path| path.as_packages().is_some())
                .cloned()
                .collect::<Vec<_>>()
        };
        let plain = IndexCache::default()
            .load(self, &commit, paths(&commit))
            .await
            .map_err(|error| match error {
                Error::Damaged { key, .. } => self.collected(id, key),
                error => error,
            })?;
        let current = IndexCache::default()
            .load(self, &head.commit, paths(&head.commit))
            .await?;
        let mut packages = HashSet::new();
        for (path, then) in &plain {
            let empty = bytes::Bytes::new();
            let before = self.parse(path, current.get(path).unwrap_or(&empty))?;
            differences(&before, &self.parse(path, then)?, |difference| {
                let (action, stanza) = (difference.action, difference.stanza);
                if let (true, Some(key)) = (action != Change::REMOVE, stanza.field("Filename")) {
                    let size = stanza.field("Size").and_then(|size| size.parse().ok());
                    packages.insert((key.to_owned(), size));
                }
            });
        }
        if let Some(key) = self.gone(packages).await?.pop_first() {
            return Err(self.collected(id, key));
        }
        Ok(Edit::Restore(Arc::new(Restored {
            indexes: commit.indexes,
            plain,
        })))
    }

    pub(crate) fn collected(&self, commit: Sha256, key: String) -> Error {
        Error::Collected {
            suite: self.name.clone(),
            commit,
            key,
        }
    }

    /// The keys of those of these objects that are gone or have another size.
    pub(crate) async fn gone(
        &self,
        objects: HashSet<(String, Option<u64>)>,
    ) -> Result<BTreeSet<String>, Error> {
        let (suite, count) = (self.name.clone(), objects.len() as u64);
        let work = &self.repository.observed.work(Work::Files { suite, count });
        let looks = stream::iter(objects).map(|(key, size)| async move {
            let there = self.look(&key).await?;
            work.done(1);
            let is_there = there.is_some_and(|there| size.is_none_or(|size| there.size == size));
            Ok::<_, Error>((!is_there).then_some(key))
        });
        let gone = looks.buffer_unordered(CONCURRENT);
        gone.try_filter_map(async |key| Ok(key)).try_collect().await
    }

    /// Digests of the packages that are in the suite since before `time`. None are known to be if the history since then is not all
    /// there.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn older_than(
        &self,
        head: &Head,
        time: Timestamp,
    ) -> Result<(HashSet<Sha256>, Option<Gap>), Error> {
        let list = self.packages_of(head.id(), head.commit.clone(), Selection::default());
        let list = list.await?;
        let packages = self.sorted(&list)?;
        let mut old: HashSet<_> = packages
            .iter()
            .filter_map(|package| package.stanza.sha256())
            .collect();
        let mut past = std::pin::pin!(self.past(head.id()));
        let mut before = None;
        while let Some(step) = past.try_next().await? {
            let commit = match step {
                Past::Commit(_, commit) => commit,
                Past::Lost(id) => return Ok((HashSet::new(), Some(Gap::Lost(id)))),
            };
            if commit.time < time {
                return Ok((old, None));
            }
            before = commit.parent;
            let added = commit.changes.iter().filter(|change| change.brings_file());
            for sha256 in added.filter_map(|change| change.sha256.as_ref()?.parse().ok()) {
                old.remove(&sha256);
            }
        }
        Ok(match before {
            Some(_) => (HashSet::new(), Some(Gap::Collected)),
            None => (old, None),
        })
    }

    pub(crate) fn parse<'p>(
        &self,
        path: &IndexPath,
        plain: &'p [u8],
    ) -> Result<Packages<'p>, Error> {
        Packages::parse(plain).map_err(|source| Error::MalformedIndex {
            suite: self.name.clone(),
            path: path.to_string(),
            source,
        })
    }
}
