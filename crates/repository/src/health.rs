//! A quick look at what clients of a suite fetch: one `HEAD` for each object, so that it needs no right but that of a device.
//! [`Repository::verify`](crate::Repository::verify) looks at everything.

use deb_index::{
    digest::Sha256,
    index::IndexPath,
    suite::{commit::Commit, layout},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use s3_storage::ErrorKind;

use crate::{Error, Head, Repository, Suite, keys::signature_time, succession::Seen};

/// Objects that are looked at at once.
const CONCURRENT: usize = 16;

/// An object that clients cannot use, or that does not show what the head has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ailing {
    pub key: String,
    /// What is wrong, to be read after the key: `is missing`.
    pub problem: &'static str,
}

/// What an object has to be.
struct Expected {
    key: String,
    size: Option<u64>,
    /// The digest that its metadata has to name, of a follower.
    follows: Option<Sha256>,
}

impl Repository {
    /// Whether the store's clock makes sense, so that a suite can be dated by it.
    ///
    /// # Errors
    /// [`Error::StoreClock`].
    pub fn check_store_clock(&self, store: Timestamp) -> Result<(), Error> {
        self.clock.check(store)
    }
}

impl Suite<'_> {
    /// The head of a suite that has to exist. One that is gone is told from a suite that never was.
    ///
    /// # Errors
    /// As [`Suite::existing_head`]; [`Error::HeadVanished`].
    pub async fn require_head(&self) -> Result<Head, Error> {
        match self.head().await? {
            Some(head) => Ok(head),
            None if self.has_history().await? => Err(Error::HeadVanished {
                suite: self.name.clone(),
            }),
            None => Err(self.missing().into()),
        }
    }

    /// The index files by hash that the head names and that are missing or have another size.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ailing_indexes(&self, head: &Head) -> Result<Vec<Ailing>, Error> {
        let files = self.files(&head.commit, |path, _, sha256| path.by_hash(sha256));
        let files = files.into_iter().map(|(key, size, _)| Expected {
            key,
            size: Some(size),
            follows: None,
        });
        self.ailing(files.collect()).await
    }

    /// The followers of the head that are missing or follow another one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ailing_followers(&self, head: &Head) -> Result<Vec<Ailing>, Error> {
        let files = self.files(&head.commit, |path, extension, _| {
            path.with_extension(extension)
        });
        let files = files.into_iter().map(|(key, size, sha256)| Expected {
            key,
            size: Some(size),
            follows: Some(sha256),
        });
        let mut expected: Vec<_> = files.collect();
        if !head.signatures.is_unsigned() {
            expected.extend(["Release", "Release.gpg"].map(|name| Expected {
                key: layout::in_suite(&self.name, name),
                size: None,
                follows: Some(Sha256::of(&head.text)),
            }));
        }
        self.ailing(expected).await
    }

    /// Whether the keys at hand can sign the suite as it is now.
    ///
    /// # Errors
    /// Why not: what a publish would fail with.
    pub fn check_signing(&self, head: &Head) -> Result<(), Error> {
        let (signed, settings) = (head.signed(), &head.commit.settings);
        self.keys.check(&self.name, Some(signed))?;
        let now = signature_time(head.store_time.unwrap_or(head.release.date))?;
        let chosen = self
            .keys
            .choose(&self.name, Some(signed), settings, now, false);
        chosen.map(drop)
    }

    /// The index files of a commit, each with its size and digest, at a place in the suite.
    fn files(
        &self,
        commit: &Commit,
        place: impl Fn(&IndexPath, &str, &Sha256) -> String,
    ) -> Vec<(String, u64, Sha256)> {
        let files = commit.files().map(|(path, extension, stored)| {
            let key = layout::in_suite(&self.name, &place(path, extension, &stored.sha256));
            (key, stored.size, stored.sha256)
        });
        files.collect()
    }

    async fn ailing(&self, expected: Vec<Expected>) -> Result<Vec<Ailing>, Error> {
        let looks = expected.into_iter().map(|expected| async move {
            let problem = match self.repository.storage.head(&expected.key).await {
                Ok(meta) if expected.size.is_some_and(|size| size != meta.size) => {
                    "has another size"
                }
                Ok(meta) => match expected.follows {
                    Some(follows) if Seen::of(meta).follows != Some(follows) => {
                        "does not follow the head"
                    }
                    _ => return Ok(None),
                },
                Err(error) if error.kind() == ErrorKind::NotFound => "is missing",
                // Who may not list is told so of what is missing, too.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    "is missing or may not be read"
                }
                Err(error) => return Err(Error::from(error)),
            };
            let key = expected.key;
            Ok(Some(Ailing { key, problem }))
        });
        let found: Vec<_> = stream::iter(looks.collect::<Vec<_>>())
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}
