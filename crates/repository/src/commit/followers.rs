//! The followers of a head: what clients without `InRelease`, or without fetching by hash, read under a fixed name.
//!
//! `Packages.<format>` and its like for every index; in a signed suite also `Release` and `Release.gpg`; and the record of
//! succession. A follower says in its metadata what it follows. `Release` and `Release.gpg` are written last, so where they follow the head, all do.
//! Otherwise a publisher was killed, and the next one looks at each. So it does where a file beside an index is not what it should be,
//! and where the suite has aliases, in whose folders the same files follow the head, and `InRelease` too.
//!
//! An older publisher must not undo what a newer one wrote. Each follower is written on the condition that it is still as it was,
//! and after the writes the head is looked at again: if it has moved on meanwhile, the followers are brought up to that head.

mod leader;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use deb_index::{
    change::{IndexPlan, Plan},
    digest::Sha256,
    index::IndexPath,
    name::SuiteName,
    suite::layout,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::{ETag, Listed, Payload, PutMode, PutOptions};

use crate::{
    Error, Head, Suite,
    commit::followers::leader::{Content, Follower, Turn},
    read::succession::{Beside, COMMIT, FOLLOWS, Seen},
};

pub(crate) use leader::Leader;

/// Followers that are looked at or written at once.
const CONCURRENT: usize = 16;
/// Times that they are written, while others write them first or move the head.
const ROUNDS: usize = 8;

/// The followers that are about to change. All others follow the head.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    changed: BTreeSet<IndexPath>,
    /// Version tags of those that exist.
    tags: BTreeMap<String, ETag>,
}

/// The record of what took a commit's place.
pub(crate) fn succession(id: &Sha256) -> Bytes {
    format!("{id}\n").into()
}

/// The tags of the followers that a plan changes, if all followers of `head` are up.
pub(crate) async fn tags(
    suite: &Suite<'_>,
    head: Option<&Head>,
    plan: &Plan,
    beside: Option<&Beside>,
) -> Result<Option<Tags>, Error> {
    if !plan.settings.aliases.is_empty() {
        return Ok(None);
    }
    let Some(head) = head else {
        return Ok(Some(Tags {
            changed: plan.indexes.keys().cloned().collect(),
            tags: BTreeMap::new(),
        }));
    };
    let Some(beside) = beside.filter(|beside| is_up(head, beside)) else {
        return Ok(None);
    };
    let changed = plan.indexes.iter();
    let changed = changed.filter(|(_, plan)| **plan != IndexPlan::Keep);
    let changed: BTreeSet<_> = changed.map(|(path, _)| path.clone()).collect();
    let Some(mut tags) = index_tags(suite, head, changed.iter()).await? else {
        return Ok(None);
    };
    for (name, seen) in [
        ("Release", &beside.release),
        ("Release.gpg", &beside.signature),
    ] {
        if let Some(seen) = seen {
            tags.insert(layout::in_suite(&suite.name, name), seen.etag.clone());
        }
    }
    Ok(Some(Tags { changed, tags }))
}

/// The tags of the followers of these indexes, as far as the head has them. None if one is missing or has another size: followers
/// were deleted, or an older publisher wrote last.
async fn index_tags<'p>(
    suite: &Suite<'_>,
    head: &Head,
    paths: impl Iterator<Item = &'p IndexPath>,
) -> Result<Option<BTreeMap<String, ETag>>, Error> {
    let looks = paths.map(|path| async move {
        let prefix = layout::in_suite(&suite.name, path.as_str());
        let entries = suite.repository.storage.list(&prefix, Some("/"));
        let objects = entries.try_filter_map(async |entry| {
            Ok(match entry {
                Listed::Object(object) => Some((object.key.clone(), object)),
                Listed::Folder(_) => None,
            })
        });
        let there: BTreeMap<_, _> = objects.try_collect().await?;
        let index = head.commit.indexes.get(path);
        let mut files = index.into_iter().flat_map(|index| &index.files);
        let is_up = files.all(|(extension, stored)| {
            let key = layout::in_suite(&suite.name, &path.with_extension(extension));
            there.get(&key).is_some_and(|file| file.size == stored.size)
        });
        Ok::<_, Error>(is_up.then_some(there))
    });
    let listed: Vec<_> = stream::iter(looks.collect::<Vec<_>>())
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await?;
    let Some(listed) = listed.into_iter().collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let tags = listed.into_iter().flatten();
    Ok(Some(tags.map(|(key, file)| (key, file.etag)).collect()))
}

/// Whether all followers of a head are known to be up.
fn is_up(head: &Head, beside: &Beside) -> bool {
    let text = Some(Sha256::of(&head.text));
    let follows = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.follows == text);
    follows(&beside.release) && follows(&beside.signature)
}

/// Brings up the followers of a head that was there already, unless they are. Its publisher may have been killed before.
pub(crate) async fn check(suite: &Suite<'_>, head: &Head, beside: &Beside) -> Result<(), Error> {
    if is_up(head, beside)
        && head.commit.settings.aliases.is_empty()
        && let paths = head.commit.indexes.keys()
        && index_tags(suite, head, paths).await?.is_some()
    {
        return Ok(());
    }
    bring_up(suite, Leader::of_head(suite, head).await?, None).await
}

/// Brings up the followers of `leader`; those that change, if their tags are known.
///
/// # Errors
/// Those of the store; an alias that another suite holds. The suite is whole all the same; the next publisher brings the followers
/// up.
pub(crate) async fn bring_up(
    suite: &Suite<'_>,
    leader: Leader,
    tags: Option<Tags>,
) -> Result<(), Error> {
    let stale = match tags {
        // All others follow the head.
        Some(Tags { changed, mut tags }) => {
            let followers = leader.followers(suite, Some(&changed)).into_iter();
            let with_modes = followers.map(|follower| {
                let tag = tags.remove(&follower.key);
                (follower, tag.map_or(PutMode::Create, PutMode::Update))
            });
            with_modes.collect()
        }
        None => examine(suite, leader.followers(suite, None)).await?,
    };
    write_until_up(suite, leader, stale).await
}

/// Brings up the followers of a head. Those at the keys `broken` are written whatever they say that they follow.
pub(crate) async fn repair(
    suite: &Suite<'_>,
    head: &Head,
    broken: &HashSet<String>,
) -> Result<(), Error> {
    for alias in &head.commit.settings.aliases {
        ignore_lost(suite.claim(alias).await)?;
    }
    let leader = Leader::of_head(suite, head).await?;
    let followers = leader.followers(suite, None).into_iter();
    let (broken, others): (Vec<_>, Vec<_>) =
        followers.partition(|follower| broken.contains(&follower.key));
    let mut rewritten = Vec::new();
    for follower in broken {
        let seen = suite.seen(&follower.key).await?;
        let mode = seen.map_or(PutMode::Create, |seen| PutMode::Update(seen.etag));
        rewritten.push((follower, mode));
    }
    let mut stale = held(suite, rewritten).await?;
    stale.extend(examine(suite, others).await?);
    let mut possible = Vec::new();
    for (mut follower, mode) in stale {
        match content(suite, &follower).await {
            Ok(bytes) => follower.content = Content::Here(bytes),
            // The index is lost, which is a problem of its own.
            Err(Error::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        }
        possible.push((follower, mode));
    }
    ignore_lost(write_until_up(suite, leader, possible).await)
}

/// An alias that is not the suite's is a problem that no repair solves.
fn ignore_lost(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(Error::AliasTaken { .. } | Error::Deleting { .. }) => Ok(()),
        done => done,
    }
}

async fn content(suite: &Suite<'_>, follower: &Follower) -> Result<Bytes, Error> {
    match &follower.content {
        Content::Here(bytes) => Ok(bytes.clone()),
        Content::Stored(key) => {
            let bytes = suite.read_by_digest(key).await?;
            if Sha256::of(&bytes) != follower.follows {
                return Err(suite.damaged(key.clone(), "has other content than its name says"));
            }
            Ok(bytes)
        }
    }
}

/// Writes the record that `id` took the place of `parent` again.
pub(crate) async fn restore_succession(
    suite: &Suite<'_>,
    parent: Option<Sha256>,
    id: Sha256,
) -> Result<(), Error> {
    let key = layout::successor_key(&suite.name, parent.as_ref());
    let seen = suite.seen(&key).await?;
    let mode = seen.map_or(PutMode::Create, |seen| PutMode::Update(seen.etag));
    let content = (key.as_str(), succession(&id));
    put(suite, content, mode, id, None).await.map(drop)
}

/// Writes followers, and looks at the head again, until all are up.
///
/// # Errors
/// [`Error::FollowersContention`] if others wrote first each time, so that some may be stale; those of [`bring_up`].
async fn write_until_up(
    suite: &Suite<'_>,
    mut leader: Leader,
    mut stale: Vec<(Follower, PutMode)>,
) -> Result<(), Error> {
    let mut rounds = 0..ROUNDS;
    while !stale.is_empty() {
        if rounds.next().is_none() {
            return Err(Error::FollowersContention {
                suite: suite.name.clone(),
            });
        }
        let refused = write_all(suite, &leader, stale).await?;
        let head_key = layout::head_key(&suite.name, leader.detached.is_some());
        let now = suite.repository.storage.head(&head_key).await?;
        stale = if now.etag == leader.etag {
            examine(suite, refused).await?
        } else {
            let Some(head) = suite.current_head().await? else {
                return Err(Error::Deleted {
                    suite: suite.name.clone(),
                });
            };
            leader = Leader::of_head(suite, &head).await?;
            examine(suite, leader.followers(suite, None)).await?
        };
    }
    for alias in &leader.commit.settings.aliases {
        suite.hold(alias).await?;
    }
    Ok(())
}

/// The followers that do not follow yet, and the condition on which each is written.
async fn examine(
    suite: &Suite<'_>,
    followers: Vec<Follower>,
) -> Result<Vec<(Follower, PutMode)>, Error> {
    let looks = followers.into_iter().map(|follower| async move {
        let mode = match suite.seen(&follower.key).await? {
            Some(seen) if seen.follows == Some(follower.follows) => return Ok(None),
            Some(seen) => PutMode::Update(seen.etag),
            None => PutMode::Create,
        };
        Ok::<_, Error>(Some((follower, mode)))
    });
    held(suite, at_once(looks).await?).await
}

/// Leaves out followers in the folders of aliases that this suite does not hold. This is asked after the tags were read on which
/// they are written: should another suite take the alias from now on, what it writes changes them.
async fn held(
    suite: &Suite<'_>,
    mut followers: Vec<(Follower, PutMode)>,
) -> Result<Vec<(Follower, PutMode)>, Error> {
    let aliases = followers.iter().filter_map(|(one, _)| one.alias.clone());
    let mut lost = BTreeSet::new();
    for alias in aliases.collect::<BTreeSet<_>>() {
        match suite.hold(&alias).await {
            Ok(()) => {}
            Err(error @ Error::Storage(_)) => return Err(error),
            Err(_) => drop(lost.insert(alias)),
        }
    }
    let is_lost = |alias: &SuiteName| lost.contains(alias);
    followers.retain(|(one, _)| !one.alias.as_ref().is_some_and(is_lost));
    Ok(followers)
}

/// Writes followers in their turns. Returns those that another publisher wrote first.
async fn write_all(
    suite: &Suite<'_>,
    leader: &Leader,
    followers: Vec<(Follower, PutMode)>,
) -> Result<Vec<Follower>, Error> {
    let mut turns = [Turn::First, Turn::AliasHead, Turn::Release].map(|_| Vec::new());
    for (follower, mode) in followers {
        turns[follower.turn as usize].push((follower, mode));
    }
    let mut refused = Vec::new();
    for turn in turns {
        if !refused.is_empty() {
            refused.extend(turn.into_iter().map(|(follower, _)| follower));
            continue;
        }
        let writes = turn
            .into_iter()
            .map(|(follower, mode)| write(suite, leader, follower, mode));
        refused = at_once(writes).await?;
    }
    Ok(refused)
}

/// Runs several pieces of work at once; returns what they give.
async fn at_once<T>(
    work: impl Iterator<Item = impl Future<Output = Result<Option<T>, Error>>>,
) -> Result<Vec<T>, Error> {
    let results: Vec<Option<T>> = stream::iter(work)
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await?;
    Ok(results.into_iter().flatten().collect())
}

/// Writes a follower; returns it if another publisher wrote first.
async fn write(
    suite: &Suite<'_>,
    leader: &Leader,
    follower: Follower,
    mode: PutMode,
) -> Result<Option<Follower>, Error> {
    let bytes = content(suite, &follower).await?;
    let shows = (follower.turn == Turn::Release).then_some(leader.id);
    let is_written = put(suite, (&follower.key, bytes), mode, follower.follows, shows).await?;
    Ok((!is_written).then_some(follower))
}

/// Writes the content of a follower, and in its metadata what it follows and which commit it shows. False if another publisher wrote
/// first.
async fn put(
    suite: &Suite<'_>,
    (key, bytes): (&str, Bytes),
    mode: PutMode,
    follows: Sha256,
    shows: Option<Sha256>,
) -> Result<bool, Error> {
    let mut options = PutOptions::new(suite.repository.writes.mode(mode));
    options.sha256 = Some(Sha256::of(&bytes).0);
    options.cache_control = Some("no-cache");
    let shows = shows.map(|commit| (COMMIT, commit));
    for (field, digest) in [(FOLLOWS, follows)].into_iter().chain(shows) {
        options
            .metadata
            .insert(field.to_owned(), digest.to_string());
    }
    let storage = &suite.repository.storage;
    match storage.put(key, Payload::Bytes(bytes), options).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_refused_condition() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
