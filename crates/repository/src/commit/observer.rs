//! What a caller may want to show while a change is carried out.

use deb_index::{digest::Sha256, stanza::Stanza};
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

/// Sees the progress of a change.
pub trait Observer: Send + Sync {
    /// Called when the upload of a package begins. The result, if there is one, is called after each chunk is sent, with its size
    /// in bytes, and dropped when the upload is over.
    fn upload(&self, stanza: &Stanza) -> Option<Progress>;

    /// Called when the change has come to another stage.
    fn stage(&self, stage: Stage);

    /// Something that makes the change take longer, in words for people.
    fn notice(&self, text: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn upload(&self, _: &Stanza) -> Option<Progress> {
        None
    }

    fn stage(&self, _: Stage) {}

    fn notice(&self, text: &str) {
        tracing::info!("{text}");
    }
}
