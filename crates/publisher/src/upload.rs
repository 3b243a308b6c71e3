//! Package files into the pool. A pool object is never overwritten.
//!
//! A package goes to the key that is its own; where other bytes lie there, it goes to a key with its digest, unless a suite uses those bytes:
//! then it is another build of a published version, which only `--replace` may add. (Bytes that no suite uses are what a publish
//! that was killed has left.) An object that is there already is compared, never trusted by its name.

use std::path::PathBuf;

use deb_index::{
    digest::{Hasher, Sha256},
    name::SuiteName,
    packages::Packages,
    plan::{Addition, IndexId},
    pool,
};
use futures::StreamExt as _;
use s3_storage::{
    ErrorKind, GetOptions, GetReply, ObjectMeta, Payload, Progress, PutMode, PutOptions, Storage,
};

use crate::{
    error::Error,
    snapshot::{self, IndexCache, Trust},
    suites::suites,
};

/// Metadata field that holds the digest, which stores do not keep for an object made of parts.
const SHA256: &str = "sha256";
/// Tries to create one object, between which others delete or create it.
const TRIES: usize = 5;

/// A package and the file that it is in.
#[derive(Debug, Clone)]
pub struct PackageFile {
    /// The file.
    pub path: PathBuf,
    /// The package.
    pub addition: Addition,
}

/// Makes sure that the package is in the pool; returns its key.
///
/// # Errors
/// Those of the store and of the file; [`Error::Taken`].
pub async fn upload(
    storage: &dyn Storage,
    file: &PackageFile,
    replace: bool,
    progress: Option<Progress>,
) -> Result<String, Error> {
    let addition = &file.addition;
    let own = &addition.filename;
    if create(storage, own, file, progress.clone()).await? {
        return Ok(own.clone());
    }
    if !replace && let Some(suite) = user_of(storage, own).await? {
        return Err(Error::Taken {
            identity: addition.identity(),
            suite,
            key: own.clone(),
        });
    }
    let other = pool::key_with_digest(own, &addition.sha256());
    if create(storage, &other, file, progress).await? {
        return Ok(other);
    }
    Err(Error::Storage(s3_storage::Error::new(
        ErrorKind::ChecksumMismatch,
        "PutObject",
        other,
        "other content has the same digest",
    )))
}

/// Creates the object at `key`. Returns whether it has the file's content now; otherwise other content was there.
async fn create(
    storage: &dyn Storage,
    key: &str,
    file: &PackageFile,
    progress: Option<Progress>,
) -> Result<bool, Error> {
    let (size, sha256) = (file.addition.deb.size(), file.addition.sha256());
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(sha256.0);
    options.content_type = Some("application/vnd.debian.binary-package");
    options.cache_control = Some("public, max-age=31536000, immutable");
    options
        .metadata
        .insert(SHA256.to_owned(), sha256.to_string());
    options.progress = progress;
    let mut failure = None;
    for _ in 0..TRIES {
        match storage.head(key).await {
            Ok(there) => {
                return Ok(there.size == size && content_of(storage, key, &there).await? == sha256);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let payload = Payload::File {
            path: file.path.clone(),
            size,
        };
        match storage.put(key, payload, options.clone()).await {
            Ok(_) => return Ok(true),
            // Somebody else was first, or our own reply was lost: look at what is there.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PreconditionFailed | ErrorKind::Conflict
                ) || error.is_ambiguous() =>
            {
                failure = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(false),
    }
}

/// The digest of an object: as the store or its writer noted it, otherwise by reading it.
async fn content_of(storage: &dyn Storage, key: &str, meta: &ObjectMeta) -> Result<Sha256, Error> {
    let noted = meta
        .sha256
        .map(Sha256)
        .or_else(|| meta.metadata.get(SHA256)?.parse().ok());
    if let Some(sha256) = noted {
        return Ok(sha256);
    }
    let mut hasher = Hasher::new(&[]);
    if let GetReply::Found(mut object) = storage.get(key, GetOptions::default()).await? {
        while let Some(piece) = object.body.next().await {
            hasher.update(&piece?);
        }
    }
    Ok(hasher.finish().sha256())
}

/// The suite that has a package at `key`, if there is one. Reads all indexes of all suites; called only when a key is taken.
async fn user_of(storage: &dyn Storage, key: &str) -> Result<Option<SuiteName>, Error> {
    for suite in suites(storage).await? {
        // A head that nobody verified can make us refuse, but not accept, anything.
        let Some(head) = snapshot::read_head(storage, &suite, &Trust::Unchecked).await? else {
            continue;
        };
        let ids = head.commit.indexes.iter().map(|index| IndexId {
            component: index.component.clone(),
            architecture: index.architecture.clone(),
        });
        for (_, plain) in IndexCache::default()
            .load(storage, &suite, &head.commit, ids)
            .await?
        {
            let uses = |index: Packages<'_>| {
                index
                    .entries()
                    .iter()
                    .any(|entry| entry.field("Filename") == Some(key))
            };
            if Packages::parse(&plain).is_ok_and(uses) {
                return Ok(Some(suite));
            }
        }
    }
    Ok(None)
}
