//! From a plan to the index files of a suite: each changed index compressed, digested, and described for the commit.

use bytes::Bytes;

use crate::{
    commit::{Commit, Index, Stored},
    compression::{self, Format},
    name::{Architecture, Component},
    plan::{IndexId, Plan},
    pool,
};

/// All the indexes of a suite, and those files among them that are new.
#[derive(Debug, Default)]
pub struct Indexes {
    /// As the commit has them, ordered by component and architecture.
    pub described: Vec<Index>,
    /// The files to be stored.
    pub files: Vec<IndexFile>,
}

/// A compressed index.
#[derive(Debug)]
pub struct IndexFile {
    /// Its component.
    pub component: Component,
    /// Its architecture.
    pub architecture: Architecture,
    /// How it is compressed.
    pub format: Format,
    /// Its length and digest.
    pub stored: Stored,
    /// Its content.
    pub bytes: Bytes,
}

impl IndexFile {
    /// Its immutable path within the suite, by its digest.
    pub fn by_hash_path(&self) -> String {
        pool::by_hash_path(&self.component, &self.architecture, &self.stored.sha256)
    }
}

impl Indexes {
    /// Compresses what `plan` changes, with `threads` threads, and takes the rest over from `base`.
    pub fn build(plan: Plan, base: Option<&Commit>, threads: usize) -> Self {
        let mut indexes = Self::default();
        let mut changed = plan.indexes;
        for component in &plan.settings.components {
            for architecture in &plan.settings.architectures {
                let id = IndexId {
                    component: component.clone(),
                    architecture: architecture.clone(),
                };
                if let Some(plain) = changed.remove(&id) {
                    indexes.add(id, plain, &plan.settings.formats, threads);
                } else if let Some(index) =
                    base.and_then(|base| base.index(component, architecture))
                {
                    indexes.described.push(index.clone());
                }
            }
        }
        let order = |index: &Index| (index.component.clone(), index.architecture.clone());
        indexes.described.sort_by_key(order);
        indexes
    }

    fn add(&mut self, id: IndexId, plain: Vec<u8>, formats: &[Format], threads: usize) {
        let mut index = Index {
            component: id.component,
            architecture: id.architecture,
            stanzas: crate::paragraph::stanzas(&plain).count() as u64,
            plain: Stored::of(&plain),
            files: Default::default(),
        };
        for &format in formats {
            let bytes = compression::compress(format, &plain, threads);
            let stored = Stored::of(&bytes);
            index.files.insert(format, stored);
            let (component, architecture) = (index.component.clone(), index.architecture.clone());
            self.files.push(IndexFile {
                component,
                architecture,
                format,
                stored,
                bytes: bytes.into(),
            });
        }
        self.described.push(index);
    }
}
