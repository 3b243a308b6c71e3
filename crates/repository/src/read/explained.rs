//! Telling a suite that was deleted meanwhile, and perhaps begun again, from one that is damaged.

use deb_index::{digest::Sha256, suite::layout};

use crate::{
    Error, Folder, Head, Missing, Suite,
    read::loss::{Mark, TRIES, is_loss},
};

impl Suite<'_> {
    /// Reads something that a head names. If that is gone because the suite was deleted meanwhile, begins again with the head that
    /// is there then. Returns the head, too, from which it was read in the end.
    ///
    /// # Errors
    /// Those of `read` and of [`Suite::existing_head`].
    pub async fn reading<T>(
        &self,
        mut head: Head,
        read: impl AsyncFn(&Head) -> Result<T, Error>,
    ) -> Result<(Head, T), Error> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match read(&head).await {
                Err(error) if left > 0 && is_loss(&error) && self.is_gone(&head).await => {
                    head = self.existing_head().await?;
                }
                done => return done.map(|done| (head, done)),
            }
        }
    }

    /// Whether the suite that had this head was deleted meanwhile. Another one may have its name.
    pub async fn is_gone(&self, head: &Head) -> bool {
        self.has_lost(&head.mark()).await
    }

    /// The same of a head whose commit may not have been read. Where the store cannot be asked, that is not known.
    pub(crate) async fn has_lost(&self, mark: &Mark) -> bool {
        match self.look(&mark.key).await {
            Ok(None) => true,
            Ok(Some(now)) => now.etag != mark.etag && self.has_lost_commit(&mark.commit).await,
            Err(_) => false,
        }
    }

    /// Whether a commit that was there is not any more. As long as a suite is not deleted, its newest is there.
    pub(crate) async fn has_lost_commit(&self, id: &Sha256) -> bool {
        let there = self.look(&layout::commit_key(&self.name, id)).await;
        matches!(there, Ok(None))
    }

    /// An error, or that the name is an alias no longer, where it only shows a suite that does not list it.
    pub(crate) async fn of_name(&self, error: Error) -> Error {
        match error {
            Error::IsAlias { alias, suite }
                if matches!(self.repository.has_alias(&suite, &alias).await, Ok(false)) =>
            {
                Missing::Alias { suite, alias }.into()
            }
            error => error,
        }
    }

    /// An error, or what it comes from: of a suite that is deleted meanwhile, what was about to be read is gone.
    pub(crate) async fn explained(&self, error: Error) -> Error {
        if !is_loss(&error) || !matches!(self.head_tag().await, Ok(None)) {
            return error;
        }
        let suite = self.name.clone();
        match self.what_it_is().await {
            Ok(Some(Folder::Deleting | Folder::Remains)) => Error::Deleting { suite },
            Ok(Some(Folder::Deleted | Folder::Reserved(_))) => Error::Deleted { suite },
            _ => error,
        }
    }
}
