//! Carrying out a change that is planned, or a dry run of that.

use deb_index::suite::{commit::Authorship, layout};

use crate::{
    Draft, Error, Observer, Outcome, PackageFile, Published, Silent,
    commit::{
        Run, followers,
        upload::{Lost, Mode, restore_all, upload_all},
    },
    read::loss::is_loss,
};

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
        self.carry_out(files, authorship, observer).await
    }

    /// The same. The draft is then as it was carried out, on whatever base that was in the end.
    ///
    /// # Errors
    /// Those of [`Draft::commit`].
    pub async fn carry_out(
        &mut self,
        files: &[PackageFile],
        authorship: &Authorship,
        observer: &dyn Observer,
    ) -> Result<Published, Error> {
        let suite = self.suite;
        match self.carried_out(files, authorship, observer).await {
            Err(error) => match suite.explained(error).await {
                error @ (Error::Deleting { .. } | Error::Deleted { .. }) => Err(error),
                error => Err(self.replaced(error).await),
            },
            published => published,
        }
    }

    /// An error, or what it comes from: the suite of the draft was deleted, and another one has its name.
    pub(crate) async fn replaced(&self, error: Error) -> Error {
        match &self.base {
            Some(base)
                if (is_loss(&error) || error.is_put_back())
                    && self.suite.has_lost_commit(&base.id()).await =>
            {
                Error::Replaced {
                    suite: self.suite.name.clone(),
                }
            }
            _ => error,
        }
    }

    async fn carried_out(
        &mut self,
        files: &[PackageFile],
        authorship: &Authorship,
        observer: &dyn Observer,
    ) -> Result<Published, Error> {
        let run = Run {
            suite: self.suite,
            authorship,
            allow: self.allow,
            observer,
            files,
        };
        self.check_files(files)?;
        let restored = restore_all(self.suite, &self.lost, files, observer, Mode::Write).await?;
        self.store_time = restored.max(self.store_time);
        run.check_clock(self.store_time)?;
        if self.is_empty()
            && let Some(head) = &self.base
        {
            let stale_followers = followers::check(self.suite, head, &self.beside).await.err();
            return Ok(Published {
                outcome: Outcome::Unchanged(Box::new(head.clone())),
                stale_followers,
            });
        }
        let (prepared, tags) = run.first(self).await?;
        let ((outcome, leader), tags) = match run.move_head(self, prepared).await? {
            Ok(written) => (written, tags),
            Err(pending) => (run.again(self, *pending).await?, None),
        };
        // What follows the commit that closes a suite would only be deleted, or be left where another run has deleted all.
        let leader = leader.filter(|_| !self.intent.closes());
        let stale_followers = match (run.outlive(self).await, leader) {
            (Err(error @ (Error::Deleting { .. } | Error::Reserved { .. })), _) => {
                return Err(error);
            }
            (Err(error), _) => Some(error),
            (Ok(()), Some(leader)) => followers::bring_up(run.suite, leader, tags).await.err(),
            (Ok(()), None) => None,
        };
        Ok(Published {
            outcome,
            stale_followers,
        })
    }

    /// Fails if a package to add is in the suite already, but its file is lost and not among these.
    ///
    /// # Errors
    /// [`Error::FileLost`].
    pub fn check_files(&self, files: &[PackageFile]) -> Result<(), Error> {
        let is_at_hand = |lost: &&Lost| files.iter().any(|file| file.stanza.id == lost.stanza.id);
        let Some(Lost { stanza, .. }) = self.lost.iter().find(|lost| !is_at_hand(lost)) else {
            return Ok(());
        };
        // It would be sent to another key where there is another file at its own.
        let is_own = |key: &&String| layout::key_with_digest(key, &stanza.sha256) == stanza.key;
        let key = self.damaged.iter().find(is_own);
        Err(Error::FileLost {
            suite: self.suite.name.clone(),
            key: key.unwrap_or(&stanza.key).clone(),
        })
    }

    /// Looks at all that [`Draft::commit`] comes upon before it writes. From then on the plan has the keys that packages would get.
    ///
    /// What only a write tells is not known: whether the store takes it, and what others do meanwhile.
    ///
    /// # Errors
    /// Those of [`Draft::commit`] with the same files.
    pub async fn rehearse(&mut self, files: &[PackageFile]) -> Result<(), Error> {
        self.check_files(files)?;
        restore_all(self.suite, &self.lost, files, &Silent, Mode::Look).await?;
        if self.is_empty() {
            return Ok(());
        }
        let run = Run {
            suite: self.suite,
            authorship: &Authorship::default(),
            allow: self.allow,
            observer: &Silent,
            files,
        };
        let wanted = run.unsent(self);
        self.spare(files, Mode::Look).await?;
        let repository = self.suite.repository;
        let found = upload_all(repository, &wanted, &Silent, Mode::Look).await?;
        run.stored(self, &wanted, found).await?;
        let base = self.base.as_ref();
        let time = self.suite.time_of(base, self.store_time, self.allow);
        self.suite
            .rehearse(&self.planned, base, time, self.allow)
            .await
    }
}
