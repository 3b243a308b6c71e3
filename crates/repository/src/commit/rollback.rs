//! Bringing an earlier state of a suite back.
//!
//! The new commit names the stored index files of the old one, as far as they are left. Everything that the indexes name has to be
//! there still.

use std::{
    collections::{BTreeMap, HashSet},
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

use crate::{
    Error, Head, Loss, Past, Selection, Suite, Work, commit::upload::digest,
    read::indexes::IndexCache,
};

/// Objects that are looked for at once.
const CONCURRENT: usize = 32;
/// Commits among which the newest that is whole is looked for.
const TRIED: usize = 100;

/// An object that a state needs.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<Sha256>,
    /// Whether it is read where the store has not kept its checksum.
    pub(crate) is_index: bool,
}

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
    /// [`Error::NotWhole`]; those of reading.
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
            files.map(move |file| Object {
                key: key(path, file),
                size: Some(file.size),
                sha256: Some(file.sha256),
                is_index: true,
            })
        });
        let gone = self.gone(files.collect()).await?;
        let loss = |path: &IndexPath, file: &Stored| gone.get_key_value(&key(path, file));
        for (path, index) in &mut commit.indexes {
            let is_left = |file: &Stored| loss(path, file).is_none();
            // What is lost is made anew from another form.
            if commit.settings.packages(path).is_some() && index.files.values().any(is_left) {
                index.files.retain(|_, file| is_left(file));
            } else if let Some((key, loss)) = index.files.values().find_map(|it| loss(path, it)) {
                return Err(self.not_whole(id, (key.clone(), *loss)));
            }
        }
        let paths = |commit: &Commit| {
            let paths = commit.indexes.keys();
            paths
                .filter(|path| commit.settings.packages(path).is_some())
                .cloned()
                .collect::<Vec<_>>()
        };
        let mut cache = IndexCache::default();
        let plain = match cache.load(self, &commit, paths(&commit)).await {
            Err(error) => return Err(self.of_earlier(id, error).await),
            Ok(plain) => plain,
        };
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
                    packages.insert(Object {
                        key: key.to_owned(),
                        size: stanza.field("Size").and_then(|size| size.parse().ok()),
                        sha256: stanza.sha256(),
                        is_index: false,
                    });
                }
            });
        }
        if let Some(lost) = self.gone(packages).await?.pop_first() {
            return Err(self.not_whole(id, lost));
        }
        Ok(Edit::Restore(Arc::new(Restored {
            indexes: commit.indexes,
            plain,
        })))
    }

    /// The newest commit before the head that can be brought back, if it is among the last hundred.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn newest_whole(&self, head: &Head) -> Result<Option<Sha256>, Error> {
        let mut earlier = std::pin::pin!(self.history(head.id()).skip(1).take(TRIED));
        while let Some((id, commit)) = earlier.try_next().await? {
            match self.restored(head, id, &commit).await {
                Ok(_) => return Ok(Some(id)),
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    pub(crate) fn not_whole(&self, commit: Sha256, (key, loss): (String, Loss)) -> Error {
        Error::NotWhole {
            suite: self.name.clone(),
            commit,
            key,
            loss,
        }
    }

    /// An error in reading the state of a commit that is not the newest.
    pub(crate) async fn of_earlier(&self, commit: Sha256, error: Error) -> Error {
        let Error::Damaged { key, .. } = error else {
            return error;
        };
        let loss = match self.look(&key).await {
            Ok(None) => Loss::Missing,
            _ => Loss::Changed,
        };
        self.not_whole(commit, (key, loss))
    }

    async fn loss(&self, object: &Object) -> Result<Option<Loss>, Error> {
        let Some(there) = self.look(&object.key).await? else {
            return Ok(Some(Loss::Missing));
        };
        let is_size = object.size.is_none_or(|size| there.size == Some(size));
        let sha256 = match there.sha256 {
            None if object.is_index && is_size => {
                let storage = self.repository.storage.as_ref();
                Some(digest(storage, &object.key, |_| {}).await?)
            }
            kept => kept.map(Sha256),
        };
        let is_same = object
            .sha256
            .is_none_or(|expected| sha256.is_none_or(|it| it == expected));
        Ok((!is_size || !is_same).then_some(Loss::Changed))
    }

    /// Those of these objects that are lost, by their keys. Packages whose checksum the store has not kept are only compared by
    /// size.
    pub(crate) async fn gone(
        &self,
        objects: HashSet<Object>,
    ) -> Result<BTreeMap<String, Loss>, Error> {
        let (suite, count) = (self.name.clone(), objects.len() as u64);
        let work = &self.repository.observed.work(Work::Files { suite, count });
        let looks = stream::iter(objects).map(|object| async move {
            let loss = self.loss(&object).await?;
            work.done(1);
            Ok::<_, Error>(loss.map(|loss| (object.key, loss)))
        });
        let gone = looks.buffer_unordered(CONCURRENT);
        gone.try_filter_map(async |lost| Ok(lost))
            .try_collect()
            .await
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
