//! Noticing that a head was put back to an older commit, by an attacker or a restore.
//!
//! A head that is signed and whole says nothing about being the newest. Two things beside it do: `Release`, which follows the head
//! and says which commit it shows, and the record of succession, `succession/<sha256>`, which is written when another commit has
//! taken this one's place. (A commit whose parent is the head proves nothing: a publisher that lost a race or was killed leaves such.)

use deb_index::{digest::Sha256, suite::layout};
use s3_storage::{ETag, ErrorKind, ObjectMeta};

use crate::{Error, Suite, head::SignedHead};

/// Metadata field of a follower: the digest of what it follows.
pub(crate) const FOLLOWS: &str = "debucket-follows";
/// Metadata field of `Release` and `Release.gpg`: the commit that they show.
pub(crate) const COMMIT: &str = "debucket-commit";
/// Commits that are read to find out whether one is an ancestor of another.
const SEARCHED: usize = 200;

/// `Release` and `Release.gpg` beside the head of a signed suite, as they were before the head moved.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) release: Option<Seen>,
    pub(crate) signature: Option<Seen>,
}

/// What a `HEAD` says about a follower.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) etag: ETag,
    pub(crate) follows: Option<Sha256>,
    commit: Option<Sha256>,
}

impl Seen {
    pub(crate) fn of(meta: ObjectMeta) -> Self {
        let digest = |field| meta.metadata.get(field)?.parse().ok();
        Self {
            follows: digest(FOLLOWS),
            commit: digest(COMMIT),
            etag: meta.etag,
        }
    }
}

impl Suite<'_> {
    /// Looks at an object that may be missing.
    pub(crate) async fn look(&self, key: &str) -> Result<Option<ObjectMeta>, Error> {
        match self.repository.storage.head(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What an object that may be missing follows.
    pub(crate) async fn seen(&self, key: &str) -> Result<Option<Seen>, Error> {
        Ok(self.look(key).await?.map(Seen::of))
    }

    /// Looks at what is beside the head of a signed suite.
    pub(crate) async fn beside(&self) -> Result<Beside, Error> {
        let release = layout::in_suite(&self.name, "Release");
        let signature = layout::in_suite(&self.name, "Release.gpg");
        let (release, signature) = futures::try_join!(self.seen(&release), self.seen(&signature))?;
        Ok(Beside { release, signature })
    }

    /// The commit that took the place of this one, if that is on record.
    pub(crate) async fn successor(&self, commit: Sha256) -> Result<Option<Sha256>, Error> {
        let key = layout::successor_key(&self.name, Some(&commit));
        let record = self.find(&key).await?;
        Ok(record.and_then(|(_, bytes)| str::from_utf8(&bytes).ok()?.trim_end().parse().ok()))
    }

    /// Fails if the evidence says that the head was put back to an older commit.
    pub(crate) async fn check_not_put_back(
        &self,
        head: &SignedHead,
        beside: &Beside,
        successor: Option<Sha256>,
    ) -> Result<(), Error> {
        let id = head.release.commit;
        let shown = beside.release.as_ref().and_then(|release| release.commit);
        let newer = match (successor, shown.filter(|shown| *shown != id)) {
            (Some(newer), _) => newer,
            (None, Some(shown)) if self.descends(shown, id).await? => shown,
            _ => return Ok(()),
        };
        // Another publisher may have moved the head since it was read.
        let now = self.signed_head().await?;
        if now.is_some_and(|now| now.release.commit == id) {
            return Err(Error::PutBack {
                suite: self.name.clone(),
                head: id,
                newer,
            });
        }
        Ok(())
    }

    /// Whether `commit` has `ancestor` in its history. A commit that cannot be read proves nothing.
    async fn descends(&self, commit: Sha256, ancestor: Sha256) -> Result<bool, Error> {
        let mut next = Some(commit);
        for _ in 0..SEARCHED {
            let Some(id) = next.filter(|id| *id != ancestor) else {
                break;
            };
            next = match self.read_commit(&id).await {
                Ok(commit) => commit.parent,
                Err(Error::Damaged { .. } | Error::Commit { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(next == Some(ancestor))
    }
}
