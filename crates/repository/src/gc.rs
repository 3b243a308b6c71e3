//! Garbage collection: deleting what no head and no kept commit of any suite names.
//!
//! Of the pool, only package files are: whatever else is there, debucket never makes, so it is another's.
//!
//! In two steps, as `condemned` explains. One run does both: it dooms and deletes what an earlier run condemned long enough ago,
//! if it is still unnamed and unchanged, and condemns what else nothing names. Nothing is collected as long as the head of one suite
//! cannot be read, verified and understood. An earlier state that cannot be read may have named any package file, and anything in
//! the folder of its suite. So these stay until it is older than what is kept of the history.

pub(crate) mod condemned;
pub(crate) mod inventory;
pub(crate) mod kept;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use deb_index::{digest::Sha256, name::SuiteName, suite::layout};
use jiff::{SignedDuration, Timestamp};
use s3_storage::{Current, PutMode, PutOptions, Swap};
use tokio::time::Instant;

use crate::{
    Error, Folder, Repository, Suite, Work, Writes,
    gc::{
        condemned::{Condemned, DELETING, Doomed, Record},
        inventory::{Inventory, Tally},
        kept::{Kept, Unreadable},
    },
    read::loss::is_loss,
};

/// Objects that are on the record at most: it is read by every publisher.
const MOST: usize = 100_000;
/// Objects that one request deletes.
const BATCH: usize = 1000;
/// Times that everything is looked at again because a publisher has struck something off the record.
const TRIES: usize = 5;

#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// How long an object must have been unnamed before it is deleted. Longer than a publish takes.
    pub grace: SignedDuration,
    /// How long an earlier state of a suite can be read and brought back. At least the grace period.
    pub keep_history: SignedDuration,
    /// Change nothing.
    pub dry_run: bool,
    /// Leave package files alone, as where suites of other tools share the pool.
    pub leave_pool: bool,
}

impl CollectOptions {
    /// How long what a suite had is kept.
    #[must_use]
    pub fn kept(&self) -> SignedDuration {
        self.keep_history.max(self.grace)
    }
}

/// Result of a collection; of a dry run, what would have been done.
#[derive(Debug, Default)]
pub struct Collected {
    /// Suites that were read.
    pub suites: Vec<SuiteName>,
    /// Commits of all suites that are kept.
    pub commits: u64,
    /// All objects below `dists/` and `pool/`, before.
    pub stored: Tally,
    pub deleted: Tally,
    /// What was condemned by this run.
    pub condemned: Tally,
    /// What an earlier run condemned, and whose grace period is not over.
    pub waiting: Tally,
    /// Objects that had been condemned and are in use again.
    pub spared: u64,
    /// What did not fit into the record and is left for a later run.
    pub left: Tally,
    /// Objects below `pool/` that are no package files, or those of another repository there. They are never touched.
    pub foreign: Tally,
    /// Why package files were left alone, if they were.
    pub pool_left: Option<String>,
    /// Earlier states that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Keys that were deleted, and keys that were condemned.
    pub deleted_keys: Vec<String>,
    pub condemned_keys: Vec<String>,
}

/// What is to be done, computed from one look at everything.
struct Plan {
    record: Record,
    next: Record,
    now: Timestamp,
    collected: Collected,
}

impl Repository {
    /// Collects garbage. `suites` are all suites of the repository, with the keys that their heads are verified with.
    ///
    /// # Errors
    /// A suite that cannot be read, verified or understood, or that is of another tool; a collector that runs already; those of
    /// the store. Whatever happens, nothing that a suite names is deleted.
    pub async fn collect(
        &self,
        suites: &[Suite<'_>],
        options: CollectOptions,
    ) -> Result<Collected, Error> {
        let me = fastrand::u64(..);
        for _ in 0..TRIES {
            // Before the heads: what a publisher strikes off from now on is noticed by the swap.
            let current = self.condemned_record().read(self.storage.as_ref()).await?;
            let record = Record::of(&current)?;
            let generation = record.generation;
            let plan = match self
                .plan_collection(suites, options, me, current.date, record)
                .await
            {
                // What was read may have been deleted with its suite, whose deletion changes the record.
                Err(error) if is_loss(&error) && self.has_changed(generation).await? => continue,
                plan => plan?,
            };
            if options.dry_run {
                return Ok(plan.collected);
            }
            if plan.next.doomed.is_some() {
                self.require_refusals(&plan.record).await?;
            }
            let began = Instant::now();
            if !self.swap(&plan).await? {
                continue;
            }
            if let Some(doomed) = &plan.next.doomed {
                self.delete(doomed, began).await?;
            }
            return Ok(plan.collected);
        }
        Err(Error::CollectorContention)
    }

    /// Reads everything, and computes what is to be done. Writes nothing.
    async fn plan_collection(
        &self,
        suites: &[Suite<'_>],
        options: CollectOptions,
        me: u64,
        now: Option<Timestamp>,
        record: Record,
    ) -> Result<Plan, Error> {
        let now = now.ok_or(Error::NoStoreTime)?;
        self.clock.check(now)?;
        if record.doomed.as_ref().is_none_or(|doomed| doomed.by != me) {
            record.check_idle(Some(now))?;
        }
        let inventory = self.inventory().await?;
        let by_name: BTreeMap<&SuiteName, &Suite<'_>> =
            suites.iter().map(|suite| (&suite.name, suite)).collect();
        let folders = self.judged(inventory.marks()).await.into_iter();
        let folders = folders.map(|(name, folder)| Ok((name, folder?)));
        let folders = folders.collect::<Result<BTreeMap<_, _>, Error>>()?;
        let others = folders
            .iter()
            .filter(|(_, folder)| **folder == Folder::Foreign);
        let mut others: BTreeSet<_> = others.map(|(name, _)| name.clone()).collect();
        others.extend(strays(&inventory, &folders));
        let others: Vec<_> = others.into_iter().collect();
        if !others.is_empty() && !options.leave_pool {
            return Err(Error::OtherTools { suites: others });
        }
        let cutoff = now.checked_sub(options.kept()).unwrap_or(Timestamp::MIN);
        let mut kept = Kept::default();
        let mut read = Vec::new();
        let mut aliases = Vec::new();
        for (name, folder) in &folders {
            match folder {
                Folder::Suite { .. } => {}
                Folder::Alias(suite) => {
                    aliases.push((name, suite));
                    continue;
                }
                Folder::Deleting => {
                    let suite = name.clone();
                    return Err(Error::Deleting { suite });
                }
                Folder::Reserved(_) | Folder::Deleted | Folder::Remains | Folder::Foreign => {
                    continue;
                }
            }
            let Some(suite) = by_name.get(name).copied() else {
                return Err(Error::Missing(self.suite_appeared(name)));
            };
            if let Some(head) = suite.reliable_head().await? {
                kept.add((read.len(), suite), &head, cutoff, &inventory, &record)
                    .await?;
                read.push(suite);
            }
        }
        for (alias, suite) in aliases {
            let added = kept.add_alias(&self.folder(alias), &read).await;
            added.map_err(|error| match error {
                error @ Error::Storage(_) => error,
                error => Error::AliasUnreadable {
                    alias: alias.clone(),
                    suite: suite.clone(),
                    source: error.into(),
                },
            })?;
        }
        let pool_left = if options.leave_pool {
            Some("it was asked for".to_owned())
        } else {
            let flat = self.flat_index_beside().await?;
            let unknown = kept.unknown_index.take().or(flat);
            let unknown = unknown.or_else(|| inventory.index_in_pool().cloned());
            unknown
                .map(|index| format!("the index {index} may name package files in an unknown way"))
        };
        let (packages, foreign) = inventory.pool();
        let candidates = match pool_left {
            None => packages,
            Some(_) => HashSet::new(),
        };
        let unnamed = unnamed(&inventory, &folders, &mut kept, &read, candidates).await?;
        let mut plan = Plan {
            next: record.clone(),
            now,
            collected: Collected {
                suites: read.iter().map(|suite| suite.name.clone()).collect(),
                commits: kept.commits.len() as u64,
                foreign,
                pool_left,
                unreadable: std::mem::take(&mut kept.unreadable),
                ..Collected::default()
            },
            record,
        };
        for (_, object) in inventory.below("") {
            plan.collected.stored.add(object);
        }
        plan.judge(&inventory, unnamed, options.grace, me);
        for suite in &kept.cut {
            let begin = plan.next.history.entry(suite.clone()).or_insert(cutoff);
            *begin = (*begin).max(cutoff);
        }
        Ok(plan)
    }

    /// Whether the record was written since it had this generation.
    async fn has_changed(&self, generation: u64) -> Result<bool, Error> {
        let current = self.condemned_record().read(self.storage.as_ref()).await?;
        Ok(Record::of(&current)?.generation != generation)
    }

    fn suite_appeared(&self, name: &SuiteName) -> crate::Missing {
        crate::Missing::Suite {
            suite: name.clone(),
            repository: format!("the list of suites of {}", self.url),
        }
    }

    /// Writes the next record if it is still the one that was read. False if a publisher has changed it.
    async fn swap(&self, plan: &Plan) -> Result<bool, Error> {
        let mut sent = None;
        let write = |current: &Current| {
            // The reply to an earlier attempt was lost.
            if sent.is_some() && current.bytes == sent {
                return Ok(Swap::Keep(true));
            }
            let record = Record::of(current)?;
            if record.generation != plan.record.generation {
                return Ok(Swap::Keep(false));
            }
            if record == plan.next {
                return Ok(Swap::Keep(true));
            }
            let bytes = plan.next_at(current.date.unwrap_or(plan.now)).next();
            sent = Some(bytes.clone());
            Ok::<_, Error>(Swap::Write(bytes, true))
        };
        let storage = self.storage.as_ref();
        self.condemned_record().update(storage, write).await
    }

    /// Deletes what is doomed, and takes it off the record.
    ///
    /// `began`: a moment before it was doomed.
    async fn delete(&self, doomed: &Doomed, began: Instant) -> Result<(), Error> {
        let me = doomed.by;
        let mut result = Ok(());
        let keys: Vec<String> = doomed.objects.keys().cloned().collect();
        let mut left: BTreeSet<&String> = keys.iter().collect();
        let count = keys.len() as u64;
        let work = self.observed.work(Work::Deletion { count });
        for batch in keys.chunks(BATCH) {
            // Publishers take a collector for dead after a while, and what it has doomed for theirs.
            if began.elapsed() > DELETING {
                break;
            }
            match self.storage.delete(batch).await {
                Ok(()) => {
                    for key in batch {
                        left.remove(key);
                    }
                    work.done(batch.len() as u64);
                }
                // It may still take effect, so what it was about stays doomed.
                Err(error) if error.is_ambiguous() => return Err(error.into()),
                Err(error) => {
                    result = Err(error.into());
                    break;
                }
            }
        }
        let finish = |current: &Current| {
            let mut record = match Record::of(current) {
                // There is nothing of ours on it any more.
                Err(Error::CondemnedMalformed { .. }) => return Ok(Swap::Keep(())),
                record => record?,
            };
            if record.doomed.as_ref().is_none_or(|doomed| doomed.by != me) {
                return Ok(Swap::Keep(()));
            }
            for (key, object) in record.doomed.take().into_iter().flat_map(|d| d.objects) {
                if left.contains(&key) {
                    record.condemned.insert(key, object);
                }
            }
            Ok::<_, Error>(Swap::Write(record.next(), ()))
        };
        let storage = self.storage.as_ref();
        self.condemned_record().update(storage, finish).await?;
        result
    }

    /// Before anything is deleted, the store proves that it refuses what it must: the record is nothing without that.
    async fn require_refusals(&self, record: &Record) -> Result<(), Error> {
        if self.writes == Writes::SingleWriter {
            return Ok(());
        }
        let content = record.clone().next();
        let options = PutOptions::new(PutMode::Create);
        let storage = self.storage.as_ref();
        match s3_storage::still_refuses(storage, layout::CONDEMNED, content, &options).await? {
            None => Ok(()),
            Some(gap) => Err(Error::NoConditionalWrites(gap)),
        }
    }
}

impl Plan {
    /// The next record, if it is written at this time: what publishers count from it begins only then, as looking at everything may
    /// have taken long.
    fn next_at(&self, time: Timestamp) -> Record {
        let mut next = self.next.clone();
        let condemned = next.condemned.values_mut();
        for object in condemned.filter(|object| object.since == self.now) {
            object.since = time;
        }
        if let Some(doomed) = &mut next.doomed {
            doomed.since = time;
        }
        next
    }

    /// What becomes of each object: of those on the record, and of those that nothing names.
    fn judge(
        &mut self,
        inventory: &Inventory,
        mut unnamed: HashSet<String>,
        grace: SignedDuration,
        me: u64,
    ) {
        let (now, collected, next) = (self.now, &mut self.collected, &mut self.next);
        let is_over = |time: Timestamp| now.duration_since(time) >= grace;
        // What a collector left that is dead by now was doomed, so nobody has named it since.
        let dead = next
            .doomed
            .take()
            .into_iter()
            .flat_map(|doomed| doomed.objects);
        let dead: BTreeMap<_, _> = dead.collect();
        let mut doomed = BTreeMap::new();
        let condemned = std::mem::take(&mut next.condemned);
        let is_dead = |key: &String| dead.contains_key(key);
        for (key, object) in condemned.into_iter().chain(dead.clone()) {
            let Some(there) = inventory.get(&key) else {
                continue;
            };
            let is_same = there.etag.0 == object.etag && there.modified == Some(object.modified);
            if !is_same || !unnamed.remove(&key) {
                collected.spared += 1;
            } else if is_over(object.since) || is_dead(&key) {
                collected.deleted.add(there);
                collected.deleted_keys.push(key.clone());
                doomed.insert(key, object);
            } else {
                collected.waiting.add(there);
                next.condemned.insert(key, object);
            }
        }
        let mut new: Vec<_> = unnamed.into_iter().collect();
        new.sort_unstable();
        for key in new {
            let Some(there) = inventory.get(&key) else {
                continue;
            };
            let Some(modified) = there.modified.filter(|time| is_over(*time)) else {
                continue;
            };
            if next.condemned.len() + doomed.len() >= MOST {
                collected.left.add(there);
                continue;
            }
            let object = Condemned {
                etag: there.etag.0.clone(),
                modified,
                since: now,
            };
            collected.condemned.add(there);
            collected.condemned_keys.push(key.clone());
            next.condemned.insert(key, object);
        }
        next.doomed = (!doomed.is_empty()).then_some(Doomed {
            by: me,
            since: now,
            objects: doomed,
        });
    }
}

/// The objects of our suites, and package files of the pool, that nothing names. What only states that cannot be read may name is
/// not among them.
async fn unnamed(
    inventory: &Inventory,
    folders: &BTreeMap<SuiteName, Folder>,
    kept: &mut Kept,
    suites: &[&Suite<'_>],
    packages: HashSet<String>,
) -> Result<HashSet<String>, Error> {
    let mut candidates = packages;
    for (key, _) in inventory.below(layout::SUITES) {
        let is_ours = owner(key, folders).is_some_and(|name| folders[name] != Folder::Foreign);
        if is_ours && !kept.keys.contains(key) && is_collectable(key, &kept.commits) {
            // Another program may have put a package file there.
            candidates.insert(key.clone());
        }
    }
    let mut unnamed = kept.retain_unnamed(suites, candidates).await?;
    if !kept.unreadable.is_empty() {
        let is_held = |key: &String| owner(key, folders).is_none_or(|name| kept.is_held(name));
        unnamed.retain(|key| !is_held(key));
    }
    Ok(unnamed)
}

/// The suites whose indexes have no `Release` beside them, as a script makes them for devices that trust anything.
fn strays(
    inventory: &Inventory,
    folders: &BTreeMap<SuiteName, Folder>,
) -> impl Iterator<Item = SuiteName> {
    inventory.below(layout::SUITES).filter_map(|(key, _)| {
        let (folder, name) = key.strip_prefix(layout::SUITES)?.rsplit_once('/')?;
        let is_index = ["Packages", "Sources"]
            .iter()
            .any(|of| name.starts_with(of));
        let suite = folder
            .split('/')
            .next()
            .filter(|_| is_index && owner(key, folders).is_none());
        suite?.parse().ok()
    })
}

/// The suite in whose folder an object is: one suite's folder may be in another's.
fn owner<'f>(key: &str, folders: &'f BTreeMap<SuiteName, Folder>) -> Option<&'f SuiteName> {
    let is_in = |name: &&SuiteName| key.starts_with(&layout::in_suite(name, ""));
    let within = folders.keys().filter(is_in);
    within.max_by_key(|name| name.to_string().len())
}

/// Whether an object of a suite is of a kind that can become garbage: index files by hash, commits, and the record of what took the
/// place of a commit that is gone.
fn is_collectable(key: &str, commits: &HashSet<Sha256>) -> bool {
    let mut parts = key.rsplit('/');
    let (Some(name), Some(folder)) = (parts.next(), parts.next()) else {
        return false;
    };
    let digest = |text: &str| text.parse::<Sha256>().ok();
    match folder {
        "commits" => name.strip_suffix(".json").and_then(digest).is_some(),
        "succession" => digest(name).is_some_and(|id| !commits.contains(&id)),
        "SHA256" => parts.next() == Some("by-hash") && digest(name).is_some(),
        _ => false,
    }
}
