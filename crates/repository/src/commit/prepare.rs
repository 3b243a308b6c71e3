//! All that a new head names, stored before the head is written: index files under their digests, and the commit.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use bytes::Bytes;
use deb_index::{
    change::{IndexFile, NewIndexes},
    digest::Sha256,
    suite::{
        commit::{Authorship, Commit},
        layout, release,
        settings::Settings,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use repo_signing::SignedRelease;
use s3_storage::{ErrorKind, Payload, PutMode, PutOptions};

use crate::{
    Draft, Error, Head, Suite, Writes,
    commit::{
        draft::{Allow, Planned, blocking, commit_of},
        keys::signature_time,
        upload::Mode,
    },
};

/// Index files written at the same time.
const CONCURRENT_WRITES: usize = 8;
/// Tries to write one, while others write the same.
const TRIES: u32 = 5;

/// A head, ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: Sha256,
    pub(crate) commit: Arc<Commit>,
    /// The bytes of `Release`.
    pub(crate) text: Bytes,
    /// None in an unsigned suite.
    pub(crate) signed: Option<SignedRelease>,
    pub(crate) files: HashMap<Sha256, Bytes>,
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
        let by = (authorship, store_time, allow);
        let (commit, files) = self.new_commit(planned, head, by).await?;
        self.claim_new(&commit, commit_of(head)).await?;
        let (bytes, id) = commit.to_bytes();
        let text = Bytes::from(release::render(&commit, &id));
        let time = signature_time(commit.time)?;
        let commit_file = (layout::commit_key(&self.name, &id), bytes.into(), id);
        let writes = self.store(&files, Some(commit_file), Mode::Write);
        let ((), signed) =
            futures::try_join!(writes, self.keys.sign(&text, time, &planned.chosen))?;
        let files = files.into_iter().map(|file| (file.sha256, file.bytes));
        let files: HashMap<_, _> = files.collect();
        self.store_for_aliases(&commit, commit_of(head), &files, Mode::Write)
            .await?;
        Ok(Prepared {
            id,
            commit: commit.into(),
            text,
            signed,
            files,
        })
    }

    /// Writes the commit of a head once more, so that it has been written just now.
    pub(crate) async fn touch_commit(&self, of: &Prepared) -> Result<(), Error> {
        let key = layout::commit_key(&self.name, &of.id);
        let bytes = of.commit.to_bytes().0;
        self.put_over(&key, bytes.into(), of.id).await
    }

    /// Looks at what [`Suite::prepare`] comes upon where it stores something.
    pub(crate) async fn rehearse(
        &self,
        planned: &Planned,
        head: Option<&Head>,
        store_time: Timestamp,
        allow: Allow,
    ) -> Result<(), Error> {
        let by = (&Authorship::default(), Some(store_time), allow);
        let (commit, files) = self.new_commit(planned, head, by).await?;
        self.store(&files, None, Mode::Look).await?;
        let files = files.into_iter().map(|file| (file.sha256, file.bytes));
        self.store_for_aliases(&commit, commit_of(head), &files.collect(), Mode::Look)
            .await
    }

    /// The commit, and the index files that are new.
    async fn new_commit(
        &self,
        planned: &Planned,
        head: Option<&Head>,
        (authorship, store_time, allow): (&Authorship, Option<Timestamp>, Allow),
    ) -> Result<(Commit, Vec<IndexFile>), Error> {
        let store_time = store_time.ok_or(Error::NoStoreTime)?;
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let base = head.map(|head| head.commit.clone());
        let indexes = planned.plan.indexes.clone();
        let formats: Vec<_> = planned.plan.settings.known_formats().collect();
        let NewIndexes { indexes, files } =
            blocking(move || NewIndexes::build(&indexes, base.as_deref(), &formats, threads)).await;
        let time = date(store_time, head.filter(|_| !allow.reset_date));
        let settings = self.settings_at(time, planned, commit_of(head));
        Ok((
            Commit {
                format: Commit::FORMAT,
                suite: self.name.clone(),
                parent: head.map(Head::id),
                time,
                authorship: authorship.clone(),
                requires: Commit::requirements(commit_of(head), &settings, planned.plan.closes),
                settings,
                changes: planned.plan.changes.clone(),
                taken_back: Commit::taken_back_after(commit_of(head), &planned.plan.changes),
                indexes,
                rest: commit_of(head)
                    .map(|base| base.rest.clone())
                    .unwrap_or_default(),
            },
            files,
        ))
    }

    /// The settings of a commit: those of the plan, and what follows from how and when it is written.
    pub(crate) fn settings_at(
        &self,
        time: Timestamp,
        planned: &Planned,
        base: Option<&Commit>,
    ) -> Settings {
        let mut settings = planned.plan.settings.clone();
        settings.single_writer = self.repository.writes == Writes::SingleWriter;
        settings.keys_since = keys_since(base, &settings, time);
        settings
    }

    /// Stores index files and the commit.
    async fn store(
        &self,
        files: &[IndexFile],
        commit: Option<(String, Bytes, Sha256)>,
        mode: Mode,
    ) -> Result<(), Error> {
        let objects = files
            .iter()
            .map(|file| {
                (
                    layout::in_suite(&self.name, &file.path),
                    file.bytes.clone(),
                    file.sha256,
                )
            })
            .chain(commit);
        stream::iter(objects)
            .map(|(key, bytes, sha256)| self.put_or_look(key, bytes, sha256, mode))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect()
            .await
    }

    pub(crate) async fn put_or_look(
        &self,
        key: String,
        bytes: Bytes,
        sha256: Sha256,
        mode: Mode,
    ) -> Result<(), Error> {
        match mode {
            Mode::Write => self.put_by_digest(key, bytes, sha256).await,
            // It may be garbage. A single writer takes it for that without a look.
            Mode::Look
                if self.repository.writes == Writes::SingleWriter
                    || self.look(&key).await?.is_some() =>
            {
                let keys = [key.as_str()].into();
                self.repository.condemned(&keys).await.map(drop)
            }
            Mode::Look => Ok(()),
        }
    }

    /// Writes an object whose name is its content's digest. One that is there already may be garbage that is about to be deleted,
    /// so it is written again when that cannot be any more.
    pub(crate) async fn put_by_digest(
        &self,
        key: String,
        bytes: Bytes,
        sha256: Sha256,
    ) -> Result<(), Error> {
        if self.repository.writes == Writes::Conditional {
            let options = by_digest(PutMode::Create, sha256);
            let payload = Payload::Bytes(bytes.clone());
            match self.repository.storage.put(&key, payload, options).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_refused_condition() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.repository.spare(&[key.as_str()].into()).await?;
        self.put_over(&key, bytes, sha256).await
    }

    /// Writes such an object, whether it is there or not.
    async fn put_over(&self, key: &str, bytes: Bytes, sha256: Sha256) -> Result<(), Error> {
        let storage = self.repository.storage.as_ref();
        for left in (0..TRIES).rev() {
            let options = by_digest(PutMode::Overwrite, sha256);
            let payload = Payload::Bytes(bytes.clone());
            match storage.put(key, payload, options).await {
                // Another publisher writes the same at the same time.
                Err(error) if error.kind() == ErrorKind::Conflict && left > 0 => {}
                written => return written.map(drop).map_err(Error::from),
            }
        }
        Ok(())
    }
}

/// How an object is written whose name is its content's digest.
fn by_digest(mode: PutMode, sha256: Sha256) -> PutOptions {
    let mut options = PutOptions::new(mode);
    options.sha256 = Some(sha256.0);
    options.cache_control = Some("public, max-age=31536000, immutable");
    options
}

impl Draft<'_> {
    /// The suite's settings from here on, as a commit that was made now would have them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let head = self.base.as_ref();
        if let Some(head) = head.filter(|_| self.is_empty()) {
            return head.commit.settings.clone();
        }
        let now = self.suite.time_of(head, self.store_time, self.allow);
        let time = date(now, head.filter(|_| !self.allow.reset_date));
        self.suite.settings_at(time, &self.planned, commit_of(head))
    }
}

/// When the keys changed last. Each change has a time of its own, because the version of a package with them follows from it.
fn keys_since(base: Option<&Commit>, next: &Settings, time: Timestamp) -> Option<Timestamp> {
    if next.signing_keys.is_empty() {
        return None;
    }
    let before = base.and_then(|base| base.settings.keys_since);
    if base.is_some_and(|base| base.settings.signing_keys == next.signing_keys) {
        return before;
    }
    let after = before.and_then(|before| before.checked_add(SignedDuration::from_secs(1)).ok());
    Some(after.map_or(time, |after| after.max(time)))
}

impl Draft<'_> {
    /// The `Date` that the new head would have if it were written now.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        let base = self.base.as_ref();
        let time = self.suite.time_of(base, self.store_time, self.allow);
        date(time, base.filter(|_| !self.allow.reset_date))
    }
}

/// The `Date` of a new head: the store's time, to the second, but never before its parent's. (apt ignores a head that is older
/// than the one that it has, and refuses one from the future.)
pub(crate) fn date(store_time: Timestamp, parent: Option<&Head>) -> Timestamp {
    let whole = Timestamp::from_second(store_time.as_second()).unwrap_or(store_time);
    parent.map_or(whole, |parent| parent.release.date.max(whole))
}
