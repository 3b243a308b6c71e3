//! Deleting a suite, or a name that was an alias, for good.
//!
//! A closing commit, on which nobody builds, makes racing publishers stop. Then `suite.json` says that the folder is being deleted: it
//! keeps others from founding a suite there and collectors from collecting. What is there is deleted, the heads first, so that clients
//! see all or nothing. At last `suite.json` says by compare and swap that the folder is anyone's. Deleting again goes on where an
//! earlier run ended. A first head that is on its way from another publisher would arrive where nothing is left to be refused for: the
//! closed head stays until none can be. And a request of a run that was killed may still arrive, which would take from a new suite what it has just
//! written: so the name stays taken until such a run is certainly dead.

use std::collections::{BTreeMap, BTreeSet};

use deb_index::{
    change::{Edit, Intent},
    digest::Sha256,
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
    Allow, Draft, Error, Folder, Observer, Suite, Tally,
    gc::condemned::{DEAD, DELETING},
};

/// Objects that one request deletes.
const BATCH: usize = 1000;
/// Listings, until nothing is left.
const ROUNDS: usize = 5;
/// How the folders of a component's indexes begin.
const INDEX_FOLDERS: [&str; 3] = ["binary-", "source/", "i18n/"];
/// How the names of package files end.
const PACKAGES: [&str; 3] = [".deb", ".udeb", ".ddeb"];
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
    /// All is deleted, but the name cannot be used again before this time: an earlier run may not be dead.
    pub reserved_until: Option<Timestamp>,
    /// What `suite.json` said, and the commit of the head: what is deleted must be what was planned to be, and not a suite that has
    /// its name by now.
    founding: Option<Founding>,
    head: Option<Sha256>,
}

#[derive(Clone, Copy)]
struct Run {
    /// A number of its own.
    by: u64,
    /// When it is certainly done.
    busy_until: Timestamp,
}

impl Suite<'_> {
    /// What deleting the suite would delete.
    ///
    /// # Errors
    /// As [`Suite::delete_all`]. Nothing is written.
    pub async fn deletion(&self, allow: Allow) -> Result<Deletion, Error> {
        let mut planned = self.present().await?;
        self.repository.check_no_collector().await?;
        self.closing(&planned, allow).await?;
        let now = self.founding().await?.1.ok_or(Error::NoStoreTime)?;
        self.check_no_first_head(&planned, now).await?;
        for size in self.contents(&planned.aliases).await?.values() {
            planned.objects.objects += 1;
            planned.objects.bytes += size;
        }
        Ok(planned)
    }

    /// Deletes the suite and its aliases as planned, or what is left of them. Of a name that is an alias no longer, what it showed last.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) if there is nothing of that name; an alias that is in use; a garbage collection that runs; those of
    /// a commit and of the store. It can be called again whatever happened.
    pub async fn delete_all(
        &self,
        mut planned: Deletion,
        allow: Allow,
        authorship: &Authorship,
        observer: &dyn Observer,
    ) -> Result<Deletion, Error> {
        self.repository.check_no_collector().await?;
        let mut target = self.still_present(&planned).await?;
        if let Some(draft) = self.closing(&target, allow).await? {
            self.identify(&mut planned).await?;
            // The head that it is planned on is that of the suite that was to be deleted, and any later one follows from it.
            self.still_present(&planned).await?;
            draft.commit(&[], authorship, observer).await?;
            target = self.still_present(&planned).await?;
        }
        let now = self.founding().await?.1.ok_or(Error::NoStoreTime)?;
        let began = Instant::now();
        let run = Run {
            by: fastrand::u64(..),
            busy_until: now.checked_add(DEAD).unwrap_or(Timestamp::MAX),
        };
        let earlier = self.reserve(&target, run).await?;
        // Who founded the suite, too, may have looked at `suite.json` just before, and only the head that is there keeps its own out.
        if let Err(error) = self.check_no_first_head(&target, now).await {
            self.give_up(run.by, earlier.unwrap_or(now)).await?;
            return Err(error);
        }
        let mut aliases = BTreeMap::new();
        for alias in target.aliases {
            if let Some(earlier) = self.reserve_alias(&alias, run).await? {
                aliases.insert(alias, earlier);
            }
        }
        // A collector that has read the suites before does not begin to delete after this.
        self.repository.stop_collectors().await?;
        let names: BTreeSet<_> = aliases.keys().cloned().collect();
        self.delete_contents(&names, began).await?;
        for (alias, earlier) in aliases {
            self.repository
                .folder(&alias)
                .release(run.by, earlier)
                .await?;
        }
        Ok(Deletion {
            aliases: names,
            reserved_until: self.release(run.by, earlier).await?,
            ..planned
        })
    }

    /// What there is to delete, if it is still what was to be deleted, or is being deleted already.
    async fn still_present(&self, planned: &Deletion) -> Result<Deletion, Error> {
        let now = self.present().await?;
        match &now.founding {
            Some(Founding::Deleting(_)) => Ok(now),
            founding if *founding != planned.founding => Err(self.replaced()),
            Some(Founding::Suite { .. }) => Ok(now),
            // Nothing else tells a suite from a later one of its name.
            _ if now.head != planned.head => Err(self.replaced()),
            _ => Ok(now),
        }
    }

    /// Gives the suite a `suite.json` that tells it from a later one of its name, if what it has does not.
    async fn identify(&self, planned: &mut Deletion) -> Result<(), Error> {
        let founding = planned.founding.as_ref();
        if !matches!(
            founding,
            Some(Founding::Suite { .. } | Founding::Deleting(_))
        ) {
            let own = self.new_founding();
            if !self.swap_founding(founding, &own).await? {
                return Err(self.replaced());
            }
            planned.founding = Some(own);
        }
        Ok(())
    }

    fn replaced(&self) -> Error {
        Error::Replaced {
            suite: self.name.clone(),
        }
    }

    /// The commit that closes the suite, if there is a head to close.
    async fn closing(&self, target: &Deletion, allow: Allow) -> Result<Option<Draft<'_>>, Error> {
        if target.head.is_none() {
            return Ok(None);
        }
        let draft = self.draft(Intent(vec![Edit::Close]), allow);
        draft.await.map(Some)
    }

    /// What there is to delete. Its objects are not counted.
    async fn present(&self) -> Result<Deletion, Error> {
        let mut present = Deletion {
            founding: self.founding().await?.0,
            ..Deletion::default()
        };
        match self.what_it_is().await? {
            // As an interrupted run leaves it whose `suite.json` is lost.
            Some(Folder::Suite { has_head: false })
                if matches!(present.founding, None | Some(Founding::Unknown)) => {}
            Some(Folder::Suite { .. } | Folder::Foreign) => {
                let head = self.head_if_ever().await?.ok_or_else(|| self.missing())?;
                let packages = head.commit.indexes.iter();
                let packages = packages.filter(|(path, _)| path.as_packages().is_some());
                present.entries = Some(packages.filter_map(|(_, index)| index.entries).sum());
                present.head = Some(head.id());
            }
            Some(Folder::Alias(suite)) => {
                if self.repository.has_alias(&suite, &self.name).await? {
                    let alias = self.name.clone();
                    return Err(Error::IsAlias { alias, suite });
                }
                return Ok(present);
            }
            Some(Folder::Deleting | Folder::Reserved(_)) => {}
            None | Some(Folder::Deleted | Folder::Remains) => {
                if self.contents(&BTreeSet::new()).await?.is_empty() {
                    return Err(self.missing().into());
                }
            }
        }
        present.aliases = self.own_aliases().await?;
        // An earlier run may have come no further than to say what it deletes.
        if let (None, Some(Founding::Deleting(deleting))) = (present.head, &present.founding) {
            for alias in &deleting.aliases {
                if self.may_delete(alias).await? {
                    present.aliases.insert(alias.clone());
                }
            }
        }
        Ok(present)
    }

    /// The names that the suite holds as aliases.
    async fn own_aliases(&self) -> Result<BTreeSet<SuiteName>, Error> {
        let mut own = BTreeSet::new();
        for (alias, folder) in self.repository.folders().await? {
            let Folder::Alias(holder) = folder? else {
                continue;
            };
            let shown = match self.repository.folder(&alias).shown_head().await {
                Ok(head) => head.and_then(|head| head.release.names.first().cloned()),
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(_) => None,
            };
            match shown {
                Some(suite) if suite == self.name && holder != self.name => {
                    return Err(Error::AliasLags {
                        suite,
                        alias,
                        holder,
                    });
                }
                // Any publisher could have written that this suite holds it.
                Some(suite)
                    if suite != self.name && self.repository.has_alias(&suite, &alias).await? => {}
                _ if holder == self.name => drop(own.insert(alias)),
                _ => {}
            }
        }
        Ok(own)
    }

    /// Says in `suite.json` that the folder is being deleted, unless it is not the one that was to be. Returns until when an earlier
    /// run may be at work.
    async fn reserve(&self, target: &Deletion, run: Run) -> Result<Option<Timestamp>, Error> {
        let reserved = self.reserve_if(&target.aliases, run, |now| match now {
            Some(Founding::Deleting(_)) => Ok(()),
            now if now == target.founding.as_ref() => Ok(()),
            // A suite has just taken it.
            Some(Founding::AliasOf { suite, .. }) => Err(Error::IsAlias {
                alias: self.name.clone(),
                suite: suite.clone(),
            }),
            _ => Err(self.replaced()),
        });
        reserved.await
    }

    async fn reserve_if(
        &self,
        aliases: &BTreeSet<SuiteName>,
        run: Run,
        check: impl Fn(Option<&Founding>) -> Result<(), Error>,
    ) -> Result<Option<Timestamp>, Error> {
        let mut earlier = None;
        self.change_founding(|now| {
            check(now.as_ref())?;
            let mut aliases = aliases.clone();
            if let Some(Founding::Deleting(now)) = now {
                // The reply was lost.
                if now.by == run.by {
                    return Ok(Swap::Keep(earlier));
                }
                aliases.extend(now.aliases);
                earlier = Some(now.busy_until);
            }
            let deleting = Founding::Deleting(Deleting {
                aliases,
                by: run.by,
                busy_until: earlier.map_or(run.busy_until, |until| until.max(run.busy_until)),
            });
            Ok(Swap::Write(deleting.to_bytes().into(), earlier))
        })
        .await
    }

    /// Whether the folder of an alias is this suite's to delete.
    async fn may_delete(&self, alias: &SuiteName) -> Result<bool, Error> {
        let folder = self.repository.folder(alias).what_it_is().await?;
        Ok(match folder {
            Some(Folder::Alias(holder)) => holder == self.name,
            Some(Folder::Deleting | Folder::Reserved(_) | Folder::Deleted | Folder::Remains) => {
                true
            }
            Some(Folder::Suite { .. } | Folder::Foreign) | None => false,
        })
    }

    /// Says in the folder of an alias, too, that it is being deleted. Returns until when an earlier run may be at work there; the outer
    /// none if another suite has taken the name.
    async fn reserve_alias(
        &self,
        alias: &SuiteName,
        run: Run,
    ) -> Result<Option<Option<Timestamp>>, Error> {
        let folder = self.repository.folder(alias);
        let none = BTreeSet::new();
        let reserved = folder.reserve_if(&none, run, |now| match now {
            Some(Founding::AliasOf { suite, .. }) if *suite == self.name => Ok(()),
            Some(Founding::Deleting(_) | Founding::Deleted) => Ok(()),
            _ => Err(self.taken(alias, None)),
        });
        match reserved.await {
            Ok(earlier) => Ok(Some(earlier)),
            Err(Error::AliasTaken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
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
        let suites = inventory.marks();
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
                // Other suites may have it, too, where another program has put package files here.
                let is_package = PACKAGES.iter().any(|end| key.ends_with(end));
                let is_other = is_of_component || is_package || inner.iter().any(is_of);
                if *key != layout::founding_key(folder) && !is_other {
                    found.insert(key.clone(), object.size);
                }
            }
        }
        Ok(found)
    }

    /// Fails if another first head than the one that is there may be on its way.
    async fn check_no_first_head(&self, target: &Deletion, now: Timestamp) -> Result<(), Error> {
        if let Some(head) = target.head
            && let Some(until) = self.first_heads_until(head, now).await?
        {
            let suite = self.name.clone();
            return Err(Error::BeingFounded { suite, until });
        }
        Ok(())
    }

    /// Says that this run has deleted nothing, and an earlier one may be at work until then.
    async fn give_up(&self, by: u64, busy_until: Timestamp) -> Result<(), Error> {
        self.change_founding(|founding| {
            Ok(match founding {
                Some(Founding::Deleting(deleting)) if deleting.by == by => {
                    let deleting = Founding::Deleting(Deleting {
                        busy_until,
                        ..deleting
                    });
                    Swap::Write(deleting.to_bytes().into(), ())
                }
                _ => Swap::Keep(()),
            })
        })
        .await
    }

    /// Says that the folder is anyone's, if no earlier run may be at work, and no later one has begun. Otherwise, returns until when
    /// the name is reserved.
    async fn release(
        &self,
        by: u64,
        busy_until: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Error> {
        let now = self.founding().await?.1.ok_or(Error::NoStoreTime)?;
        self.change_founding(|founding| {
            let Some(Founding::Deleting(deleting)) = founding else {
                return Ok(Swap::Keep(None));
            };
            if deleting.by != by {
                return Ok(Swap::Keep(Some(deleting.busy_until)));
            }
            let reserved_until = busy_until.filter(|until| now <= *until);
            let next = reserved_until.map_or(Founding::Deleted, |busy_until| {
                Founding::Deleting(Deleting {
                    busy_until,
                    ..deleting
                })
            });
            Ok(Swap::Write(next.to_bytes().into(), reserved_until))
        })
        .await
    }
}
