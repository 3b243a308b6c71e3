//! All that a new head names, stored before the head is written: index files under their digests, and the commit.

use std::num::NonZeroUsize;

use bytes::Bytes;
use deb_index::{
    change::NewIndexes,
    digest::Sha256,
    suite::{
        commit::{Authorship, Commit},
        layout, release,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use repo_signing::SignedRelease;
use s3_storage::{Payload, PutMode, PutOptions};

use crate::{
    Error, Head, Suite, Writes,
    draft::{Allow, Planned, blocking, commit_of},
    keys::signature_time,
};

/// Index files written at the same time.
const CONCURRENT_WRITES: usize = 8;

/// A head, ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: Sha256,
    pub(crate) commit: Commit,
    /// The bytes of `Release`.
    pub(crate) text: Bytes,
    /// None in an unsigned suite.
    pub(crate) signed: Option<SignedRelease>,
    /// The new index files: their paths and contents.
    pub(crate) files: Vec<(Sha256, Bytes)>,
}

impl Prepared {
    /// The bytes of the head.
    pub(crate) fn head(&self) -> &Bytes {
        self.signed
            .as_ref()
            .map_or(&self.text, |signed| &signed.inrelease)
    }
}

impl Suite<'_> {
    /// Renders, signs and stores what `planned` makes of `head`, dated by the store's time.
    pub(crate) async fn prepare(
        &self,
        planned: &Planned,
        head: Option<&Head>,
        authorship: &Authorship,
        store_time: Option<Timestamp>,
        allow: Allow,
    ) -> Result<Prepared, Error> {
        let store_time = store_time.ok_or(Error::NoStoreTime)?;
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let base = head.map(|head| head.commit.clone());
        let indexes = planned.plan.indexes.clone();
        let formats: Vec<_> = planned.plan.settings.known_formats().collect();
        let NewIndexes { indexes, files } =
            blocking(move || NewIndexes::build(&indexes, base.as_deref(), &formats, threads)).await;
        let mut settings = planned.plan.settings.clone();
        settings.single_writer = self.repository.writes == Writes::SingleWriter;
        let commit = Commit {
            format: Commit::FORMAT,
            suite: self.name.clone(),
            parent: head.map(Head::id),
            time: date(store_time, head.filter(|_| !allow.reset_date)),
            authorship: authorship.clone(),
            requires: commit_of(head)
                .map(|base| base.requires.clone())
                .unwrap_or_default(),
            settings,
            changes: planned.plan.changes.clone(),
            indexes,
            rest: commit_of(head)
                .map(|base| base.rest.clone())
                .unwrap_or_default(),
        };
        let (bytes, id) = commit.to_bytes();
        let text = Bytes::from(release::render(&commit, &id));
        let time = signature_time(commit.time)?;
        let key = layout::commit_key(&self.name, &id);
        let objects = files
            .iter()
            .map(|file| {
                (
                    layout::in_suite(&self.name, &file.path),
                    file.bytes.clone(),
                    file.sha256,
                )
            })
            .chain([(key, Bytes::from(bytes), id)]);
        let writes = stream::iter(objects)
            .map(|(key, bytes, sha256)| self.put_by_digest(key, bytes, sha256))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect::<()>();
        let ((), signed) =
            futures::try_join!(writes, self.keys.sign(&text, time, &planned.chosen))?;
        Ok(Prepared {
            id,
            commit,
            text,
            signed,
            files: files
                .into_iter()
                .map(|file| (file.sha256, file.bytes))
                .collect(),
        })
    }

    /// Writes an object whose name is its content's digest. Writing it twice does no harm, and shows that it is in use again.
    pub(crate) async fn put_by_digest(
        &self,
        key: String,
        bytes: Bytes,
        sha256: Sha256,
    ) -> Result<(), Error> {
        let mut options = PutOptions::new(PutMode::Overwrite);
        options.sha256 = Some(sha256.0);
        options.cache_control = Some("public, max-age=31536000, immutable");
        self.repository
            .storage
            .put(&key, Payload::Bytes(bytes), options)
            .await?;
        Ok(())
    }
}

/// The `Date` of a new head: the store's time, to the second, but never before its parent's. (apt ignores a head that is older
/// than the one that it has, and refuses one from the future.)
fn date(store_time: Timestamp, parent: Option<&Head>) -> Timestamp {
    let whole = Timestamp::from_second(store_time.as_second()).unwrap_or(store_time);
    parent.map_or(whole, |parent| parent.release.date.max(whole))
}
