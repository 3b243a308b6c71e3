//! A quick look at what clients of a suite fetch: one `HEAD` for each object, so that it needs no right but that of a device.
//! [`Repository::verify`](crate::Repository::verify) looks at everything. Damage in one suite or object never hides another.

use deb_index::{
    digest::Sha256,
    name::SuiteName,
    suite::{commit::Commit, layout},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use s3_storage::ErrorKind;

use crate::{
    Error, Head, Repository, Selection, Suite, commit::keys::signature_time,
    read::succession::Seen, verify::alias_check::DELETED,
};

/// Objects that are looked at at once.
const CONCURRENT: usize = 16;
/// Package files of a suite that are looked at.
const PACKAGES: usize = 200;

/// An object that clients cannot use, or that does not show what the head has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    pub key: String,
    /// What is wrong, to be read after the key: `is missing`.
    pub problem: String,
    /// It is whole, but shows an earlier state.
    pub lags: bool,
}

/// The package files of a suite, as far as they were looked at.
#[derive(Debug)]
pub struct PackagesSeen {
    /// All that its indexes name.
    pub all: usize,
    /// Those that were looked at.
    pub seen: usize,
    pub unhealthy: Vec<Unhealthy>,
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
    /// As [`Suite::existing_head`]; [`Error::HeadVanished`]; [`Error::Deleting`].
    pub async fn require_head(&self) -> Result<Head, Error> {
        let head = match self.head_if_ever().await {
            Ok(Some(head)) if head.commit.is_closed() => Err(Error::Deleting {
                suite: self.name.clone(),
            }),
            Ok(Some(head)) => return Ok(head),
            Ok(None) => Err(self.missing().into()),
            Err(error) => Err(error),
        };
        if let Ok(what) = self.what_it_is().await {
            self.check_not_deleting(what.as_ref())?;
        }
        head
    }

    /// The index files by hash that the head names and that are missing or have another size.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unhealthy_indexes(&self, head: &Head) -> Result<Vec<Unhealthy>, Error> {
        self.unhealthy(by_hash(&self.name, &head.commit).collect())
            .await
    }

    /// The followers of the head that are missing or follow another one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unhealthy_followers(&self, head: &Head) -> Result<Vec<Unhealthy>, Error> {
        let mut expected: Vec<_> = followers(&self.name, &head.commit).collect();
        if !head.signatures.is_unsigned() {
            expected.extend(beside(&self.name, head, &["Release", "Release.gpg"]));
        }
        self.unhealthy(expected).await
    }

    /// What is wrong in the folders of the aliases of the head.
    ///
    /// # Errors
    /// Those of the store; after all others were looked at, that of an alias that the suite does not hold.
    pub async fn unhealthy_aliases(&self, head: &Head) -> Result<Vec<Unhealthy>, Error> {
        let (mut unhealthy, mut lost) = (Vec::new(), None);
        for alias in &head.commit.settings.aliases {
            if let Err(error) = self.check_held(alias).await {
                let error = match error {
                    Error::Deleted { .. } => self.damaged(layout::founding_key(alias), DELETED),
                    error => error,
                };
                lost = lost.or(Some(error));
                continue;
            }
            let heads: &[&str] = if head.signatures.is_unsigned() {
                &["Release"]
            } else {
                &["InRelease", "Release", "Release.gpg"]
            };
            let indexes = by_hash(alias, &head.commit).chain(followers(alias, &head.commit));
            let expected = indexes.chain(beside(alias, head, heads));
            unhealthy.extend(self.unhealthy(expected.collect()).await?);
        }
        match lost {
            Some(error) if unhealthy.is_empty() => Err(error),
            _ => Ok(unhealthy),
        }
    }

    /// The package files that are missing or have another size: of a large suite, some of them are looked at.
    ///
    /// # Errors
    /// An index that cannot be read; those of the store.
    pub async fn unhealthy_packages(&self, head: &Head) -> Result<PackagesSeen, Error> {
        let commit = head.commit.clone();
        let list = self.packages_of(head.id(), commit, Selection::default());
        let list = list.await?;
        let mut expected = Vec::new();
        for package in self.sorted(&list)? {
            let size = package.stanza.field("Size");
            if let Some(key) = package.stanza.field("Filename") {
                expected.push(Expected {
                    key: key.to_owned(),
                    size: size.and_then(|size| size.parse().ok()),
                    follows: None,
                });
            }
        }
        let all = expected.len();
        fastrand::shuffle(&mut expected);
        expected.truncate(PACKAGES);
        expected.sort_by(|one, two| one.key.cmp(&two.key));
        Ok(PackagesSeen {
            all,
            seen: expected.len(),
            unhealthy: self.unhealthy(expected).await?,
        })
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

    async fn unhealthy(&self, expected: Vec<Expected>) -> Result<Vec<Unhealthy>, Error> {
        let looks = expected.into_iter().map(|expected| async move {
            let (problem, lags) = match self.repository.storage.head(&expected.key).await {
                Ok(meta) => {
                    let has_size = expected.size.is_none_or(|size| Some(size) == meta.size);
                    let follows = Seen::of(meta).follows;
                    match expected.follows {
                        Some(_) if follows != expected.follows => {
                            ("does not follow the head", follows.is_some())
                        }
                        _ if has_size => return Ok(None),
                        _ => ("has another size", false),
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => ("is missing", false),
                // Those who may not list keys get the same answer for what is missing.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    ("is missing or may not be read", false)
                }
                Err(error) => return Err(Error::from(error)),
            };
            Ok(Some(Unhealthy {
                key: expected.key,
                problem: problem.to_owned(),
                lags,
            }))
        });
        let found: Vec<_> = stream::iter(looks.collect::<Vec<_>>())
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// The index files of a commit under their digests, in a folder.
fn by_hash<'c>(
    folder: &'c SuiteName,
    commit: &'c Commit,
) -> impl Iterator<Item = Expected> + use<'c> {
    commit.files().map(move |(path, _, stored)| Expected {
        key: layout::by_hash_key(folder, path, &stored.sha256),
        size: Some(stored.size),
        follows: None,
    })
}

/// The index files of a commit under fixed names, in a folder.
fn followers<'c>(
    folder: &'c SuiteName,
    commit: &'c Commit,
) -> impl Iterator<Item = Expected> + use<'c> {
    commit
        .files()
        .map(move |(path, extension, stored)| Expected {
            key: layout::in_suite(folder, &path.with_extension(extension)),
            size: Some(stored.size),
            follows: Some(stored.sha256),
        })
}

/// What follows the head itself.
fn beside(folder: &SuiteName, head: &Head, names: &[&str]) -> Vec<Expected> {
    let expected = |name: &&str| Expected {
        key: layout::in_suite(folder, name),
        size: None,
        follows: Some(Sha256::of(match *name {
            "InRelease" => &head.bytes,
            _ => &head.text,
        })),
    };
    names.iter().map(expected).collect()
}
