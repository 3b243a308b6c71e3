//! Reading a suite: its head, the commit that the head names, and the indexes that the commit names.
//!
//! Trust runs along digests: the head is verified first, with the keys that the caller trusts; the commit must have the digest
//! that the head names, each index file the one that the commit names. In a signed suite `InRelease` is the head. In an unsigned
//! one there is no `InRelease`, and `Release` is.

use std::collections::BTreeMap;

use bytes::Bytes;
use deb_index::{
    commit::{Commit, Index, Stored},
    compression::{self, Format},
    digest::Sha256,
    name::SuiteName,
    plan::{IndexId, PlainIndexes},
    pool,
    release::Release,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use repo_signing::{Fingerprint, Keyring};
use s3_storage::{ETag, ErrorKind, Storage};

use crate::error::Error;

/// Most that a `Release` or a commit may have, in bytes: far above what the largest suite has.
const METADATA_LIMIT: u64 = 64 << 20;
/// Most that a stored index may have, in bytes.
const INDEX_LIMIT: u64 = 2 << 30;
/// Index files that are read at once.
const CONCURRENT_READS: usize = 8;

/// Whose heads are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Only heads signed by one of these keys, and unsigned suites.
    Keyring(Keyring),
    /// Any: for reading where no key is at hand, and for a publisher without one, which builds on unsigned heads only.
    Unchecked,
}

/// The head of a suite, and the commit that it names.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its version tag in the store.
    pub etag: ETag,
    /// Whether it is an `InRelease`.
    pub is_signed: bool,
    /// The bytes of `Release`, as they were signed.
    pub release: Vec<u8>,
    /// When it was made.
    pub date: Timestamp,
    /// Name of the commit.
    pub id: Sha256,
    /// The commit.
    pub commit: Commit,
    /// The store's clock when it was read.
    pub store_time: Option<Timestamp>,
}

/// Key of the head of a suite.
pub fn head_key(suite: &SuiteName, is_signed: bool) -> String {
    pool::in_suite(suite, if is_signed { "InRelease" } else { "Release" })
}

/// Reads the head of `suite`; `None` if there is no such suite.
///
/// # Errors
/// Those of the store; a head, or a commit, that cannot be trusted or understood.
pub async fn read_head(
    storage: &dyn Storage,
    suite: &SuiteName,
    trust: &Trust,
) -> Result<Option<Head>, Error> {
    let untrusted = |source| Error::Untrusted {
        suite: suite.clone(),
        source,
    };
    let (object, release, signers) = match find(storage, &head_key(suite, true)).await? {
        Some((object, bytes)) => match trust {
            Trust::Keyring(keyring) => {
                let verified = keyring.verify_inrelease(&bytes).map_err(untrusted)?;
                let signers = verified.signatures.iter().map(|good| good.certificate);
                (object, verified.release, Some(signers.collect()))
            }
            Trust::Unchecked => (
                object,
                repo_signing::unverified_text(&bytes).map_err(untrusted)?,
                Some(Vec::new()),
            ),
        },
        None => match find(storage, &head_key(suite, false)).await? {
            Some((object, bytes)) => (object, bytes.to_vec(), None),
            None => return Ok(None),
        },
    };
    let Release { date, commit: id } =
        Release::parse(&release).map_err(|source| Error::Release {
            suite: suite.clone(),
            source,
        })?;
    let commit = read_commit(storage, suite, &id).await?;
    check_signers(suite, &commit, signers.as_deref())?;
    let (etag, store_time) = (object.etag, object.date);
    Ok(Some(Head {
        etag,
        is_signed: signers.is_some(),
        release,
        date,
        id,
        commit,
        store_time,
    }))
}

/// A head must be signed as its commit says. `signers`: none for an unsigned head, empty for one that was not verified.
fn check_signers(
    suite: &SuiteName,
    commit: &Commit,
    signers: Option<&[Fingerprint]>,
) -> Result<(), Error> {
    let accepted = &commit.settings.signing_keys;
    let is_accepted = |signer: &Fingerprint| accepted.contains(&signer.to_string());
    match signers {
        None if !accepted.is_empty() => Err(Error::SignatureMissing {
            suite: suite.clone(),
        }),
        Some(signers @ [signer, ..]) if !signers.iter().any(is_accepted) => {
            Err(Error::NotAccepted {
                suite: suite.clone(),
                key: signer.to_string(),
                accepted: accepted.clone(),
            })
        }
        _ => Ok(()),
    }
}

async fn find(
    storage: &dyn Storage,
    key: &str,
) -> Result<Option<(s3_storage::ObjectMeta, Bytes)>, Error> {
    match storage.get_bytes(key, METADATA_LIMIT).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the commit `id` of `suite`.
///
/// # Errors
/// Those of the store; a commit that is not the one that its name says.
pub async fn read_commit(
    storage: &dyn Storage,
    suite: &SuiteName,
    id: &Sha256,
) -> Result<Commit, Error> {
    let key = pool::commit_key(suite, id);
    let (_, bytes) = storage
        .get_bytes(&key, METADATA_LIMIT)
        .await
        .map_err(|error| missing_is_damage(suite, error))?;
    Commit::parse(id, &bytes).map_err(|source| Error::Commit {
        suite: suite.clone(),
        id: *id,
        source,
    })
}

/// What the head names is never missing in a whole repository.
fn missing_is_damage(suite: &SuiteName, error: s3_storage::Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        return Error::Damaged {
            suite: suite.clone(),
            reason: format!("{} is missing", error.key()),
        };
    }
    error.into()
}

/// Plain indexes by digest: those that a lost race did not change are not read again.
#[derive(Debug, Default)]
pub struct IndexCache(BTreeMap<Sha256, Bytes>);

impl IndexCache {
    /// The plain indexes `ids` of `head`. What is cached and not among them is dropped.
    ///
    /// # Errors
    /// Those of the store; an index that is missing or has other content than the commit says.
    pub async fn load<I: IntoIterator<Item = IndexId>>(
        &mut self,
        storage: &dyn Storage,
        suite: &SuiteName,
        commit: &Commit,
        ids: I,
    ) -> Result<PlainIndexes<Bytes>, Error> {
        let cache = &self.0;
        let reads = ids.into_iter().filter_map(|id| {
            let index = commit.index(&id.component, &id.architecture)?;
            Some(async move {
                let plain = match cache.get(&index.plain.sha256) {
                    Some(plain) => plain.clone(),
                    None => read_index(storage, suite, index).await?,
                };
                Ok::<_, Error>((id, index.plain.sha256, plain))
            })
        });
        let loaded: Vec<_> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        self.0 = loaded
            .iter()
            .map(|(_, sha256, plain)| (*sha256, plain.clone()))
            .collect();
        Ok(loaded
            .into_iter()
            .map(|(id, _, plain)| (id, plain))
            .collect())
    }
}

/// Reads an index in the format that is quickest to unpack.
async fn read_index(
    storage: &dyn Storage,
    suite: &SuiteName,
    index: &Index,
) -> Result<Bytes, Error> {
    let damaged = |reason: String| Error::Damaged {
        suite: suite.clone(),
        reason,
    };
    let quickest = [Format::Zst, Format::Gz, Format::Xz]
        .into_iter()
        .find_map(|format| Some((format, index.files.get(&format)?)));
    let Some((format, stored)) = quickest else {
        return Err(damaged(format!(
            "the index of {} for {} has no file",
            index.component, index.architecture
        )));
    };
    let key = pool::in_suite(
        suite,
        &pool::by_hash_path(&index.component, &index.architecture, &stored.sha256),
    );
    let bytes = read_stored(storage, suite, &key, stored).await?;
    let plain = compression::decompress(format, &bytes, index.plain.size)
        .map_err(|error| damaged(format!("{key} cannot be unpacked: {error}")))?;
    Ok(plain.into())
}

/// Reads an object of `suite` that is named by its digest.
///
/// # Errors
/// Those of the store; an object that is missing or has other content.
pub async fn read_stored(
    storage: &dyn Storage,
    suite: &SuiteName,
    key: &str,
    stored: &Stored,
) -> Result<Bytes, Error> {
    let (_, bytes) = storage
        .get_bytes(key, INDEX_LIMIT)
        .await
        .map_err(|error| missing_is_damage(suite, error))?;
    if Sha256::of(&bytes) != stored.sha256 {
        let reason = format!("{key} has other content than its name says");
        return Err(Error::Damaged {
            suite: suite.clone(),
            reason,
        });
    }
    Ok(bytes)
}

/// The history of `suite` from `newest` back, newest first.
pub fn history<'a>(
    storage: &'a dyn Storage,
    suite: &'a SuiteName,
    newest: Sha256,
) -> impl futures::Stream<Item = Result<(Sha256, Commit), Error>> + 'a {
    stream::try_unfold(Some(newest), move |next| async move {
        let Some(id) = next else { return Ok(None) };
        let commit = read_commit(storage, suite, &id).await?;
        let parent = commit.parent;
        Ok(Some(((id, commit), parent)))
    })
}
