//! The history of a suite.

use deb_index::{digest::Sha256, suite::commit::Commit};
use futures::{Stream, stream};
use jiff::Timestamp;

use crate::{error::Error, suite::Suite};

impl Suite<'_> {
    /// The history from `newest` back, newest first. It ends at the first commit, or before one that was deleted as old.
    pub fn history(&self, newest: Sha256) -> impl Stream<Item = Result<(Sha256, Commit), Error>> {
        let first: (_, Option<Timestamp>) = (Some(newest), None);
        stream::try_unfold(first, move |(next, child)| async move {
            let Some(id) = next else { return Ok(None) };
            let commit = match (self.read_commit(&id).await, child) {
                (Ok(commit), _) => commit,
                (Err(Error::Damaged { .. }), Some(child)) if self.is_collected(child).await? => {
                    return Ok(None);
                }
                (Err(error), _) => return Err(error),
            };
            let next = (commit.parent, Some(commit.time));
            Ok(Some(((id, commit), next)))
        })
    }
}
