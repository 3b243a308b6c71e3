//! A repository: a bucket, or a folder of one, and the suites in it.

use std::{collections::BTreeMap, sync::Arc};

use deb_index::{name::SuiteName, suite::layout};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use s3_storage::{Listed, PutMode, Storage};

use crate::{clock::Clock, error::Error, url::RepositoryUrl};

/// An open repository.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) url: RepositoryUrl,
    pub(crate) writes: Writes,
    pub(crate) clock: Clock,
}

/// What keeps two publishers from undoing each other's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// The store refuses a write whose precondition does not hold.
    #[default]
    Conditional,
    /// The caller promises that no other publisher runs. For stores without conditional writes.
    SingleWriter,
}

impl Writes {
    /// The mode of a write that replaces what was read under this tag, or creates what was missing.
    pub(crate) fn mode(self, conditional: PutMode) -> PutMode {
        match self {
            Self::Conditional => conditional,
            Self::SingleWriter => PutMode::Overwrite,
        }
    }
}

impl Repository {
    /// A repository whose root is that of `storage`. `url` is how it is named in messages.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, url: RepositoryUrl, writes: Writes) -> Self {
        Self {
            storage,
            url,
            writes,
            clock: Clock::default(),
        }
    }

    /// The same repository, judged by another clock than this machine's.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Clock(Arc::new(now));
        self
    }

    #[must_use]
    pub fn url(&self) -> &RepositoryUrl {
        &self.url
    }

    /// Names of all suites, in order: the folders below `dists/` that hold a head; and the aliases among them, with the suites that
    /// hold them. A name may have several segments (`bookworm/updates`).
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn suites(&self) -> Result<(Vec<SuiteName>, BTreeMap<SuiteName, SuiteName>), Error> {
        let mut found = Vec::new();
        let mut may_be_aliases = Vec::new();
        let mut folders = vec![layout::SUITES.to_owned()];
        while let Some(folder) = folders.pop() {
            let (mut has_head, mut is_ours, mut has_commits) = (false, false, false);
            let mut entries = self.storage.list(&folder, Some("/"));
            while let Some(entry) = entries.try_next().await? {
                match entry {
                    Listed::Object(object) => {
                        let name = object.key.strip_prefix(&folder);
                        has_head |= matches!(name, Some("InRelease" | "Release"));
                        is_ours |= name == Some("suite.json");
                    }
                    Listed::Folder(inner) if inner.ends_with("/commits/") => has_commits = true,
                    // What is inside the folder of an index, or of a history, is no suite. Some tools put a `Release` beside
                    // the sources of a component.
                    Listed::Folder(inner)
                        if is_of_sources(&inner)
                            || inner.contains("/binary-")
                            || inner.ends_with("/succession/") => {}
                    Listed::Folder(inner) => folders.push(inner),
                }
            }
            let name = folder.strip_prefix(layout::SUITES);
            let name = name.and_then(|name| name.strip_suffix('/'));
            if let (true, Some(Ok(name))) = (has_head, name.map(str::parse::<SuiteName>)) {
                if is_ours && !has_commits {
                    may_be_aliases.push(name.clone());
                }
                found.push(name);
            }
        }
        let aliases = self.aliases_among(may_be_aliases).await?;
        found.retain(|name| !aliases.contains_key(name));
        found.sort();
        Ok((found, aliases))
    }
}

/// Whether a folder is that of a component's sources: `dists/<suite>/<component>/source/`.
fn is_of_sources(folder: &str) -> bool {
    folder.ends_with("/source/") && folder.matches('/').count() > 3
}
