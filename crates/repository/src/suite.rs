//! A suite of a repository: reading it.

use deb_index::{digest::Sha256, name::SuiteName, suite::commit::Commit};
use futures::{Stream, stream};

use crate::{Error, Head, HeadSignatures, Keys, Missing, Repository, Warning, key_expiry};

/// A suite, open for reading, and for changes if its [`Keys`] allow them.
#[derive(Debug)]
pub struct Suite<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) name: SuiteName,
    pub(crate) keys: Keys,
}

impl Suite<'_> {
    #[must_use]
    pub fn name(&self) -> &SuiteName {
        &self.name
    }

    /// The head of a suite that has to exist.
    ///
    /// # Errors
    /// [`Missing::Suite`]; those of [`Suite::head`].
    pub async fn existing_head(&self) -> Result<Head, Error> {
        let missing = || Missing::Suite {
            suite: self.name.clone(),
            repository: self.repository.url.to_string(),
        };
        Ok(self.head().await?.ok_or_else(missing)?)
    }

    /// The history from `newest` back, newest first.
    pub fn history(&self, newest: Sha256) -> impl Stream<Item = Result<(Sha256, Commit), Error>> {
        stream::try_unfold(Some(newest), move |next| async move {
            let Some(id) = next else { return Ok(None) };
            let commit = self.read_commit(&id).await?;
            let parent = commit.parent;
            Ok(Some(((id, commit), parent)))
        })
    }

    /// What is known to go wrong with this head: keys that expire, and a date that devices refuse.
    #[must_use]
    pub fn warnings(&self, head: &Head) -> Vec<Warning> {
        let clock = &self.repository.clock;
        let mut warnings = Vec::new();
        if clock.is_absurd(head.release.date) {
            warnings.push(Warning::FutureDate {
                suite: self.name.to_string(),
                date: head.release.date,
            });
        }
        if let HeadSignatures::By(signatures) = &head.signatures {
            let now = head.store_time.unwrap_or_else(|| clock.now());
            warnings.extend(signatures.iter().filter_map(|by| {
                let certificate = self.keys.certificate_of(by.key)?;
                key_expiry(&certificate, by.key, now)
            }));
        }
        warnings
    }
}
