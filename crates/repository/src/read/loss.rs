//! Errors that say that something is gone or damaged, and what is kept of a head to find out why.

use deb_index::{digest::Sha256, suite::commit::CommitError};
use s3_storage::{ETag, ErrorKind};

use crate::Error;

/// Times that a suite is read which is deleted and begun again meanwhile.
pub(crate) const TRIES: usize = 5;

/// A head that was read.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) key: String,
    pub(crate) etag: ETag,
    pub(crate) commit: Sha256,
}

/// Whether an error says that something is gone, or may come from that.
pub(crate) fn is_loss(error: &Error) -> bool {
    match error {
        Error::Storage(error) => error.kind() == ErrorKind::NotFound,
        Error::HeadVanished { .. }
        | Error::Deleted { .. }
        | Error::NotWhole { .. }
        | Error::CommitLost { .. }
        | Error::Unproven { .. } => true,
        error => is_unreadable(error),
    }
}

/// Whether a commit is missing or damaged, as opposed to a store that cannot be asked, or a commit of a later version.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } => true,
        Error::Commit { source, .. } => !matches!(source, CommitError::TooNew(_)),
        _ => false,
    }
}
