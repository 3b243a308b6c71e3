//! Reading the head of a suite and the commit that it names.
//!
//! Trust runs along digests. The head is verified first, with the keys that the caller accepts; the commit must have the digest
//! that the head names, each index file the one that the commit names. In a signed suite `InRelease` is the head. In an unsigned
//! one there is no `InRelease`, and `Release` is.

use std::sync::Arc;

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    name::SuiteName,
    suite::{
        commit::Commit,
        layout,
        release::{Release, ReleaseError},
    },
};
use futures::join;
use jiff::Timestamp;
use repo_signing::{Issuer, Verified};
use s3_storage::{ETag, ErrorKind, ObjectMeta};

use crate::{
    commit::keys::{HeadSignatures, Keys, Signed},
    error::{Error, Missing},
    folders::folder::Folder,
    read::loss::{Mark, TRIES, is_loss},
    suite::Suite,
};

/// The most bytes of a `Release` or a commit that are read: far above what the largest suite has.
const METADATA_LIMIT: u64 = 64 << 20;

/// The head of a suite, and the commit that it names.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its version tag in the store.
    pub etag: ETag,
    pub signatures: HeadSignatures,
    /// The bytes of the object.
    pub bytes: Bytes,
    /// The bytes of `Release`, as they were signed.
    pub text: Bytes,
    pub release: Release,
    pub commit: Arc<Commit>,
    /// The store's clock when the head was read.
    pub store_time: Option<Timestamp>,
    /// Why it may not be the newest head that the suite has had, where something says so.
    pub put_back: Option<PutBack>,
}

/// What says that a head is not the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBack {
    pub why: String,
    /// Whether something signed may still show the newest.
    pub is_vouched: bool,
}

/// A head whose signature was checked, but whose commit was not read yet.
#[derive(Debug)]
pub(crate) struct SignedHead {
    etag: ETag,
    signatures: HeadSignatures,
    bytes: Bytes,
    text: Bytes,
    pub(crate) release: Release,
    store_time: Option<Timestamp>,
    /// Who else signed it, by keys that are not at hand.
    pub(crate) others: Vec<Issuer>,
}

impl SignedHead {
    /// A text with good signatures, as it was found in an object.
    pub(crate) fn of(
        object: ObjectMeta,
        bytes: Bytes,
        verified: Verified,
        text: Bytes,
    ) -> Result<Self, ReleaseError> {
        Ok(Self {
            release: Release::parse(&text)?,
            etag: object.etag,
            signatures: HeadSignatures::By(verified.signatures),
            bytes,
            text,
            store_time: object.date,
            others: verified.others,
        })
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn signatures(&self) -> &HeadSignatures {
        &self.signatures
    }

    pub(crate) fn etag(&self) -> &ETag {
        &self.etag
    }

    pub(crate) fn mark(&self, suite: &SuiteName) -> Mark {
        Mark {
            key: layout::head_key(suite, !self.signatures.is_unsigned()),
            etag: self.etag.clone(),
            commit: self.release.commit,
        }
    }
}

impl Head {
    /// The name of its commit.
    #[must_use]
    pub fn id(&self) -> Sha256 {
        self.release.commit
    }

    pub(crate) fn key(&self) -> String {
        layout::head_key(&self.commit.suite, !self.signatures.is_unsigned())
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            key: self.key(),
            etag: self.etag.clone(),
            commit: self.id(),
        }
    }

    pub(crate) fn signed(&self) -> Signed<'_> {
        Signed {
            signatures: &self.signatures,
            settings: &self.commit.settings,
        }
    }
}

impl Suite<'_> {
    /// Reads the head, and looks for evidence that it was put back; none if the suite does not exist.
    ///
    /// # Errors
    /// Those of the store; a head, or a commit, that cannot be trusted or understood.
    pub async fn head(&self) -> Result<Option<Head>, Error> {
        let read = async |signed: &SignedHead| {
            let id = signed.release.commit;
            let (commit, evidence) = join!(self.read_commit(&id), self.evidence(id));
            let commit = commit?;
            // Who may only read objects cannot look for what may be missing.
            let put_back = match evidence {
                Ok(evidence) => self.check_newest(signed, &commit, &evidence).await.err(),
                Err(_) => None,
            };
            Ok((commit, put_back))
        };
        let Some((signed, (commit, put_back))) = self.with_signed_head(read).await? else {
            return Ok(None);
        };
        let mut head = self.head_of(signed, commit)?;
        let put_back = put_back.filter(Error::is_put_back);
        head.put_back = put_back.map(|error| PutBack {
            why: error.to_string(),
            is_vouched: error.is_vouched(),
        });
        Ok(Some(head))
    }

    /// Reads the head, if there is one, without looking whether it was put back.
    pub(crate) async fn current_head(&self) -> Result<Option<Head>, Error> {
        let read = async |signed: &SignedHead| self.read_commit(&signed.release.commit).await;
        match self.with_signed_head(read).await? {
            Some((signed, commit)) => self.head_of(signed, commit).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the head, and something that it names. If that is gone because the suite was deleted meanwhile, begins again.
    async fn with_signed_head<T>(
        &self,
        read: impl AsyncFn(&SignedHead) -> Result<T, Error>,
    ) -> Result<Option<(SignedHead, T)>, Error> {
        let mut left = TRIES;
        while let Some(signed) = self.signed_head().await? {
            left -= 1;
            match read(&signed).await {
                Err(error)
                    if left > 0
                        && is_loss(&error)
                        && self.has_lost(&signed.mark(&self.name)).await => {}
                done => return done.map(|done| Some((signed, done))),
            }
        }
        Ok(None)
    }

    /// The head of a suite that has to exist.
    ///
    /// # Errors
    /// [`Missing::Suite`]; [`Error::HeadVanished`]; those of [`Suite::head`].
    pub async fn existing_head(&self) -> Result<Head, Error> {
        match self.head().await {
            Ok(Some(head)) => Ok(head),
            Ok(None) => Err(self.headless().await),
            Err(error) => Err(self.of_name(error).await),
        }
    }

    /// What is wrong where there is no head: it is lost if the suite has had one and is not being deleted. Who may not
    /// look is told that there is no suite.
    async fn headless(&self) -> Error {
        // In this order: its first publish may be running.
        let is_lost = matches!(self.has_history().await, Ok(true))
            && matches!(
                self.what_it_is().await,
                Ok(Some(Folder::Suite { has_head: false }))
            );
        match is_lost {
            true => Error::HeadVanished {
                suite: self.name.clone(),
            },
            false => self.missing().into(),
        }
    }

    pub(crate) fn missing(&self) -> Missing {
        Missing::Suite {
            suite: self.name.clone(),
            repository: self.repository.url.to_string(),
        }
    }

    /// The suite and its head; if its name is an alias, the suite that the alias names.
    ///
    /// # Errors
    /// [`Missing`]; those of [`Suite::head`].
    pub async fn resolved(mut self) -> Result<(Self, Head), Error> {
        let alias = match self.head().await {
            Ok(Some(head)) => return Ok((self, head)),
            Ok(None) => return Err(self.headless().await),
            Err(Error::IsAlias { alias, suite }) => {
                self.name = suite;
                alias
            }
            Err(error) => return Err(error),
        };
        let head = self.existing_head().await?;
        if head.commit.settings.aliases.contains(&alias) {
            return Ok((self, head));
        }
        let suite = self.name;
        Err(Missing::Alias { suite, alias }.into())
    }

    /// The version tag of what is at the key of the head, whether it can be used or not.
    pub(crate) async fn head_tag(&self) -> Result<Option<ETag>, Error> {
        let is_signed = !matches!(self.keys, Keys::Unsigned);
        let key = layout::head_key(&self.name, is_signed);
        Ok(self.look(&key).await?.map(|there| there.etag))
    }

    /// Reads the head without its commit.
    pub(crate) async fn signed_head(&self) -> Result<Option<SignedHead>, Error> {
        let Some(head) = self.shown_head().await? else {
            return Ok(None);
        };
        let names = &head.release.names;
        match names.first() {
            Some(suite) if *suite != self.name && names.contains(&self.name) => {
                Err(Error::IsAlias {
                    alias: self.name.clone(),
                    suite: suite.clone(),
                })
            }
            Some(found) if *found != self.name => Err(Error::OtherSuite {
                suite: self.name.clone(),
                found: found.clone(),
            }),
            _ => Ok(Some(head)),
        }
    }

    /// Reads the head that is in the folder, of whatever suite it is.
    pub(crate) async fn shown_head(&self) -> Result<Option<SignedHead>, Error> {
        let untrusted = |source| Error::Untrusted {
            suite: self.name.clone(),
            source,
        };
        let mut others = Vec::new();
        let signed_key = layout::head_key(&self.name, true);
        let (mut signed, mut unsigned) = (self.find(&signed_key).await?, None);
        if signed.is_none() {
            unsigned = self.find(&layout::head_key(&self.name, false)).await?;
            let is_follower = |(object, _): &(ObjectMeta, Bytes)| self.is_follower(object);
            if unsigned.as_ref().is_some_and(is_follower) {
                // The suite may have been created meanwhile.
                signed = self.find(&signed_key).await?;
            }
        }
        let (object, bytes, text, signatures) = match (signed, unsigned) {
            (Some((object, bytes)), _) => match self.keys.accepted() {
                Some(keyring) => {
                    let verified = keyring.verify_inrelease(&bytes).map_err(untrusted)?;
                    let signatures = HeadSignatures::By(verified.signatures);
                    others = verified.others;
                    (object, bytes, verified.release, signatures)
                }
                None => {
                    let text = repo_signing::unverified_text(&bytes).map_err(untrusted)?;
                    (object, bytes, text, HeadSignatures::Unchecked)
                }
            },
            (None, Some((object, bytes))) => {
                let text = bytes.to_vec();
                (object, bytes, text, HeadSignatures::Unsigned)
            }
            (None, None) => return Ok(None),
        };
        let release = match Release::parse(&text) {
            Err(ReleaseError::NotOurs) if self.has_history().await? => {
                return Err(Error::Overwritten {
                    suite: self.name.clone(),
                });
            }
            release => release.map_err(|source| self.unusable(source))?,
        };
        Ok(Some(SignedHead {
            etag: object.etag,
            signatures,
            bytes,
            text: text.into(),
            release,
            store_time: object.date,
            others,
        }))
    }

    fn unusable(&self, source: ReleaseError) -> Error {
        Error::Release {
            suite: self.name.clone(),
            source,
        }
    }

    /// What clients of a folder begin with, whatever suite it shows: the keys of what is there, and what each says.
    pub(crate) async fn shown(&self) -> Result<Vec<(String, Result<Release, Error>)>, Error> {
        let mut shown = Vec::new();
        for is_signed in [true, false] {
            let key = layout::head_key(&self.name, is_signed);
            let Some((_, bytes)) = self.find(&key).await? else {
                continue;
            };
            let text = match is_signed {
                true => repo_signing::unverified_text(&bytes).map_err(|source| Error::Untrusted {
                    suite: self.name.clone(),
                    source,
                }),
                false => Ok(bytes.to_vec()),
            };
            let parse = |text: Vec<u8>| Release::parse(&text).map_err(|it| self.unusable(it));
            shown.push((key, text.and_then(parse)));
        }
        Ok(shown)
    }

    /// A head and its commit, which must belong together.
    pub(crate) fn head_of(&self, signed: SignedHead, commit: Commit) -> Result<Head, Error> {
        let suite = || self.name.clone();
        if commit.suite != self.name {
            return Err(Error::OtherSuite {
                suite: suite(),
                found: commit.suite,
            });
        }
        let settings = &commit.settings;
        match &signed.signatures {
            HeadSignatures::Unsigned if !settings.signing_keys.is_empty() => {
                return Err(Error::SignatureMissing { suite: suite() });
            }
            HeadSignatures::Unsigned if matches!(self.keys, Keys::Verify(_)) => {
                return Err(Error::NotSigned { suite: suite() });
            }
            HeadSignatures::By(by) if !by.iter().any(|by| settings.accepts(&by.certificate)) => {
                let keys = settings.signing_keys.iter();
                return Err(Error::NotAccepted {
                    suite: suite(),
                    key: by[0].certificate,
                    accepted: keys.map(|key| key.fingerprint).collect(),
                });
            }
            _ => {}
        }
        Ok(Head {
            etag: signed.etag,
            signatures: signed.signatures,
            bytes: signed.bytes,
            text: signed.text,
            release: signed.release,
            commit: Arc::new(commit),
            store_time: signed.store_time,
            put_back: None,
        })
    }

    /// Reads an object that may be missing.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<(ObjectMeta, Bytes)>, Error> {
        match self.repository.storage.get_bytes(key, METADATA_LIMIT).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a commit.
    ///
    /// # Errors
    /// Those of the store; [`Error::Commit`] if its content is not what its name says.
    pub async fn read_commit(&self, id: &Sha256) -> Result<Commit, Error> {
        let key = layout::commit_key(&self.name, id);
        let (_, bytes) = self
            .find(&key)
            .await?
            .ok_or_else(|| self.damaged(key, "is missing"))?;
        Commit::parse(id, &bytes).map_err(|source| Error::Commit {
            suite: self.name.clone(),
            id: *id,
            source,
        })
    }

    /// Whether this program may build on a commit of the suite.
    ///
    /// # Errors
    /// [`Error::Commit`].
    pub(crate) fn check_requirements(&self, id: Sha256, commit: &Commit) -> Result<(), Error> {
        commit.check_requirements().map_err(|source| Error::Commit {
            suite: self.name.clone(),
            id,
            source,
        })
    }

    pub(crate) fn damaged(&self, key: String, problem: &'static str) -> Error {
        Error::Damaged {
            suite: self.name.clone(),
            key,
            problem,
        }
    }
}
