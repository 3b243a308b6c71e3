//! What a caller may want to show while a change is carried out, or while much is looked at.

use std::{fmt, sync::Arc};

use deb_index::{digest::Sha256, name::SuiteName, stanza::Stanza};
use s3_storage::Progress;

/// How far a change has come. What an interruption at each stage leaves is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing that a client sees has changed.
    Preparing,
    /// The head is being written.
    MovingHead,
    /// The change has taken effect as this commit.
    Committed(Sha256),
}

/// Something that takes long where there is much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Listing objects whose keys begin like this. How many there are is not known before.
    Listing { folder: String },
    /// Reading commits of a suite.
    Commits { suite: SuiteName, count: u64 },
    /// Asking the store about files that a suite names, one by one.
    Files { suite: SuiteName, count: u64 },
    /// Reading and hashing package files of a suite.
    Content { suite: SuiteName, bytes: u64 },
    /// Deleting objects.
    Deletion { count: u64 },
}

impl Work {
    /// How much is to be done, if it is known: bytes of content, otherwise a number of objects.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        match self {
            Self::Listing { .. } => None,
            Self::Commits { count, .. } | Self::Files { count, .. } | Self::Deletion { count } => {
                Some(*count)
            }
            Self::Content { bytes, .. } => Some(*bytes),
        }
    }
}

/// Sees the progress of a change, or of all that is done with a repository
/// ([`Repository::observed`](crate::Repository::observed)).
pub trait Observer: Send + Sync {
    /// Called when the upload of a package begins. The result, if there is one, is called after each chunk is sent, with its size
    /// in bytes, and dropped when the upload is over.
    fn upload(&self, _: &Stanza) -> Option<Progress> {
        None
    }

    /// Called when some work begins. The result, if there is one, is called with how much more of it is done, in the unit of
    /// [`Work::total`], and dropped when it is over.
    fn work(&self, _: Work) -> Option<Progress> {
        None
    }

    /// Called when the change has come to another stage.
    fn stage(&self, _: Stage) {}

    /// Something that makes the change take longer, in words for people.
    fn notice(&self, text: &str) {
        tracing::info!("{text}");
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// The observer of a repository.
#[derive(Clone)]
pub(crate) struct Observed(pub(crate) Arc<dyn Observer>);

impl Observed {
    /// Some work that begins. It is over when the result is dropped.
    pub(crate) fn work(&self, work: Work) -> Working {
        Working(self.0.work(work))
    }
}

impl Default for Observed {
    fn default() -> Self {
        Self(Arc::new(Silent))
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}

/// Work that is being done.
pub(crate) struct Working(Option<Progress>);

impl Working {
    pub(crate) fn done(&self, more: u64) {
        if let Some(progress) = &self.0 {
            progress(more);
        }
    }
}
