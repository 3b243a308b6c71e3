//! What a caller may want to show while a change is carried out.

use deb_index::stanza::Stanza;
use s3_storage::Progress;

/// Sees the progress of a change.
pub trait Observer: Send + Sync {
    /// Called when the upload of a package begins. The result, if there is one, is called after each chunk is sent, with its size
    /// in bytes, and dropped when the upload is over.
    fn upload(&self, stanza: &Stanza) -> Option<Progress>;

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

    fn notice(&self, text: &str) {
        tracing::info!("{text}");
    }
}
