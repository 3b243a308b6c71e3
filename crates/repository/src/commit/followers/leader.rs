//! Which followers a head has, and what is in each.

use std::{
    collections::{BTreeSet, HashMap},
    iter,
    sync::Arc,
};

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::IndexPath,
    name::SuiteName,
    suite::{commit::Commit, layout},
};
use s3_storage::ETag;

use crate::{
    Error, Head, Suite,
    commit::{followers::succession, keys::signature_time, prepare::Prepared},
};

/// A head whose followers are brought up.
#[derive(Debug)]
pub(crate) struct Leader {
    pub(super) etag: ETag,
    pub(super) id: Sha256,
    pub(super) commit: Arc<Commit>,
    /// The bytes of the head.
    head: Bytes,
    /// The bytes of `Release`.
    text: Bytes,
    /// The content of `Release.gpg`; none in an unsigned suite.
    pub(super) detached: Option<Bytes>,
    /// Index files that need not be read.
    files: HashMap<Sha256, Bytes>,
}

pub(super) struct Follower {
    pub(super) key: String,
    pub(super) follows: Sha256,
    pub(super) content: Content,
    pub(super) turn: Turn,
    /// The alias in whose folder it is.
    pub(super) alias: Option<SuiteName>,
}

pub(super) enum Content {
    Here(Bytes),
    /// An index file of an earlier commit, at the key under its digest.
    Stored(String),
}

/// When a follower is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    /// After the indexes in the folder of an alias: what names them.
    AliasHead,
    /// Last, because it says that all others are up.
    Release,
}

impl Leader {
    pub(crate) fn of_prepared(prepared: Prepared, etag: ETag) -> Self {
        Self {
            etag,
            id: prepared.id,
            head: prepared.head().clone(),
            commit: prepared.commit,
            text: prepared.text,
            detached: prepared.signed.map(|signed| signed.detached),
            files: prepared.files,
        }
    }

    /// A head that was read. `Release.gpg` is signed anew: its signature is not kept anywhere else.
    pub(crate) async fn of_head(suite: &Suite<'_>, head: &Head) -> Result<Self, Error> {
        let time = signature_time(head.release.date)?;
        let (signed, settings) = (head.signed(), &head.commit.settings);
        let chosen = suite
            .keys
            .choose(&suite.name, Some(signed), settings, time, false)?;
        let signed = suite.keys.sign(&head.text, time, &chosen).await?;
        Ok(Self {
            etag: head.etag.clone(),
            id: head.id(),
            head: head.bytes.clone(),
            commit: head.commit.clone(),
            text: head.text.clone(),
            detached: signed.map(|signed| signed.detached),
            files: HashMap::new(),
        })
    }

    /// Its followers; those of indexes only if they are among `changed`, where that is given.
    pub(super) fn followers(
        &self,
        suite: &Suite<'_>,
        changed: Option<&BTreeSet<IndexPath>>,
    ) -> Vec<Follower> {
        let successor = layout::successor_key(&suite.name, self.commit.parent.as_ref());
        let mut followers = vec![Follower {
            key: successor,
            follows: self.id,
            content: Content::Here(succession(&self.id)),
            turn: Turn::First,
            alias: None,
        }];
        let text = Sha256::of(&self.text);
        for alias in iter::once(None).chain(self.commit.settings.aliases.iter().map(Some)) {
            let folder = alias.unwrap_or(&suite.name);
            let mut add = |path: &str, follows, content, turn| {
                followers.push(Follower {
                    key: layout::in_suite(folder, path),
                    follows,
                    content,
                    turn,
                    alias: alias.cloned(),
                });
            };
            for (path, extension, stored) in self.commit.files() {
                if changed.is_some_and(|changed| !changed.contains(path)) {
                    continue;
                }
                let sha256 = stored.sha256;
                let content = match self.files.get(&sha256) {
                    Some(bytes) => Content::Here(bytes.clone()),
                    None => Content::Stored(layout::by_hash_key(&suite.name, path, &sha256)),
                };
                add(
                    &path.with_extension(extension),
                    sha256,
                    content,
                    Turn::First,
                );
            }
            let turn = alias.map_or(Turn::Release, |_| Turn::AliasHead);
            if alias.is_some() || self.detached.is_some() {
                add("Release", text, Content::Here(self.text.clone()), turn);
            }
            if let Some(detached) = &self.detached {
                add("Release.gpg", text, Content::Here(detached.clone()), turn);
                if alias.is_some() {
                    let head = Content::Here(self.head.clone());
                    add("InRelease", Sha256::of(&self.head), head, turn);
                }
            }
        }
        followers
    }
}
