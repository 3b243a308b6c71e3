//! Noticing that a head was put back to an older commit, by an attacker or a restore.
//!
//! A head that is signed and whole says nothing about being the newest. Two things beside it do: `Release`, which follows the head
//! and says which commit it shows, and the record of succession, `succession/<sha256>`, which is written when another commit has
//! taken this one's place. (A commit whose parent is the head proves nothing: a publisher that lost a race or was killed leaves such.)
//!
//! Anyone who may write to the bucket can write false evidence. It never makes a head accepted: it stops publishers until they are
//! told to go on, which replaces it, and readers get a warning.

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, layout},
};
use jiff::Timestamp;
use s3_storage::{ETag, ErrorKind, ObjectMeta};

use crate::{
    Error, Head, Suite,
    read::{head::SignedHead, loss::is_unreadable},
};

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

/// What tells whether a head is the suite's newest.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) beside: Beside,
    /// The content of the record of what took the head's place.
    record: Option<Bytes>,
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

    /// Whether an object says that it follows something else.
    pub(crate) fn is_follower(&self, meta: &ObjectMeta) -> bool {
        meta.metadata.contains_key(FOLLOWS)
    }

    /// What an object that may be missing follows.
    pub(crate) async fn seen(&self, key: &str) -> Result<Option<Seen>, Error> {
        Ok(self.look(key).await?.map(Seen::of))
    }

    /// When the commit was made that `Release` shows beside a head that is another one.
    pub(crate) async fn shown_since(&self, head: Sha256) -> Result<Option<Timestamp>, Error> {
        let release = layout::in_suite(&self.name, "Release");
        let shown = self.seen(&release).await?.and_then(|seen| seen.commit);
        let shown = self.readable(shown.filter(|shown| *shown != head)).await?;
        Ok(shown.map(|commit| commit.time))
    }

    /// Looks at what is beside the head of a signed suite.
    pub(crate) async fn beside(&self) -> Result<Beside, Error> {
        let release = layout::in_suite(&self.name, "Release");
        let signature = layout::in_suite(&self.name, "Release.gpg");
        let (release, signature) = futures::try_join!(self.seen(&release), self.seen(&signature))?;
        Ok(Beside { release, signature })
    }

    /// What there is that tells whether this commit is the suite's newest.
    pub(crate) async fn evidence(&self, commit: Sha256) -> Result<Evidence, Error> {
        let key = layout::successor_key(&self.name, Some(&commit));
        let (beside, record) = futures::try_join!(self.beside(), self.find(&key))?;
        let record = record.map(|(_, bytes)| bytes);
        Ok(Evidence { beside, record })
    }

    /// Fails if the evidence says that the head was put back to an older commit, or leaves that open.
    pub(crate) async fn check_newest(
        &self,
        head: &SignedHead,
        commit: &Commit,
        evidence: &Evidence,
    ) -> Result<(), Error> {
        let id = head.release.commit;
        let Err(error) = self.judge(id, commit, evidence).await else {
            return Ok(());
        };
        // Another publisher may have moved the head since it was read.
        let now = self.signed_head().await?;
        if now.is_some_and(|now| now.release.commit == id) {
            return Err(error);
        }
        Ok(())
    }

    /// Fails if something says that a head that was read is not the newest.
    ///
    /// # Errors
    /// [`Error::PutBack`] and its like; those of the store.
    pub(crate) async fn require_newest(&self, head: &Head) -> Result<(), Error> {
        if head.put_back.is_none() {
            return Ok(());
        }
        let evidence = self.evidence(head.id()).await?;
        match self.signed_head().await? {
            Some(signed) => self.check_newest(&signed, &head.commit, &evidence).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn judge(
        &self,
        id: Sha256,
        commit: &Commit,
        evidence: &Evidence,
    ) -> Result<(), Error> {
        let suite = || self.name.clone();
        let release = evidence.beside.release.as_ref();
        let shown = release.and_then(|release| release.commit);
        let put_back = |newer| Error::PutBack {
            suite: suite(),
            head: id,
            newer,
            // The record is not signed, and `Release` may have been put back, too.
            is_vouched: shown.is_some_and(|shown| shown != id)
                || commit.settings.signing_keys.is_empty(),
        };
        if let Some(record) = &evidence.record {
            return Err(put_back(self.successor(id, record).await?));
        }
        let Some(shown) = shown else { return Ok(()) };
        if shown == id || commit.parent == Some(shown) {
            return Ok(());
        }
        let shown_commit = self.readable(Some(shown)).await?;
        // Times do not fall, so `Release` lags. (Where a date was reset, the record is left as evidence.)
        if shown_commit
            .as_ref()
            .is_some_and(|shown| shown.time < commit.time)
        {
            return Ok(());
        }
        // From both commits back, until one is the other's ancestor.
        let parent = |commit: Option<Commit>| commit.and_then(|commit| commit.parent);
        let (mut before_head, mut before_shown) = (commit.parent, parent(shown_commit));
        for _ in 0..SEARCHED {
            if before_head == Some(shown) {
                return Ok(());
            }
            if before_shown == Some(id) {
                return Err(put_back(shown));
            }
            if before_head.is_none() && before_shown.is_none() {
                break;
            }
            let (of_head, of_shown) =
                futures::try_join!(self.readable(before_head), self.readable(before_shown))?;
            (before_head, before_shown) = (parent(of_head), parent(of_shown));
        }
        Err(Error::MayBePutBack {
            suite: suite(),
            head: id,
            shown,
        })
    }

    /// The commit that a record of succession names.
    async fn successor(&self, id: Sha256, record: &[u8]) -> Result<Sha256, Error> {
        let problem = |problem| {
            let key = layout::successor_key(&self.name, Some(&id));
            Err(self.damaged(key, problem))
        };
        // A later program may say more on further lines.
        let first = str::from_utf8(record).unwrap_or_default().lines().next();
        let Some(Ok(newer)) = first.map(str::parse) else {
            return problem("does not name a commit");
        };
        match self.read_commit(&newer).await {
            Ok(commit) if commit.parent == Some(id) => Ok(newer),
            Ok(_) => problem("names a commit that did not take the place of the head"),
            Err(error) if is_unreadable(&error) => {
                problem("names a commit that is missing or damaged")
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a commit, unless it is missing or unreadable.
    pub(crate) async fn readable(&self, id: Option<Sha256>) -> Result<Option<Commit>, Error> {
        let Some(id) = id else { return Ok(None) };
        match self.read_commit(&id).await {
            Ok(commit) => Ok(Some(commit)),
            Err(error) if is_unreadable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
