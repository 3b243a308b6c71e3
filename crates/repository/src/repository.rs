//! A repository: a bucket, or a folder of one, and the suites in it.

use std::sync::Arc;

use jiff::Timestamp;
use s3_storage::{PutMode, Storage};

use crate::{Observer, clock::Clock, commit::observer::Observed, url::RepositoryUrl};

#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) url: RepositoryUrl,
    pub(crate) writes: Writes,
    pub(crate) clock: Clock,
    pub(crate) observed: Observed,
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
            observed: Observed::default(),
        }
    }

    /// The same repository, judged by another clock than this machine's.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Clock(Arc::new(now));
        self
    }

    /// The same repository, whose work an observer sees ([`Observer::work`]).
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observed = Observed(observer);
        self
    }

    #[must_use]
    pub fn url(&self) -> &RepositoryUrl {
        &self.url
    }
}
