//! Reading the indexes of a suite, each once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use deb_index::{
    change::{PlainIndexes, PlanError},
    digest::Sha256,
    index::{
        IndexPath,
        compression::{self, Format},
    },
    suite::{
        commit::{Commit, Index, Stored},
        layout,
        release::Release,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::ErrorKind;

use crate::{Error, Suite};

/// The most bytes of an index that are read, stored or plain. The largest of Debian has 60 MB.
pub(crate) const INDEX_LIMIT: u64 = 1 << 30;
/// Index files that are read at once.
pub(crate) const CONCURRENT_READS: usize = 8;
/// Formats, the quickest to unpack first.
pub(crate) const QUICKEST: [Format; 3] = [Format::Zst, Format::Gz, Format::Xz];

/// Indexes by the digest of their plain form, and files of them by their key, as they were fetched. An index that did not change
/// when a race was lost is not read again.
#[derive(Debug, Default)]
pub(crate) struct IndexCache {
    plain: BTreeMap<Sha256, Bytes>,
    files: BTreeMap<String, Bytes>,
}

impl IndexCache {
    /// Fetches the files of indexes as `Release` lists them, before the commit that describes them is known. What cannot be
    /// fetched is left for [`IndexCache::load`] to complain about.
    pub(crate) async fn prefetch(
        &mut self,
        suite: &Suite<'_>,
        release: &Release,
        paths: &BTreeSet<IndexPath>,
    ) {
        let listed = |path: &IndexPath| {
            let file =
                |format: &Format| release.files.get(&path.with_extension(format.extension()));
            let sha256 = QUICKEST.iter().find_map(file)?;
            Some(layout::by_hash_key(&suite.name, path, sha256))
        };
        let wanted: BTreeSet<_> = paths.iter().filter_map(listed).collect();
        let reads = wanted.into_iter().map(|key| async move {
            let read = suite.repository.storage.get_bytes(&key, INDEX_LIMIT).await;
            Some((key, read.ok()?.1))
        });
        let files: Vec<_> = stream::iter(reads)
            .buffer_unordered(CONCURRENT_READS)
            .collect()
            .await;
        self.files = files.into_iter().flatten().collect();
    }

    /// Those of the commit's indexes that are here, plain.
    pub(crate) fn cached(&self, commit: &Commit) -> PlainIndexes {
        let cached = commit.indexes.iter().filter_map(|(path, index)| {
            let plain = self.plain.get(&index.sha256)?;
            Some((path.clone(), plain.clone()))
        });
        cached.collect()
    }

    /// The plain indexes at those of `paths` that the commit has. What is cached and not among them is dropped.
    ///
    /// # Errors
    /// Those of the store; [`Error::Damaged`] for an index that is missing or has other content than the commit says.
    pub(crate) async fn load(
        &mut self,
        suite: &Suite<'_>,
        commit: &Commit,
        paths: impl IntoIterator<Item = IndexPath>,
    ) -> Result<PlainIndexes, Error> {
        let Self { plain, files } = &*self;
        let wanted = paths.into_iter().filter_map(|path| {
            let index = commit.indexes.get(&path)?;
            Some((path, index))
        });
        let reads = wanted.map(|(path, index)| async move {
            let bytes = match plain.get(&index.sha256) {
                Some(plain) => plain.clone(),
                None => read(suite, &path, index, files).await?,
            };
            Ok::<_, Error>((path, index.sha256, bytes))
        });
        // Collected first: a stream of closures over borrowed maps is not general enough for the compiler.
        let loaded: Vec<_> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        self.files.clear();
        self.plain = loaded
            .iter()
            .map(|(_, sha256, plain)| (*sha256, plain.clone()))
            .collect();
        let indexes = loaded.into_iter().map(|(path, _, plain)| (path, plain));
        Ok(indexes.collect())
    }
}

/// Reads an index in the format that is quickest to unpack, of those that are whole.
async fn read(
    suite: &Suite<'_>,
    path: &IndexPath,
    index: &Index,
    files: &BTreeMap<String, Bytes>,
) -> Result<Bytes, Error> {
    let mut damaged = None;
    for format in QUICKEST {
        let Some(stored) = index.files.get(format.extension()) else {
            continue;
        };
        let key = layout::by_hash_key(&suite.name, path, &stored.sha256);
        let fetched = files.get(&key).cloned();
        match suite
            .read_file((format.extension(), stored), index, key, fetched)
            .await
        {
            Err(error @ Error::Damaged { .. }) => drop(damaged.get_or_insert(error)),
            read => return Ok(read?.unwrap_or_default()),
        }
    }
    if damaged.is_none() {
        // Of an index that was carried over, the plain form is stored.
        let key = layout::by_hash_key(&suite.name, path, &index.sha256);
        match suite.read_by_digest(&key).await {
            Ok(plain) if Sha256::of(&plain) == index.sha256 => return Ok(plain),
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(damaged.unwrap_or_else(|| {
        let formats = index.files.keys().cloned().collect();
        PlanError::NoKnownFormat(formats).into()
    }))
}

impl Suite<'_> {
    /// The plain form of an index of a commit; none if the commit has no such index, or none of its files is whole.
    pub(crate) async fn plain_index(
        &self,
        commit: &Commit,
        path: &IndexPath,
    ) -> Result<Option<Bytes>, Error> {
        let mut cache = IndexCache::default();
        let loaded = cache.load(self, commit, [path.clone()]).await;
        match loaded.map(|mut plain| plain.remove(path)) {
            Err(Error::Damaged { .. } | Error::Plan(_)) => Ok(None),
            loaded => loaded,
        }
    }

    /// The plain form of an index from a file of it, unless that was fetched already; none if its format is not known.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is not what the commit says.
    pub(crate) async fn read_file(
        &self,
        (extension, stored): (&str, &Stored),
        index: &Index,
        key: String,
        fetched: Option<Bytes>,
    ) -> Result<Option<Bytes>, Error> {
        if index.size > INDEX_LIMIT {
            return Err(self.damaged(key, "is said to be larger than any index"));
        }
        let bytes = match fetched {
            Some(bytes) => bytes,
            None => self.read_by_digest(&key).await?,
        };
        let (size, sha256, expected) = (index.size, index.sha256, stored.sha256);
        let format = extension.parse::<Format>().ok();
        let unpacked = tokio::task::spawn_blocking(move || {
            if Sha256::of(&bytes) != expected {
                return Err("has other content than its name says");
            }
            let Some(format) = format else {
                return Ok(None);
            };
            let plain = compression::decompress(format, &bytes, size)
                .map_err(|_| "cannot be unpacked to what its commit says")?;
            if Sha256::of(&plain) == sha256 {
                Ok(Some(plain.into()))
            } else {
                Err("has other plain content than its commit says")
            }
        });
        let unpacked = unpacked.await.unwrap_or(Err("could not be unpacked"));
        unpacked.map_err(|problem| self.damaged(key, problem))
    }

    /// Reads an object that is named by its digest; the caller checks its content.
    pub(crate) async fn read_by_digest(&self, key: &str) -> Result<Bytes, Error> {
        match self.repository.storage.get_bytes(key, INDEX_LIMIT).await {
            Ok((_, bytes)) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.damaged(key.to_owned(), "is missing"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
