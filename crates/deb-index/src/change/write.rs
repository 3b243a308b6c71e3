//! From a plan to the index files of a suite: each changed index compressed, digested, and described for the commit.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Map;

use super::plan::IndexPlan;
use crate::{
    digest::Sha256,
    index::{
        IndexPath,
        compression::{self, Format},
    },
    paragraph,
    suite::commit::{Commit, Index, Stored},
};

/// The indexes of a new commit, and those of their files that are not stored yet.
#[derive(Debug, Default)]
pub struct NewIndexes {
    pub indexes: BTreeMap<IndexPath, Index>,
    pub files: Vec<IndexFile>,
}

/// A compressed index.
#[derive(Debug)]
pub struct IndexFile {
    /// Its path within the suite, by its digest.
    pub path: String,
    pub sha256: Sha256,
    pub bytes: Bytes,
}

impl NewIndexes {
    /// Compresses the indexes that are written, in these formats and on up to `threads` threads, and takes the others over from
    /// `base` as they are.
    #[must_use]
    pub fn build(
        planned: &BTreeMap<IndexPath, IndexPlan>,
        base: Option<&Commit>,
        formats: &[Format],
        threads: usize,
    ) -> Self {
        let mut new = Self::default();
        for (path, index) in planned {
            let index = match index {
                IndexPlan::Write(plain) => Some(new.compress(path, plain, formats, threads)),
                IndexPlan::Restore(index) => Some(index.clone()),
                IndexPlan::Keep => base.and_then(|base| base.indexes.get(path)).cloned(),
            };
            new.indexes.extend(index.map(|index| (path.clone(), index)));
        }
        new
    }

    fn compress(
        &mut self,
        path: &IndexPath,
        plain: &[u8],
        formats: &[Format],
        threads: usize,
    ) -> Index {
        let mut index = Index {
            entries: Some(paragraph::stanzas(plain).count() as u64),
            size: plain.len() as u64,
            sha256: Sha256::of(plain),
            files: BTreeMap::new(),
            rest: Map::new(),
        };
        for &format in formats {
            let bytes = compression::compress(format, plain, threads);
            let stored = Stored::of(&bytes);
            self.files.push(IndexFile {
                path: path.by_hash(&stored.sha256),
                sha256: stored.sha256,
                bytes: bytes.into(),
            });
            index.files.insert(format.extension().to_owned(), stored);
        }
        index
    }
}
