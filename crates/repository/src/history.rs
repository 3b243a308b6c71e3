//! The history of a suite.

use deb_index::{digest::Sha256, suite::commit::Commit};
use futures::{Stream, stream};

use crate::{error::Error, suite::Suite};

impl Suite<'_> {
    /// The history from `newest` back, newest first.
    pub fn history(&self, newest: Sha256) -> impl Stream<Item = Result<(Sha256, Commit), Error>> {
        stream::try_unfold(Some(newest), move |next| async move {
            let Some(id) = next else { return Ok(None) };
            let commit = self.read_commit(&id).await?;
            let parent = commit.parent;
            Ok(Some(((id, commit), parent)))
        })
    }
}
