//! What the suites of a repository name: by their heads, and by the commits that are kept for their history.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use deb_index::{
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    name::SuiteName,
    suite::{commit::Commit, layout, release::ReleaseError, spelling},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::{
    Error, Folder, Head, HeadSignatures, Suite, Work,
    commit::draft::blocking,
    gc::{condemned::Record, inventory::Inventory},
    read::{indexes::IndexCache, loss::is_unreadable},
};

/// Commits that are read at once.
const COMMITS: usize = 16;
/// Indexes that are read at once. Each takes the memory of its plain form.
const INDEXES: usize = 3;

/// What must stay.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Keys of commits and index files.
    pub(crate) keys: HashSet<String>,
    pub(crate) commits: HashSet<Sha256>,
    /// `Packages` that have to be read, each once, those of heads first.
    indexes: Vec<Wanted>,
    seen: HashSet<Sha256>,
    /// An index that may name files of the pool in a way that this program does not know.
    pub(crate) unknown_index: Option<String>,
    /// Suites whose history was cut at the given time.
    pub(crate) cut: BTreeSet<SuiteName>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// An earlier state of a suite that cannot be read, so that it is not known what it named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub suite: SuiteName,
    /// Its commit, or one of its indexes.
    pub key: String,
    /// When the state was last the head, at the latest.
    pub ended: Timestamp,
}

#[derive(Debug)]
struct Wanted {
    /// Position among the suites that are read.
    suite: usize,
    path: IndexPath,
    commit: Arc<Commit>,
    /// When the state that has it was last the head; none if it is.
    ended: Option<Timestamp>,
}

impl Suite<'_> {
    /// Whether the folder was deleted since it was listed, or had become an alias. Fails while it is being deleted.
    async fn is_deleted(&self) -> Result<bool, Error> {
        match self.what_it_is().await? {
            Some(Folder::Deleting) => Err(Error::Deleting {
                suite: self.name.clone(),
            }),
            Some(Folder::Deleted | Folder::Remains | Folder::Reserved(_)) => Ok(true),
            _ => Ok(false),
        }
    }

    /// The head, if it may be relied on for deleting what it does not name; none if the suite never had one.
    pub(crate) async fn reliable_head(&self) -> Result<Option<Head>, Error> {
        let head = match self.head_if_ever().await {
            Ok(None)
            | Err(Error::Damaged { .. } | Error::HeadVanished { .. } | Error::IsAlias { .. })
                if self.is_deleted().await? =>
            {
                None
            }
            head => head?,
        };
        let Some(head) = head else {
            return Ok(None);
        };
        if head.commit.is_closed() {
            let suite = self.name.clone();
            return Err(Error::Deleting { suite });
        }
        if head.signatures == HeadSignatures::Unchecked {
            let suite = self.name.clone();
            return Err(Error::NotVerified { suite });
        }
        self.require_newest(&head).await?;
        Ok(Some(head))
    }
}

impl Kept {
    /// Adds what a suite names: its head, and each commit that was the head at `cutoff` or later.
    pub(crate) async fn add(
        &mut self,
        (at, suite): (usize, &Suite<'_>),
        head: &Head,
        cutoff: Timestamp,
        inventory: &Inventory,
        record: &Record,
    ) -> Result<(), Error> {
        // Where `Release` was left behind, its commit and those since prove that.
        let shown = suite.shown_since(head.id()).await?;
        let cutoff = shown.map_or(cutoff, |shown| shown.min(cutoff));
        let recent = recent_commits(suite, cutoff, inventory).await?;
        let is_signed = |commit: &Arc<Commit>| !commit.settings.signing_keys.is_empty();
        if head.signatures.is_unsigned() && recent.values().any(is_signed) {
            let suite = suite.name.clone();
            return Err(Error::SignatureMissing { suite });
        }
        let mut next = Some((head.id(), head.commit.clone()));
        let mut ended = None;
        while let Some((id, commit)) = next.take() {
            self.commit((at, suite), id, &commit, ended)?;
            ended = Some(commit.time);
            let Some(parent) = commit.parent else { break };
            if commit.time < cutoff {
                self.cut.insert(suite.name.clone());
                break;
            }
            let read = match recent.get(&parent) {
                Some(commit) => Ok(commit.clone()),
                None => suite.read_commit(&parent).await.map(Arc::new),
            };
            next = match read {
                Ok(commit) => Some((parent, commit)),
                // Deleted already, by a collector that kept less.
                Err(Error::Damaged { .. })
                    if record
                        .history
                        .get(&suite.name)
                        .is_some_and(|begin| commit.time < *begin) =>
                {
                    None
                }
                Err(error) if is_unreadable(&error) => {
                    self.unreadable.push(Unreadable {
                        suite: suite.name.clone(),
                        key: layout::commit_key(&suite.name, &parent),
                        ended: commit.time,
                    });
                    None
                }
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Adds what the heads in the folder of an alias name. They may be older ones of the suite, or of the suite that had the alias
    /// before. One that cannot be read shows nothing to anyone.
    pub(crate) async fn add_alias(
        &mut self,
        alias: &Suite<'_>,
        suites: &[&Suite<'_>],
    ) -> Result<(), Error> {
        for (key, shown) in alias.shown().await? {
            let release = match shown {
                Ok(release) => release,
                // Nobody can use it. But what another program wrote may name files of the pool.
                Err(
                    error @ Error::Release {
                        source: ReleaseError::NotOurs,
                        ..
                    },
                ) => return Err(error),
                Err(_) => continue,
            };
            let id = release.commit;
            if self.commits.contains(&id) {
                continue;
            }
            let is_of = |suite: &&Suite<'_>| Some(&suite.name) == release.names.first();
            let Some(at) = suites.iter().position(is_of) else {
                return Err(alias.damaged(key, "shows a suite that does not exist"));
            };
            let commit = Arc::new(suites[at].read_commit(&id).await?);
            self.commit((at, suites[at]), id, &commit, None)?;
        }
        Ok(())
    }

    fn commit(
        &mut self,
        (at, suite): (usize, &Suite<'_>),
        id: Sha256,
        commit: &Arc<Commit>,
        ended: Option<Timestamp>,
    ) -> Result<(), Error> {
        suite.check_requirements(id, commit)?;
        self.commits.insert(id);
        self.keys.insert(layout::commit_key(&suite.name, &id));
        // What the commit says of its parent, as evidence, even if the parent goes.
        let record = layout::successor_key(&suite.name, commit.parent.as_ref());
        self.keys.insert(record);
        for (path, index) in &commit.indexes {
            // The plain form is stored where another tool made the index.
            let files = index.files.values().map(|stored| &stored.sha256);
            for sha256 in files.chain([&index.sha256]) {
                let by_hash = path.by_hash(sha256);
                for folder in [&suite.name].into_iter().chain(&commit.settings.aliases) {
                    self.keys.insert(layout::in_suite(folder, &by_hash));
                }
            }
            if path.as_packages().is_none() && !is_harmless(path) {
                self.unknown_index
                    .get_or_insert_with(|| format!("{path} of suite {}", suite.name));
            }
            if path.as_packages().is_some() && self.seen.insert(index.sha256) {
                self.indexes.push(Wanted {
                    suite: at,
                    path: path.clone(),
                    commit: commit.clone(),
                    ended,
                });
            }
        }
        Ok(())
    }

    /// Whether nothing in the folder of a suite may be deleted.
    pub(crate) fn is_held(&self, suite: &SuiteName) -> bool {
        self.unreadable.iter().any(|state| state.suite == *suite)
    }

    /// Takes those of `candidates` away that an index names. Indexes are read until none is left, or until one of an earlier state
    /// cannot be read.
    pub(crate) async fn retain_unnamed(
        &mut self,
        suites: &[&Suite<'_>],
        mut candidates: HashSet<String>,
    ) -> Result<HashSet<String>, Error> {
        let mut indexes = std::mem::take(&mut self.indexes).into_iter();
        while !candidates.is_empty() {
            let some: Vec<_> = indexes.by_ref().take(INDEXES).collect();
            if some.is_empty() {
                break;
            }
            let shared = Arc::new(candidates);
            let reads = some.into_iter().map(|wanted| {
                let (suite, candidates) = (suites[wanted.suite], Arc::clone(&shared));
                async move { named(suite, wanted, candidates).await }
            });
            let reads: Vec<_> = reads.collect();
            let reads = stream::iter(reads).buffer_unordered(INDEXES);
            let named: Vec<_> = reads.try_collect().await?;
            candidates = Arc::unwrap_or_clone(shared);
            for named in named {
                match named {
                    Ok(keys) => {
                        for key in keys {
                            candidates.remove(&key);
                        }
                    }
                    Err(unreadable) => self.unreadable.push(unreadable),
                }
            }
            if !self.unreadable.is_empty() {
                break;
            }
        }
        Ok(candidates)
    }
}

/// Those of `candidates` that an index names. The inner error is an index of an earlier state.
async fn named(
    suite: &Suite<'_>,
    Wanted {
        path,
        commit,
        ended,
        ..
    }: Wanted,
    candidates: Arc<HashSet<String>>,
) -> Result<Result<Vec<String>, Unreadable>, Error> {
    let unreadable = |error| match ended {
        Some(ended) => Ok(Err(Unreadable {
            suite: suite.name.clone(),
            key: layout::in_suite(&suite.name, path.as_str()),
            ended,
        })),
        None => Err(error),
    };
    let mut cache = IndexCache::default();
    let plain = match cache.load(suite, &commit, [path.clone()]).await {
        Ok(mut plain) => plain.remove(&path).unwrap_or_default(),
        Err(error @ Error::Damaged { .. }) => return unreadable(error),
        Err(error) => return Err(error),
    };
    let named = blocking(move || {
        let packages = Packages::parse(&plain)?;
        let keys = packages
            .stanzas()
            .iter()
            .filter_map(|stanza| stanza.field("Filename"));
        // An index that was carried over may spell keys in another way.
        let keys = keys.flat_map(spelling::meant);
        Ok(keys.filter(|key| candidates.contains(key)).collect())
    });
    match named.await {
        Ok(keys) => Ok(Ok(keys)),
        Err(source) => unreadable(Error::MalformedIndex {
            suite: suite.name.clone(),
            path: path.to_string(),
            source,
        }),
    }
}

/// Whether an index that this program does not know names no package files of the pool. `Sources` names source packages, which
/// are never collected.
fn is_harmless(path: &IndexPath) -> bool {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    [
        "Contents-",
        "Translation-",
        "Components-",
        "Commands-",
        "icons-",
    ]
    .iter()
    .any(|start| name.starts_with(start))
        || ["Release", "Contents", "Sources"].contains(&name)
}

/// The commits that were written since `cutoff`, read at once and not one after the other. Those that cannot be read are left out.
async fn recent_commits(
    suite: &Suite<'_>,
    cutoff: Timestamp,
    inventory: &Inventory,
) -> Result<HashMap<Sha256, Arc<Commit>>, Error> {
    let folder = layout::commits(&suite.name);
    let listed = inventory.below(&folder);
    let recent = listed.filter(|(_, object)| object.modified.is_none_or(|time| time >= cutoff));
    let ids: Vec<_> = recent
        .filter_map(|(key, _)| layout::commit_at(&suite.name, key))
        .collect();
    let (name, count) = (suite.name.clone(), ids.len() as u64);
    let observed = &suite.repository.observed;
    let work = &observed.work(Work::Commits { suite: name, count });
    let reads = stream::iter(ids).map(|id| async move {
        let read = suite.read_commit(&id).await;
        work.done(1);
        match read {
            Ok(mut commit) => {
                commit.changes = Arc::default();
                Ok(Some((id, Arc::new(commit))))
            }
            Err(error) if is_unreadable(&error) => Ok(None),
            // A commit of a later version that is not in the history does not matter.
            Err(Error::Commit { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    reads
        .buffer_unordered(COMMITS)
        .try_filter_map(async |read| Ok(read))
        .try_collect()
        .await
}
