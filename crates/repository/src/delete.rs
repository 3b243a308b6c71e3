//! Deleting a suite, or a name that was an alias, for good.
//!
//! A closing commit, on which nobody builds, makes racing publishers stop. Then `suite.json` says that the folder is being deleted: it
//! keeps others from founding a suite there and collectors from collecting. What is there is deleted, the heads first, so that clients
//! see all or nothing. At last `suite.json` says by compare and swap that the folder is anyone's. Deleting again goes on where an
//! earlier run ended. But a request of a run that was killed may still arrive, which would take from a new suite what it has just
//! written: so the name stays taken until such a run is certainly dead.

use std::collections::{BTreeMap, BTreeSet};

use deb_index::{
    change::{Edit, Intent},
    name::SuiteName,
    suite::{
        commit::Authorship,
        founding::{Deleting, Founding},
        layout,
    },
};
use jiff::Timestamp;
use s3_storage::Swap;
use tokio::time::Instant;

use crate::{
    Allow, Error, Observer, Suite, Tally,
    condemned::{DEAD, DELETING},
};

/// Objects that one request deletes.
const BATCH: usize = 1000;
/// Listings, until nothing is left.
const ROUNDS: usize = 5;
/// How the folders of a component's indexes begin.
const INDEX_FOLDERS: [&str; 3] = ["binary-", "source/", "i18n/"];
/// What clients begin with, in the order in which it is deleted: as long as the last is there, they see the whole suite.
const HEADS: [&str; 3] = ["Release", "Release.gpg", "InRelease"];

/// What is deleted with a suite, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Entries of its package indexes; none if the suite has no head any more.
    pub entries: Option<u64>,
    /// The aliases that go with it.
    pub aliases: BTreeSet<SuiteName>,
    /// Objects below `dists/`. Package files are left to a garbage collection.
    pub objects: Tally,
    /// How far an earlier run has come, if there was one.
    pub progress: Progress,
}

/// How far a deletion has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    #[default]
    NotBegun,
    /// Nobody can publish into the suite any more.
    Closed,
    /// All is deleted, but the name cannot be used again before this time: an earlier run may not be dead.
    Reserved(Timestamp),
    Done,
}

/// One run.
#[derive(Clone, Copy)]
struct Me {
    /// A number of its own.
    by: u64,
    /// When it is certainly done.
    busy_until: Timestamp,
}

/// What the folder is, as far as deleting it matters.
#[derive(Default)]
struct Target {
    aliases: BTreeSet<SuiteName>,
    /// The suite that holds the alias, if the folder is that of one.
    alias_of: Option<SuiteName>,
    entries: Option<u64>,
    /// Whether there is a head to close.
    has_head: bool,
    progress: Progress,
}

impl Suite<'_> {
    /// What deleting the suite would delete.
    ///
    /// # Errors
    /// As [`Suite::delete_all`]. Nothing is written.
    pub async fn deletion(&self) -> Result<Deletion, Error> {
        let target = self.target().await?;
        let mut objects = Tally::default();
        for size in self.contents(&target.aliases).await?.values() {
            objects.objects += 1;
            objects.bytes += size;
        }
        Ok(Deletion {
            entries: target.entries,
            aliases: target.aliases,
            objects,
            progress: target.progress,
        })
    }

    /// Deletes the suite and its aliases, or what is left of them. Of a name that is an alias no longer, what it showed last.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) if there is nothing of that name; an alias that is in use; a garbage collection that runs; those of
    /// a commit and of the store. It can be called again whatever happened.
    pub async fn delete_all(
        &self,
        allow: Allow,
        authorship: &Authorship,
        observer: &dyn Observer,
    ) -> Result<Deletion, Error> {
        let planned = self.deletion().await?;
        self.repository.check_no_collector().await?;
        let mut target = self.target().await?;
        if target.has_head {
            let draft = self.draft(Intent(vec![Edit::Close]), allow).await?;
            draft.commit(&[], authorship, observer).await?;
            target = self.target().await?;
        }
        let now = self.founding().await?.1.ok_or(Error::NoStoreTime)?;
        let began = Instant::now();
        let me = Me {
            by: fastrand::u64(..),
            busy_until: now.checked_add(DEAD).unwrap_or(Timestamp::MAX),
        };
        let busy_until = self.reserve(&target, me).await?;
        let mut aliases = BTreeSet::new();
        for alias in target.aliases {
            if self.reserve_alias(&alias, me).await? {
                aliases.insert(alias);
            }
        }
        // A collector that has read the suites before does not begin to delete after this.
        self.repository.stop_collectors().await?;
        self.delete_contents(&aliases, began).await?;
        for alias in &aliases {
            let folder = self.repository.folder(alias);
            folder.release(me.by, busy_until).await?;
        }
        Ok(Deletion {
            aliases,
            progress: self.release(me.by, busy_until).await?,
            ..planned
        })
    }

    pub(crate) async fn is_being_deleted(&self) -> Result<bool, Error> {
        Ok(matches!(self.says().await?, Some(Founding::Deleting(_))))
    }

    /// Whether the suite was deleted, so that whatever else is there was left by a publisher that was held up meanwhile.
    pub(crate) async fn is_deleted(&self) -> Result<bool, Error> {
        Ok(self.says().await? == Some(Founding::Deleted) && !self.has_commits().await?)
    }

    async fn target(&self) -> Result<Target, Error> {
        let founding = self.founding().await?.0;
        match &founding {
            Some(Founding::Deleting(deleting)) => {
                let mut aliases = BTreeSet::new();
                for alias in &deleting.aliases {
                    if self.may_delete(alias).await? {
                        aliases.insert(alias.clone());
                    }
                }
                return Ok(Target {
                    aliases,
                    progress: Progress::Closed,
                    ..Target::default()
                });
            }
            Some(Founding::AliasOf(suite)) if !self.has_commits().await? => {
                let holder = self.repository.folder(suite).current_head().await?;
                if holder.is_some_and(|head| head.commit.settings.aliases.contains(&self.name)) {
                    return Err(Error::IsAlias {
                        alias: self.name.clone(),
                        suite: suite.clone(),
                    });
                }
                return Ok(Target {
                    alias_of: Some(suite.clone()),
                    ..Target::default()
                });
            }
            _ => {}
        }
        let head = match self.current_head().await {
            Err(Error::Damaged { .. }) if self.is_deleted().await? => None,
            head => head?,
        };
        let Some(head) = head else {
            if self.says().await? == Some(Founding::Deleted)
                && !self.contents(&BTreeSet::new()).await?.is_empty()
            {
                return Ok(Target {
                    progress: Progress::Closed,
                    ..Target::default()
                });
            }
            if self.has_history().await? {
                let suite = self.name.clone();
                return Err(Error::HeadVanished { suite });
            }
            return Err(self.missing().into());
        };
        let packages = head.commit.indexes.iter();
        let packages = packages.filter(|(path, _)| path.as_packages().is_some());
        Ok(Target {
            aliases: self.own_aliases().await?,
            alias_of: None,
            entries: Some(packages.filter_map(|(_, index)| index.entries).sum()),
            has_head: true,
            progress: if head.commit.is_closed() {
                Progress::Closed
            } else {
                Progress::NotBegun
            },
        })
    }

    /// The names that the suite holds as aliases.
    async fn own_aliases(&self) -> Result<BTreeSet<SuiteName>, Error> {
        let folders = self.repository.dists().await?.may_be_aliases();
        let mut own = BTreeSet::new();
        for (alias, holder) in self.repository.aliases_among(folders).await? {
            if holder == self.name {
                own.insert(alias);
                continue;
            }
            let shown = self.repository.folder(&alias).shown_head().await?;
            if shown.is_some_and(|head| head.release.names.first() == Some(&self.name)) {
                return Err(Error::AliasLags {
                    suite: self.name.clone(),
                    alias,
                    holder,
                });
            }
        }
        Ok(own)
    }

    /// Says in `suite.json` that the folder is being deleted. Returns until when an earlier run may be at work.
    async fn reserve(&self, target: &Target, me: Me) -> Result<Option<Timestamp>, Error> {
        let mut earlier = None;
        self.change_founding(|founding| {
            let mut aliases = target.aliases.clone();
            match founding {
                // The reply was lost.
                Some(Founding::Deleting(now)) if now.by == me.by => return Ok(Swap::Keep(earlier)),
                Some(Founding::Deleting(now)) => {
                    aliases.extend(now.aliases);
                    earlier = Some(now.busy_until);
                }
                // Another suite has just taken it.
                Some(Founding::AliasOf(suite)) if Some(&suite) != target.alias_of.as_ref() => {
                    let alias = self.name.clone();
                    return Err(Error::IsAlias { alias, suite });
                }
                _ => {}
            }
            let deleting = Founding::Deleting(Deleting {
                aliases,
                by: me.by,
                busy_until: earlier.max(Some(me.busy_until)).unwrap_or(me.busy_until),
            });
            Ok(Swap::Write(deleting.to_bytes().into(), earlier))
        })
        .await
    }

    /// Whether the folder of an alias is this suite's to delete.
    async fn may_delete(&self, alias: &SuiteName) -> Result<bool, Error> {
        let folder = self.repository.folder(alias);
        let founding = folder.founding().await?.0;
        let is_own = founding.is_some_and(|founding| self.is_own(&founding));
        Ok(is_own && !folder.has_commits().await?)
    }

    fn is_own(&self, founding: &Founding) -> bool {
        match founding {
            Founding::AliasOf(holder) => *holder == self.name,
            Founding::Deleting(_) => true,
            Founding::Suite { .. } | Founding::Deleted => false,
        }
    }

    /// Says in the folder of an alias, too, that it is being deleted. False if another suite has taken it.
    async fn reserve_alias(&self, alias: &SuiteName, me: Me) -> Result<bool, Error> {
        let deleting = Founding::Deleting(Deleting {
            aliases: BTreeSet::new(),
            by: me.by,
            busy_until: me.busy_until,
        });
        let change = |founding: Option<Founding>| {
            Ok(if founding.is_some_and(|founding| self.is_own(&founding)) {
                Swap::Write(deleting.to_bytes().into(), true)
            } else {
                Swap::Keep(false)
            })
        };
        self.repository.folder(alias).change_founding(change).await
    }

    async fn delete_contents(
        &self,
        aliases: &BTreeSet<SuiteName>,
        began: Instant,
    ) -> Result<(), Error> {
        let storage = self.repository.storage.as_ref();
        let folders = || aliases.iter().chain([&self.name]);
        for _ in 0..ROUNDS {
            let mut found = self.contents(aliases).await?;
            if found.is_empty() {
                return Ok(());
            }
            let mut batches: Vec<Vec<String>> = Vec::new();
            for folder in folders() {
                for head in HEADS {
                    let key = layout::in_suite(folder, head);
                    if found.remove(&key).is_some() {
                        batches.push(vec![key]);
                    }
                }
            }
            let others: Vec<_> = found.into_keys().collect();
            batches.extend(others.chunks(BATCH).map(<[String]>::to_vec));
            for batch in batches {
                // Others take this run for dead after a while.
                if began.elapsed() > DELETING {
                    let suite = self.name.clone();
                    return Err(Error::Deleting { suite });
                }
                storage.delete(&batch).await?;
            }
        }
        let suite = self.name.clone();
        Err(Error::Deleting { suite })
    }

    /// The objects in the folders of the suite and of those of these aliases that are being deleted with it, and their sizes. Other
    /// suites may be below them, and `suite.json` is not among them.
    async fn contents(
        &self,
        aliases: &BTreeSet<SuiteName>,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let inventory = self.repository.dists().await?;
        let suites = inventory.suites();
        let mut found = BTreeMap::new();
        for folder in aliases.iter().chain([&self.name]) {
            let is_inner = |name: &&SuiteName| {
                let name = name.to_string();
                name.strip_prefix(&folder.to_string())
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            let inner: Vec<_> = suites.keys().filter(is_inner).collect();
            let prefix = layout::in_suite(folder, "");
            for (key, object) in inventory.below(&prefix) {
                let is_of = |name: &&SuiteName| key.starts_with(&layout::in_suite(name, ""));
                // The folder may also be that of a component of the suite that it is in.
                let inside = key.strip_prefix(&prefix).unwrap_or_default();
                let is_of_component = INDEX_FOLDERS.iter().any(|start| inside.starts_with(start));
                let is_other = is_of_component || inner.iter().any(is_of);
                if *key != layout::founding_key(folder) && !is_other {
                    found.insert(key.clone(), object.size);
                }
            }
        }
        Ok(found)
    }

    /// Says that the folder is anyone's, if no earlier run may be at work, and no later one has begun.
    async fn release(&self, by: u64, busy_until: Option<Timestamp>) -> Result<Progress, Error> {
        let now = self.founding().await?.1.ok_or(Error::NoStoreTime)?;
        self.change_founding(|founding| {
            let Some(Founding::Deleting(deleting)) = founding else {
                return Ok(Swap::Keep(Progress::Done));
            };
            if deleting.by != by {
                return Ok(Swap::Keep(Progress::Reserved(deleting.busy_until)));
            }
            Ok(match busy_until {
                Some(until) if now <= until => {
                    let rest = Founding::Deleting(Deleting {
                        busy_until: until,
                        ..deleting
                    });
                    Swap::Write(rest.to_bytes().into(), Progress::Reserved(until))
                }
                _ => Swap::Write(Founding::Deleted.to_bytes().into(), Progress::Done),
            })
        })
        .await
    }
}
