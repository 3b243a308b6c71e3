//! Aliases: further names of a suite, and who holds them.
//!
//! The folder of an alias has what clients read: index files by hash, which are stored before the suite's head names them, and
//! followers of that head, its `InRelease` among them. It has no history. `suite.json` in it names the suite that holds the alias. A
//! suite claims a name before its head lists it, and may take it from a suite whose head does not list it. Where two suites list an
//! alias after a race, the one that holds it has it: the other writes no follower there, and reports it.

use std::collections::HashMap;

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::IndexPath,
    name::SuiteName,
    suite::{
        commit::{Commit, Index},
        founding::Founding,
        layout,
        settings::Settings,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{Error, Folder, Head, Suite, commit::upload::Mode};

/// Index files that are copied at once. Each takes its size in memory.
const CONCURRENT: usize = 8;
/// Times that a claim is tried, while other suites claim the same name.
const TRIES: usize = 5;

impl Suite<'_> {
    pub(crate) fn taken(&self, alias: &SuiteName, by: Option<SuiteName>) -> Error {
        Error::AliasTaken {
            suite: self.name.clone(),
            alias: alias.clone(),
            by,
        }
    }

    /// The heads that devices of the aliases have that these settings add. Fails unless each can be one of this suite.
    pub(crate) async fn heads_to_follow(
        &self,
        settings: &Settings,
        base: Option<&Commit>,
    ) -> Result<Vec<Head>, Error> {
        let mut heads = Vec::new();
        for alias in new_aliases(settings, base) {
            self.free_for_alias(alias).await?;
            let Some(shown) = self.repository.folder(alias).shown_head().await? else {
                continue;
            };
            if let Some(suite) = shown.release.names.first().cloned() {
                let suite = self.repository.folder(&suite);
                let commit = suite.read_commit(&shown.release.commit).await?;
                let head = suite.head_of(shown, commit)?;
                if settings.signing_keys.is_empty() && !head.signatures.is_unsigned() {
                    return Err(Error::AliasIsSigned {
                        suite: self.name.clone(),
                        alias: alias.clone(),
                    });
                }
                heads.push(head);
            }
        }
        Ok(heads)
    }

    /// Makes the aliases that a commit adds to `base` this suite's.
    pub(crate) async fn claim_new(
        &self,
        commit: &Commit,
        base: Option<&Commit>,
    ) -> Result<(), Error> {
        for alias in new_aliases(&commit.settings, base) {
            self.claim(alias).await?;
        }
        Ok(())
    }

    /// Makes a name an alias of this suite, unless it is taken.
    pub(crate) async fn claim(&self, alias: &SuiteName) -> Result<(), Error> {
        let folder = self.repository.folder(alias);
        let own = Founding::AliasOf {
            suite: self.name.clone(),
            id: Some(fastrand::u64(..)),
        };
        for _ in 0..TRIES {
            let free = self.free_for_alias(alias).await?;
            if folder.swap_founding(free.as_ref(), &own).await? {
                return Ok(());
            }
        }
        Err(self.taken(alias, None))
    }

    /// Fails unless a name is, or can be, an alias of this suite. Returns what `suite.json` says there as long as that is so.
    pub(crate) async fn free_for_alias(
        &self,
        alias: &SuiteName,
    ) -> Result<Option<Founding>, Error> {
        if *alias == self.name {
            return Err(self.taken(alias, None));
        }
        let folder = self.repository.folder(alias);
        let founding = folder.founding().await?.0;
        let what = folder.what_it_is().await?;
        match what {
            Some(Folder::Alias(holder)) if holder != self.name => {
                if self.repository.has_alias(&holder, alias).await? {
                    return Err(self.taken(alias, Some(holder)));
                }
            }
            Some(Folder::Suite { .. } | Folder::Foreign) => return Err(self.taken(alias, None)),
            what => folder.check_not_deleting(what.as_ref())?,
        }
        Ok(founding)
    }

    /// Fails unless this suite holds an alias.
    pub(crate) async fn check_held(&self, alias: &SuiteName) -> Result<(), Error> {
        match self.repository.folder(alias).founding().await?.0 {
            Some(Founding::AliasOf { suite, .. }) if suite == self.name => Ok(()),
            Some(Founding::AliasOf { suite, .. }) if suite != *alias => {
                Err(self.taken(alias, Some(suite)))
            }
            Some(Founding::Suite { .. }) => Err(self.taken(alias, None)),
            Some(Founding::Deleting(_)) => Err(Error::Deleting {
                suite: alias.clone(),
            }),
            Some(Founding::Deleted) => Err(Error::Deleted {
                suite: alias.clone(),
            }),
            None | Some(Founding::Unknown | Founding::AliasOf { .. }) => Err(self.damaged(
                layout::founding_key(alias),
                "does not say whose alias this is",
            )),
        }
    }

    /// Fails unless this suite holds an alias. Says again that it does where `suite.json` was lost.
    pub(crate) async fn hold(&self, alias: &SuiteName) -> Result<(), Error> {
        match self.check_held(alias).await {
            Err(Error::Damaged { .. }) => self.claim(alias).await,
            held => held,
        }
    }

    /// Stores the index files of a commit in the folders of its aliases. Those of `base` are there, as far as it has the alias.
    pub(crate) async fn store_for_aliases(
        &self,
        commit: &Commit,
        base: Option<&Commit>,
        new: &HashMap<Sha256, Bytes>,
        mode: Mode,
    ) -> Result<(), Error> {
        let files: Vec<_> = commit
            .settings
            .aliases
            .iter()
            .flat_map(|alias| {
                let base = base.filter(|base| base.settings.aliases.contains(alias));
                commit.indexes.iter().flat_map(move |(path, index)| {
                    let before = base.and_then(|base| base.indexes.get(path));
                    let before: Vec<_> = before
                        .into_iter()
                        .flat_map(|index| digests(path, index))
                        .collect();
                    let files = digests(path, index).filter(move |sha256| !before.contains(sha256));
                    files.map(move |sha256| (alias, path, index, sha256))
                })
            })
            .collect();
        let copies = files.into_iter().map(|(alias, path, index, sha256)| {
            let content = new.get(&sha256).cloned();
            self.store_for_alias((alias, path, index), sha256, content, mode)
        });
        stream::iter(copies.collect::<Vec<_>>())
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await
    }

    async fn store_for_alias(
        &self,
        (alias, path, index): (&SuiteName, &IndexPath, &Index),
        sha256: Sha256,
        content: Option<Bytes>,
        mode: Mode,
    ) -> Result<(), Error> {
        let by_hash = path.by_hash(&sha256);
        let bytes = match content {
            Some(bytes) => bytes,
            None => {
                let key = layout::in_suite(&self.name, &by_hash);
                let is_plain = index.files.values().all(|stored| stored.sha256 != sha256);
                if is_plain && self.look(&key).await?.is_none() {
                    return Ok(());
                }
                let bytes = self.read_by_digest(&key).await?;
                if Sha256::of(&bytes) != sha256 {
                    return Err(self.damaged(key, "has other content than its name says"));
                }
                bytes
            }
        };
        let key = layout::in_suite(alias, &by_hash);
        self.put_or_look(key, bytes, sha256, mode).await
    }
}

/// The aliases that `base` does not have.
pub(crate) fn new_aliases<'s>(
    settings: &'s Settings,
    base: Option<&'s Commit>,
) -> impl Iterator<Item = &'s SuiteName> {
    let aliases = settings.aliases.iter();
    aliases.filter(move |alias| !base.is_some_and(|base| base.settings.aliases.contains(*alias)))
}

/// The digests under which files of an index are stored. The plain form may be, where another tool made the index.
fn digests(path: &IndexPath, index: &Index) -> impl Iterator<Item = Sha256> {
    let stored = index.files.values().map(|stored| stored.sha256);
    stored.chain(path.as_packages().is_none().then_some(index.sha256))
}
