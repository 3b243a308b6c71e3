//! Publishing: packages into one suite, as one commit.
//!
//! describe (the caller has done that: bad input stops before anything is sent) → plan once, to find conflicts early and to leave out what is
//! there → upload → commit → followers.

use deb_index::{
    name::SuiteName,
    plan::{Intent, Plan},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::{ConditionalWrites, Progress, Storage};

use crate::{
    commit::{self, Authorship, Committed, Outcome, Signing, Suite},
    error::Error,
    followers::{self, Leader},
    snapshot::{self, Head, IndexCache},
    upload::{self, PackageFile},
};

/// Packages that are uploaded at once.
const CONCURRENT_UPLOADS: usize = 8;

/// Packages that shall be in a suite.
pub struct Publication<'a> {
    /// The repository.
    pub storage: &'a dyn Storage,
    /// The suite.
    pub suite: &'a SuiteName,
    /// How it is signed.
    pub signing: &'a Signing,
    /// The packages.
    pub files: Vec<PackageFile>,
    /// Everything else that is wanted; its additions are taken from `files`.
    pub intent: Intent,
    /// What the commit says of its making.
    pub by: Authorship,
}

/// What a publication would do now.
pub struct Preview {
    /// The head that it was planned on.
    pub head: Option<Head>,
    /// The plan.
    pub plan: Plan,
    /// The indexes that were read for it.
    cache: IndexCache,
}

/// What was published.
pub struct Published {
    /// The commit, or the head that was so already.
    pub outcome: Outcome,
    /// Why the followers were not brought up, if they were not. The repository is whole all the same.
    pub lagging: Option<Error>,
}

impl Publication<'_> {
    fn suite(&self) -> Suite<'_> {
        Suite {
            storage: self.storage,
            name: self.suite,
            signing: self.signing,
        }
    }

    /// Plans without writing anything.
    ///
    /// # Errors
    /// Conflicts, and those of reading.
    pub async fn preview(&mut self) -> Result<Preview, Error> {
        self.intent.additions = self
            .files
            .iter()
            .map(|file| file.addition.clone())
            .collect();
        self.intent.signing_keys = self.signing.fingerprints();
        self.intent.deduplicate()?;
        let head = snapshot::read_head(self.storage, self.suite, &self.signing.trust()).await?;
        let mut cache = IndexCache::default();
        let plan = self
            .suite()
            .plan(&self.intent, head.as_ref(), &mut cache)
            .await?;
        Ok(Preview { head, plan, cache })
    }

    /// Carries the publication out, from its preview on.
    ///
    /// `progress` gives, for each package, what is told of the bytes that were sent.
    ///
    /// # Errors
    /// Those of the store, and conflicts with whoever was faster. The suite is as it was then.
    pub async fn publish(
        mut self,
        preview: Preview,
        progress: impl Fn(&PackageFile) -> Option<Progress>,
    ) -> Result<Published, Error> {
        let Preview { head, plan, cache } = preview;
        self.require_conditional_writes(head.as_ref()).await?;
        self.upload(&plan, progress).await?;
        // It holds whole indexes.
        drop(plan);
        let outcome = self.suite().commit(&self.intent, &self.by, cache).await?;
        let lagging = self.bring_up_followers(&outcome).await.err();
        Ok(Published { outcome, lagging })
    }

    /// Before a suite's first commit, and wherever nobody has found out yet, the store is probed.
    async fn require_conditional_writes(&self, head: Option<&Head>) -> Result<(), Error> {
        let is_known = head.is_some_and(|head| !head.commit.settings.single_writer);
        if self.intent.single_writer || is_known {
            return Ok(());
        }
        match s3_storage::probe(self.storage).await? {
            ConditionalWrites::Supported => Ok(()),
            ConditionalWrites::Unsupported(gap) => Err(Error::NoConditionalWrites(gap)),
        }
    }

    /// Uploads what the plan adds, and notes the keys where it came to lie.
    async fn upload(
        &mut self,
        plan: &Plan,
        progress: impl Fn(&PackageFile) -> Option<Progress>,
    ) -> Result<(), Error> {
        let is_needed = |file: &&PackageFile| {
            let addition = &file.addition;
            plan.changes.iter().any(|change| {
                change.filename == addition.filename && change.sha256 == addition.sha256()
            })
        };
        let (storage, replace) = (self.storage, self.intent.replace);
        let uploads = self.files.iter().filter(is_needed).map(|file| {
            let progress = progress(file);
            async move {
                let key = upload::upload(storage, file, replace, progress).await?;
                Ok::<_, Error>((file.addition.filename.clone(), key))
            }
        });
        let moved: Vec<_> = stream::iter(uploads.collect::<Vec<_>>())
            .buffer_unordered(CONCURRENT_UPLOADS)
            .try_collect()
            .await?;
        for addition in &mut self.intent.additions {
            if let Some((_, key)) = moved.iter().find(|(own, _)| *own == addition.filename) {
                addition.filename.clone_from(key);
            }
        }
        Ok(())
    }

    /// Also where nothing was to do: whoever did it may have been killed before this.
    async fn bring_up_followers(&self, outcome: &Outcome) -> Result<(), Error> {
        let rendered;
        let (etag, commit, release, files) = match outcome {
            Outcome::Committed(committed) => {
                let Committed {
                    etag: Some(etag),
                    commit,
                    release,
                    files,
                    ..
                } = &**committed
                else {
                    return Ok(());
                };
                (etag, commit, release, files.as_slice())
            }
            Outcome::Unchanged(head) => {
                rendered = commit::render(self.suite, &head.commit, &head.id, self.signing).await?;
                (&head.etag, &head.commit, &rendered, &[][..])
            }
        };
        let (storage, suite, single_writer) = (self.storage, self.suite, self.intent.single_writer);
        followers::bring_up(&Leader {
            storage,
            suite,
            etag,
            commit,
            release,
            files,
            single_writer,
        })
        .await
    }
}
