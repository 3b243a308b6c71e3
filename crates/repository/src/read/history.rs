//! The history of a suite: each commit names the one before it.
//!
//! Where one is lost, nothing that is signed says what was before it. Its record of succession does, if that is left. Anyone who may
//! write to the bucket could have made it: good enough to show what was, and not to build on.

use std::future::ready;

use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, layout},
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use s3_storage::{ErrorKind, Listed};

use crate::{Error, Suite, read::loss::is_unreadable};

/// Records of succession that are read to find the one that names a lost commit, and how many at once.
const SEARCHED: usize = 1000;
const CONCURRENT: usize = 16;

/// A step back in the history of a suite.
#[derive(Debug)]
pub enum Past {
    Commit(Sha256, Box<Commit>),
    /// A commit that is missing or damaged. No signature vouches for those that follow, if any do.
    Lost(Sha256),
}

/// How far back a walk has come.
struct Walk {
    newest: Sha256,
    next: Option<Sha256>,
    /// When the commit after it was made.
    child: Option<Timestamp>,
    lost: Vec<Sha256>,
}

impl Suite<'_> {
    /// The history from `newest` back, newest first. It ends at the first commit, or before one that was deleted as old or is lost.
    pub fn history(&self, newest: Sha256) -> impl Stream<Item = Result<(Sha256, Commit), Error>> {
        let steps = self.past(newest).map_ok(|step| match step {
            Past::Commit(id, commit) => Some((id, *commit)),
            Past::Lost(_) => None,
        });
        steps
            .try_take_while(|step| ready(Ok(step.is_some())))
            .try_filter_map(|step| ready(Ok(step)))
    }

    /// The same with the commits that are lost, and what was before them as far as that is known. Fails with [`Error::Deleted`] if
    /// they are lost because the suite was deleted meanwhile.
    pub fn past(&self, newest: Sha256) -> impl Stream<Item = Result<Past, Error>> {
        let first = Walk {
            newest,
            next: Some(newest),
            child: None,
            lost: Vec::new(),
        };
        stream::try_unfold(first, async move |mut walk| {
            let Some(id) = walk.next else { return Ok(None) };
            let error = match self.read_commit(&id).await {
                Ok(commit) => {
                    (walk.next, walk.child) = (commit.parent, Some(commit.time));
                    return Ok(Some((Past::Commit(id, commit.into()), walk)));
                }
                Err(error) if is_unreadable(&error) => error,
                Err(error) => return Err(error),
            };
            let Some(child) = walk.child else {
                return Err(error);
            };
            if matches!(error, Error::Damaged { .. }) && self.is_collected(child).await? {
                return Ok(None);
            }
            if self.has_lost_commit(&walk.newest).await {
                return Err(Error::Deleted {
                    suite: self.name.clone(),
                });
            }
            // Records that lead in a circle are forged.
            let is_new = !walk.lost.contains(&id);
            walk.next = match is_new {
                true => self.before_lost(id, child).await?,
                false => None,
            };
            walk.lost.push(id);
            Ok(Some((Past::Lost(id), walk)))
        })
    }

    /// The commit that a lost one took the place of, if that has left a record. `about`: when the lost one became the head, or the
    /// one after it did.
    pub(crate) async fn before_lost(
        &self,
        lost: Sha256,
        about: Timestamp,
    ) -> Result<Option<Sha256>, Error> {
        let folder = layout::succession(&self.name);
        let listed = self.repository.storage.list(&folder, None);
        let records = listed.try_filter_map(|entry| {
            let Listed::Object(object) = entry else {
                return ready(Ok(None));
            };
            let parent = object.key.strip_prefix(&folder);
            let parent = parent.and_then(|name| name.parse::<Sha256>().ok());
            let distance = object
                .last_modified
                .map(|at| about.duration_since(at).abs());
            ready(Ok(parent.map(|parent| (distance, parent))))
        });
        let mut records: Vec<_> = match records.try_collect().await {
            Ok(records) => records,
            // Who may only read objects does not get further.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        records.sort_unstable();
        records.truncate(SEARCHED);
        let looks = stream::iter(records).map(async |(_, parent)| {
            let is_it = self.took_the_place_of(Some(parent), lost).await?;
            Ok::<_, Error>(is_it.then_some(parent))
        });
        let found = looks.buffered(CONCURRENT);
        let found = found.try_filter_map(|found| ready(Ok(found)));
        std::pin::pin!(found).try_next().await
    }
}
