//! The followers of a head: what clients without `InRelease`, or without fetching by hash, read under a fixed name.
//!
//! `Packages.<format>` of every index; in a signed suite also `Release` and `Release.gpg`. A follower says in its metadata which
//! content it follows, so a stale one is found with a `HEAD`, whoever was killed before writing it.
//!
//! An older publisher must not undo what a newer one wrote. So each round first looks at the followers, *then* makes sure that the head
//! is still ours, and only then writes, each follower on condition that it is still as it was. If a newer head was written in
//! between, its publisher either saw our follower and replaces it, or wrote first and our write fails.

use bytes::Bytes;
use deb_index::{
    commit::{Commit, Stored},
    digest::Sha256,
    indexes::IndexFile,
    name::SuiteName,
    pool,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::{ETag, ErrorKind, Payload, PutMode, PutOptions, Storage};

use crate::{
    commit::Rendered,
    error::Error,
    snapshot::{self, head_key},
};

/// Followers that are looked at or written at once.
const CONCURRENT: usize = 16;
/// Metadata field that holds the digest of what is followed.
const FOLLOWS: &str = "debucket-follows";
/// Rounds before the rest is left to the next publisher.
const ROUNDS: usize = 8;

/// A head whose followers are brought up.
pub struct Leader<'a> {
    /// Where it lives.
    pub storage: &'a dyn Storage,
    /// Its suite.
    pub suite: &'a SuiteName,
    /// Its version tag.
    pub etag: &'a ETag,
    /// Its commit.
    pub commit: &'a Commit,
    /// What was signed.
    pub release: &'a Rendered,
    /// The index files that it brought, which need not be read again.
    pub files: &'a [IndexFile],
    /// Whether the store ignores conditions, and the caller vouches for being alone.
    pub single_writer: bool,
}

struct Follower {
    key: String,
    follows: Sha256,
    content: Content,
}

enum Content {
    Here(Bytes),
    /// An index file of an earlier commit, stored by hash.
    Stored(String, Stored),
}

/// Brings up the followers that are not. Stops without an error when another head has taken over.
///
/// # Errors
/// Those of the store. The repository is whole all the same; the next publisher brings the followers up.
pub async fn bring_up(leader: &Leader<'_>) -> Result<(), Error> {
    let mut open = followers(leader);
    for _ in 0..ROUNDS {
        let examined = open.into_iter().map(|follower| examine(leader, follower));
        let stale = at_once(examined).await?;
        if stale.is_empty() || !leads(leader).await? {
            return Ok(());
        }
        let writes = stale
            .into_iter()
            .map(|(follower, mode)| write(leader, follower, mode));
        open = at_once(writes).await?;
    }
    Ok(())
}

/// Runs several pieces of work at once; returns what they leave to be done.
async fn at_once<T>(
    work: impl Iterator<Item = impl Future<Output = Result<Option<T>, Error>>>,
) -> Result<Vec<T>, Error> {
    let left: Vec<Option<T>> = stream::iter(work)
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await?;
    Ok(left.into_iter().flatten().collect())
}

fn followers(leader: &Leader<'_>) -> Vec<Follower> {
    let key = |path: &str| pool::in_suite(leader.suite, path);
    let mut followers = Vec::new();
    for index in &leader.commit.indexes {
        for (format, stored) in &index.files {
            let content = match leader.files.iter().find(|file| file.stored == *stored) {
                Some(file) => Content::Here(file.bytes.clone()),
                None => {
                    let path =
                        pool::by_hash_path(&index.component, &index.architecture, &stored.sha256);
                    Content::Stored(key(&path), *stored)
                }
            };
            followers.push(Follower {
                key: key(&pool::index_path(
                    &index.component,
                    &index.architecture,
                    Some(*format),
                )),
                follows: stored.sha256,
                content,
            });
        }
    }
    if let Some(signed) = &leader.release.signed {
        let release = &leader.release.release;
        let follows = Sha256::of(release);
        followers.push(Follower {
            key: key("Release"),
            follows,
            content: Content::Here(Bytes::copy_from_slice(release)),
        });
        followers.push(Follower {
            key: key("Release.gpg"),
            follows,
            content: Content::Here(signed.detached.clone()),
        });
    }
    followers
}

/// Returns `follower` and the condition for writing it, if it is not up.
async fn examine(
    leader: &Leader<'_>,
    follower: Follower,
) -> Result<Option<(Follower, PutMode)>, Error> {
    match leader.storage.head(&follower.key).await {
        Ok(meta)
            if meta
                .metadata
                .get(FOLLOWS)
                .is_some_and(|digest| *digest == follower.follows.to_string()) =>
        {
            Ok(None)
        }
        Ok(meta) => Ok(Some((follower, PutMode::Update(meta.etag)))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some((follower, PutMode::Create))),
        Err(error) => Err(error.into()),
    }
}

async fn leads(leader: &Leader<'_>) -> Result<bool, Error> {
    let head = leader
        .storage
        .head(&head_key(leader.suite, leader.release.signed.is_some()))
        .await?;
    Ok(head.etag == *leader.etag)
}

/// Writes `follower`; returns it if somebody else wrote first.
async fn write(
    leader: &Leader<'_>,
    follower: Follower,
    mode: PutMode,
) -> Result<Option<Follower>, Error> {
    let bytes = match &follower.content {
        Content::Here(bytes) => bytes.clone(),
        Content::Stored(key, stored) => {
            snapshot::read_stored(leader.storage, leader.suite, key, stored).await?
        }
    };
    let mut options = PutOptions::new(if leader.single_writer {
        PutMode::Overwrite
    } else {
        mode
    });
    options.sha256 = Some(Sha256::of(&bytes).0);
    options.cache_control = Some("no-cache");
    options
        .metadata
        .insert(FOLLOWS.to_owned(), follower.follows.to_string());
    match leader
        .storage
        .put(&follower.key, Payload::Bytes(bytes), options)
        .await
    {
        Ok(_) => Ok(None),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PreconditionFailed | ErrorKind::Conflict
            ) =>
        {
            Ok(Some(follower))
        }
        Err(error) => Err(error.into()),
    }
}
