//! The commit: the only place that moves the head of a suite.
//!
//! One loop: read the head → plan the intent on it → store the new indexes by hash and the commit → sign → write the head if it
//! is still the one that was read. Everything before the last step is content-addressed, so a process that dies leaves the old
//! suite, whole; one that loses the race starts again with what it wants, not with what it computed.
//!
//! The reply to the last step may be lost. So whoever comes back to the loop first asks whether the head is its own commit, or
//! a descendant of it.

use std::{num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use deb_index::{
    commit::Commit,
    digest::Sha256,
    indexes::{IndexFile, Indexes},
    name::SuiteName,
    plan::{self, Intent, Plan},
    pool, release,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use repo_signing::{
    Keyring, SignWith, SignatureTime, SignedRelease, Signer, choose_key, keys_at, sign_release,
};
use s3_storage::{ETag, ErrorKind, Payload, PutMode, PutOptions, PutReply, Storage};

use crate::{
    error::Error,
    snapshot::{self, Head, IndexCache, Trust, head_key},
};

/// Objects that are written at once.
const CONCURRENT_WRITES: usize = 8;
/// How long a publisher tries to win the race for the head: far longer than a crowd of them needs.
const PATIENCE: Duration = Duration::from_secs(600);
/// The first pause after a lost race; doubled each time, and shortened at random.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How heads are signed, and whose are believed.
pub enum Signing {
    /// With a key; heads of the suite are believed if they are signed by it or by one of the keyring.
    Key {
        /// Makes signatures.
        signer: Box<dyn Signer>,
        /// Further keys that are trusted.
        keyring: Keyring,
    },
    /// Not at all.
    Unsigned,
}

impl Signing {
    /// Whose heads are believed.
    pub fn trust(&self) -> Trust {
        match self {
            Self::Key { signer, keyring } => {
                let own = signer.certificate().clone();
                Trust::Keyring(keyring.certificates.iter().cloned().chain([own]).collect())
            }
            // What is signed is refused next, whoever signed it.
            Self::Unsigned => Trust::Unchecked,
        }
    }

    /// Fingerprints for the settings of a suite that is signed like this.
    pub fn fingerprints(&self) -> Vec<String> {
        match self {
            Self::Key { signer, .. } => vec![signer.certificate().fingerprint().to_string()],
            Self::Unsigned => Vec::new(),
        }
    }

    /// A suite stays signed as it is: by a key that it accepts, or not at all.
    fn check(&self, suite: &SuiteName, head: Option<&Head>) -> Result<(), Error> {
        let Some(head) = head else { return Ok(()) };
        let accepted = &head.commit.settings.signing_keys;
        match self {
            Self::Unsigned if head.is_signed => Err(Error::NoKey {
                suite: suite.clone(),
                is_signed: true,
            }),
            Self::Key { .. } if !head.is_signed => Err(Error::SuiteIsUnsigned {
                suite: suite.clone(),
            }),
            Self::Key { signer, .. } => {
                let key = signer.certificate().fingerprint().to_string();
                let is_accepted = accepted.contains(&key);
                if is_accepted {
                    Ok(())
                } else {
                    Err(Error::NotAccepted {
                        suite: suite.clone(),
                        key,
                        accepted: accepted.clone(),
                    })
                }
            }
            Self::Unsigned => Ok(()),
        }
    }
}

/// What a commit says of its making.
#[derive(Debug, Clone)]
pub struct Authorship {
    /// Who makes it.
    pub author: String,
    /// Why.
    pub message: String,
}

/// A suite, open for changes.
pub struct Suite<'a> {
    /// Where it lives.
    pub storage: &'a dyn Storage,
    /// Its name.
    pub name: &'a SuiteName,
    /// How it is signed.
    pub signing: &'a Signing,
}

/// What became of an intent.
#[derive(Debug)]
pub enum Outcome {
    /// The suite was so already.
    Unchanged(Box<Head>),
    /// It is so now.
    Committed(Box<Committed>),
}

/// A commit that the head names, or named.
#[derive(Debug)]
pub struct Committed {
    /// Its name.
    pub id: Sha256,
    /// The commit.
    pub commit: Commit,
    /// The head's version tag; `None` if somebody has built on it already.
    pub etag: Option<ETag>,
    /// What was signed.
    pub release: Rendered,
    /// The index files that it brought.
    pub files: Vec<IndexFile>,
}

/// A `Release` in the forms in which it is stored.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Its bytes.
    pub release: Vec<u8>,
    /// Its signatures, in a signed suite.
    pub signed: Option<SignedRelease>,
}

impl Rendered {
    /// The bytes of the head.
    fn head(&self) -> &[u8] {
        self.signed
            .as_ref()
            .map_or(&self.release, |signed| &signed.inrelease)
    }
}

/// A head that was written, while it is not known whether the store took it.
struct Pending {
    committed: Box<Committed>,
    /// The store's last word, where it was none.
    doubt: Option<s3_storage::Error>,
}

impl Suite<'_> {
    /// Makes the suite as `intent` wants it, however many others do the same. `cache` may hold indexes from a look at the suite before.
    ///
    /// # Errors
    /// [`Error`]. The suite is as others left it then; [`Error::Unknown`] alone leaves that open.
    pub async fn commit(
        &self,
        intent: &Intent,
        by: &Authorship,
        mut cache: IndexCache,
    ) -> Result<Outcome, Error> {
        let started = tokio::time::Instant::now();
        let mut pending: Option<Pending> = None;
        let mut attempts = 0;
        loop {
            match self.attempt(intent, by, &mut cache, pending.take()).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Again(again) if started.elapsed() < PATIENCE => pending = Some(again),
                Attempt::Again(Pending {
                    doubt: Some(source),
                    ..
                }) => {
                    return Err(Error::Unknown {
                        suite: self.name.clone(),
                        source,
                    });
                }
                Attempt::Again(_) => {
                    return Err(Error::Contention {
                        suite: self.name.clone(),
                        attempts,
                    });
                }
            }
            attempts += 1;
            tracing::info!(suite = %self.name, attempts, "the head was not moved; planning again");
            tokio::time::sleep(pause(attempts)).await;
        }
    }

    async fn attempt(
        &self,
        intent: &Intent,
        by: &Authorship,
        cache: &mut IndexCache,
        pending: Option<Pending>,
    ) -> Result<Attempt, Error> {
        let head = self.read_head(pending.as_ref()).await?;
        if let (Some(pending), Some(head)) = (pending, &head)
            && self.has(head, &pending.committed).await?
        {
            let mut committed = pending.committed;
            committed.etag = (head.id == committed.id).then(|| head.etag.clone());
            return Ok(Attempt::Done(Outcome::Committed(committed)));
        }
        let plan = self.plan(intent, head.as_ref(), cache).await?;
        let base = head.as_ref().map(|head| &head.commit);
        if let Some(head) = &head
            && plan.is_empty(base)
        {
            return Ok(Attempt::Done(Outcome::Unchanged(Box::new(head.clone()))));
        }
        let mut committed = self.prepare(plan, head.as_ref(), by).await?;
        match self
            .move_head(head.as_ref(), intent.single_writer, &committed.release)
            .await
        {
            Ok(reply) => {
                committed.etag = Some(reply.etag);
                Ok(Attempt::Done(Outcome::Committed(committed)))
            }
            Err(error) if error.is_ambiguous() => Ok(Attempt::Again(Pending {
                committed,
                doubt: Some(error),
            })),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PreconditionFailed | ErrorKind::Conflict
                ) =>
            {
                Ok(Attempt::Again(Pending {
                    committed,
                    doubt: None,
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the head. While a write of it is in doubt, so is the suite if it cannot be read.
    async fn read_head(&self, pending: Option<&Pending>) -> Result<Option<Head>, Error> {
        let head = snapshot::read_head(self.storage, self.name, &self.signing.trust()).await;
        match (head, pending) {
            (Err(Error::Storage(source)), Some(Pending { doubt: Some(_), .. })) => {
                Err(Error::Unknown {
                    suite: self.name.clone(),
                    source,
                })
            }
            (head, _) => head,
        }
    }

    /// Whether `mine` is what the head names, or lies in the history between it and the commit that `mine` was built on.
    async fn has(&self, head: &Head, mine: &Committed) -> Result<bool, Error> {
        if head.id == mine.id {
            return Ok(true);
        }
        let base = mine.commit.parent;
        let mut parent = head.commit.parent;
        while let Some(id) = parent.filter(|id| Some(*id) != base) {
            if id == mine.id {
                return Ok(true);
            }
            parent = snapshot::read_commit(self.storage, self.name, &id)
                .await?
                .parent;
        }
        Ok(false)
    }

    /// What `intent` means on `head`: read-only.
    ///
    /// # Errors
    /// Those of reading; conflicts; a suite that is signed otherwise.
    pub async fn plan(
        &self,
        intent: &Intent,
        head: Option<&Head>,
        cache: &mut IndexCache,
    ) -> Result<Plan, Error> {
        self.signing.check(self.name, head)?;
        let base = head.map(|head| &head.commit);
        let indexes = match base {
            Some(base) => {
                cache
                    .load(self.storage, self.name, base, intent.reads(Some(base)))
                    .await?
            }
            None => Default::default(),
        };
        let (base, intent) = (base.cloned(), intent.clone());
        Ok(compute(move || plan::plan(base.as_ref(), &indexes, &intent)).await?)
    }

    /// Stores what the new head is going to name, and renders the head.
    async fn prepare(
        &self,
        plan: Plan,
        head: Option<&Head>,
        by: &Authorship,
    ) -> Result<Box<Committed>, Error> {
        let base = head.map(|head| head.commit.clone());
        let settings = plan.settings.clone();
        let changes = plan.changes.clone();
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let Indexes { described, files } =
            compute(move || Indexes::build(plan, base.as_ref(), threads)).await;
        let writes = files.iter().map(|file| async move {
            let key = pool::in_suite(self.name, &file.by_hash_path());
            self.put_immutable(&key, file.bytes.clone(), file.stored.sha256)
                .await
        });
        let written: Vec<_> = stream::iter(writes)
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect()
            .await?;
        let store_time = written
            .into_iter()
            .chain([head.and_then(|head| head.store_time)])
            .flatten()
            .max();
        let commit = Commit {
            format: Commit::FORMAT,
            parent: head.map(|head| head.id),
            time: date_of(store_time.ok_or(Error::NoStoreTime)?, head),
            author: by.author.clone(),
            tool: concat!("debucket ", env!("CARGO_PKG_VERSION")).to_owned(),
            message: by.message.clone(),
            settings,
            changes,
            indexes: described,
        };
        let (bytes, id) = commit.to_bytes();
        self.put_immutable(&pool::commit_key(self.name, &id), bytes.into(), id)
            .await?;
        let release = render(self.name, &commit, &id, self.signing).await?;
        Ok(Box::new(Committed {
            id,
            commit,
            etag: None,
            release,
            files,
        }))
    }

    /// Writes an object whose name is its content's digest; returns the store's clock. To write it twice does no harm, and
    /// shows whoever collects garbage that it is in use again.
    async fn put_immutable(
        &self,
        key: &str,
        bytes: Bytes,
        sha256: Sha256,
    ) -> Result<Option<Timestamp>, Error> {
        let mut options = PutOptions::new(PutMode::Overwrite);
        options.sha256 = Some(sha256.0);
        options.cache_control = Some("public, max-age=31536000, immutable");
        Ok(self
            .storage
            .put(key, Payload::Bytes(bytes), options)
            .await?
            .date)
    }

    async fn move_head(
        &self,
        old: Option<&Head>,
        single_writer: bool,
        new: &Rendered,
    ) -> Result<PutReply, s3_storage::Error> {
        let mode = match old {
            _ if single_writer => PutMode::Overwrite,
            Some(old) => PutMode::Update(old.etag.clone()),
            None => PutMode::Create,
        };
        let bytes = Bytes::copy_from_slice(new.head());
        let mut options = PutOptions::new(mode);
        options.sha256 = Some(Sha256::of(&bytes).0);
        options.content_type = Some("text/plain; charset=utf-8");
        options.cache_control = Some("no-cache");
        self.storage
            .put(
                &head_key(self.name, new.signed.is_some()),
                Payload::Bytes(bytes),
                options,
            )
            .await
    }
}

enum Attempt {
    Done(Outcome),
    Again(Pending),
}

/// The `Date` of a new head: the store's time, to the second, but never before its parent's. (apt ignores a head that is older
/// than the one that it has, and refuses one from the future.)
fn date_of(store_time: Timestamp, parent: Option<&Head>) -> Timestamp {
    let whole = Timestamp::from_second(store_time.as_second()).unwrap_or(store_time);
    parent.map_or(whole, |parent| parent.date.max(whole))
}

/// Renders and signs the `Release` of a commit. The signature has the commit's time, so the publisher's clock plays no part.
///
/// # Errors
/// Those of the signer.
pub async fn render(
    suite: &SuiteName,
    commit: &Commit,
    id: &Sha256,
    signing: &Signing,
) -> Result<Rendered, Error> {
    let release = release::render(suite, commit, id);
    let signed = match signing {
        Signing::Unsigned => None,
        Signing::Key { signer, .. } => {
            let time =
                SignatureTime::try_from(commit.time.as_second()).map_err(|_| Error::NoStoreTime)?;
            let signer = signer.as_ref();
            let key = choose_key(&keys_at(signer, time), &[], &[], true)?.key;
            Some(sign_release(&release, time, &[SignWith { signer, key }]).await?)
        }
    };
    Ok(Rendered { release, signed })
}

/// Runs what costs time on a thread that may block.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The pause before the next attempt: longer each time, and of random length, so that a crowd spreads out.
fn pause(attempts: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << attempts.min(7))
        .min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
}
