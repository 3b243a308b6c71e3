//! The commit: the only place that moves the head of a suite.
//!
//! One loop: plan the intent on the head → store what the new head names → write the head if it is still the one that was read.
//! Everything before the last step is content-addressed, so a process that dies leaves the old suite, whole; one that loses the
//! race starts again from what it wants, not from what it computed.
//!
//! The reply to the last step may be lost. So each attempt first asks whether the head is this publisher's commit already, or a
//! descendant of it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use deb_index::{
    change::{Edit, Intent, Plan, client_view::ViewChange},
    digest::Sha256,
    package_id::PackageId,
    suite::{
        commit::{Authorship, Change, Commit},
        layout,
    },
};
use futures::try_join;
use jiff::Timestamp;
use s3_storage::{ETag, ErrorKind, Payload, PutMode, PutOptions, PutReply};
use tokio::time::Instant;

use crate::{
    Allow, Draft, Error, Head, Observer, PackageFile, Stage, Suite,
    followers::{self, Leader},
    prepare::Prepared,
    upload::upload_all,
};

/// How long a publisher tries to win the race for the head: far longer than a crowd of them needs.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the store may refuse to replace a head that does not change.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(20);
/// How long until the observer gets a notice that the change takes longer.
const NOTICE_AFTER: Duration = Duration::from_secs(3);
/// The first pause after a lost race; doubled each time, and shortened at random.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Bytes of packages that are uploaded while the indexes that name them are. More take so long that the head would have an old date.
const SMALL_UPLOAD: u64 = 16 << 20;

/// A change that was carried out.
#[derive(Debug)]
pub struct Published {
    pub outcome: Outcome,
    /// Why the followers of the head were not brought up, if they were not. The suite is whole all the same.
    pub stale_followers: Option<Error>,
}

/// Result of a change.
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
    pub commit: Commit,
    /// The head's version tag; none if another publisher has already committed on top of it.
    pub etag: Option<ETag>,
    /// What devices have to accept.
    pub view_changes: Vec<ViewChange>,
}

/// A head that was written, while the store has not confirmed that it took it.
struct Pending {
    prepared: Prepared,
    view_changes: Vec<ViewChange>,
    /// The error that left it open; none if the store refused the write.
    doubt: Option<s3_storage::Error>,
}

/// What stays the same over all attempts.
pub(crate) struct Run<'a> {
    pub(crate) suite: &'a Suite<'a>,
    pub(crate) authorship: &'a Authorship,
    pub(crate) allow: Allow,
    pub(crate) observer: &'a dyn Observer,
}

impl Draft<'_> {
    /// Carries the change out, however many other publishers do the same. `files` are the packages that the intent adds.
    ///
    /// # Errors
    /// Those of the store; conflicts with a publisher that was faster. The suite is then as others left it;
    /// [`Error::Unknown`] alone leaves that open.
    pub async fn commit(
        mut self,
        files: &[PackageFile],
        authorship: &Authorship,
        observer: &dyn Observer,
    ) -> Result<Published, Error> {
        if self.is_empty()
            && let Some(head) = self.base
        {
            let stale_followers = followers::check(self.suite, &head, &self.beside)
                .await
                .err();
            return Ok(Published {
                outcome: Outcome::Unchanged(Box::new(head)),
                stale_followers,
            });
        }
        let run = Run {
            suite: self.suite,
            authorship,
            allow: self.allow,
            observer,
        };
        let (prepared, tags) = run.first(&mut self, files).await?;
        let view_changes = std::mem::take(&mut self.planned.view_changes);
        let (outcome, leader, tags) = match run
            .move_head(etag_of(self.base.as_ref()), &prepared)
            .await?
        {
            Ok(reply) => {
                let (outcome, leader) = committed(prepared, view_changes, Some(reply.etag));
                (outcome, leader, tags)
            }
            Err(doubt) => {
                let pending = Pending {
                    prepared,
                    view_changes,
                    doubt,
                };
                let (outcome, leader) = run.again(self, pending).await?;
                (outcome, leader, None)
            }
        };
        let stale_followers = match leader {
            Some(leader) => followers::bring_up(run.suite, leader, tags).await.err(),
            None => None,
        };
        Ok(Published {
            outcome,
            stale_followers,
        })
    }
}

impl Run<'_> {
    /// The first attempt: uploads the packages and stores everything that the head will name. Meanwhile the store proves that it
    /// still refuses what it must, and the followers that will change are looked up.
    async fn first(
        &self,
        draft: &mut Draft<'_>,
        files: &[PackageFile],
    ) -> Result<(Prepared, Option<followers::Tags>), Error> {
        let suite = self.suite;
        if draft.base.is_none() {
            draft.store_time = suite.found().await?.max(draft.store_time);
            self.check_clock(draft.store_time)?;
        }
        let head = draft.base.as_ref();
        let wanted = needed(files, &draft.planned.plan);
        let uploads = upload_all(suite.repository, &wanted, self.observer);
        let proof = suite.prove_conditional_writes(head);
        let tags = followers::tags(suite, head, &draft.planned.plan, &draft.beside);
        let size: u64 = wanted.iter().map(|file| file.stanza.size).sum();
        let (uploaded, prepared, tags) = if size <= SMALL_UPLOAD && draft.store_time.is_some() {
            let prepared = self.prepare(draft);
            let (uploaded, prepared, (), tags) = try_join!(uploads, prepared, proof, tags)?;
            (uploaded, Some(prepared), tags)
        } else {
            let (uploaded, (), tags) = try_join!(uploads, proof, tags)?;
            (uploaded, None, tags)
        };
        let is_moved = !uploaded.moved.is_empty();
        if let (false, Some(prepared)) = (is_moved, prepared) {
            return Ok((prepared, tags));
        }
        draft.store_time = uploaded.store_time.max(draft.store_time);
        self.check_clock(draft.store_time)?;
        if is_moved {
            relocate(Arc::make_mut(&mut draft.intent), &uploaded.moved);
            self.plan(draft).await?;
        }
        Ok((self.prepare(draft).await?, tags))
    }

    /// Attempts after a head that was not moved, or that is not known to have been.
    async fn again(
        &self,
        mut draft: Draft<'_>,
        mut pending: Pending,
    ) -> Result<(Outcome, Option<Leader>), Error> {
        let mut patience = Patience::new(self.observer);
        loop {
            let doubt = pending.doubt.take();
            let in_doubt = doubt.is_some();
            if !patience.wait(self.suite, in_doubt).await {
                return Err(match doubt {
                    Some(error) => self.unknown(error.into()),
                    None => Error::Contention {
                        suite: self.suite.name.clone(),
                        attempts: patience.attempts,
                    },
                });
            }
            let unknown = |error| if in_doubt { self.unknown(error) } else { error };
            let head = self.suite.head().await.map_err(unknown)?;
            if let Some(head) = &head
                && self.has(head, &pending.prepared).await.map_err(unknown)?
            {
                self.observer.stage(Stage::Committed(pending.prepared.id));
                let etag = (head.id() == pending.prepared.id).then(|| head.etag.clone());
                return Ok(committed(pending.prepared, pending.view_changes, etag));
            }
            if head.is_none() && draft.base.is_some() {
                return Err(Error::HeadVanished {
                    suite: self.suite.name.clone(),
                });
            }
            if !in_doubt {
                patience.compare(self.suite, draft.base.as_ref(), head.as_ref())?;
            }
            draft.store_time = head
                .as_ref()
                .and_then(|head| head.store_time)
                .max(draft.store_time);
            self.check_clock(draft.store_time)?;
            draft.base = head;
            self.plan(&mut draft).await?;
            if draft.is_empty()
                && let Some(head) = draft.base
            {
                let leader = Leader::of_head(self.suite, &head).await?;
                return Ok((Outcome::Unchanged(Box::new(head)), Some(leader)));
            }
            let prepared = self.prepare(&draft).await?;
            let view_changes = std::mem::take(&mut draft.planned.view_changes);
            match self
                .move_head(etag_of(draft.base.as_ref()), &prepared)
                .await?
            {
                Ok(reply) => return Ok(committed(prepared, view_changes, Some(reply.etag))),
                Err(doubt) => {
                    pending = Pending {
                        prepared,
                        view_changes,
                        doubt,
                    }
                }
            }
        }
    }

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<(), Error> {
        let base = draft.base.as_ref();
        draft.planned = self
            .suite
            .plan_on(&draft.intent, base, &mut draft.cache, self.allow)
            .await?;
        Ok(())
    }

    async fn prepare(&self, draft: &Draft<'_>) -> Result<Prepared, Error> {
        let (base, time) = (draft.base.as_ref(), draft.store_time);
        self.suite
            .prepare(&draft.planned, base, self.authorship, time, self.allow)
            .await
    }

    /// Writes the head if it is still the one with this tag. The inner error is the store's refusal, or the error after which it is
    /// not known whether the head was written.
    pub(crate) async fn move_head(
        &self,
        old: Option<&ETag>,
        new: &Prepared,
    ) -> Result<Result<PutReply, Option<s3_storage::Error>>, Error> {
        let conditional = match old {
            Some(old) => PutMode::Update(old.clone()),
            None => PutMode::Create,
        };
        let bytes = new.head().clone();
        let mut options = PutOptions::new(self.suite.repository.writes.mode(conditional));
        options.sha256 = Some(Sha256::of(&bytes).0);
        options.content_type = Some("text/plain; charset=utf-8");
        options.cache_control = Some("no-cache");
        let key = layout::head_key(&self.suite.name, new.signed.is_some());
        self.observer.stage(Stage::MovingHead);
        let written = self
            .suite
            .repository
            .storage
            .put(&key, Payload::Bytes(bytes), options)
            .await;
        match written {
            Ok(reply) => {
                self.observer.stage(Stage::Committed(new.id));
                Ok(Ok(reply))
            }
            Err(error) if error.is_ambiguous() => Ok(Err(Some(error))),
            Err(error) => {
                self.observer.stage(Stage::Preparing);
                match error.kind() {
                    ErrorKind::PreconditionFailed | ErrorKind::Conflict => Ok(Err(None)),
                    _ => Err(error.into()),
                }
            }
        }
    }

    /// Whether `mine` is what the head names, or is in the history between it and the commit that `mine` was built on.
    async fn has(&self, head: &Head, mine: &Prepared) -> Result<bool, Error> {
        if head.id() == mine.id {
            return Ok(true);
        }
        let base = mine.commit.parent;
        let mut parent = head.commit.parent;
        while let Some(id) = parent.filter(|id| Some(*id) != base) {
            if id == mine.id {
                return Ok(true);
            }
            parent = self.suite.read_commit(&id).await?.parent;
        }
        Ok(false)
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

/// How long it is worth trying again.
struct Patience<'a> {
    observer: &'a dyn Observer,
    started: Instant,
    attempts: u32,
    /// Since when the store refuses to replace a head that does not change.
    refusing_since: Option<Instant>,
    has_noticed: bool,
}

impl<'a> Patience<'a> {
    fn new(observer: &'a dyn Observer) -> Self {
        Self {
            observer,
            started: Instant::now(),
            attempts: 0,
            refusing_since: None,
            has_noticed: false,
        }
    }

    /// Pauses before the next attempt: longer each time, and of random length, so that a crowd spreads out.
    /// False if it has been tried for long enough.
    async fn wait(&mut self, suite: &Suite<'_>, in_doubt: bool) -> bool {
        self.attempts += 1;
        let (suite, attempts) = (&suite.name, self.attempts);
        tracing::info!(%suite, attempts, "the head was not moved; planning again");
        if self.started.elapsed() > PATIENCE {
            return false;
        }
        if !in_doubt && self.started.elapsed() > NOTICE_AFTER {
            self.notice(&format!(
                "other publishers are changing suite {suite} too; still trying"
            ));
        }
        let longest = FIRST_PAUSE
            .saturating_mul(1 << attempts.min(7))
            .min(LONGEST_PAUSE);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        true
    }

    /// A head that stays the same although the store refuses to replace it has a version tag that the store does not accept.
    fn compare(
        &mut self,
        suite: &Suite<'_>,
        old: Option<&Head>,
        new: Option<&Head>,
    ) -> Result<(), Error> {
        if etag_of(old) != etag_of(new) {
            self.refusing_since = None;
            return Ok(());
        }
        let refusing = self
            .refusing_since
            .get_or_insert_with(Instant::now)
            .elapsed();
        let suite = suite.name.clone();
        if refusing > REFUSAL_PATIENCE {
            return Err(Error::TagRefused { suite });
        }
        if refusing > NOTICE_AFTER {
            self.notice(&format!(
                "the store refuses to replace the head of suite {suite}, although it is unchanged; still trying"
            ));
        }
        Ok(())
    }

    fn notice(&mut self, text: &str) {
        if !std::mem::replace(&mut self.has_noticed, true) {
            self.observer.notice(text);
        }
    }
}

fn etag_of(head: Option<&Head>) -> Option<&ETag> {
    head.map(|head| &head.etag)
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

/// The files of the packages that the plan adds, each once.
fn needed(files: &[PackageFile], plan: &Plan) -> Vec<PackageFile> {
    let added = plan.changes.iter();
    let added = added.filter(|change| change.action != Change::REMOVE);
    let changed = added.filter_map(|change| change.filename.as_deref());
    let mut wanted: HashSet<&str> = changed.collect();
    let is_needed = |file: &&PackageFile| wanted.remove(file.stanza.key.as_str());
    files.iter().filter(is_needed).cloned().collect()
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
