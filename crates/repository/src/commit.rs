//! The commit: the only place that moves the head of a suite.
//!
//! One loop: plan the intent on the head → store what the new head names → write the head if it is still the one that was read.
//! Everything before the last step is content-addressed, so a process that dies leaves the old suite, whole; one that loses the
//! race starts again from what it wants, not from what it computed.
//!
//! The reply to the last step may be lost. So each attempt first asks whether the head is this publisher's commit already, or a
//! descendant of it. Until that is known, an error is [`Error::Unknown`].

mod alias_view;
pub(crate) mod carry_out;
pub(crate) mod draft;
pub(crate) mod followers;
pub(crate) mod founding;
pub(crate) mod keys;
pub(crate) mod named;
pub(crate) mod observer;
pub(crate) mod patience;
pub(crate) mod phase;
pub(crate) mod prepare;
pub(crate) mod rollback;
pub(crate) mod upload;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use deb_index::{
    change::{Edit, Intent, client_view::ViewChange},
    digest::Sha256,
    package_id::PackageId,
    suite::{
        commit::{Authorship, Commit},
        founding::Founding,
        layout,
    },
};
use futures::try_join;
use jiff::Timestamp;
use s3_storage::{ETag, Payload, PutMode, PutOptions};
use tokio::time::Instant;

use crate::{
    Allow, Draft, Error, Head, Observer, PackageFile, Stage, Suite,
    commit::{
        followers::Leader,
        patience::Patience,
        prepare::Prepared,
        upload::{Mode, Uploaded, upload_all},
    },
};

/// Bytes of packages that are uploaded while the indexes that name them are. More take so long that the head would have an old date.
const SMALL_UPLOAD: u64 = 16 << 20;
/// How long a first publisher may take to look whether its suite is still the same.
const JUST_NOW: Duration = Duration::from_secs(60);
/// Commits that are read to find out whether one of them is this publisher's.
const SEARCHED: usize = 1000;

/// A change that was carried out.
#[derive(Debug)]
pub struct Published {
    pub outcome: Outcome,
    /// Why the followers of the head were not brought up, if they were not. The suite is whole all the same.
    pub stale_followers: Option<Error>,
}

#[derive(Debug)]
pub enum Outcome {
    /// The suite was like that already.
    Unchanged(Box<Head>),
    Committed(Box<Committed>),
}

/// A commit that the head names, or named.
#[derive(Debug)]
pub struct Committed {
    pub id: Sha256,
    pub commit: Arc<Commit>,
    /// The head's version tag; none if another publisher has already committed on top of it.
    pub etag: Option<ETag>,
    /// What devices have to accept.
    pub view_changes: Vec<ViewChange>,
}

/// A head that was written, while the store has not confirmed that it took it.
pub(crate) struct Pending {
    prepared: Prepared,
    view_changes: Vec<ViewChange>,
    /// The error that left it open; none if the store refused the write.
    doubt: Option<s3_storage::Error>,
}

/// A head that was written or not: the result, and the head whose followers are to be brought up.
pub(crate) type Written = Result<(Outcome, Option<Leader>), Box<Pending>>;

/// How a head is related to a commit that was to become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinship {
    /// It is the commit, or was built on it.
    Descends,
    /// It is what the commit was built on, or was built on that too.
    Sibling,
    /// It is neither: there is no head, or it was put back to an older commit.
    Apart,
}

/// What stays the same over all attempts.
pub(crate) struct Run<'a> {
    pub(crate) suite: &'a Suite<'a>,
    pub(crate) authorship: &'a Authorship,
    pub(crate) allow: Allow,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) files: &'a [PackageFile],
}

impl Run<'_> {
    /// The first attempt: uploads the packages and stores everything that the head will name. Meanwhile the store proves that it
    /// still refuses what it must, and the followers that will change are looked up.
    pub(crate) async fn first(
        &self,
        draft: &mut Draft<'_>,
    ) -> Result<(Prepared, Option<followers::Tags>), Error> {
        let suite = self.suite;
        if draft.base.is_none() {
            let (founding, store_time) = suite.found().await?;
            draft.founding = Some(founding);
            draft.store_time = store_time.max(draft.store_time);
            self.check_clock(draft.store_time)?;
        }
        let head = draft.base.as_ref();
        let wanted = self.unsent(draft);
        draft.spare(self.files, Mode::Write).await?;
        let uploads = upload_all(suite.repository, &wanted, self.observer, Mode::Write);
        let proof = suite.prove_conditional_writes(head);
        // Followers of a head that was put back may be anything.
        let beside = (!draft.is_needed).then_some(&draft.beside);
        let tags = followers::tags(suite, head, &draft.planned.plan, beside);
        let size: u64 = wanted.iter().map(|file| file.stanza.size).sum();
        let (uploaded, prepared, tags) = if size <= SMALL_UPLOAD && draft.store_time.is_some() {
            let prepared = self.prepare(draft);
            let (uploaded, prepared, (), tags) = try_join!(uploads, prepared, proof, tags)?;
            (uploaded, Some(prepared), tags)
        } else {
            let (uploaded, (), tags) = try_join!(uploads, proof, tags)?;
            (uploaded, None, tags)
        };
        self.check_clock(uploaded.store_time)?;
        match prepared.filter(|_| uploaded.moved.is_empty()) {
            Some(prepared) => {
                draft.stored.extend(own_keys(&wanted));
                Ok((prepared, tags))
            }
            None => {
                self.stored(draft, &wanted, uploaded).await?;
                Ok((self.prepare(draft).await?, tags))
            }
        }
    }

    /// Just before a first head, which replaces nothing whose deletion it would notice: shows by the time of the commit that the head
    /// is on its way (see [`Suite::first_heads_until`]), and prepares it again if what it names may have been deleted before that.
    async fn announced(&self, draft: &mut Draft<'_>, mut new: Prepared) -> Result<Prepared, Error> {
        let suite = self.suite;
        loop {
            let began = Instant::now();
            suite.touch_commit(&new).await?;
            if suite.founding().await?.0 == draft.founding {
                if began.elapsed() > JUST_NOW {
                    continue;
                }
                return Ok(new);
            }
            let (founding, _) = suite.found().await?;
            draft.founding = Some(founding);
            new = self.prepare(draft).await?;
        }
    }

    /// After a first head: if the suite for which it was made was deleted meanwhile, so was what the head names. That is stored again,
    /// unless the head is gone, too: what is stored without it would pass for a suite whose head is lost.
    pub(crate) async fn outlive(&self, draft: &mut Draft<'_>) -> Result<(), Error> {
        let suite = self.suite;
        if draft.base.is_some() || suite.founding().await?.0 == draft.founding {
            return Ok(());
        }
        let own = suite.new_founding();
        let (founding, _) = suite.found_as(&own).await?;
        // Who deletes the suite from now on finds it founded anew, and who did before has deleted the head.
        if suite.signed_head().await?.is_none() {
            if founding == own {
                suite.swap_founding(Some(&own), &Founding::Deleted).await?;
            }
            return Err(Error::Deleted {
                suite: suite.name.clone(),
            });
        }
        draft.founding = Some(founding);
        self.prepare(draft).await?;
        Ok(())
    }

    /// The files of the packages that the plan adds, each once, without those that are stored.
    pub(crate) fn unsent(&self, draft: &Draft<'_>) -> Vec<PackageFile> {
        let added = draft.planned.plan.changes.iter();
        let added = added.filter(|change| change.brings_file());
        let changed = added.filter_map(|change| change.filename.as_deref());
        let mut wanted: HashSet<&str> = changed.collect();
        let is_needed = |file: &&PackageFile| {
            let key = file.stanza.key.as_str();
            wanted.remove(key) && !draft.stored.contains(key)
        };
        self.files.iter().filter(is_needed).cloned().collect()
    }

    /// Notes that files are stored. Where one is at another key, the plan is made anew.
    pub(crate) async fn stored(
        &self,
        draft: &mut Draft<'_>,
        files: &[PackageFile],
        uploaded: Uploaded,
    ) -> Result<(), Error> {
        draft.stored.extend(own_keys(files));
        draft.store_time = uploaded.store_time.max(draft.store_time);
        if !uploaded.moved.is_empty() {
            relocate(Arc::make_mut(&mut draft.intent), &uploaded.moved);
            self.plan(draft).await?;
        }
        Ok(())
    }

    /// Attempts after a head that was not moved, or that is not known to have been.
    pub(crate) async fn again(
        &self,
        draft: &mut Draft<'_>,
        mut pending: Pending,
    ) -> Result<(Outcome, Option<Leader>), Error> {
        let mut patience = Patience::new(self.observer, &self.suite.name);
        loop {
            let in_doubt = pending.doubt.is_some();
            if !patience.wait(in_doubt).await {
                return Err(match pending.doubt {
                    Some(error) => self.unknown(error.into()),
                    None => Error::Contention {
                        suite: self.suite.name.clone(),
                        attempts: patience.attempts,
                    },
                });
            }
            let (head, kinship) = match patience.bound(self.look(&pending.prepared)).await {
                Some(Ok(found)) => found,
                None => continue,
                Some(Err(Error::Storage(error))) if in_doubt && error.is_transient() => continue,
                Some(Err(error)) => {
                    let error = draft.replaced(error).await;
                    return Err(if in_doubt { self.unknown(error) } else { error });
                }
            };
            if let (Kinship::Descends, Some(head)) = (kinship, &head) {
                self.observer.stage(Stage::Committed(pending.prepared.id));
                let etag = (head.id() == pending.prepared.id).then(|| head.etag.clone());
                return Ok(committed(pending.prepared, pending.view_changes, etag));
            }
            if head.is_none() && draft.base.is_some() {
                self.suite.check_founding().await?;
                return Err(Error::HeadVanished {
                    suite: self.suite.name.clone(),
                });
            }
            if let (Kinship::Apart, false, Some(now), Some(base)) =
                (kinship, self.allow.put_back, &head, &draft.base)
            {
                let error = Error::PutBack {
                    suite: self.suite.name.clone(),
                    head: now.id(),
                    newer: base.id(),
                    is_vouched: true,
                };
                let error = draft.replaced(error).await;
                return Err(if in_doubt { self.unknown(error) } else { error });
            }
            let tag = |head: Option<&Head>| head.map(|head| head.etag.clone());
            let is_unchanged = tag(head.as_ref()) == tag(draft.base.as_ref());
            if !in_doubt {
                patience.refused(is_unchanged)?;
            }
            draft.is_needed &= is_unchanged || self.allow.is_date_reset(head.as_ref());
            match self.attempt(draft, head).await {
                Ok(Ok(written)) => return Ok(written),
                Ok(Err(next)) => pending = *next,
                // What was sent may still arrive as long as the head is the one that it replaces.
                Err(error) if in_doubt && is_unchanged => return Err(self.unknown(error)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Plans the intent on another head, and tries to move it.
    async fn attempt(&self, draft: &mut Draft<'_>, head: Option<Head>) -> Result<Written, Error> {
        let store_time = head.as_ref().and_then(|head| head.store_time);
        draft.store_time = store_time.max(draft.store_time);
        self.check_clock(draft.store_time)?;
        draft.base = head;
        self.plan(draft).await?;
        if draft.is_empty()
            && let Some(head) = &draft.base
        {
            let leader = Leader::of_head(self.suite, head).await?;
            let unchanged = Outcome::Unchanged(Box::new(head.clone()));
            return Ok(Ok((unchanged, Some(leader))));
        }
        draft.spare(self.files, Mode::Write).await?;
        // What the suite had before, and lost meanwhile.
        let wanted = self.unsent(draft);
        if !wanted.is_empty() {
            let (repository, observer) = (self.suite.repository, self.observer);
            let uploaded = upload_all(repository, &wanted, observer, Mode::Write).await?;
            self.check_clock(uploaded.store_time)?;
            self.stored(draft, &wanted, uploaded).await?;
        }
        let prepared = self.prepare(draft).await?;
        self.move_head(draft, prepared).await
    }

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<(), Error> {
        let base = draft.base.as_ref();
        draft.planned = self
            .suite
            .plan_on(
                &draft.intent,
                base,
                draft.store_time,
                &mut draft.cache,
                self.allow,
            )
            .await?;
        Ok(())
    }

    async fn prepare(&self, draft: &Draft<'_>) -> Result<Prepared, Error> {
        let (base, time) = (draft.base.as_ref(), draft.store_time);
        self.suite
            .prepare(&draft.planned, base, self.authorship, time, self.allow)
            .await
    }

    /// Writes the head if it is still the one that the draft was planned on.
    pub(crate) async fn move_head(
        &self,
        draft: &mut Draft<'_>,
        mut new: Prepared,
    ) -> Result<Written, Error> {
        if draft.base.is_none() {
            new = self.announced(draft, new).await?;
        }
        let view_changes = std::mem::take(&mut draft.planned.view_changes);
        let old = draft.base.as_ref().map(|old| &old.etag);
        match self.put_head(old, &new).await? {
            Ok(etag) => Ok(Ok(committed(new, view_changes, Some(etag)))),
            Err(doubt) => Ok(Err(Box::new(Pending {
                prepared: new,
                view_changes,
                doubt,
            }))),
        }
    }

    /// Writes the head if it is still the one with this tag. The inner error is the store's refusal, or the error after which it is
    /// not known whether the head was written.
    pub(crate) async fn put_head(
        &self,
        old: Option<&ETag>,
        new: &Prepared,
    ) -> Result<Result<ETag, Option<s3_storage::Error>>, Error> {
        let bytes = new.head().clone();
        let options = head_options(self.suite.repository.writes.mode(instead(old)), &bytes);
        let key = layout::head_key(&self.suite.name, new.signed.is_some());
        self.observer.stage(Stage::MovingHead);
        let storage = &self.suite.repository.storage;
        match storage.put(&key, Payload::Bytes(bytes), options).await {
            Ok(reply) => {
                self.observer.stage(Stage::Committed(new.id));
                Ok(Ok(reply.etag))
            }
            Err(error) if error.is_ambiguous() => Ok(Err(Some(error))),
            Err(error) => {
                self.observer.stage(Stage::Preparing);
                match error.is_refused_condition() {
                    true => Ok(Err(None)),
                    false => Err(error.into()),
                }
            }
        }
    }

    /// The head as it is now, and how it is related to `mine`.
    async fn look(&self, mine: &Prepared) -> Result<(Option<Head>, Kinship), Error> {
        let head = self.suite.current_head().await?;
        let kinship = match &head {
            Some(head) => self.kinship(head, mine).await?,
            None => Kinship::Apart,
        };
        Ok((head, kinship))
    }

    async fn kinship(&self, head: &Head, mine: &Prepared) -> Result<Kinship, Error> {
        let base = mine.commit.parent;
        let (mut commit, mut parent) = (Some(head.id()), head.commit.parent);
        for _ in 0..SEARCHED {
            match commit {
                Some(id) if id == mine.id => return Ok(Kinship::Descends),
                id if id == base => return Ok(Kinship::Sibling),
                None => return Ok(Kinship::Apart),
                Some(_) => {}
            }
            commit = parent;
            if let Some(id) = parent.filter(|id| *id != mine.id && Some(*id) != base) {
                parent = self.suite.read_commit(&id).await?.parent;
            }
        }
        Ok(Kinship::Sibling)
    }

    pub(crate) fn unknown(&self, error: Error) -> Error {
        Error::Unknown {
            suite: self.suite.name.clone(),
            source: Box::new(error),
        }
    }

    pub(crate) fn check_clock(&self, store_time: Option<Timestamp>) -> Result<(), Error> {
        match store_time {
            Some(time) if !self.allow.store_clock => self.suite.repository.clock.check(time),
            _ => Ok(()),
        }
    }
}

/// What a head is written in place of.
fn instead(of: Option<&ETag>) -> PutMode {
    of.map_or(PutMode::Create, |tag| PutMode::Update(tag.clone()))
}

/// How a head is written.
fn head_options(mode: PutMode, bytes: &Bytes) -> PutOptions {
    let mut options = PutOptions::new(mode);
    options.sha256 = Some(Sha256::of(bytes).0);
    options.content_type = Some("text/plain; charset=utf-8");
    options.cache_control = Some("no-cache");
    options
}

/// A head that is now the suite's, or was. It has followers to bring up unless another commit took its place.
pub(crate) fn committed(
    prepared: Prepared,
    view_changes: Vec<ViewChange>,
    etag: Option<ETag>,
) -> (Outcome, Option<Leader>) {
    let outcome = Committed {
        id: prepared.id,
        commit: prepared.commit.clone(),
        etag: etag.clone(),
        view_changes,
    };
    let leader = etag.map(|etag| Leader::of_prepared(prepared, etag));
    (Outcome::Committed(Box::new(outcome)), leader)
}

fn own_keys(files: &[PackageFile]) -> impl Iterator<Item = String> {
    files.iter().map(|file| file.stanza.key.clone())
}

/// Gives packages the keys where they were stored.
fn relocate(intent: &mut Intent, moved: &HashMap<PackageId, String>) {
    for edit in &mut intent.0 {
        if let Edit::Add { stanza, .. } = edit
            && let Some(key) = moved.get(&stanza.id)
        {
            *stanza = stanza.at_key(key.clone());
        }
    }
}
