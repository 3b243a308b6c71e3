//! From a plan to the index files of a suite: each changed index compressed, digested, and described for the commit.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Map;

use super::plan::{IndexPlan, Plan};
use crate::{
    digest::Sha256,
    index::{IndexPath, compression},
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
    /// Compresses what the plan writes, on up to `threads` threads, and takes the rest over from `base` as it is.
    #[must_use]
    pub fn build(plan: &Plan, base: Option<&Commit>, threads: usize) -> Self {
        let mut new = Self::default();
        for (path, index) in &plan.indexes {
            match index {
                IndexPlan::Write(plain) => new.compress(plan, path, plain, threads),
                IndexPlan::Keep => {
                    if let Some(index) = base.and_then(|base| base.indexes.get(path)) {
                        new.indexes.insert(path.clone(), index.clone());
                    }
                }
            }
        }
        new
    }

    fn compress(&mut self, plan: &Plan, path: &IndexPath, plain: &[u8], threads: usize) {
        let mut index = Index {
            entries: Some(paragraph::stanzas(plain).count() as u64),
            size: plain.len() as u64,
            sha256: Sha256::of(plain),
            files: BTreeMap::new(),
            rest: Map::new(),
        };
        for format in plan.settings.known_formats() {
            let bytes = compression::compress(format, plain, threads);
            let stored = Stored::of(&bytes);
            self.files.push(IndexFile {
                path: path.by_hash(&stored.sha256),
                sha256: stored.sha256,
                bytes: bytes.into(),
            });
            index.files.insert(format.extension().to_owned(), stored);
        }
        self.indexes.insert(path.clone(), index);
    }
}
