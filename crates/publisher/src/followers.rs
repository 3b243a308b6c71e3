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
    /// Whether the store ignores conditions, and the caller vouches for being alone.
    pub single_writer: bool,
}

struct Follower<'a> {
    key: String,
    follows: Sha256,
    content: Content<'a>,
}

enum Content<'a> {
    Here(&'a [u8]),
    /// An index file, stored by hash.
    Stored(String, Stored),
}

/// Brings up the followers that are not. Stops without an error when another head has taken over.
///
/// # Errors
/// Those of the store. The repository is whole all the same; the next publisher brings the followers up.
pub async fn bring_up(leader: &Leader<'_>) -> Result<(), Error> {
    let mut stale = stream::iter(
        followers(leader)
            .into_iter()
            .map(|follower| examine(leader, follower)),
    );
    let mut work: Vec<_> = stale
        .by_ref()
        .buffer_unordered(CONCURRENT)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await?;
    for _ in 0..ROUNDS {
        if work.is_empty() || !leads(leader).await? {
            return Ok(());
        }
        let writes = work
            .into_iter()
            .map(|(follower, mode)| write(leader, follower, mode));
        let lost: Vec<Follower<'_>> = stream::iter(writes)
            .buffer_unordered(CONCURRENT)
            .try_filter_map(async |lost| Ok(lost))
            .try_collect()
            .await?;
        let again = lost.into_iter().map(|follower| examine(leader, follower));
        work = stream::iter(again)
            .buffer_unordered(CONCURRENT)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
    }
    Ok(())
}

fn followers<'a>(leader: &Leader<'a>) -> Vec<Follower<'a>> {
    let key = |path: &str| pool::in_suite(leader.suite, path);
    let mut followers = Vec::new();
    for index in &leader.commit.indexes {
        for (format, stored) in &index.files {
            followers.push(Follower {
                key: key(&pool::index_path(
                    &index.component,
                    &index.architecture,
                    Some(*format),
                )),
                follows: stored.sha256,
                content: Content::Stored(
                    key(&pool::by_hash_path(
                        &index.component,
                        &index.architecture,
                        &stored.sha256,
                    )),
                    *stored,
                ),
            });
        }
    }
    if let Some(signed) = &leader.release.signed {
        let release = &leader.release.release;
        let follows = Sha256::of(release);
        followers.push(Follower {
            key: key("Release"),
            follows,
            content: Content::Here(release),
        });
        followers.push(Follower {
            key: key("Release.gpg"),
            follows,
            content: Content::Here(&signed.detached),
        });
    }
    followers
}

/// Returns `follower` and the condition for writing it, if it is not up.
async fn examine<'a>(
    leader: &Leader<'_>,
    follower: Follower<'a>,
) -> Result<Option<(Follower<'a>, PutMode)>, Error> {
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
async fn write<'a>(
    leader: &Leader<'_>,
    follower: Follower<'a>,
    mode: PutMode,
) -> Result<Option<Follower<'a>>, Error> {
    let bytes = match &follower.content {
        Content::Here(bytes) => Bytes::copy_from_slice(bytes),
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
